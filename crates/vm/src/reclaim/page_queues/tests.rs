//! Each rule by itself; `model` has all of them together, in any order.

mod model;

use super::*;

const ROOT: RootId = RootId(3);

fn page(page: u64) -> PageId {
    PageId { root: ROOT, page }
}

fn numbers(pages: &[PageId]) -> Vec<u64> {
    pages.iter().map(|page| page.page).collect()
}

fn candidates(queues: &mut Queues, max: usize, urgency: Urgency) -> Vec<u64> {
    let mut out = Vec::new();
    queues.candidates(max, urgency, &mut out);
    queues.audit();
    numbers(&out)
}

fn arm_next(queues: &mut Queues, max: usize) -> Vec<u64> {
    let mut out = Vec::new();
    queues.arm_next(max, &mut out);
    queues.audit();
    numbers(&out)
}

/// Takes all candidates but those that were used.
fn take(queues: &mut Queues, candidates: &[u64], used: &[u64]) -> Vec<u64> {
    let mut taken = Vec::new();
    for &number in candidates {
        let found = if used.contains(&number) { Found::Used } else { Found::Unused };
        if queues.settle(page(number), found) == Verdict::Take {
            queues.taken(page(number));
            taken.push(number);
        }
    }
    queues.audit();
    taken
}

fn standing(queues: &Queues, number: u64) -> Option<PageStanding> {
    let mut told = None;
    queues.each(ROOT, number..number + 1, &mut |_, standing| told = Some(standing));
    told
}

fn stands(queues: &Queues, number: u64) -> Standing {
    standing(queues, number).expect("the page is known").standing
}

/// Books that know so many newcomers.
fn with(pages: u64) -> Queues {
    let mut queues = Queues::new();
    queues.came(ROOT, 0..pages);
    queues
}

/// Books with so many pages that are proven, and no others.
fn with_proven(pages: u64) -> Queues {
    let mut queues = with(pages);
    queues.known(ROOT, 0..pages, false);
    queues.known(ROOT, 0..pages, true);
    queues
}

#[test]
fn newcomers_go_in_the_order_of_coming_unless_used_again() {
    let mut queues = with(10);
    assert_eq!(arm_next(&mut queues, 100), [0, 1, 2, 3, 4]);
    assert_eq!(candidates(&mut queues, 3, Urgency::Room), [0, 1, 2]);
    assert_eq!(queues.settle(page(0), Found::Unused), Verdict::Take);
    assert_eq!(queues.settle(page(1), Found::Used), Verdict::Stay);
    assert_eq!(queues.settle(page(2), Found::Unknown), Verdict::Take);
    queues.taken(page(0));
    queues.taken(page(2));
    queues.audit();
    assert_eq!(queues.counts(), Counts { newcomers: 7, proven: 1, ghosts: 2, ..Counts::default() });
    assert_eq!(candidates(&mut queues, 2, Urgency::Room), [3, 4]);
}

#[test]
fn an_entry_that_was_never_dropped_proves_nothing() {
    let mut queues = with(4);
    let looked_at = candidates(&mut queues, 2, Urgency::Room);
    assert_eq!(take(&mut queues, &looked_at, &[0, 1]), [0, 1]);
}

#[test]
fn to_arm_names_the_elder_half_and_no_more_than_asked() {
    let mut queues = with(10);
    assert_eq!(arm_next(&mut queues, 2), [0, 1]);
    assert_eq!(arm_next(&mut queues, 9), [2, 3, 4]);
    assert_eq!(arm_next(&mut queues, 9), []);
    queues.came(ROOT, 10..12);
    assert_eq!(arm_next(&mut queues, 9), [5]);
    assert_eq!(standing(&queues, 5).map(|page| page.armed), Some(true));
}

#[test]
fn proven_pages_that_were_not_armed_have_a_second_chance() {
    let mut queues = with_proven(2);
    let looked_at = candidates(&mut queues, 1, Urgency::Room);
    assert_eq!(take(&mut queues, &looked_at, &[0]), [], "used, and now without a look at it since");
    assert_eq!(standing(&queues, 0).map(|page| page.armed), Some(false));
    let looked_at = candidates(&mut queues, 2, Urgency::Room);
    assert_eq!(looked_at, [1, 0]);
    assert_eq!(take(&mut queues, &looked_at, &[0]), [1]);
    assert_eq!(arm_next(&mut queues, 1), [0]);
    let looked_at = candidates(&mut queues, 2, Urgency::Room);
    assert_eq!(take(&mut queues, &looked_at, &[]), [0]);
}

#[test]
fn a_ghost_that_comes_again_is_proven() {
    let mut queues = with(3);
    let looked_at = candidates(&mut queues, 1, Urgency::Room);
    assert_eq!(take(&mut queues, &looked_at, &[]), [0]);
    assert_eq!(standing(&queues, 0), None);
    queues.came(ROOT, 0..4);
    assert_eq!((stands(&queues, 0), stands(&queues, 3)), (Standing::Proven, Standing::Newcomer));
    assert_eq!(queues.counts().ghosts, 0);
    queues.gone(ROOT, 0..1);
    queues.came(ROOT, 0..1);
    assert_eq!(stands(&queues, 0), Standing::Newcomer, "what is gone leaves no ghost");
}

#[test]
fn a_scan_leaves_the_hot_set_alone() {
    let hot: Vec<u64> = (0..100).collect();
    let mut queues = with_proven(100);
    queues.plan_for(200);
    queues.came(ROOT, 1000..1100);
    for start in (1100..50_000).step_by(10) {
        arm_next(&mut queues, 100);
        let looked_at = candidates(&mut queues, 10, Urgency::Room);
        let taken = take(&mut queues, &looked_at, &hot).len() as u64;
        queues.came(ROOT, start..start + taken);
    }
    assert!((0..100).all(|number| stands(&queues, number) == Standing::Proven));
}

#[test]
fn what_comes_while_a_budget_has_room_stands_on_the_clock() {
    let mut queues = Queues::new();
    queues.plan_for(100);
    queues.came(ROOT, 0..100);
    queues.audit();
    assert_eq!(queues.counts(), Counts { proven: 89, newcomers: 11, ..Counts::default() });
}

#[test]
fn a_loop_over_more_than_there_is_room_for_meets_some_pages() {
    const BUDGET: u64 = 1000;
    for (pages, least) in [(3000, 25), (1500, 25), (1250, 40)] {
        let (mut queues, mut there, mut met) = (Queues::new(), vec![None; pages as usize], 0);
        queues.plan_for(BUDGET);
        for number in (0..30).flat_map(|_| 0..pages) {
            if there[number as usize].replace(true).is_some() {
                met += 1;
                continue;
            }
            queues.came(ROOT, number..number + 1);
            while queues.takeable() > BUDGET {
                let mut out = Vec::new();
                queues.arm_next(64, &mut out);
                out.iter().for_each(|page| there[page.page as usize] = Some(false));
                out.clear();
                queues.candidates(1, Urgency::Room, &mut out);
                let found = if there[out[0].page as usize] == Some(true) { Found::Used } else { Found::Unused };
                if queues.settle(out[0], found) == Verdict::Take {
                    queues.taken(out[0]);
                    there[out[0].page as usize] = None;
                }
            }
        }
        assert!(met * 100 > least * 30 * pages, "{met} of {} were met", 30 * pages);
    }
}

#[test]
fn forgetting_a_root_forgets_its_ghosts() {
    let mut queues = with(3);
    queues.came(RootId(4), 0..2);
    let looked_at = candidates(&mut queues, 1, Urgency::Room);
    take(&mut queues, &looked_at, &[]);
    candidates(&mut queues, 1, Urgency::Room);
    queues.forget_root(ROOT);
    queues.audit();
    assert_eq!(queues.takeable(), 2);
    queues.came(ROOT, 0..1);
    assert_eq!(stands(&queues, 0), Standing::Newcomer);
}

#[test]
fn what_is_held_comes_back_as_what_it_was() {
    let mut queues = with_proven(2);
    queues.hint(ROOT, 0..1, Hint::AlwaysNeed);
    queues.pass();
    queues.hold(ROOT, 0..3);
    queues.audit();
    assert_eq!((queues.takeable(), queues.counts().held), (0, 3));
    assert_eq!(candidates(&mut queues, 9, Urgency::Room), []);
    assert_eq!(candidates(&mut queues, 9, Urgency::Last { passes: 0 }), []);
    queues.hint(ROOT, 0..3, Hint::DontNeed);
    queues.release(ROOT, 0..1 << 52);
    queues.audit();
    let of = |number| standing(&queues, number).map(|page| (page.standing, page.proven, page.age_passes));
    assert_eq!(of(0), Some((Standing::Need, true, 1)));
    assert_eq!(of(1), Some((Standing::Proven, true, 1)));
    assert_eq!(of(2), Some((Standing::Newcomer, false, 0)));
}

#[test]
fn what_is_not_needed_goes_first_unless_used() {
    let mut queues = with(20);
    queues.hint(ROOT, 10..13, Hint::DontNeed);
    assert_eq!(queues.counts().need_not, 3);
    let looked_at = candidates(&mut queues, 4, Urgency::Room);
    assert_eq!(looked_at, [10, 11, 12, 0]);
    assert_eq!(take(&mut queues, &looked_at, &[11]), [10, 12, 0]);
    assert_eq!(stands(&queues, 11), Standing::Proven, "it was used again");
    assert_eq!(queues.counts().ghosts, 1, "what is not needed leaves no ghost");
}

#[test]
fn what_is_always_needed_goes_last_and_alone() {
    let mut queues = with(4);
    queues.hint(ROOT, 0..2, Hint::AlwaysNeed);
    queues.hint(ROOT, 0..2, Hint::DontNeed);
    assert_eq!(candidates(&mut queues, 9, Urgency::Aged { passes: 0 }), [2, 3]);
    queues.put_back(page(2));
    queues.put_back(page(3));
    let looked_at = candidates(&mut queues, 9, Urgency::Room);
    assert_eq!(looked_at, [2, 3], "there is something else");
    take(&mut queues, &looked_at, &[]);
    let looked_at = candidates(&mut queues, 9, Urgency::Room);
    assert_eq!(looked_at, [0, 1]);
    take(&mut queues, &looked_at, &[]);
    queues.came(ROOT, 0..1);
    assert_ne!(standing(&queues, 0).map(|page| page.always_need), Some(true), "the mark goes with the page");
}

#[test]
fn a_candidate_that_is_needed_after_all_leaves_the_hand() {
    let mut queues = with(4);
    assert_eq!(candidates(&mut queues, 4, Urgency::Room), [0, 1, 2, 3]);
    queues.hint(ROOT, 0..1, Hint::AlwaysNeed);
    queues.hold(ROOT, 1..2);
    queues.gone(ROOT, 2..3);
    for number in 0..3 {
        assert_eq!(queues.settle(page(number), Found::Unused), Verdict::Stay);
    }
    assert_eq!(queues.counts(), Counts { need: 1, held: 1, in_hand: 1, ..Counts::default() });
    queues.put_back(page(3));
    assert_eq!(stands(&queues, 3), Standing::Newcomer);
}

#[test]
fn age_is_counted_in_passes_since_use() {
    let mut queues = with(6);
    queues.hint(ROOT, 5..6, Hint::DontNeed);
    queues.hint(ROOT, 4..5, Hint::AlwaysNeed);
    for used in [0..2, 0..1] {
        queues.pass();
        queues.known(ROOT, 0..6, false);
        queues.known(ROOT, used, true);
        queues.audit();
    }
    assert_eq!(candidates(&mut queues, 9, Urgency::Aged { passes: 3 }), [5], "not needed, whatever its age");
    assert_eq!(candidates(&mut queues, 9, Urgency::Aged { passes: 2 }), [2, 3]);
    assert_eq!(candidates(&mut queues, 9, Urgency::Last { passes: 2 }), [4]);
    assert_eq!(candidates(&mut queues, 9, Urgency::Aged { passes: 1 }), [1]);
    assert_eq!(candidates(&mut queues, 9, Urgency::Aged { passes: 1 }), []);
    assert_eq!(take(&mut queues, &[1, 2, 3, 4, 5], &[3, 5]), [1, 2, 4]);
    assert_eq!((stands(&queues, 3), stands(&queues, 5)), (Standing::Proven, Standing::Proven));
    assert_eq!(standing(&queues, 3).map(|page| page.age_passes), Some(0));
}

#[test]
fn aged_pages_that_are_used_stay_however_many() {
    let mut queues = with_proven(3000);
    queues.pass();
    queues.known(ROOT, 0..3000, false);
    let looked_at = candidates(&mut queues, 3000, Urgency::Last { passes: 1 });
    assert_eq!(take(&mut queues, &looked_at, &looked_at), []);
    assert_eq!(candidates(&mut queues, 3000, Urgency::Last { passes: 1 }), []);
}

#[test]
fn a_full_budget_yields_although_all_is_used() {
    for pages in [1, 10, 5000] {
        let mut queues = with_proven(pages);
        if pages == 10 {
            queues.hint(ROOT, 0..pages, Hint::AlwaysNeed);
        }
        let mut looks = 0;
        while queues.counts().proven + queues.counts().need == pages {
            arm_next(&mut queues, 1000);
            let looked_at = candidates(&mut queues, 1, Urgency::Room);
            take(&mut queues, &looked_at, &looked_at);
            looks += 1;
            assert!(looks <= 2 * pages.min(32), "{looks} looks at {pages} pages");
        }
    }
}

#[test]
fn huge_ranges_cost_what_is_known_in_them() {
    let mut queues = Queues::new();
    for number in [0, 1 << 20, (1 << 52) - 1] {
        queues.came(ROOT, number..number + 1);
    }
    let all = 0..1 << 52;
    queues.known(ROOT, all.clone(), true);
    queues.hint(ROOT, all.clone(), Hint::DontNeed);
    queues.hint(ROOT, all.clone(), Hint::AlwaysNeed);
    queues.release(ROOT, all.clone());
    assert_eq!(queues.takeable(), 3);
    queues.gone(ROOT, 1..1 << 52);
    queues.audit();
    assert_eq!(queues.takeable(), 1);
    queues.gone(RootId(9), all);
    assert_eq!(queues.takeable(), 1);
}
