//! Random steps on the books and on lists that are searched from end to end, which must answer the same.
//!
//! Left open by the model: in which order aged pages are given out. Ghosts are so few here that none is lost early.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use fastrand::Rng;

use crate::reclaim::page_queues::loops::Loops;
use crate::reclaim::page_queues::queues::{has_room, worth_remembering};
use crate::reclaim::page_queues::share::Share;
use crate::reclaim::page_queues::{
    Counts, Found, Hint, PageId, PageStanding, Queues, RootId, Standing, Urgency, Verdict,
};

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    proven: bool,
    armed: bool,
    need_not: bool,
    always: bool,
    held: bool,
    /// In hand, and if so for its age.
    in_hand: Option<bool>,
    generation: u32,
}

impl Known {
    fn standing(self) -> Standing {
        match self {
            Self { held: true, .. } => Standing::Held,
            Self { in_hand: Some(_), .. } => Standing::InHand,
            Self { always: true, .. } => Standing::Need,
            Self { need_not: true, .. } => Standing::NeedNot,
            Self { proven: true, .. } => Standing::Proven,
            Self { proven: false, .. } => Standing::Newcomer,
        }
    }
}

/// Where a ghost was.
const GAP: PageId = PageId { root: RootId(u32::MAX), page: 0 };
/// A ghost of a root that was forgotten: nobody can meet it.
const FORGOTTEN: PageId = PageId { root: RootId(u32::MAX), page: 1 };

/// All pages that are known, those that moved last at the end.
struct Model {
    order: Vec<PageId>,
    known: BTreeMap<PageId, Known>,
    /// Of probation and of the clock, the eldest in front.
    ghosts: [VecDeque<PageId>; 2],
    met: usize,
    /// How many of either are remembered.
    spans: [usize; 2],
    plan: u64,
    share: Share,
    loops: Loops,
    now: u32,
    stays: u64,
    all_is_used: bool,
}

impl Model {
    fn entered(&mut self, page: PageId, held: bool) {
        let pages = self.known.len() as u64 + 1;
        // It leaves a gap: those before it get no more time.
        let [was_new, was_proven] = [0, 1].map(|list| {
            let at = self.ghosts[list].iter().position(|&ghost| ghost == page);
            at.map(|at| self.ghosts[list][at] = GAP).is_some()
        });
        match (was_new, was_proven) {
            (true, true) => panic!("{page:?} was taken twice"),
            (true, false) => self.share.more_for_newcomers(pages),
            (false, true) => self.share.more_for_proven(pages),
            (false, false) => {}
        }
        self.loops.came(was_proven);
        let ghost = (was_new || was_proven) && self.loops.lets_in();
        self.met += usize::from(ghost);
        let proven = ghost || has_room(pages, self.plan);
        self.known.insert(page, Known { proven, held, generation: self.now, ..Known::default() });
        self.order.push(page);
    }

    fn last(&mut self, page: PageId) {
        self.order.retain(|&other| other != page);
        self.order.push(page);
    }

    fn forget(&mut self, page: PageId) -> Option<Known> {
        self.order.retain(|&other| other != page);
        self.known.remove(&page)
    }

    fn all(&self, wanted: impl Fn(Known) -> bool) -> Vec<PageId> {
        self.order.iter().copied().filter(|page| wanted(self.known[page])).collect()
    }

    fn at(&self, standing: Standing) -> Vec<PageId> {
        self.all(|known| known.standing() == standing)
    }

    fn in_range(&self, root: RootId, pages: Range<u64>) -> Vec<PageId> {
        self.known.keys().copied().filter(|page| page.root == root && pages.contains(&page.page)).collect()
    }

    fn arm(&mut self, max: usize) -> Vec<PageId> {
        let mut named = Vec::new();
        for standing in [Standing::Newcomer, Standing::Proven] {
            loop {
                let of = |armed| self.all(|known| known.standing() == standing && known.armed == armed);
                let (fresh, armed) = (of(false), of(true));
                if named.len() == max || armed.len() >= fresh.len() {
                    break;
                }
                self.known.get_mut(&fresh[0]).unwrap().armed = true;
                self.last(fresh[0]);
                named.push(fresh[0]);
            }
        }
        named
    }

    fn for_room(&mut self, max: usize) -> Vec<PageId> {
        let mut named: Vec<PageId> = Vec::new();
        while named.len() < max {
            let (newcomers, proven) = (self.at(Standing::Newcomer), self.at(Standing::Proven));
            let (new, old) = (newcomers.len() as u64, proven.len() as u64);
            let armed_first = |mut pages: Vec<PageId>| {
                pages.sort_by_key(|page| !self.known[page].armed);
                pages
            };
            let mut queues = [armed_first(proven), armed_first(newcomers)];
            if new > self.share.newcomers(new + old) {
                queues.reverse();
            }
            let ordinary = self.at(Standing::NeedNot).into_iter().chain(queues.into_iter().flatten()).next();
            let needed = self.at(Standing::Need).first().copied();
            let only_needed = named.iter().all(|page| self.known[page].always);
            let Some(next) = ordinary.or(needed.filter(|_| only_needed)) else { break };
            self.known.get_mut(&next).unwrap().in_hand = Some(false);
            named.push(next);
        }
        named
    }

    /// Whether these may be the answer for aged pages; notes that they are in hand.
    fn gave_aged(&mut self, max: usize, passes: u32, need_too: bool, given: &[PageId]) {
        let first: Vec<PageId> = self.at(Standing::NeedNot).into_iter().take(max).collect();
        assert_eq!(given[..first.len()], first, "what is not needed goes first");
        let may = |known: Known| {
            let of_age = self.now - known.generation >= passes;
            match known.standing() {
                Standing::NeedNot => true,
                Standing::Newcomer | Standing::Proven => of_age,
                Standing::Need => of_age && need_too,
                Standing::Held | Standing::InHand => false,
            }
        };
        let may = self.all(may);
        assert_eq!(given.len(), max.min(may.len()), "as many as there are");
        for page in given {
            assert!(may.contains(page), "{page:?} may be taken");
            assert_eq!(self.known.get_mut(page).unwrap().in_hand.replace(true), None, "{page:?} is given once");
        }
    }

    fn settle(&mut self, page: PageId, found: Found) -> Verdict {
        let takeable = self.takeable();
        let Some(known) = self.known.get_mut(&page).filter(|known| known.in_hand.is_some()) else {
            return Verdict::Stay;
        };
        let for_age = known.in_hand == Some(true);
        let on_clock = !for_age && (known.proven || known.always);
        let enough = on_clock && self.stays >= takeable.min(32);
        if found != Found::Used || (!for_age && (enough || !(known.proven || known.armed))) {
            self.stays = if for_age { self.stays } else { 0 };
            return Verdict::Take;
        }
        self.stays += u64::from(on_clock);
        *known = Known { proven: known.proven || known.armed, always: known.always, ..Known::default() };
        known.generation = self.now;
        self.last(page);
        Verdict::Stay
    }

    fn taken(&mut self, page: PageId) {
        let takings = worth_remembering(self.known.len() as u64, self.plan);
        let known = self.forget(page).unwrap();
        if !known.need_not {
            let list = usize::from(known.proven);
            self.spans[list] = self.spans[list].max(takings as usize);
            self.ghosts[list].push_back(page);
            if self.ghosts[list].len() > self.spans[list] {
                self.ghosts[list].pop_front();
            }
        }
    }

    fn takeable(&self) -> u64 {
        self.known.values().filter(|known| !known.held).count() as u64
    }

    fn counts(&self) -> Counts {
        let of = |standing| self.at(standing).len() as u64;
        Counts {
            newcomers: of(Standing::Newcomer),
            proven: of(Standing::Proven),
            need_not: of(Standing::NeedNot),
            need: of(Standing::Need),
            held: of(Standing::Held),
            in_hand: of(Standing::InHand),
            ghosts: self.ghosts.iter().flatten().filter(|&&ghost| ghost != GAP).count() as u64,
        }
    }

    fn standings(&self, root: RootId) -> Vec<(u64, PageStanding)> {
        let told = |known: Known| PageStanding {
            standing: known.standing(),
            age_passes: self.now - known.generation,
            armed: known.armed,
            proven: known.proven,
            always_need: known.always,
        };
        self.in_range(root, 0..u64::MAX).into_iter().map(|page| (page.page, told(self.known[&page]))).collect()
    }
}

/// One step on both.
fn step(queues: &mut Queues, model: &mut Model, rng: &mut Rng) {
    let root = RootId(rng.u32(0..3));
    let start = rng.u64(0..24);
    let pages = start..(start + rng.u64(0..10)).min(24);
    let max = rng.usize(0..8);
    let mut out = Vec::new();
    match rng.u8(0..100) {
        0..20 => {
            let known = model.in_range(root, pages.clone());
            queues.came(root, pages.clone());
            for page in pages.map(|page| PageId { root, page }).filter(|page| !known.contains(page)) {
                model.entered(page, false);
            }
        }
        20..25 => {
            queues.hold(root, pages.clone());
            for page in pages.map(|page| PageId { root, page }) {
                match model.known.get_mut(&page) {
                    Some(known) => {
                        *known = Known { held: true, in_hand: None, need_not: false, armed: false, ..*known };
                        model.last(page);
                    }
                    None => model.entered(page, true),
                }
            }
        }
        25..35 => {
            queues.release(root, pages.clone());
            for page in model.in_range(root, pages) {
                if std::mem::take(&mut model.known.get_mut(&page).unwrap().held) {
                    model.last(page);
                }
            }
        }
        35..37 => {
            queues.gone(root, pages.clone());
            for page in model.in_range(root, pages) {
                model.forget(page);
            }
        }
        37 if rng.u8(0..10) == 0 => {
            queues.forget_root(root);
            for page in model.in_range(root, 0..u64::MAX) {
                model.forget(page);
            }
            for ghost in model.ghosts.iter_mut().flatten().filter(|ghost| ghost.root == root) {
                *ghost = FORGOTTEN;
            }
        }
        37..40 => {
            queues.hint(root, pages.clone(), Hint::DontNeed);
            for page in model.in_range(root, pages) {
                let known = model.known.get_mut(&page).unwrap();
                if !known.held && !known.always && !known.need_not {
                    (known.need_not, known.armed) = (true, true);
                    model.last(page);
                }
            }
        }
        40..42 => {
            queues.hint(root, pages.clone(), Hint::AlwaysNeed);
            for page in model.in_range(root, pages) {
                let known = model.known.get_mut(&page).unwrap();
                let was = known.standing();
                *known = Known { always: true, need_not: false, in_hand: None, ..*known };
                if was != Standing::Need {
                    model.last(page);
                }
            }
        }
        42..50 => {
            queues.arm_next(max, &mut out);
            assert_eq!(out, model.arm(max));
        }
        50..65 => {
            queues.candidates(max, Urgency::Room, &mut out);
            assert_eq!(out, model.for_room(max));
        }
        65..69 => {
            let (passes, need_too) = (rng.u32(0..4), rng.bool());
            let urgency = if need_too { Urgency::Last { passes } } else { Urgency::Aged { passes } };
            queues.candidates(max, urgency, &mut out);
            model.gave_aged(max, passes, need_too, &out);
        }
        69..90 => {
            let any = PageId { root, page: start };
            let in_hand = model.at(Standing::InHand);
            let page = rng.choice(in_hand).unwrap_or(any);
            let found = match model.all_is_used {
                true => Found::Used,
                false => rng.choice([Found::Used, Found::Used, Found::Unused, Found::Unknown]).unwrap(),
            };
            let verdict = queues.settle(page, found);
            assert_eq!(verdict, model.settle(page, found), "{page:?} {found:?}");
            match verdict {
                Verdict::Take if rng.u8(0..8) > 0 => {
                    queues.taken(page);
                    model.taken(page);
                }
                Verdict::Take => {
                    queues.put_back(page);
                    model.known.get_mut(&page).unwrap().in_hand = None;
                    model.last(page);
                }
                Verdict::Stay => {}
            }
        }
        90..93 => {
            queues.pass();
            model.now += 1;
        }
        93.. => {
            let used = rng.bool();
            queues.known(root, pages.clone(), used);
            for page in model.in_range(root, pages) {
                let known = model.known.get_mut(&page).unwrap();
                let before = *known;
                known.armed = true;
                if used {
                    *known = Known { proven: before.proven || before.armed, need_not: false, in_hand: None, ..*known };
                    known.generation = model.now;
                }
                match before.standing() {
                    Standing::Held | Standing::Need => {}
                    Standing::InHand if !used => {}
                    _ if !used && before.armed => {}
                    Standing::InHand | Standing::Newcomer | Standing::Proven | Standing::NeedNot => model.last(page),
                }
            }
        }
    }
}

#[test]
fn books_answer_as_lists_do() {
    for seed in 0..24 {
        let mut rng = Rng::with_seed(seed);
        let mut queues = Queues::new();
        let plan = if seed % 3 == 0 { u64::MAX } else { 20 };
        queues.plan_for(plan);
        let mut model = Model {
            order: Vec::new(),
            known: BTreeMap::new(),
            ghosts: [VecDeque::new(), VecDeque::new()],
            met: 0,
            spans: [0, 0],
            plan,
            share: Share::new(),
            loops: Loops::new(),
            now: 0,
            stays: 0,
            all_is_used: seed % 4 == 0,
        };
        for _ in 0..1000 {
            step(&mut queues, &mut model, &mut rng);
            queues.audit();
            assert_eq!(queues.counts(), model.counts());
            assert_eq!(queues.takeable(), model.takeable());
            for root in 0..3 {
                let mut told = Vec::new();
                queues.each(RootId(root), 0..1 << 52, &mut |page, standing| told.push((page, standing)));
                assert_eq!(told, model.standings(RootId(root)), "seed {seed}");
            }
        }
        assert!(model.met > 10, "only {} ghosts were met", model.met);
    }
}
