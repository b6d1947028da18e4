//! Writing back because room is wanted: when the engine asks for it, and how soon to try again.
//!
//! 1. As long as the [event](zxvm::writeback_event) is signalled a pager writes back again and again, without a pause while that makes
//!    pages clean.
//! 2. A writeback that failed, or found nothing to write, is tried again after a pause, which doubles up to a limit: nobody spins,
//!    and whoever relents is noticed soon.

use std::time::Duration;

use zxvm::{
    Event, MonotonicDuration, MonotonicInstant, Packet, PacketContents, Port, Signals, Status, UserPacket,
    WaitAsyncOpts,
};

use crate::writeback::Written;

/// The key of the packets that say that the event is signalled. Others have 0.
const KEY: u64 = 1;

/// The first pause.
const FIRST: Duration = Duration::from_millis(1);

/// The longest pause where there is nothing to write: it is for others to make room.
const NOTHING_MAX: Duration = Duration::from_millis(16);

/// The longest pause where the backing refuses.
const FAILED_MAX: Duration = Duration::from_millis(500);

/// How a writeback went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something is clean that was not.
    Wrote,
    /// There was nothing to write.
    Nothing,
    /// It failed.
    Failed,
}

impl Outcome {
    /// That of one that returned.
    pub fn of(written: &Written) -> Self {
        if written.bytes > 0 || written.zero_bytes > 0 { Self::Wrote } else { Self::Nothing }
    }
}

/// How long to wait before the next writeback.
#[derive(Debug)]
pub struct Pause {
    next: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pause {
    /// Nothing: go on at once.
    pub fn after(&mut self, outcome: Outcome) -> Option<Duration> {
        let most = match outcome {
            Outcome::Wrote => {
                self.next = FIRST;
                return None;
            }
            Outcome::Nothing => NOTHING_MAX,
            Outcome::Failed => FAILED_MAX,
        };
        let pause = self.next.min(most);
        self.next = (pause * 2).min(FAILED_MAX);
        Some(pause)
    }
}

/// So long from now.
pub fn after(pause: Duration) -> MonotonicInstant {
    MonotonicInstant::after(MonotonicDuration::from_nanos(pause.as_nanos() as i64))
}

/// Has a packet sent to `port` once the event is signalled, or at once if it is. Whoever sees a packet of signals there knows what it is.
pub fn listen(event: &Event, port: &Port) -> Result<(), Status> {
    event.wait_async(port, KEY, Signals::EVENT_SIGNALED, WaitAsyncOpts::empty())
}

/// The event, and a port for one thread that waits for it.
#[derive(Debug)]
pub struct Alarm {
    event: Event,
    port: Port,
}

impl Alarm {
    /// # Errors
    /// `NO_MEMORY`.
    pub fn new() -> Result<Self, Status> {
        Ok(Self { event: zxvm::writeback_event()?, port: Port::create() })
    }

    /// Waits until pages should be written back. False: the thread is to end.
    pub fn wait(&self) -> bool {
        listen(&self.event, &self.port).is_ok() && self.goes_on(MonotonicInstant::INFINITE)
    }

    /// Lets some time pass. False: the thread is to end.
    pub fn pause(&self, pause: Duration) -> bool {
        self.goes_on(after(pause))
    }

    /// The thread is to end.
    pub fn stop(&self) {
        // One packet, for which there is room.
        let _ = self.port.queue(&Packet::from_user_packet(0, 0, UserPacket::default()));
    }

    fn goes_on(&self, deadline: MonotonicInstant) -> bool {
        match self.port.wait(deadline) {
            Ok(packet) => matches!(packet.contents(), PacketContents::SignalOne(_)),
            Err(status) => status == Status::TIMED_OUT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_until_something_is_written() {
        let mut pause = Pause::default();
        let mut after = |outcome| pause.after(outcome).map(|pause| pause.as_millis());
        let failed = [1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 500].map(Some);
        assert_eq!(failed.map(|_| after(Outcome::Failed)), failed);
        assert_eq!(after(Outcome::Wrote), None);
        let nothing = [1, 2, 4, 8, 16, 16].map(Some);
        assert_eq!(nothing.map(|_| after(Outcome::Nothing)), nothing);
        assert_eq!(after(Outcome::Wrote), None);
        assert_eq!(after(Outcome::Nothing), Some(1));
    }

    #[test]
    fn a_thread_that_waits_or_pauses_is_told_to_end() {
        let alarm = Alarm::new().unwrap();
        assert!(alarm.pause(Duration::ZERO));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| alarm.wait());
            alarm.stop();
            assert!(!waiting.join().unwrap());
        });
        alarm.stop();
        assert!(!alarm.pause(Duration::from_secs(1000)));
    }
}
