//! Loads and stores: vmar.md §10, with the difference that a load of an absent page commits it.

use zxvm_types::*;

use super::{Model, ObjectId};
use crate::PAGE;

impl Model {
    /// Where in the content of which VMO an access with these PERM bits ends, or the status of the exception it raises.
    pub(super) fn reach(&self, addr: u64, perms: u32) -> Result<(ObjectId, u64), Status> {
        let page = addr / PAGE * PAGE;
        let pieces = self.pieces(self.root, &(page..page.saturating_add(PAGE)));
        let piece = pieces.first().ok_or(Status::NOT_FOUND)?;
        if perms & !piece.prot[0] != 0 {
            return Err(Status::ACCESS_DENIED);
        }
        if piece.offset >= self.size(piece.vmo) {
            return Err(Status::OUT_OF_RANGE);
        }
        if piece.ends_with_stream && piece.offset >= self.stream_end(piece.vmo) {
            return Err(Status::OUT_OF_RANGE);
        }
        self.content(piece.vmo).present()?;
        Ok((piece.vmo, self.start(piece.vmo) + piece.offset + addr % PAGE))
    }
}
