//! What programs say of pages that a pager provides, through VMOs and through mappings: `DONT_NEED`, after which they go before all
//! others, and `ALWAYS_NEED`, which brings them in and makes them go after all others.

mod common;

use std::sync::Arc;

use common::budget::{Alone, LEAST, Server, entries, hinted, resident, set, stats};
use common::family::{PAGE, child, empty, without};
use common::pager::{FREE, TRAP, TestPager, byte_of, committed, op, read_page, task, write_pages};
use common::{CAN_MAP, P, RW, Region, peek, poke};
use zx::{Rights, Status, VmarFlags as F, VmarOp, Vmo, VmoChildOptions, VmoOp};
use zxvm as zx;

const ON_WRITE: VmoChildOptions = VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE;

/// Through which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Vmo,
    Vmar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    DontNeed,
    AlwaysNeed,
}

use Hint::{AlwaysNeed, DontNeed};

/// Both.
const WAYS: [Way; 2] = [Way::Vmo, Way::Vmar];

/// A VMO of a pager, of so many pages, mapped at the start of a region.
struct Scene {
    vmo: Arc<Vmo>,
    region: Region,
    pager: Arc<TestPager>,
    _alone: Alone,
}

impl Scene {
    fn new(pages: u64) -> Self {
        let (_alone, pager) = (Alone::with(LEAST), Arc::new(TestPager::new()));
        let (vmo, region) = (pager.vmo(FREE, pages), Region::new(pages as usize));
        region.map(0, &vmo, 0, pages as usize, RW);
        Self { vmo, region, pager, _alone }
    }

    /// Hints at so many pages from `from` on.
    fn hint(&self, way: Way, hint: Hint, from: u64, pages: u64) -> Result<(), Status> {
        match (way, hint) {
            (Way::Vmo, DontNeed) => op(&self.vmo, VmoOp::DONT_NEED, from..from + pages),
            (Way::Vmo, AlwaysNeed) => op(&self.vmo, VmoOp::ALWAYS_NEED, from..from + pages),
            (Way::Vmar, DontNeed) => self.region.vmar.op_range(VmarOp::DONT_NEED, self.at(from), pages as usize * P),
            (Way::Vmar, AlwaysNeed) => {
                self.region.vmar.op_range(VmarOp::ALWAYS_NEED, self.at(from), pages as usize * P)
            }
        }
    }

    fn at(&self, page: u64) -> usize {
        self.region.page(page as usize)
    }

    fn peek(&self, page: u64) -> u8 {
        peek(self.at(page))
    }

    /// Brings pages in, and loads from each.
    #[track_caller]
    fn bring(&self, from: u64, to: u64) {
        for page in from..to {
            self.pager.supply(&self.vmo, page..page + 1);
            assert_eq!(self.peek(page), byte_of(page));
        }
    }

    /// So many other pages come and go, all of which are asked for.
    #[track_caller]
    fn scan(&self, from: u64, pages: u64) {
        let server = Server::start(&self.pager, &self.vmo);
        for page in from..from + pages {
            assert_eq!(self.peek(page), byte_of(page));
            assert!(resident() <= LEAST);
        }
        assert_eq!(server.reads(), (from..from + pages).collect::<Vec<_>>());
    }

    /// How many of the pages are there: loads from each, and tells how many had to be asked for.
    #[track_caller]
    fn there(&self, from: u64, to: u64) -> u64 {
        let server = Server::start(&self.pager, &self.vmo);
        (from..to).for_each(|page| assert_eq!(self.peek(page), byte_of(page)));
        to - from - server.reads().len() as u64
    }

    fn entered(&self, from: u64, to: u64) -> usize {
        entries(self.at(from), (to - from) as usize).into_iter().filter(|&there| there).count()
    }
}

#[test]
fn dont_need_takes_entries_and_nothing_else() {
    for way in WAYS {
        let scene = Scene::new(20);
        scene.bring(0, 10);
        let (before, evicted) = (scene.vmo.info().unwrap(), stats().evicted);
        assert_eq!((scene.entered(0, 10), hinted()), (10, (0, 0)));
        assert_eq!(scene.hint(way, DontNeed, 2, 4), Ok(()));
        assert_eq!((scene.entered(0, 2), scene.entered(2, 6), scene.entered(6, 10)), (2, 0, 4), "{way:?}");
        assert_eq!((hinted(), resident(), stats().evicted), ((4, 0), 10, evicted));
        let after = scene.vmo.info().unwrap();
        assert_eq!(
            (after.committed_bytes, after.committed_change_events),
            (before.committed_bytes, before.committed_change_events),
            "dropped by nothing"
        );
        (0..10).for_each(|page| assert_eq!(scene.peek(page), byte_of(page)));
        assert_eq!(read_page(&scene.vmo, 3), Ok(byte_of(3)));
        scene.pager.expect_nothing();
    }
}

#[test]
fn what_is_not_needed_goes_first_unless_it_was_used_since() {
    for way in WAYS {
        let scene = Scene::new(1000);
        scene.bring(0, 60);
        assert_eq!(scene.hint(way, DontNeed, 30, 20), Ok(()));
        assert_eq!(scene.peek(40), byte_of(40));
        scene.scan(500, 18);
        assert_eq!(scene.there(0, 30) + scene.there(50, 60), 40, "{way:?}");
        assert_eq!(scene.there(40, 41), 1, "used since");
        assert!(scene.there(30, 40) <= 6, "of 19, 12 or more had to go");
    }
}

#[test]
fn what_is_absent_is_not_asked_for_by_dont_need_and_is_by_always_need() {
    for way in WAYS {
        let scene = Scene::new(20);
        assert_eq!(scene.hint(way, DontNeed, 0, 20), Ok(()));
        scene.pager.expect_nothing();
        assert_eq!((hinted(), resident(), committed(&scene.vmo)), ((0, 0), 0, 0));
        let server = Server::start(&scene.pager, &scene.vmo);
        assert_eq!(scene.hint(way, AlwaysNeed, 3, 10), Ok(()));
        let mut asked = server.reads();
        asked.sort_unstable();
        assert_eq!(asked, (3..13).collect::<Vec<_>>());
        assert_eq!((hinted(), resident(), committed(&scene.vmo)), ((0, 10), 10, 10));
        // Through a mapping it makes entries as well.
        assert_eq!(scene.entered(3, 13), if way == Way::Vmar { 10 } else { 0 });
        drop(server);
        (3..13).for_each(|page| assert_eq!(scene.peek(page), byte_of(page)));
        scene.pager.expect_nothing();
    }
}

#[test]
fn always_need_goes_on_past_what_the_pager_refuses() {
    for way in WAYS {
        let scene = Scene::new(4);
        scene.pager.supply(&scene.vmo, 1..2);
        std::thread::scope(|scope| {
            let hint = scope.spawn(|| scene.hint(way, AlwaysNeed, 0, 3));
            scene.pager.expect_read(0..1);
            scene.pager.fail(&scene.vmo, 0..1, Status::IO);
            scene.pager.expect_read(2..3);
            scene.pager.supply(&scene.vmo, 2..3);
            assert_eq!(hint.join().unwrap(), Ok(()), "{way:?}");
        });
        assert_eq!((hinted(), committed(&scene.vmo)), ((0, 2), 2));
    }
}

#[test]
fn always_needed_survives_all_else_and_the_other_hint() {
    for way in WAYS {
        let scene = Scene::new(2000);
        {
            let _server = Server::start(&scene.pager, &scene.vmo);
            assert_eq!(scene.hint(way, AlwaysNeed, 10, 30), Ok(()));
            assert_eq!(scene.hint(way, DontNeed, 0, 50), Ok(()), "which leaves it as it is");
        }
        assert_eq!(hinted(), (0, 30));
        scene.scan(100, 1000);
        assert_eq!((hinted(), scene.there(10, 40)), ((0, 30), 30), "{way:?}");
        // Asked for outright, all else goes before it.
        let taken = zx::reclaim((resident() - 30) * PAGE).unwrap() / PAGE;
        assert_eq!((resident(), hinted(), scene.there(10, 40)), (30, (0, 30), 30), "{taken}");
    }
}

#[test]
fn it_goes_when_nothing_else_is_left_and_comes_back_without_the_mark() {
    let scene = Scene::new(200);
    {
        let _server = Server::start(&scene.pager, &scene.vmo);
        assert_eq!(scene.hint(Way::Vmo, AlwaysNeed, 0, 2 * LEAST), Ok(()));
        assert!(resident() <= LEAST);
    }
    assert_eq!(scene.there(2 * LEAST - 1, 2 * LEAST), 1, "what came last is there");
    let there = resident();
    assert_eq!(zx::reclaim(LEAST * PAGE), Ok(there * PAGE));
    assert_eq!((resident(), hinted()), (0, (0, 0)));
    scene.bring(0, 10);
    assert_eq!(hinted(), (0, 0), "the mark was the page's, which has gone");
}

#[test]
fn the_mark_goes_with_its_page() {
    let scene = Scene::new(20);
    scene.bring(0, 8);
    assert_eq!(scene.hint(Way::Vmo, AlwaysNeed, 0, 8), Ok(()));
    assert_eq!(hinted(), (0, 8));
    op(&scene.vmo, VmoOp::ZERO, 0..3).unwrap();
    assert_eq!(hinted(), (0, 5), "zeroed");
    assert_eq!(scene.pager.pager.detach_vmo(&scene.vmo), Ok(()));
    assert_eq!((hinted(), resident()), ((0, 0), 0), "let go of");
}

#[test]
fn dirty_pages_are_not_hinted_away_and_may_be_kept_after_writeback() {
    for way in WAYS {
        for options in [FREE, TRAP] {
            let (scene, region) = (Scene::new(8), Region::new(8));
            let vmo = scene.pager.full(options, 8);
            let at = region.map(0, &vmo, 0, 8, RW);
            if options == TRAP {
                scene.pager.dirty(&vmo, 0..8);
            }
            write_pages(&vmo, 0..4).unwrap();
            (4..8).for_each(|page| poke(at + page * P, 9));
            let hint = |hint: Hint| match (way, hint) {
                (Way::Vmo, DontNeed) => op(&vmo, VmoOp::DONT_NEED, 0..8),
                (Way::Vmo, AlwaysNeed) => op(&vmo, VmoOp::ALWAYS_NEED, 0..8),
                (Way::Vmar, DontNeed) => region.vmar.op_range(VmarOp::DONT_NEED, at, 8 * P),
                (Way::Vmar, AlwaysNeed) => region.vmar.op_range(VmarOp::ALWAYS_NEED, at, 8 * P),
            };
            assert_eq!(hint(DontNeed), Ok(()));
            assert_eq!((hinted(), stats().dirty), ((0, 0), 8 * PAGE));
            assert_eq!(scene.pager.all_dirty(&vmo), [(0..8, false)]);
            assert_eq!([peek(at), peek(at + 4 * P)], [0x77, 9]);
            // Saved, they are as all others: the hint was not for later.
            scene.pager.write_back(&vmo, 0..8);
            assert_eq!((hinted(), stats().dirty), ((0, 0), 0));
            if options == TRAP {
                scene.pager.dirty(&vmo, 0..8);
            }
            write_pages(&vmo, 0..8).unwrap();
            assert_eq!(hint(AlwaysNeed), Ok(()));
            scene.pager.write_back(&vmo, 0..8);
            assert_eq!((hinted(), stats().dirty), ((0, 8), 0), "{way:?}: kept once it may go");
            scene.pager.expect_nothing();
        }
    }
}

#[test]
fn zero_pages_have_nothing_to_keep_or_to_give() {
    for way in WAYS {
        let scene = Scene::new(20);
        scene.pager.supply_zeros(&scene.vmo, 0..4);
        op(&scene.vmo, VmoOp::ZERO, 4..8).unwrap();
        assert_eq!(scene.hint(way, DontNeed, 0, 8), Ok(()));
        assert_eq!(scene.hint(way, AlwaysNeed, 0, 8), Ok(()));
        scene.pager.expect_nothing();
        assert_eq!((committed(&scene.vmo), stats().dirty), (0, 0), "{way:?}");
        assert_eq!(scene.pager.all_dirty(&scene.vmo), [(4..8, true)]);
        (0..8).for_each(|page| assert_eq!(scene.peek(page), 0));
    }
}

#[test]
fn what_a_clone_shows_of_the_pager_is_hinted_at_through_it() {
    for way in WAYS {
        let scene = Scene::new(40);
        let clone = child(&scene.vmo, ON_WRITE, 10, 10);
        let region = Region::new(10);
        let at = region.map(0, &clone, 0, 10, RW);
        scene.bring(10, 16);
        // Its own, and no business of the pager's.
        write_pages(&clone, 2..3).unwrap();
        let hint = |vmo_op, vmar_op| match way {
            Way::Vmo => op(&clone, vmo_op, 0..10),
            Way::Vmar => region.vmar.op_range(vmar_op, at, 10 * P),
        };
        assert_eq!(hint(VmoOp::DONT_NEED, VmarOp::DONT_NEED), Ok(()));
        assert_eq!(hinted(), (5, 0), "{way:?}: of the root's six pages five are seen");
        assert_eq!((scene.entered(10, 12), scene.entered(12, 13), scene.entered(13, 16)), (0, 1, 0));
        let server = Server::start(&scene.pager, &scene.vmo);
        assert_eq!(hint(VmoOp::ALWAYS_NEED, VmarOp::ALWAYS_NEED), Ok(()));
        let mut asked = server.reads();
        asked.sort_unstable();
        assert_eq!(asked, (16..20).collect::<Vec<_>>(), "in pages of the root");
        assert_eq!((hinted(), committed(&clone)), ((0, 9), 1), "nothing is copied");
        drop(server);
        // The clone's own page does not go, whatever is asked for.
        assert_eq!(zx::reclaim(1 << 20), Ok(10 * PAGE));
        assert_eq!((resident(), committed(&clone), peek(at + 2 * P)), (0, 1, 0x77));
        scene.pager.expect_nothing();
    }
}

#[test]
fn slices_and_references_hint_at_what_they_show() {
    let scene = Scene::new(20);
    let slice = child(&scene.vmo, VmoChildOptions::SLICE, 4, 4);
    let reference = common::family::reference(&scene.vmo);
    scene.bring(0, 12);
    assert_eq!(op(&slice, VmoOp::DONT_NEED, 0..4), Ok(()));
    assert_eq!((hinted(), scene.entered(4, 8), scene.entered(0, 12)), ((4, 0), 0, 8));
    assert_eq!(op(&reference, VmoOp::ALWAYS_NEED, 6..10), Ok(()));
    assert_eq!(hinted(), (2, 4));
    assert_eq!(op(&slice, VmoOp::DONT_NEED, 0..5), Err(Status::OUT_OF_RANGE));
}

#[test]
fn a_gap_is_refused_after_what_comes_before_it() {
    let scene = Scene::new(8);
    let region = Region::new(12);
    region.map(0, &scene.vmo, 0, 4, RW);
    region.map(8, &scene.vmo, 4, 4, RW);
    scene.bring(0, 8);
    let all = |op| region.vmar.op_range(op, region.base, 12 * P);
    assert_eq!(all(VmarOp::DONT_NEED), Err(Status::BAD_STATE));
    assert_eq!((hinted(), scene.entered(0, 4), scene.entered(4, 8)), ((4, 0), 0, 4));
    assert_eq!(all(VmarOp::ALWAYS_NEED), Err(Status::BAD_STATE));
    assert_eq!(hinted(), (0, 4));
    assert_eq!(region.vmar.op_range(VmarOp::DONT_NEED, region.page(4), 8 * P), Err(Status::BAD_STATE));
    assert_eq!(hinted(), (0, 4), "nothing before it");
}

#[test]
fn hints_reach_what_is_mapped_in_regions_below() {
    let scene = Scene::new(8);
    let region = Region::new(8);
    let (below, base) = region.vmar.allocate(0, 4 * P, CAN_MAP | F::SPECIFIC).unwrap();
    below.map(0, &scene.vmo, 0, 4 * P, RW | F::SPECIFIC).unwrap();
    region.map(4, &scene.vmo, 4, 4, RW);
    scene.bring(0, 8);
    assert_eq!(region.vmar.op_range(VmarOp::DONT_NEED, base, 8 * P), Ok(()));
    assert_eq!(hinted(), (8, 0));
    assert_eq!(region.vmar.op_range(VmarOp::ALWAYS_NEED, base, 8 * P), Ok(()));
    assert_eq!(hinted(), (0, 8));
}

#[test]
fn hints_need_no_rights_and_no_writable_mapping() {
    let scene = Scene::new(8);
    let region = Region::new(16);
    region.map(0, &scene.vmo, 0, 8, F::PERM_READ);
    region.map(8, &scene.vmo, 0, 8, F::empty());
    scene.bring(0, 8);
    let vmo = without(&scene.vmo, Rights::READ | Rights::WRITE | Rights::MAP);
    let vmar = region.without(Rights::READ | Rights::WRITE | Rights::EXECUTE);
    for from in [0, 8] {
        assert_eq!(vmar.op_range(VmarOp::DONT_NEED, region.page(from), 8 * P), Ok(()));
        assert_eq!(hinted(), (8, 0));
        (0..8).for_each(|page| assert_eq!(scene.peek(page), byte_of(page)));
    }
    assert_eq!(vmar.op_range(VmarOp::ALWAYS_NEED, region.page(8), 8 * P), Ok(()));
    assert_eq!(hinted(), (0, 8));
    assert_eq!(op(&vmo, VmoOp::DONT_NEED, 0..8), Ok(()));
    assert_eq!(op(&vmo, VmoOp::ALWAYS_NEED, 0..8), Ok(()));
    assert_eq!(hinted(), (0, 8));
}

#[test]
fn ranges_are_widened_and_checked_as_for_every_operation() {
    let scene = Scene::new(8);
    scene.bring(0, 8);
    for what in [VmoOp::DONT_NEED, VmoOp::ALWAYS_NEED] {
        let range = |offset: u64, len: u64| scene.vmo.op_range(what, offset, len);
        assert_eq!(range(1, 0), Ok(()));
        assert_eq!(range(8 * PAGE, 0), Ok(()));
        assert_eq!(hinted(), (0, 0));
        for (offset, len) in [(8 * PAGE, 1), (0, 8 * PAGE + 1), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(range(offset, len), Err(Status::OUT_OF_RANGE), "{offset:#x} {len:#x}");
        }
    }
    assert_eq!(scene.vmo.op_range(VmoOp::DONT_NEED, PAGE - 1, 2), Ok(()));
    assert_eq!(hinted(), (2, 0), "whole pages");
    assert_eq!(scene.vmo.op_range(VmoOp::ALWAYS_NEED, 2 * PAGE - 1, 2), Ok(()));
    assert_eq!(hinted(), (1, 2));
    // Where there is no pager nothing is looked at.
    let plain = empty(1);
    for what in [VmoOp::DONT_NEED, VmoOp::ALWAYS_NEED] {
        assert_eq!(plain.op_range(what, 0, u64::MAX), Ok(()));
    }
    assert_eq!(committed(&plain), 0);
}

#[test]
fn always_need_with_no_room_waits_for_a_writeback() {
    let scene = Scene::new(200);
    for page in 0..LEAST {
        scene.pager.supply(&scene.vmo, page..page + 1);
        write_pages(&scene.vmo, page..page + 1).unwrap();
    }
    let vmo = scene.vmo.clone();
    let hint = task(move || op(&vmo, VmoOp::ALWAYS_NEED, 100..102));
    scene.pager.expect_read(100..102);
    scene.pager.supply(&scene.vmo, 100..102);
    hint.waits();
    let server = Server::start(&scene.pager, &scene.vmo);
    scene.pager.write_back(&scene.vmo, 0..10);
    assert_eq!(hint.end(), Ok(()));
    drop(server);
    assert_eq!(hinted(), (0, 2));
    set(None);
    scene.pager.expect_nothing();
}
