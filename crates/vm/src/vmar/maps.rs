//! What a region holds, as records for whoever asks.

use zxvm_host::{AddrRange, Prot, VmoRange};
use zxvm_types::Status;

use super::{Child, Layout, RegionId, Vmar};
use crate::vmo::Attribution;

/// One record of [`Vmar::maps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRecord {
    /// Where.
    pub range: AddrRange,
    /// How far below the region asked, which is at depth 0.
    pub depth: usize,
    /// What.
    pub kind: RecordKind,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A region; whether it is the root.
    Region {
        /// Whether it is.
        root: bool,
    },
    /// A run of pages of one mapping that allow the same.
    Mapping {
        /// What they allow.
        prot: Prot,
        /// Which VMO.
        vmo_koid: u64,
        /// Its name.
        vmo_name: [u8; 32],
        /// The byte of the VMO shown first.
        vmo_offset: u64,
        /// The memory it uses.
        memory: Attribution,
    },
}

impl Vmar {
    /// The region and all in it, depth first, lowest first.
    ///
    /// # Errors
    /// `BAD_STATE`: dead. Then what the host gives.
    ///
    /// Source: vmar.md §11.
    pub fn maps(&self) -> Result<Vec<MapRecord>, Status> {
        let layout = self.space.layout.read();
        layout.region(self.id)?;
        let mut records = Vec::new();
        layout.record(self.id, 0, &mut records)?;
        Ok(records)
    }
}

impl Layout {
    fn record(&self, id: RegionId, depth: usize, records: &mut Vec<MapRecord>) -> Result<(), Status> {
        let region = self.region(id)?;
        let kind = RecordKind::Region { root: region.parent.is_none() };
        records.push(MapRecord { range: region.range, depth, kind });
        for (base, child) in region.children.touching(region.range) {
            let mapping = match child {
                Child::Region(below) => {
                    self.record(*below, depth + 1, records)?;
                    continue;
                }
                Child::Mapping(mapping) => mapping,
            };
            let vmo_name = mapping.vmo.name();
            let content = &mut mapping.vmo.lock();
            let vmo_end = mapping.vmo.size_in(content);
            for (start, end, prot) in mapping.prots.runs(0, base.len()) {
                let range = AddrRange::from_bounds(base.start() + start, base.start() + end);
                let shown = mapping.vmo_range(base, range);
                let inside =
                    shown.intersect(VmoRange::from_bounds(0, vmo_end)).map(|inside| mapping.vmo.in_content(inside));
                let kind = RecordKind::Mapping {
                    prot,
                    vmo_koid: mapping.vmo.koid(),
                    vmo_name,
                    vmo_offset: shown.start(),
                    memory: match inside {
                        Some(inside) => mapping.vmo.attribution(content, inside)?,
                        None => Attribution::default(),
                    },
                };
                records.push(MapRecord { range, depth: depth + 1, kind });
            }
        }
        Ok(())
    }
}
