//! The snapshots from the first to the last.
//!
//! 1. While the writer writes, only three things are known for certain: how many stores were made before a call
//!    (`before`), after it (`after`), and that the snapshot holds the first k for one k from `before` to `after` + 1 (one
//!    may be made and not yet counted, see `writer`).
//! 2. Verifying happens beside the writer, too: what it stores meanwhile must not show.
//! 3. Memory is accounted for while the writer rests; then all sides must agree to the byte. One thing the stores do not
//!    tell: whether the store that came right after a snapshot had its copy before it (see `family`). The engine is asked,
//!    about that page alone.
//! 4. Snapshots are closed while the writer writes again. Those that shared frames with the closed one are its nearest
//!    neighbours in time: they are compared after every closing, and all that are left when half are gone.
//! 5. After the first difference in a content nothing further is tried: there is no known content to compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::time::{Duration, Instant};

use zerocopy::{FromZeros, IntoBytes};
use zxvm_host::linux::Words;
use zxvm_host::user::UserRef;
use zxvm_host::{AddrRange, PAGE_SIZE};
use zxvm_syscall::Kernel;
use zxvm_types::*;

use super::account::{self, Told, rounded};
use super::family::{BYTE, Family, Fine};
use super::report::{Areas, Row, Share, Whole};
use super::shadow::{Mismatch, Shadow, Wrong, page_sum, whole_sum};
use super::stores::{self, PAGE_WORDS};
use super::svg::{self, Labels};
use super::writer::Writer;
use crate::failure::{Failure, setup};
use crate::mix::mix;
use crate::progress::Progress;
use crate::table::{count, counted};
use crate::witness;

/// Bytes read or written at once.
const CHUNK: usize = 1 << 20;

/// A snapshot that was taken.
#[derive(Clone, Copy)]
struct Taken {
    handle: zx_handle_t,
    at: Duration,
    call: Duration,
    gap: Duration,
    /// Stores made when the engine was asked what is private, when the snapshot was asked for, and when that was back.
    asked: u64,
    before: u64,
    after: u64,
    /// Private pages of the VMO when it was asked.
    private_pages: u64,
    linux_bytes: u64,
    /// What it was found to hold: stores, and the checksum of all.
    holds: Option<(u64, u64)>,
    share: Option<Share>,
}

/// What there is to report.
pub struct Seen {
    /// A row each.
    pub rows: Vec<Row>,
    /// If it came to that.
    pub whole: Option<Whole>,
    /// The writer's longest wait while no snapshot was made.
    pub gap_between: Duration,
    /// Before the first snapshot.
    pub areas_before: Areas,
    /// After the last.
    pub areas_after: Areas,
    /// From 1.
    pub closing_order: Vec<usize>,
    /// How often a whole content was compared.
    pub comparisons: u64,
    /// What is wrong.
    pub differences: Vec<String>,
}

/// Everything on stage.
pub struct Play<'k> {
    kernel: &'k Kernel,
    progress: Progress,
    counts_judged: bool,
    vmo: zx_handle_t,
    range: Range<u64>,
    pages: usize,
    shadow: Shadow,
    family: Family,
    writer: Writer,
    taken: Vec<Taken>,
    whole: Option<Whole>,
    alone: Vec<u64>,
    gap_between: Duration,
    areas_before: Areas,
    areas_after: Areas,
    closing_order: Vec<usize>,
    comparisons: u64,
    differences: Vec<String>,
}

impl<'k> Play<'k> {
    /// How many steps it has.
    pub fn steps(snapshots: usize) -> u64 {
        2 + 2 * snapshots as u64
    }

    /// Puts the file into a VMO and maps it. The writer is at rest.
    pub fn new(kernel: &'k Kernel, content: Vec<u8>, counts_judged: bool, progress: Progress) -> Result<Self, Failure> {
        let shadow = Shadow::new(content);
        progress.step("load the file");
        let (vmo, range) = load(kernel, shadow.content(), &progress)?;
        let addrs = AddrRange::from_bounds(range.start, range.end);
        let words = Words::new(addrs).ok_or(Failure::Setup { what: "the mapping", status: Status::BAD_STATE })?;
        let areas = areas(&range)?;
        let pages = shadow.sums().len();
        Ok(Self {
            kernel,
            progress,
            counts_judged,
            vmo,
            range,
            pages,
            family: Family::new(shadow.sums()),
            shadow,
            writer: Writer::new(words, pages),
            taken: Vec::new(),
            whole: None,
            alone: Vec::new(),
            gap_between: Duration::ZERO,
            areas_before: areas,
            areas_after: areas,
            closing_order: Vec::new(),
            comparisons: 0,
            differences: Vec::new(),
        })
    }

    /// Takes the snapshots while the writer writes, and verifies each. The writer is at rest afterwards.
    pub fn take(&mut self, snapshots: usize, interval: Duration) -> Result<(), Failure> {
        self.writer.start()?;
        let start = Instant::now();
        self.writer.wait_beyond(0)?;
        for index in 0..snapshots {
            self.progress.step(&format!("{} of {snapshots}", name(index)));
            std::thread::sleep(interval);
            let taken = self.take_one(start)?;
            self.taken.push(taken);
            if !self.verify(index)? {
                break;
            }
        }
        self.writer.stop()?;
        self.areas_after = areas(&self.range)?;
        Ok(())
    }

    fn take_one(&mut self, start: Instant) -> Result<Taken, Failure> {
        let size = self.range.end - self.range.start;
        let asked = self.writer.published();
        let private_pages = self.info(self.vmo)?.committed_private_bytes / PAGE_SIZE;
        self.gap_between = self.gap_between.max(self.writer.longest_gap());
        let mut handle = ZX_HANDLE_INVALID;
        let options = ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_NO_WRITE;
        let before = self.writer.published();
        let at = start.elapsed();
        let made = self.kernel.vmo_create_child(self.vmo, options, 0, size, &mut handle);
        let call = start.elapsed() - at;
        let after = self.writer.published();
        setup("a snapshot of a mapped VMO", made)?;
        // Whatever the snapshot holds is made by now, so none of it is of the next round.
        self.writer.next_round();
        // With the next store ends the gap that the call may have made; the one after it is made when that is noted.
        self.writer.wait_beyond(after + 1)?;
        let gap = self.writer.longest_gap();
        let linux_bytes = witness::file_bytes()?;
        let (holds, share) = (None, None);
        Ok(Taken { handle, at, call, gap, asked, before, after, private_pages, linux_bytes, holds, share })
    }

    /// Finds the moment that the snapshot holds. Whether there is one.
    fn verify(&mut self, index: usize) -> Result<bool, Failure> {
        let taken = self.taken[index];
        let seen = self.read(taken.handle)?;
        let starts = self.writer.starts();
        self.shadow.advance(&starts, taken.asked);
        let at_least = self.shadow.changed_pages();
        self.shadow.advance(&starts, taken.before);
        // One store may be made and not counted.
        let copied = at_least..=self.shadow.changed_pages() + 1;
        // Before the first there is nobody to copy for: all pages are private.
        if index > 0 && !copied.contains(&taken.private_pages) {
            let (says, start, end) = (taken.private_pages, copied.start(), copied.end());
            let name = name(index);
            self.differences.push(format!("{name}: ZX_INFO_VMO says {says} pages were copied, not {start} to {end}"));
        }
        match self.shadow.advance_to(&seen, &starts, taken.after + 1) {
            Ok(stores) => {
                self.taken[index].holds = Some((stores, whole_sum(seen)));
                self.join();
                Ok(true)
            }
            Err(Mismatch { page, kind }) => {
                let why = match kind {
                    Wrong::Altered => "is not what it was, though nobody stored to it",
                    Wrong::NoPrefix => "does not hold the first so many of the stores to it",
                    Wrong::OtherMoment => "is of another moment than other pages",
                };
                self.differences.push(format!("{}, page {page} {why}", name(index)));
                Ok(false)
            }
        }
    }

    /// The next member shows what the shadow has now.
    fn join(&mut self) {
        for page in self.shadow.take_changed() {
            self.family.change(page, self.shadow.sums()[page]);
        }
        self.family.join();
    }

    /// Compares all contents once more, and what all sides say of memory.
    pub fn account(&mut self) -> Result<(), Failure> {
        self.progress.step("compare all once more");
        if !self.is_sound() {
            return Ok(());
        }
        let copied_pages = self.compare_vmo()?;
        self.join();
        (0..self.taken.len()).try_for_each(|index| self.compare(index))?;

        let overtaken_copies = self.find_overtaken_copies()?;
        let portions = self.family.portions();
        self.alone = portions.iter().map(|portion| portion.alone).collect();
        let handles: Vec<_> = self.taken.iter().map(|taken| taken.handle).chain([self.vmo]).collect();
        let mut told = Vec::new();
        for (index, (&handle, portion)) in handles.iter().zip(&portions).enumerate() {
            let info = self.info(handle)?;
            let said = Told::from(&info);
            self.differences.extend(account::of_member(&self.member_name(index), portion, &said));
            if let Some(taken) = self.taken.get_mut(index) {
                taken.share = Some(share(&said));
            }
            told.push(said);
        }
        let (frames, linux_bytes) = (self.family.frames(), witness::file_bytes()?);
        let judged = self.counts_judged.then_some(linux_bytes);
        self.differences.extend(account::of_all(self.pages as u64, frames, &told, judged));
        self.whole = Some(Whole {
            vmo: share(told.last().expect("the VMO is a member")),
            copied_pages,
            stores: self.shadow.stores(),
            frames,
            overtaken_copies,
            scaled_bytes: rounded(told.iter().map(|told| told.scaled).sum()),
            linux_bytes,
            copies_bytes: told.len() as u64 * (self.range.end - self.range.start),
        });
        Ok(())
    }

    /// Finds the frames that were made for a store which a snapshot overtook. How many there are.
    fn find_overtaken_copies(&mut self) -> Result<u64, Failure> {
        let starts = self.writer.starts();
        // Pages, and the members that may have come between a copy of it and the store.
        let mut doubtful: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (index, taken) in self.taken.iter().enumerate().skip(1) {
            if let Some((stores, _)) = taken.holds {
                let page = stores::store(self.pages, &starts, stores).page();
                doubtful.entry(page).or_default().insert(index);
            }
        }
        let mut found = 0;
        for (page, members) in doubtful {
            for span in self.family.spans(page).collect::<Vec<_>>() {
                let mut first = span.start;
                while members.range(first + 1..span.end).next().is_some() {
                    let sharers = self.sharers(first, page)?;
                    first += sharers;
                    if first == span.end {
                        break;
                    }
                    if sharers == 0 || !members.contains(&first) {
                        let says = counted(sharers as u64, "VMO");
                        self.differences
                            .push(format!("Page {page}: ZX_INFO_VMAR_MAPS says {says} share what is in {span:?}"));
                        break;
                    }
                    self.family.split(page, first);
                    found += 1;
                }
            }
        }
        Ok(found)
    }

    /// How many VMOs have the frame that a snapshot has of this page, by the figures of a mapping of it.
    fn sharers(&self, index: usize, page: usize) -> Result<usize, Failure> {
        let (kernel, len) = (self.kernel, PAGE_SIZE as usize);
        let (mut vmar, mut addr) = (ZX_HANDLE_INVALID, 0);
        let made = kernel.vmar_allocate(kernel.vmar_root_self(), ZX_VM_CAN_MAP_READ, 0, len, &mut vmar, &mut addr);
        setup("a VMAR of a page", made)?;
        let (vmo, offset) = (self.taken[index].handle, page as u64 * PAGE_SIZE);
        let mapped = kernel.vmar_map(vmar, ZX_VM_PERM_READ, 0, vmo, offset, len, &mut addr);
        setup("a mapping of a snapshot", mapped)?;
        // The VMAR, and what is in it.
        let mut records = [zx_info_maps_t::new_zeroed(), zx_info_maps_t::new_zeroed()];
        let none = || None::<&mut usize>;
        let told = kernel.object_get_info(vmar, ZX_INFO_VMAR_MAPS, records.as_mut_bytes().into(), none(), none());
        setup("ZX_INFO_VMAR_MAPS", told)?;
        setup("the end of a VMAR", kernel.vmar_destroy(vmar))?;
        setup("the end of a VMAR", kernel.handle_close(vmar))?;
        let mapping = &records[1].mapping;
        let scaled =
            mapping.committed_scaled_bytes as Fine * BYTE + Fine::from(mapping.committed_fractional_scaled_bytes);
        // Whole again, though what thirds leave over is missing.
        Ok((Fine::from(PAGE_SIZE) * BYTE).checked_div(scaled).unwrap_or(0) as usize)
    }

    /// Who shares which pages, drawn. Nothing if that is not known.
    pub fn drawing(&self, title: &str) -> Option<String> {
        self.whole.as_ref()?;
        let rows = self.taken.iter().enumerate();
        let rows = rows.map(|(index, taken)| format!("#{}, {}", index + 1, since_start(taken.at)));
        let labels = Labels {
            title: title.to_owned(),
            rows: rows.chain(["the VMO".to_owned()]).collect(),
            alone: self.alone.clone(),
        };
        Some(svg::draw(&self.family, &labels))
    }

    /// Closes the snapshots in any order while the writer writes on, and compares what is left.
    pub fn close(&mut self) -> Result<(), Failure> {
        let mut left: BTreeSet<usize> = (0..self.taken.len()).collect();
        let mut seed = RandomState::new().build_hasher().finish();
        if self.is_sound() {
            self.writer.start()?;
        }
        while !left.is_empty() {
            seed = mix(seed);
            let index = left.iter().copied().nth(seed as usize % left.len()).expect("there are so many");
            self.progress.step(&format!("close {}", name(index)));
            left.remove(&index);
            setup("the end of a snapshot", self.kernel.handle_close(self.taken[index].handle))?;
            self.closing_order.push(index + 1);
            let neighbours = left.range(..index).next_back().into_iter().chain(left.range(index..).next());
            let half = left.len() == self.taken.len() / 2;
            let compared: Vec<_> = if half { left.iter().copied().collect() } else { neighbours.copied().collect() };
            for index in compared {
                if self.is_sound() {
                    self.compare(index)?;
                }
            }
        }
        self.writer.stop()?;
        if self.is_sound() {
            self.compare_vmo()?;
            self.compare_with_nobody_left()?;
        }
        Ok(())
    }

    /// Once it is alone, the VMO has every page for itself again.
    fn compare_with_nobody_left(&mut self) -> Result<(), Failure> {
        let mut alone = Family::new(self.shadow.sums());
        alone.join();
        let told = Told::from(&self.info(self.vmo)?);
        let found = account::of_member("The VMO, alone again", &alone.portions()[0], &told);
        self.differences.extend(found);
        let judged = if self.counts_judged { Some(witness::file_bytes()?) } else { None };
        self.differences.extend(account::of_all(self.pages as u64, self.pages as u64, &[told], judged));
        Ok(())
    }

    /// Ends everything. Linux must have all memory back.
    pub fn finish(mut self) -> Result<Seen, Failure> {
        let (start, len) = (self.range.start as usize, (self.range.end - self.range.start) as usize);
        setup("the end of the mapping", self.kernel.vmar_unmap(self.kernel.vmar_root_self(), start, len))?;
        setup("the end of the VMO", self.kernel.handle_close(self.vmo))?;
        let left = witness::file_bytes()?;
        if left != 0 && self.counts_judged {
            self.differences.push(format!("with nothing left, Linux has {} in the files", counted(left, "byte")));
        }
        self.progress.finish();
        Ok(Seen {
            rows: self.taken.iter().enumerate().map(|(index, taken)| row(index, taken)).collect(),
            whole: self.whole,
            gap_between: self.gap_between,
            areas_before: self.areas_before,
            areas_after: self.areas_after,
            closing_order: self.closing_order,
            comparisons: self.comparisons,
            differences: self.differences,
        })
    }

    /// Whether all contents have been what they should be so far.
    fn is_sound(&self) -> bool {
        self.taken.iter().all(|taken| taken.holds.is_some())
    }

    fn member_name(&self, index: usize) -> String {
        if index < self.taken.len() { name(index) } else { "The VMO".to_owned() }
    }

    /// Compares a snapshot with what it held when it was taken.
    fn compare(&mut self, index: usize) -> Result<(), Failure> {
        let seen = self.read(self.taken[index].handle)?;
        let wrong = self.family.sums(index).zip(&seen).position(|(expected, seen)| expected != *seen);
        if let Some(page) = wrong {
            let closed = self.closing_order.last().map_or(String::new(), |last| format!(" after #{last} was closed"));
            self.differences.push(format!("{}, page {page} has changed{closed}", name(index)));
        }
        Ok(())
    }

    /// Compares the VMO with the file and all stores, by system call and through the mapping; the writer is at rest. How
    /// many pages have been stored to since the last snapshot.
    fn compare_vmo(&mut self) -> Result<u64, Failure> {
        self.shadow.advance(&self.writer.starts(), self.writer.published());
        let read = self.read(self.vmo)?;
        let shown = self.load_through_mapping();
        for (seen, way) in [(read, "zx_vmo_read"), (shown, "the mapping")] {
            let wrong = self.shadow.sums().iter().zip(&seen).position(|(expected, seen)| expected != seen);
            if let Some(page) = wrong {
                self.differences.push(format!("The VMO, page {page} by {way} is not the file and all stores"));
            }
        }
        Ok(self.shadow.changed_pages())
    }

    /// The checksum of each page of a VMO.
    fn read(&mut self, vmo: zx_handle_t) -> Result<Vec<u64>, Failure> {
        let mut sums = Vec::with_capacity(self.pages);
        let mut buffer = vec![0; CHUNK];
        let len = self.pages * PAGE_SIZE as usize;
        for at in (0..len).step_by(CHUNK) {
            let piece = &mut buffer[..CHUNK.min(len - at)];
            setup("the content of a VMO", self.kernel.vmo_read(vmo, (&mut *piece).into(), at as u64))?;
            sums.extend(piece.chunks(PAGE_SIZE as usize).map(page_sum));
            self.progress.within(at, len);
        }
        self.comparisons += 1;
        Ok(sums)
    }

    /// The checksum of each page, as the processor sees it.
    fn load_through_mapping(&mut self) -> Vec<u64> {
        let words = self.writer.words();
        let page = |page: usize| {
            let bytes: Vec<_> =
                (0..PAGE_WORDS).flat_map(|index| words.load(page * PAGE_WORDS + index).to_ne_bytes()).collect();
            page_sum(&bytes)
        };
        let sums = (0..self.pages).map(page).collect();
        self.comparisons += 1;
        sums
    }

    fn info(&self, vmo: zx_handle_t) -> Result<zx_info_vmo_t, Failure> {
        let mut info = zx_info_vmo_t::new_zeroed();
        let none = || None::<&mut usize>;
        let told = self.kernel.object_get_info(vmo, ZX_INFO_VMO, info.as_mut_bytes().into(), none(), none());
        setup("ZX_INFO_VMO", told)?;
        Ok(info)
    }
}

/// A VMO with this content, and where it is mapped.
fn load(kernel: &Kernel, content: &[u8], progress: &Progress) -> Result<(zx_handle_t, Range<u64>), Failure> {
    let (mut vmo, mut addr) = (ZX_HANDLE_INVALID, 0);
    setup("a VMO", kernel.vmo_create(content.len() as u64, 0, &mut vmo))?;
    for (index, piece) in content.chunks(CHUNK).enumerate() {
        let at = index * CHUNK;
        setup("memory for the file", kernel.vmo_write(vmo, UserRef::from(piece), at as u64))?;
        progress.within(at, content.len());
    }
    let options = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
    let mapped = kernel.vmar_map(kernel.vmar_root_self(), options, 0, vmo, 0, content.len(), &mut addr);
    setup("a mapping of the file", mapped)?;
    Ok((vmo, addr as u64..(addr + content.len()) as u64))
}

fn areas(range: &Range<u64>) -> Result<Areas, Failure> {
    let (mapping, process) = witness::areas_in(range)?;
    Ok(Areas { mapping, process })
}

fn name(index: usize) -> String {
    format!("Snapshot {}", index + 1)
}

fn share(told: &Told) -> Share {
    let &Told { committed_bytes, private_bytes, scaled } = told;
    Share { committed_bytes, private_bytes, scaled_bytes: rounded(scaled) }
}

fn row(index: usize, taken: &Taken) -> Row {
    Row {
        number: index + 1,
        at_ms: taken.at.as_secs_f64() * 1000.0,
        call_us: micros(taken.call),
        writer_gap_us: micros(taken.gap),
        stores_before: taken.before,
        stores_after: taken.after,
        stores: taken.holds.map(|(stores, _)| stores),
        copied_pages: if index == 0 { 0 } else { taken.private_pages },
        linux_bytes: taken.linux_bytes,
        checksum: taken.holds.map(|(_, checksum)| format!("{checksum:016x}")),
        share: taken.share,
    }
}

/// Short enough for the margin of a drawing, however long it took.
fn since_start(at: Duration) -> String {
    if at.as_secs() < 100 {
        format!("{} ms", count(at.as_millis() as u64))
    } else {
        format!("{} s", count(at.as_secs()))
    }
}

/// In microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}
