//! Handle values and what they stand for.
//!
//! 1. A value is a slot number and the slot's generation, mixed with a secret of the process; the two low bits are set. A
//!    slot's generation moves on each time its handle goes, so that a stale value finds nothing.
//! 2. A slot holds a handle or is free; free slots wait in a queue of at least [`QUARANTINE`] before they are used again,
//!    oldest first: a value just closed is far from being given out.
//! 3. Looking a handle up takes its slot's lock and no other; slots never move.

use std::collections::VecDeque;
use std::sync::OnceLock;

use zxvm_types::{Status, ZX_HANDLE_FIXED_BITS_MASK, ZX_HANDLE_INVALID, zx_handle_t, zx_rights_t};
use zxvm_vm::lock::{Rank, Ranked};

use crate::object::Object;

const INDEX_BITS: u32 = 18;
const GENERATION_BITS: u32 = 12;
const CHUNK: usize = 1024;
const CHUNKS: usize = (1 << INDEX_BITS) / CHUNK;
/// Free slots kept from use, as long as there are fresh ones.
const QUARANTINE: usize = 1024;

/// What a handle value stands for.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The object.
    pub object: Object,
    /// What may be done to it by this handle.
    pub rights: zx_rights_t,
}

/// All handles of the process.
#[derive(Debug)]
pub struct HandleTable {
    secret: u32,
    chunks: Box<[OnceLock<Chunk>]>,
    free: Ranked<Free>,
}

/// Slots made together.
type Chunk = Box<[Ranked<Slot>]>;

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    handle: Option<Handle>,
}

#[derive(Debug, Default)]
struct Free {
    queue: VecDeque<u32>,
    /// Slots from here on were never used.
    fresh: u32,
}

impl HandleTable {
    /// An empty table; `secret` makes its values hard to guess.
    pub fn new(secret: u32) -> Self {
        let chunks = (0..CHUNKS).map(|_| OnceLock::new()).collect();
        let secret = secret & ((1 << (INDEX_BITS + GENERATION_BITS)) - 1);
        Self { secret, chunks, free: Ranked::new(Rank::Handles, Free::default()) }
    }

    /// Puts a handle in.
    ///
    /// # Errors
    /// `NO_MEMORY`: 262,144 handles are there already.
    pub fn insert(&self, object: Object, rights: zx_rights_t) -> Result<zx_handle_t, Status> {
        object.handle_made();
        self.insert_counted(object, rights)
    }

    /// Another handle to what `value` stands for, with the rights that `rights` makes of the held ones. The object
    /// counts it before the first can go, so it is not told meanwhile that its last handle went.
    ///
    /// # Errors
    /// `BAD_HANDLE`; what `rights` gives; `NO_MEMORY`.
    pub fn duplicate(
        &self,
        value: zx_handle_t,
        rights: impl FnOnce(zx_rights_t) -> Result<zx_rights_t, Status>,
    ) -> Result<zx_handle_t, Status> {
        let (object, rights) = self.in_slot(value, |_, slot| {
            let held = slot.handle.as_ref().ok_or(Status::BAD_HANDLE)?;
            let rights = rights(held.rights)?;
            held.object.handle_made();
            Ok((held.object.clone(), rights))
        })?;
        self.insert_counted(object, rights)
    }

    /// Puts a handle in that the object counts already; it does not any more if that fails.
    fn insert_counted(&self, object: Object, rights: zx_rights_t) -> Result<zx_handle_t, Status> {
        let Some(index) = self.free.lock().take() else {
            object.handle_gone(ZX_HANDLE_INVALID);
            return Err(Status::NO_MEMORY);
        };
        let mut slot = self.slot(index).lock();
        debug_assert!(slot.handle.is_none());
        slot.handle = Some(Handle { object, rights });
        Ok(self.value(index, slot.generation))
    }

    /// What the value stands for.
    ///
    /// # Errors
    /// `BAD_HANDLE`: nothing.
    pub fn get(&self, value: zx_handle_t) -> Result<Handle, Status> {
        self.in_slot(value, |_, slot| slot.handle.clone().ok_or(Status::BAD_HANDLE))
    }

    /// Takes a handle out and ends the waits through it. What is returned was the handle; drop it without locks.
    ///
    /// # Errors
    /// `BAD_HANDLE`: the value stands for nothing.
    pub fn remove(&self, value: zx_handle_t) -> Result<Handle, Status> {
        self.remove_and(value, Handle::clone)
    }

    /// [`HandleTable::remove`] with a step between: the value finds nothing any more, but the object still counts the
    /// handle, so it does not see its last one go if `then` makes another.
    ///
    /// # Errors
    /// `BAD_HANDLE`: the value stands for nothing; `then` is not called.
    pub fn remove_and<T>(&self, value: zx_handle_t, then: impl FnOnce(&Handle) -> T) -> Result<T, Status> {
        let (index, handle) = self.in_slot(value, |index, slot| {
            let handle = slot.handle.take().ok_or(Status::BAD_HANDLE)?;
            slot.generation = (slot.generation + 1) & ((1 << GENERATION_BITS) - 1);
            Ok((index, handle))
        })?;
        let result = then(&handle);
        handle.object.handle_gone(value);
        self.free.lock().queue.push_back(index);
        Ok(result)
    }

    /// Calls `each` with every handle there is, holding no lock meanwhile.
    pub fn for_each(&self, mut each: impl FnMut(&Handle)) {
        for slot in self.chunks.iter().filter_map(|chunk| chunk.get()).flatten() {
            let handle = slot.lock().handle.clone();
            if let Some(handle) = handle {
                each(&handle);
            }
        }
    }

    /// Looks the value's slot up and acts on it under its lock.
    ///
    /// # Errors
    /// `BAD_HANDLE`: the value is no handle's, or of an earlier one in the slot. What `act` gives.
    fn in_slot<T>(
        &self,
        value: zx_handle_t,
        act: impl FnOnce(u32, &mut Slot) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let (index, generation) = self.decode(value)?;
        let chunk = self.chunks[index as usize / CHUNK].get().ok_or(Status::BAD_HANDLE)?;
        let mut slot = chunk[index as usize % CHUNK].lock();
        if slot.generation == generation { act(index, &mut slot) } else { Err(Status::BAD_HANDLE) }
    }

    fn slot(&self, index: u32) -> &Ranked<Slot> {
        let chunk = self.chunks[index as usize / CHUNK]
            .get_or_init(|| (0..CHUNK).map(|_| Ranked::new(Rank::Handles, Slot::default())).collect());
        &chunk[index as usize % CHUNK]
    }

    fn value(&self, index: u32, generation: u32) -> zx_handle_t {
        (((generation << INDEX_BITS | index) ^ self.secret) << 2) | ZX_HANDLE_FIXED_BITS_MASK
    }

    fn decode(&self, value: zx_handle_t) -> Result<(u32, u32), Status> {
        if value & ZX_HANDLE_FIXED_BITS_MASK != ZX_HANDLE_FIXED_BITS_MASK {
            return Err(Status::BAD_HANDLE);
        }
        let plain = (value >> 2) ^ self.secret;
        Ok((plain & ((1 << INDEX_BITS) - 1), plain >> INDEX_BITS))
    }
}

impl Free {
    fn take(&mut self) -> Option<u32> {
        if self.queue.len() < QUARANTINE && self.fresh < 1 << INDEX_BITS {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Event, Koids};
    use std::collections::HashSet;
    use std::sync::Arc;

    fn event(koids: &Koids) -> Object {
        Object::Event(Arc::new(Event::new(koids.next())))
    }

    #[test]
    fn values_have_their_bits_and_go_stale() {
        let (table, koids) = (HandleTable::new(0x1234_5678), Koids::default());
        let value = table.insert(event(&koids), 1).unwrap();
        assert_eq!(value & 3, 3);
        assert_eq!(table.get(value).unwrap().object.base().handle_count(), 1);
        for bad in [0, value & !1, value & !2, value ^ 4, value ^ (1 << 31)] {
            assert_eq!(table.get(bad).map(drop), Err(Status::BAD_HANDLE), "{bad:#x}");
        }
        let gone = table.remove(value).unwrap();
        assert_eq!(gone.object.base().handle_count(), 0);
        assert_eq!(table.get(value).map(drop), Err(Status::BAD_HANDLE));
        assert_eq!(table.remove(value).map(drop), Err(Status::BAD_HANDLE));
    }

    #[test]
    fn a_duplicate_is_counted_and_a_refused_one_is_not() {
        let (table, koids) = (HandleTable::new(3), Koids::default());
        let object = event(&koids);
        let value = table.insert(object.clone(), 0b11).unwrap();
        let copy = table.duplicate(value, |held| Ok(held & 0b01)).unwrap();
        assert_eq!((object.base().handle_count(), table.get(copy).unwrap().rights), (2, 0b01));
        assert_eq!(table.duplicate(value, |_| Err(Status::ACCESS_DENIED)), Err(Status::ACCESS_DENIED));
        table.remove(value).unwrap();
        assert_eq!(table.duplicate(value, Ok), Err(Status::BAD_HANDLE));
        assert_eq!(object.base().handle_count(), 1);
    }

    #[test]
    fn values_are_used_again_late() {
        let (table, koids) = (HandleTable::new(7), Koids::default());
        let mut seen = HashSet::new();
        for _ in 0..100_000 {
            let value = table.insert(event(&koids), 0).unwrap();
            assert!(seen.insert(value), "a value came back after {} handles", seen.len());
            table.remove(value).unwrap();
        }
        assert!(table.chunks.iter().filter(|chunk| chunk.get().is_some()).count() <= 2, "slots are used again");
    }

    #[test]
    fn a_full_table_says_so() {
        let (table, koids) = (HandleTable::new(7), Koids::default());
        let object = event(&koids);
        let values: Vec<_> = (0..1 << INDEX_BITS).map(|_| table.insert(object.clone(), 0).unwrap()).collect();
        assert_eq!(table.insert(object.clone(), 0), Err(Status::NO_MEMORY));
        assert_eq!(object.base().handle_count(), 1 << INDEX_BITS);
        table.remove(values[0]).unwrap();
        assert!(table.insert(object, 0).is_ok());
    }
}
