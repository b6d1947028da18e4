//! A step of a run with a budget: pages go in the middle of it, and calls and accesses wait for room.
//!
//! 1. The engine does the step first, until whoever waits is over or waits again. Then it is looked what it has in memory.
//! 2. Who is over had its page in time: it ends in the model, and then the pages go. Who waits had not: first the pages go, then the model
//!    waits, for the same. (But who waits for a pager to let a page become dirty had it when it asked.)
//! 3. Who waits for room is the engine's word, and the model looks whether that is right.

use zxvm_types::*;

use crate::PAGE;
use crate::engine;
use crate::model::seen::Waits;
use crate::model::source::Kind as Asked;
use crate::model::wait::Resumed;
use crate::op::{Op, Outcome, PagerRange};
use crate::run::{Pair, compare};

impl Pair<'_> {
    /// From now on there is a budget of so many pages.
    ///
    /// # Panics
    /// As [`Pair::act`].
    pub fn keep_to_budget(&mut self, pages: u64) {
        self.in_budget = true;
        self.act(&Op::SetBudget { pages: Some(pages) });
    }

    /// [`Pair::act`] in a budget.
    pub(crate) fn act_in_budget(&mut self, op: &Op) -> Vec<(Op, Outcome)> {
        let mut over = Vec::new();
        let before = engine::seen(self.kernel);
        let begins = self.waiting.is_none() && self.may_wait(op);
        let got = if begins {
            self.helper.as_mut().expect("one that waits").begin(op);
            self.waiting = Some(op.clone());
            None
        } else {
            Some(engine::apply(self.kernel, self.cpu, op))
        };
        let waiting = self.waiting.clone().map(|waiting| (self.settled(&waiting), waits(&waiting), waiting));
        let seen = engine::seen(self.kernel);
        self.model.show(&before, seen.clone());
        if let Some(got) = got {
            let starves = match *op {
                Op::Load { .. } | Op::Store { .. } => {
                    got.status == Status::SHOULD_WAIT && seen.starving.contains(&waits(op))
                }
                Op::PagerOpRange(PagerRange { op: ZX_PAGER_OP_DIRTY, .. }) => got.status == Status::NO_MEMORY,
                _ => false,
            };
            self.model.give_room(!starves);
            let expected = self.model.apply(op, &got);
            compare(op, &got, &expected);
            over.push((op.clone(), got));
        }
        match waiting {
            None => {}
            Some((Some(got), _, waiting)) => {
                self.model.give_room(true);
                let expected = if begins { self.model.begin(op) } else { ended(self.model.resume()) };
                let expected = expected.unwrap_or_else(|| panic!("{waiting:x?} is over and should wait: {got:x?}"));
                compare(&waiting, &got, &expected);
                self.waiting = None;
                over.push((waiting, got));
            }
            Some((None, who, waiting)) => {
                if seen.asks(who) != Some(Asked::Dirty) {
                    self.model.take_over();
                }
                self.model.give_room(!seen.starving.contains(&who));
                let expected = if begins { self.model.begin(op) } else { ended(self.model.resume()) };
                assert!(expected.is_none(), "{waiting:x?} waits and should be over: {expected:x?}");
            }
        }
        self.model.give_room(true);
        self.model.take_over();
        self.model.settle_room();
        self.model.compare_seen(&seen);
        over
    }

    /// The outcome of what may wait, unless it does.
    fn settled(&self, waiting: &Op) -> Option<Outcome> {
        let helper = self.helper.as_ref().expect("it waits in there");
        let who = waits(waiting);
        helper.settled(who == Waits::Call, || {
            let seen = engine::seen(self.kernel);
            seen.starving.contains(&who) || seen.asks(who).is_some()
        })
    }
}

fn ended(resumed: Resumed) -> Option<Outcome> {
    match resumed {
        Resumed::Over(outcome) => Some(outcome),
        Resumed::Untouched | Resumed::WaitsAgain => None,
    }
}

/// As whom a step waits.
fn waits(op: &Op) -> Waits {
    match *op {
        Op::Load { addr } | Op::Store { addr, .. } => Waits::Access(addr / PAGE * PAGE),
        _ => Waits::Call,
    }
}
