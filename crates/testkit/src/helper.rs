//! A thread for calls that may wait, and how to tell that one does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zxvm_syscall::Kernel;

use crate::cpu::Cpu;
use crate::engine;
use crate::op::{Op, Outcome};

/// How long anything may take that is known to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module. It is one and the same thread for all calls, and does one at a time.
#[derive(Debug)]
pub struct Helper {
    ops: Option<Sender<Op>>,
    outcomes: Receiver<Outcome>,
    /// How many calls it has begun.
    begun: Arc<AtomicU64>,
    asked: u64,
    /// What Linux says of the thread.
    stat: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    /// Starts the thread.
    ///
    /// # Panics
    /// If Linux has none.
    pub fn new(kernel: Arc<Kernel>, cpu: Arc<dyn Cpu>) -> Self {
        let (ops, todo) = channel();
        let (done, outcomes) = channel();
        let (name, named) = channel();
        let begun = Arc::new(AtomicU64::new(0));
        let count = begun.clone();
        let thread = thread::spawn(move || {
            let _ = name.send(fs::read_link("/proc/thread-self").expect("the thread's own directory"));
            for op in todo {
                count.fetch_add(1, Ordering::Release);
                if done.send(engine::apply(&kernel, &*cpu, &op)).is_err() {
                    break;
                }
            }
        });
        let stat = Path::new("/proc").join(named.recv().expect("its name")).join("stat");
        Self { ops: Some(ops), outcomes, begun, asked: 0, stat, thread: Some(thread) }
    }

    /// Has the step done.
    ///
    /// # Panics
    /// If the thread has.
    pub fn begin(&mut self, op: &Op) {
        self.asked += 1;
        self.ops.as_ref().expect("until it ends").send(op.clone()).expect("a thread that listens");
    }

    /// What became of the step, which is over or will be soon.
    ///
    /// # Panics
    /// If it is not.
    pub fn outcome(&self) -> Outcome {
        match self.outcomes.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => panic!("the call waits, and has nothing to wait for"),
            Err(RecvTimeoutError::Disconnected) => panic!("the call panicked"),
        }
    }

    /// Returns when the thread sleeps inside the call.
    ///
    /// # Panics
    /// If the call is over, or does not begin to wait.
    pub fn sleeps(&self) {
        let start = Instant::now();
        let mut seen = 0;
        loop {
            if let Some(outcome) = self.over() {
                panic!("the call is over and should wait: {:?} {:x?}", outcome.status, outcome.numbers);
            }
            // Nobody else holds what it could have to wait for, but for an instant.
            let asleep = self.begun.load(Ordering::Acquire) == self.asked && self.state() == b'S';
            seen = if asleep { seen + 1 } else { 0 };
            if seen == 3 {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "the call neither ends nor waits");
            thread::yield_now();
        }
    }

    /// The outcome if the step is over, nothing if it waits: then `waits` is true, and the thread sleeps if it is to be seen to.
    ///
    /// # Panics
    /// If it neither ends nor waits.
    pub fn settled(&self, must_sleep: bool, waits: impl Fn() -> bool) -> Option<Outcome> {
        let start = Instant::now();
        let mut seen = 0;
        loop {
            if let Some(outcome) = self.over() {
                return Some(outcome);
            }
            let asleep = self.begun.load(Ordering::Acquire) == self.asked && (!must_sleep || self.state() == b'S');
            seen = if asleep { seen + 1 } else { 0 };
            if seen >= 3 && waits() && (!must_sleep || self.state() == b'S') {
                return None;
            }
            assert!(start.elapsed() < PATIENCE, "the call neither ends nor waits");
            thread::yield_now();
        }
    }

    /// The outcome if the step is over.
    ///
    /// # Panics
    /// If the call has.
    pub fn over(&self) -> Option<Outcome> {
        match self.outcomes.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(std::sync::mpsc::TryRecvError::Empty) => None,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => panic!("the call panicked"),
        }
    }

    fn state(&self) -> u8 {
        let stat = fs::read(&self.stat).expect("what Linux says of a thread that lives");
        let name_end = stat.iter().rposition(|&byte| byte == b')').expect("a name");
        stat[name_end + 2]
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.ops.take());
        // One that waits waits for ever when the test fails.
        if !thread::panicking()
            && let Some(thread) = self.thread.take()
        {
            thread.join().expect("a thread that did all it was told");
        }
    }
}
