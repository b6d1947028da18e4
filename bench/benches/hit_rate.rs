//! `cargo bench --bench hit_rate`: how well reclaim chooses, against rivals that are told of every hit.
//!
//! Each trace of accesses to pages runs through three ways of choosing who goes when the budget is full: exact LRU;
//! CLOCK, which sees the bit that hardware sets; and the books of reclaim, driven as the engine drives them: a page has
//! an entry from its first access on, entries are dropped when the books say so, and room is made for `BATCH` pages at
//! a time. Told are the accesses in 100 that met their page, and, for ours, how many had to make an entry again: what
//! it costs to look. Counted, not timed: a run repeats exactly.

use std::collections::VecDeque;

use comfy_table::{CellAlignment, Table, presets};
use fastrand::Rng;
use zxvm_vm::page_queues::{Found, Queues, RootId, Urgency, Verdict};

/// So many pages the engine takes at once.
const BATCH: usize = 64;

/// Who chooses the page that goes.
trait Chooser {
    /// Whether the page was there. It is now.
    fn access(&mut self, page: usize) -> bool;
}

/// Takes what was used least recently.
struct Lru {
    /// Who comes after and before each page in the order of use; the last place is both ends.
    next: Vec<usize>,
    prev: Vec<usize>,
    there: Vec<bool>,
    free: usize,
}

impl Lru {
    fn new(pages: usize, budget: usize) -> Self {
        let end = pages;
        Self { next: vec![end; pages + 1], prev: vec![end; pages + 1], there: vec![false; pages], free: budget }
    }

    fn unlink(&mut self, page: usize) {
        let (next, prev) = (self.next[page], self.prev[page]);
        (self.next[prev], self.prev[next]) = (next, prev);
    }
}

impl Chooser for Lru {
    fn access(&mut self, page: usize) -> bool {
        let (end, hit) = (self.there.len(), self.there[page]);
        if hit {
            self.unlink(page);
        } else if self.free > 0 {
            self.free -= 1;
        } else {
            let last = self.prev[end];
            self.unlink(last);
            self.there[last] = false;
        }
        self.there[page] = true;
        let first = self.next[end];
        (self.next[page], self.prev[page]) = (first, end);
        (self.prev[first], self.next[end]) = (page, page);
        hit
    }
}

/// Takes the first whose bit is not set, and clears bits on the way.
struct Clock {
    /// Of each page: not there, there, there and used.
    bits: Vec<Option<bool>>,
    round: VecDeque<usize>,
    budget: usize,
}

impl Clock {
    fn new(pages: usize, budget: usize) -> Self {
        Self { bits: vec![None; pages], round: VecDeque::new(), budget }
    }
}

impl Chooser for Clock {
    fn access(&mut self, page: usize) -> bool {
        if let Some(used) = &mut self.bits[page] {
            *used = true;
            return true;
        }
        while self.round.len() >= self.budget {
            let at_hand = self.round.pop_front().unwrap();
            if self.bits[at_hand] == Some(true) {
                self.bits[at_hand] = Some(false);
                self.round.push_back(at_hand);
            } else {
                self.bits[at_hand] = None;
            }
        }
        self.bits[page] = Some(false);
        self.round.push_back(page);
        false
    }
}

/// The books of reclaim, and what the engine and the page table know.
struct Ours {
    queues: Queues,
    /// Of each page: not there, there, there with an entry.
    entries: Vec<Option<bool>>,
    free: usize,
    /// Entries that were dropped and made again.
    entries_again: usize,
}

const ROOT: RootId = RootId(0);

impl Ours {
    fn new(pages: usize, budget: usize) -> Self {
        let mut queues = Queues::new();
        queues.plan_for(budget as u64);
        Self { queues, entries: vec![None; pages], free: budget, entries_again: 0 }
    }

    fn make_room(&mut self) {
        let mut some = Vec::new();
        loop {
            some.clear();
            self.queues.arm_next(BATCH, &mut some);
            some.iter().for_each(|page| self.entries[page.page as usize] = Some(false));
            if some.len() < BATCH {
                break;
            }
        }
        while self.free < BATCH {
            some.clear();
            self.queues.candidates(BATCH - self.free, Urgency::Room, &mut some);
            for &page in &some {
                let entry = self.entries[page.page as usize].expect("a candidate is there");
                match self.queues.settle(page, if entry { Found::Used } else { Found::Unused }) {
                    Verdict::Take => {
                        self.queues.taken(page);
                        self.entries[page.page as usize] = None;
                        self.free += 1;
                    }
                    Verdict::Stay => {}
                }
            }
        }
    }
}

impl Chooser for Ours {
    fn access(&mut self, page: usize) -> bool {
        match &mut self.entries[page] {
            Some(entry) => {
                self.entries_again += usize::from(!*entry);
                *entry = true;
                true
            }
            None => {
                if self.free == 0 {
                    self.make_room();
                }
                self.free -= 1;
                self.entries[page] = Some(true);
                self.queues.came(ROOT, page as u64..page as u64 + 1);
                false
            }
        }
    }
}

/// Draws pages, some far more often than others: the k-th of them as k^-s.
struct Zipf {
    up_to: Vec<f64>,
}

impl Zipf {
    fn new(pages: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let up_to = (1..=pages).map(|k| {
            sum += (k as f64).powf(-s);
            sum
        });
        Self { up_to: up_to.collect() }
    }

    fn draw(&self, rng: &mut Rng) -> usize {
        let pages = self.up_to.len();
        let at = rng.f64() * self.up_to[pages - 1];
        let rank = self.up_to.partition_point(|&up_to| up_to <= at).min(pages - 1);
        // Those that are drawn often lie anywhere: the factor is a prime that does not divide what we use as `pages`.
        rank * 40_503 % pages
    }
}

/// A trace of so many accesses to pages `0..pages` for a budget.
type Trace = fn(pages: usize, budget: usize, accesses: usize, rng: &mut Rng) -> Vec<usize>;

fn zipf_080(pages: usize, _: usize, accesses: usize, rng: &mut Rng) -> Vec<usize> {
    let zipf = Zipf::new(pages, 0.8);
    (0..accesses).map(|_| zipf.draw(rng)).collect()
}

fn zipf_100(pages: usize, _: usize, accesses: usize, rng: &mut Rng) -> Vec<usize> {
    let zipf = Zipf::new(pages, 1.0);
    (0..accesses).map(|_| zipf.draw(rng)).collect()
}

/// Half of the pages are drawn, the other half scanned from end to end now and then, in turns with draws.
fn zipf_and_scans(pages: usize, _: usize, accesses: usize, rng: &mut Rng) -> Vec<usize> {
    let half = pages / 2;
    let zipf = Zipf::new(half, 1.0);
    let one = |at: usize, rng: &mut Rng| {
        let scans = at / pages % 2 == 1 && at % 2 == 1;
        if scans { half + at % pages / 2 } else { zipf.draw(rng) }
    };
    (0..accesses).map(|at| one(at, rng)).collect()
}

fn loop_of_little_more(pages: usize, budget: usize, accesses: usize, _: &mut Rng) -> Vec<usize> {
    (0..accesses).map(|at| at % (budget + budget / 4).min(pages)).collect()
}

fn loop_of_twice_the_budget(pages: usize, budget: usize, accesses: usize, _: &mut Rng) -> Vec<usize> {
    (0..accesses).map(|at| at % (2 * budget).min(pages)).collect()
}

/// Nine in ten accesses go to half a budget of pages, which is another one ten times in the trace.
fn hot_set_that_moves(pages: usize, budget: usize, accesses: usize, rng: &mut Rng) -> Vec<usize> {
    let hot = budget / 2;
    let one = |at: usize, rng: &mut Rng| {
        let start = at * 10 / accesses * hot;
        if rng.u8(0..10) == 0 { rng.usize(0..pages) } else { (start + rng.usize(0..hot)) % pages }
    };
    (0..accesses).map(|at| one(at, rng)).collect()
}

/// As the one before, but everything is scanned once before it begins.
fn scan_and_hot_set(pages: usize, budget: usize, accesses: usize, rng: &mut Rng) -> Vec<usize> {
    let mut trace: Vec<usize> = (0..pages).collect();
    trace.extend(hot_set_that_moves(pages, budget, accesses - pages, rng));
    trace
}

/// Two sets of four fifths of the budget each, drawn from in turns, ten times.
fn two_hot_sets_in_turns(_: usize, budget: usize, accesses: usize, rng: &mut Rng) -> Vec<usize> {
    let hot = budget / 5 * 4;
    (0..accesses).map(|at| at * 10 / accesses % 2 * hot + rng.usize(0..hot)).collect()
}

fn uniform(pages: usize, _: usize, accesses: usize, rng: &mut Rng) -> Vec<usize> {
    (0..accesses).map(|_| rng.usize(0..pages)).collect()
}

const TRACES: [(&str, Trace); 9] = [
    ("zipf 0.8", zipf_080),
    ("zipf 1.0", zipf_100),
    ("zipf 1.0 and scans", zipf_and_scans),
    ("loop of 5/4 of the budget", loop_of_little_more),
    ("loop of twice the budget", loop_of_twice_the_budget),
    ("hot set that moves", hot_set_that_moves),
    ("scan, then hot sets", scan_and_hot_set),
    ("two hot sets in turns", two_hot_sets_in_turns),
    ("uniform", uniform),
];

/// Accesses in 100 that meet their page.
fn hit_rate(trace: &[usize], chooser: &mut dyn Chooser) -> f64 {
    let hits = trace.iter().filter(|&&page| chooser.access(page)).count();
    hits as f64 * 100.0 / trace.len() as f64
}

fn main() {
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let (pages, accesses) = if smoke { (4_000, 20_000) } else { (100_000, 2_000_000) };
    let mut table = Table::new();
    let head = ["trace", "budget", "LRU", "CLOCK", "reclaim", "over LRU", "over CLOCK", "entries again"];
    table.load_style(presets::ASCII_MARKDOWN).set_header(head);
    for (name, trace) in TRACES {
        for part in [20, 10, 4] {
            let budget = pages / part;
            let trace = trace(pages, budget, accesses, &mut Rng::with_seed(part as u64));
            let lru = hit_rate(&trace, &mut Lru::new(pages, budget));
            let clock = hit_rate(&trace, &mut Clock::new(pages, budget));
            let mut ours = Ours::new(pages, budget);
            let rate = hit_rate(&trace, &mut ours);
            ours.queues.audit();
            assert!(ours.queues.takeable() <= budget as u64, "the budget is kept");
            let again = ours.entries_again as f64 * 100.0 / trace.len() as f64;
            table.add_row([
                name.to_owned(),
                format!("1/{part}"),
                format!("{lru:.1}"),
                format!("{clock:.1}"),
                format!("{rate:.1}"),
                format!("{:+.1}", rate - lru),
                format!("{:+.1}", rate - clock),
                format!("{again:.1}"),
            ]);
        }
    }
    for column in 1..head.len() {
        table.column_mut(column).expect("it has a heading").set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    if smoke {
        println!("(hit_rate: a smoke run: the figures mean nothing; `cargo bench` measures)");
    }
}
