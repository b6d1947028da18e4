//! What a VMO tells about itself.

use zxvm_host::{VmoRange, addr};
use zxvm_types::Status;

use super::{CachePolicy, State, Vmo, VmoKind};

/// A VMO at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmoInfo {
    /// Which one.
    pub koid: u64,
    /// Its name.
    pub name: [u8; 32],
    /// Its kind.
    pub kind: VmoKind,
    /// Bytes.
    pub size: u64,
    /// How many mappings show it.
    pub num_mappings: u64,
    /// How it is cached.
    pub cache_policy: CachePolicy,
    /// Bytes of memory its content uses.
    pub committed_bytes: u64,
    /// Bytes of memory used to describe it; 0 while nothing is committed.
    pub metadata_bytes: u64,
}

impl Vmo {
    /// Everything about it; the committed bytes are counted by the host at this moment.
    ///
    /// # Errors
    /// What the host gives.
    ///
    /// Source: vmo.md §10.
    pub fn info(&self) -> Result<VmoInfo, Status> {
        let state = &mut *self.lock();
        let whole = state.whole();
        let committed_bytes = self.committed_bytes(state, whole)?;
        let metadata_bytes = if committed_bytes == 0 { 0 } else { state.extents.metadata_bytes() };
        Ok(VmoInfo {
            koid: self.koid,
            name: state.name,
            kind: self.kind,
            size: state.size,
            num_mappings: state.mappings.len() as u64,
            cache_policy: state.cache_policy,
            committed_bytes,
            metadata_bytes,
        })
    }

    /// Committed bytes in `range`, as far as it is inside.
    pub(crate) fn committed_bytes(&self, state: &mut State, range: VmoRange) -> Result<u64, Status> {
        let mut bytes = 0;
        self.committed_in(state, range, &mut |run| bytes += run.len())?;
        Ok(bytes)
    }

    /// Asserts the invariants of the VMO by itself: nothing is committed past its size, extents are in order.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn audit(&self) {
        let state = self.lock();
        assert!(addr::round_up(state.size) == Some(state.size));
        state.extents.audit();
        for known in state.known.parts(state.whole()) {
            let mut bytes = 0;
            self.ask_committed(&state, known.start(), known.end(), &mut |run| bytes += run.len())
                .expect("the host answers audits");
            assert_eq!(bytes, known.len(), "koid {}: {known:?} is not all committed", self.koid);
        }
        let past = VmoRange::from_bounds(state.size, addr::round_down(u64::MAX));
        for place in state.extents.places(past) {
            let part = place.window.part(place.at, place.range.len());
            let check = &mut |run| panic!("koid {}: {run:?} is committed past the end {:#x}", self.koid, state.size);
            self.host().committed_runs(place.window.store(), part, check).expect("the host answers audits");
        }
    }
}
