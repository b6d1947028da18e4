//! Each rule by itself.

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

/// Books that know so many newcomers.
fn with(pages: u64) -> Queues {
    let mut queues = Queues::new();
    queues.came(ROOT, 0..pages);
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
    let counts = Counts { newcomers: 7, proven: 1, ghosts: 2, ..Counts::default() };
    assert_eq!(queues.counts(), counts);
    assert_eq!(candidates(&mut queues, 2, Urgency::Room), [3, 4]);
}
