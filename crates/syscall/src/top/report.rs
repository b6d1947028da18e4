//! What is told to those who watch: one JSON object of one line.
//!
//! 1. It is put together a piece at a time, as calls of the program would ask for it: each piece is true at its moment, and no
//!    lock is held from one to the next.
//! 2. It is bounded: of very many VMOs those are told that use the most memory, of very many mappings the lowest. How many were
//!    left out is told, too.
//! 3. What a name means does not change within a [`VERSION`]; more may be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use zxvm_host::Prot;
use zxvm_object::Object;
use zxvm_types::Status;
use zxvm_vm::pressure::Level;
use zxvm_vm::{MemoryStats, Surveyed, SurveyedKind, Vmar, Vmo};

use super::json::Json;
use crate::kernel::Kernel;
use crate::system;

/// Of what is asked, and answered.
pub const VERSION: u64 = 1;

/// So many VMOs are told of at most.
const VMOS_MAX: usize = 4096;

/// So many regions and mappings are.
const MAPS_MAX: usize = 16_384;

/// A VMO, as it was when it was looked at.
#[derive(Debug)]
struct Row {
    koid: u64,
    name: [u8; 32],
    kind: &'static str,
    size: u64,
    committed: u64,
    dirty: u64,
    is_pagers: bool,
    parent: Option<u64>,
    children: u64,
    mappings: u64,
    handles: u32,
}

/// Regions that handles lead to, and their koids, by where they begin.
type Regions = BTreeMap<u64, Vec<(Vmar, u64)>>;

/// A document that is an error.
pub fn error(what: &str) -> String {
    let mut json = Json::default();
    json.object(|json| {
        json.key("zxvm_top").number(VERSION);
        json.key("error").string(what);
    });
    json.line()
}

impl Kernel {
    /// What those who watch are told: one JSON object and a line end. Takes the locks that `ZX_INFO_VMO` takes, one VMO after
    /// another, and that of the tree for a walk through it.
    pub fn top_report(&self) -> String {
        // Before the rest, so that rates by it are never too high for what came later.
        let now = system::clock_get_monotonic();
        let stats = self.memory_stats();
        let pressure = self.pressure_reading();
        let survey = self.space.survey(MAPS_MAX);
        let mut rows = BTreeMap::new();
        let mut regions = Regions::new();
        let mut name = Vec::new();
        self.handles.for_each(|handle| match &handle.object {
            Object::Vmo(object) => note(&mut rows, object.vmo(), handle.object.base().handle_count()),
            Object::Vmar(object) => {
                regions
                    .entry(object.vmar().range().start())
                    .or_default()
                    .push((object.vmar().clone(), handle.object.base().koid()));
            }
            Object::Process(process) => name = process.name().to_vec(),
            Object::Event(_) | Object::EventPair(_) | Object::Job(_) | Object::Pager(_) | Object::Port(_) => {}
        });
        let mut maps = Json::default();
        maps.array(|json| {
            for found in &survey.found {
                match &found.what {
                    SurveyedKind::Region(vmar) => region(json.item(), found, vmar, &regions),
                    SurveyedKind::Mapping { prot, vmo, shown } => {
                        // Gone with its mapping since the walk.
                        let Some(vmo) = vmo.upgrade() else { continue };
                        note(&mut rows, &vmo, 0);
                        let committed = vmo.committed_bytes_in(*shown).unwrap_or(0);
                        json.item().object(|json| {
                            place(json, "mapping", found);
                            json.key("koid").number(vmo.koid());
                            json.key("name").name(&vmo.name());
                            json.key("prot").string(&letters(*prot));
                            json.key("offset").number(shown.start());
                            json.key("committed").number(committed);
                        });
                    }
                }
            }
        });
        let mut rows: Vec<_> = rows.into_values().flatten().collect();
        rows.sort_by_key(|row| (core::cmp::Reverse(row.committed), row.koid));
        let left_out = rows.len().saturating_sub(VMOS_MAX);
        rows.truncate(VMOS_MAX);

        let mut json = Json::default();
        json.object(|json| {
            json.key("zxvm_top").number(VERSION);
            json.key("pid").number(u64::from(std::process::id()));
            json.key("name").name(&name);
            json.key("now_ns").number(u64::try_from(now).unwrap_or(0));
            json.key("uptime_ns").number(u64::try_from(now - self.born).unwrap_or(0));
            json.key("memory").object(|json| memory(json, &stats));
            json.key("pressure");
            match pressure {
                Some(reading) => json.object(|json| {
                    json.key("level").string(level_name(reading.level));
                    json.key("left").number(reading.left);
                    json.key("total").number(reading.total);
                }),
                None => json.null(),
            }
            json.key("vmos").array(|json| {
                for row in &rows {
                    json.item().object(|json| row.tell(json));
                }
            });
            json.key("vmos_left_out").number(left_out as u64);
            json.key("maps").embed(maps);
            json.key("maps_left_out").number(survey.left_out);
        });
        json.line()
    }
}

/// Looks at the VMO, unless that was done already. One that the host cannot tell of is left out.
fn note(rows: &mut BTreeMap<u64, Option<Row>>, vmo: &Arc<Vmo>, handles: u32) {
    rows.entry(vmo.koid()).or_insert_with(|| Row::new(vmo, handles).ok());
}

impl Row {
    fn new(vmo: &Vmo, handles: u32) -> Result<Self, Status> {
        let info = vmo.info()?;
        let kind = if vmo.is_slice() {
            "slice"
        } else if vmo.is_a_reference() {
            "reference"
        } else if info.is_clone {
            "snapshot"
        } else if info.pager_backed {
            "pager"
        } else if info.kind.discardable {
            "discardable"
        } else {
            "plain"
        };
        Ok(Self {
            koid: info.koid,
            name: info.name,
            kind,
            size: info.size,
            committed: info.memory.committed,
            dirty: if kind == "pager" { vmo.dirty_bytes() } else { 0 },
            is_pagers: info.pager_backed,
            parent: (info.parent_koid != 0).then_some(info.parent_koid),
            children: info.num_children,
            mappings: info.num_mappings,
            handles,
        })
    }

    fn tell(&self, json: &mut Json) {
        json.key("koid").number(self.koid);
        json.key("name").name(&self.name);
        json.key("kind").string(self.kind);
        json.key("size").number(self.size);
        json.key("committed").number(self.committed);
        json.key("dirty").number(self.dirty);
        json.key("pager_backed").truth(self.is_pagers);
        json.key("parent").maybe(self.parent);
        json.key("children").number(self.children);
        json.key("mappings").number(self.mappings);
        json.key("handles").number(u64::from(self.handles));
    }
}

fn place(json: &mut Json, kind: &str, found: &Surveyed) {
    json.key("kind").string(kind);
    json.key("depth").number(found.depth as u64);
    json.key("base").number(found.range.start());
    json.key("size").number(found.range.len());
}

/// A region; no koid if no handle leads to it.
fn region(json: &mut Json, found: &Surveyed, vmar: &Vmar, regions: &Regions) {
    let mut handled = regions.get(&found.range.start()).into_iter().flatten();
    let koid = handled.find(|(other, _)| other.is_same(vmar)).map(|&(_, koid)| koid);
    json.object(|json| {
        place(json, "vmar", found);
        json.key("koid").maybe(koid);
        json.key("name").string(if vmar.is_root() { "root" } else { "useralloc" });
    });
}

fn memory(json: &mut Json, stats: &MemoryStats) {
    let MemoryStats {
        budget,
        resident,
        dirty,
        newcomers,
        proven,
        need_not,
        need,
        supplied,
        evicted,
        refaulted,
        faults,
        starved,
    } = *stats;
    json.key("budget").maybe(budget);
    let figures = [
        ("resident", resident),
        ("dirty", dirty),
        ("newcomers", newcomers),
        ("proven", proven),
        ("need_not", need_not),
        ("need", need),
        ("supplied", supplied),
        ("evicted", evicted),
        ("refaulted", refaulted),
        ("faults", faults),
        ("starved", starved),
    ];
    for (name, figure) in figures {
        json.key(name).number(figure);
    }
}

fn letters(prot: Prot) -> String {
    let letter = |flag, letter| if prot.contains(flag) { letter } else { '-' };
    [letter(Prot::READ, 'r'), letter(Prot::WRITE, 'w'), letter(Prot::EXECUTE, 'x')].iter().collect()
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Normal => "normal",
        Level::Warning => "warning",
        Level::Critical => "critical",
        Level::Imminent => "imminent",
        Level::OutOfMemory => "out of memory",
    }
}
