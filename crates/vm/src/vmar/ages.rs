//! Ages: which pages were used since the last look at all of them.
//!
//! The entries that are there are found and dropped, so the next pass sees what was used in between. No lock is held while the host
//! looks or drops.

use std::collections::BTreeMap;

use zxvm_host::{AddrRange, PAGE_SIZE};

use super::AddressSpace;
use super::evict::is_root;
use crate::reclaim::RootId;
use crate::vmo::source::ROOT;

/// Ranges dropped with one call.
const DROP_MAX: usize = 512;

impl AddressSpace {
    /// Begins a new generation of ages, after noting which pages were used in the one that ends.
    ///
    /// Source: pager.md §10.
    pub fn age_pass(&self) {
        let roots: Vec<RootId> = self.lock_roots().keys().copied().collect();
        let mut used: BTreeMap<RootId, Vec<core::ops::Range<u64>>> = BTreeMap::new();
        let mut entered: Vec<AddrRange> = Vec::new();
        for root in roots {
            let spots: Vec<_> = {
                let Some(family) = self.root_family(root) else { continue };
                let layout = self.layout.read();
                let content = family.lock(ROOT);
                if !is_root(content.family(), root) {
                    continue;
                }
                self.spots(&layout, content.family(), content.family().contents[ROOT as usize].whole()).collect()
            };
            let used = used.entry(root).or_default();
            for spot in spots {
                let mut at = spot.addrs.start();
                let mut present = |from: u64, to: u64| {
                    if from < to {
                        let first = spot.page + (from - spot.addrs.start()) / PAGE_SIZE;
                        used.push(first..first + (to - from) / PAGE_SIZE);
                        entered.push(AddrRange::from_bounds(from, to));
                    }
                };
                let looked = self.host.absent_runs(spot.addrs, &mut |absent| {
                    present(at, absent.start());
                    at = absent.end();
                });
                match looked {
                    Ok(()) => present(at, spot.addrs.end()),
                    // Nobody knows: nothing there gets older.
                    Err(_) => present(spot.addrs.start(), spot.addrs.end()),
                }
            }
        }
        for some in entered.chunks(DROP_MAX) {
            // What is refused seems to be used in the next one, too.
            let _ = self.host.drop_entries(some);
        }
        self.age_unlocked();
        self.reclaim.queues().pass();
        for (root, runs) in used {
            // A few at a time: others want to know what goes next.
            for some in runs.chunks(DROP_MAX) {
                let queues = &mut *self.reclaim.queues();
                some.iter().for_each(|pages| queues.known(root, pages.clone(), true));
            }
        }
    }
}
