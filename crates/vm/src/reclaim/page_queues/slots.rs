//! A record for each known page, and the queues they stand in.
//!
//! 1. Every record stands in exactly one queue; `Place` says which. Records without a page stand in `Place::Free`.
//! 2. A queue is a doubly linked chain through the records, the eldest in front.
//!
//! A record is 24 bytes: chains are numbers, and what is known of a page shares a word with its number.

use super::PageId;
use super::RootId;

const NONE: u32 = u32::MAX;

/// The queue a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On probation, with the entry of the access that brought it.
    NewFresh,
    /// On probation, armed.
    NewArmed,
    /// On the clock, with the entry of the access that showed its use.
    ProvenFresh,
    /// On the clock, armed.
    ProvenArmed,
    /// Said not to be needed.
    NeedNot,
    /// Said to be always needed.
    Need,
    /// May not be taken for now.
    Held,
    /// Given out as a candidate.
    Hand,
    /// No page.
    Free,
}

impl Place {
    pub(super) const ALL: [Self; 9] = [
        Self::NewFresh,
        Self::NewArmed,
        Self::ProvenFresh,
        Self::ProvenArmed,
        Self::NeedNot,
        Self::Need,
        Self::Held,
        Self::Hand,
        Self::Free,
    ];
}

/// What is known of a page besides its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mark {
    /// Was used again after it had come, or is taken to have been.
    Proven,
    /// ALWAYS_NEED.
    Always,
    /// DONT_NEED.
    NeedNot,
    /// Its entry was dropped: one that is there now tells of a use.
    Armed,
    /// Given out for its age, so that use keeps it whatever happens.
    ForAge,
}

/// Number of a record. Stays the page's as long as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u32);

#[derive(Clone, Copy, Debug)]
struct Record {
    /// The page's number in the low bits, marks above it, and the place at the top.
    word: u64,
    root: RootId,
    older: u32,
    younger: u32,
    generation: u32,
}

const PAGE_BITS: u32 = 52;
const PLACE_SHIFT: u32 = 60;
const MARKS: u64 = ((1 << (PLACE_SHIFT - PAGE_BITS)) - 1) << PAGE_BITS;
const _: () = assert!(size_of::<Record>() == 24 && Place::ALL.len() <= 1 << (64 - PLACE_SHIFT));

#[derive(Clone, Copy, Debug)]
struct Chain {
    eldest: u32,
    youngest: u32,
    len: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Slots {
    records: Vec<Record>,
    chains: [Chain; Place::ALL.len()],
}

impl Slots {
    pub(super) fn new() -> Self {
        let empty = Chain { eldest: NONE, youngest: NONE, len: 0 };
        Self { records: Vec::new(), chains: [empty; Place::ALL.len()] }
    }

    /// A record without marks for a page, as the youngest of a queue.
    pub(super) fn add(&mut self, page: PageId, place: Place, generation: u32) -> Slot {
        assert!(page.page < 1 << PAGE_BITS, "page numbers have {PAGE_BITS} bits");
        let slot = self.eldest(Place::Free).unwrap_or_else(|| {
            let new = u32::try_from(self.records.len()).ok().filter(|&new| new != NONE).expect("fewer than 2^32 pages");
            self.records.push(Record { word: 0, root: RootId(0), older: NONE, younger: NONE, generation: 0 });
            self.link(Slot(new), Place::Free);
            Slot(new)
        });
        let record = &mut self.records[slot.0 as usize];
        (record.root, record.generation) = (page.root, generation);
        record.word = page.page | (record.word >> PLACE_SHIFT << PLACE_SHIFT);
        self.move_to(slot, place);
        slot
    }

    /// Puts a record behind all others of a queue.
    pub(super) fn move_to(&mut self, slot: Slot, place: Place) {
        self.unlink(slot);
        self.link(slot, place);
    }

    pub(super) fn page(&self, slot: Slot) -> PageId {
        let record = &self.records[slot.0 as usize];
        PageId { root: record.root, page: record.word & ((1 << PAGE_BITS) - 1) }
    }

    pub(super) fn place(&self, slot: Slot) -> Place {
        Place::ALL[(self.records[slot.0 as usize].word >> PLACE_SHIFT) as usize]
    }

    pub(super) fn has(&self, slot: Slot, mark: Mark) -> bool {
        self.records[slot.0 as usize].word & bit(mark) != 0
    }

    pub(super) fn set(&mut self, slot: Slot, mark: Mark, on: bool) {
        let word = &mut self.records[slot.0 as usize].word;
        *word = if on { *word | bit(mark) } else { *word & !bit(mark) };
    }

    pub(super) fn generation(&self, slot: Slot) -> u32 {
        self.records[slot.0 as usize].generation
    }

    pub(super) fn set_generation(&mut self, slot: Slot, generation: u32) {
        self.records[slot.0 as usize].generation = generation;
    }

    /// How many stand in a queue.
    pub(super) fn len(&self, place: Place) -> u64 {
        u64::from(self.chains[place as usize].len)
    }

    pub(super) fn eldest(&self, place: Place) -> Option<Slot> {
        let eldest = self.chains[place as usize].eldest;
        (eldest != NONE).then_some(Slot(eldest))
    }

    /// How many records there are, those without a page among them: their numbers are below.
    pub(super) fn end(&self) -> u32 {
        self.records.len() as u32
    }

    fn link(&mut self, slot: Slot, place: Place) {
        let chain = &mut self.chains[place as usize];
        let older = std::mem::replace(&mut chain.youngest, slot.0);
        chain.len += 1;
        match older {
            NONE => chain.eldest = slot.0,
            older => self.records[older as usize].younger = slot.0,
        }
        let record = &mut self.records[slot.0 as usize];
        (record.older, record.younger) = (older, NONE);
        record.word = (record.word & (MARKS | ((1 << PAGE_BITS) - 1))) | ((place as u64) << PLACE_SHIFT);
    }

    fn unlink(&mut self, slot: Slot) {
        let place = self.place(slot);
        let Record { older, younger, .. } = self.records[slot.0 as usize];
        let chain = &mut self.chains[place as usize];
        chain.len -= 1;
        match older {
            NONE => chain.eldest = younger,
            older => self.records[older as usize].younger = younger,
        }
        match younger {
            NONE => self.chains[place as usize].youngest = older,
            younger => self.records[younger as usize].older = older,
        }
    }

    /// Checks 1 and 2.
    pub(super) fn audit(&self) {
        let mut seen = 0;
        for place in Place::ALL {
            let chain = &self.chains[place as usize];
            let (mut at, mut before) = (chain.eldest, NONE);
            for _ in 0..chain.len {
                assert_eq!(self.place(Slot(at)), place, "record {at} stands in the queue of its place");
                assert_eq!(self.records[at as usize].older, before, "record {at} knows who is before it");
                (before, at) = (at, self.records[at as usize].younger);
                seen += 1;
            }
            assert_eq!((at, chain.youngest), (NONE, before), "{place:?} ends where it says");
        }
        assert_eq!(seen, self.records.len(), "every record stands in a queue");
    }
}

fn bit(mark: Mark) -> u64 {
    1 << (PAGE_BITS + mark as u32)
}
