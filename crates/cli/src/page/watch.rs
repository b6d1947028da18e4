//! Looking on while threads touch pages, and waiting for them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::hints::Said;
use super::mapping::Mapping;
use super::residency::Residency;
use super::share::Share;
use super::touch::{Stage, Tally};
use crate::failure::{Failure, setup};
use crate::progress::Progress;

/// How long no page may be touched before it is a finding. Disks are slow; no access is that slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks on while threads touch.
pub struct Watch<'m, 'k> {
    /// What is looked at.
    pub mapping: &'m Mapping<'k>,
    /// What was there when.
    pub residency: Residency,
    /// Whether that is to be drawn.
    pub draws: bool,
    /// How the budget is kept, where there is one or hints are given.
    pub share: Option<Share>,
    /// The most that was dirty when somebody looked.
    pub dirty_bytes_most: u64,
}

impl Watch<'_, '_> {
    /// Starts the threads and waits for them. What they found, and how long that took.
    pub fn run(&mut self, stage: &Arc<Stage>, progress: &Progress) -> Result<(Vec<Tally>, Duration), Failure> {
        let (sender, tallies) = mpsc::channel();
        self.residency.begin();
        self.look(stage)?;
        let said = stage.hints.say(self.mapping.kernel, self.mapping.range.start, Said::Needed);
        setup("ALWAYS_NEED", said)?;
        let start = Instant::now();
        for number in 0..stage.threads {
            let (stage, sender) = (stage.clone(), sender.clone());
            // It says itself when it ends; if it never does, so does `wait`.
            drop(thread::Builder::new().name("touch".to_owned()).spawn(move || {
                let tally = stage.touch(number);
                drop(stage);
                let _ = sender.send(tally);
            })?);
        }
        let tallies = self.wait(stage, &tallies, progress)?;
        let elapsed = start.elapsed();
        self.look(stage)?;
        Ok((tallies, elapsed))
    }

    fn wait(
        &mut self,
        stage: &Stage,
        from: &Receiver<io::Result<Tally>>,
        progress: &Progress,
    ) -> Result<Vec<Tally>, Failure> {
        const TICK: Duration = Duration::from_millis(20);
        let mut tallies = Vec::new();
        let (mut done, mut moved) = (0, Instant::now());
        while (tallies.len() as u64) < stage.threads {
            self.look(stage)?;
            let patience = if self.draws { self.residency.until_next().min(TICK) } else { TICK };
            match from.recv_timeout(patience) {
                Ok(tally) => tallies.push(tally?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Untouched(0)),
            }
            let now = stage.done.load(Ordering::Relaxed);
            progress.within(now as usize, stage.touches as usize);
            if now != done {
                (done, moved) = (now, Instant::now());
            } else if moved.elapsed() > PATIENCE {
                return Err(Failure::Untouched(PATIENCE.as_secs()));
            }
        }
        Ok(tallies)
    }

    fn look(&mut self, stage: &Stage) -> Result<(), Failure> {
        if stage.store.is_some() {
            let dirty = stage.pager.dirty_bytes().map_err(|status| Failure::Setup { what: "what is dirty", status })?;
            self.dirty_bytes_most = self.dirty_bytes_most.max(dirty);
        }
        if let Some(share) = &mut self.share {
            let done = stage.done.load(Ordering::Relaxed);
            share.look(self.mapping, done * 2 >= stage.touches, done >= stage.touches)?;
        }
        if self.draws && self.residency.until_next().is_zero() {
            let dirty =
                stage.pager.dirty_ranges().map_err(|status| Failure::Setup { what: "what is dirty", status })?;
            let committed = self.mapping.committed_bytes(&stage.pager)?;
            self.residency.look(&self.mapping.witness, &dirty, committed)?;
        }
        Ok(())
    }
}
