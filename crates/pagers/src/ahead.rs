//! How much to read: nothing but what is asked for, until requests turn out to be in order.
//!
//! 1. A stream is a run of requests, each where the one before ended. Its window doubles with each, from a page to the most
//!    there may be. A request that continues no stream starts one, with a window of what it asks for.
//! 2. Once a window is large, the one after it is read as well, behind it: while a program works through one, the next is
//!    on its way.
//! 3. Several streams are known, so that threads which each read their own part do not take each other's for random.
//! 4. Nothing is ever read past `end`.

use std::ops::Range;

use crate::PAGE_SIZE;

/// Streams known at a time.
const STREAMS: usize = 16;

/// From this window on, the next is read as well. Below, a second read costs more than it spares.
const BEHIND_FROM: u64 = 32 * PAGE_SIZE;

#[derive(Debug)]
struct Stream {
    /// What was read last for it, or is being read.
    recent: Range<u64>,
    window: u64,
    /// When it was last continued.
    used: u64,
}

/// What to read for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// With what was asked for.
    pub now: Range<u64>,
    /// After that, if nobody else asks for something; may be empty.
    pub behind: Range<u64>,
}

/// The streams of a VMO.
#[derive(Debug)]
pub struct ReadAhead {
    streams: Vec<Stream>,
    max: u64,
    clock: u64,
}

impl ReadAhead {
    /// With windows of at most `max` bytes.
    pub fn new(max: u64) -> Self {
        Self { streams: Vec::new(), max: max.max(PAGE_SIZE), clock: 0 }
    }

    /// From now on windows are of at most `max` bytes.
    pub fn limit(&mut self, max: u64) {
        self.max = max.max(PAGE_SIZE);
    }

    /// What to read when `asked` is asked for and the VMO ends at `end`.
    pub fn plan(&mut self, asked: &Range<u64>, end: u64) -> Plan {
        self.clock += 1;
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.recent.end == asked.start) else {
            self.begin(asked);
            return Plan { now: asked.clone(), behind: asked.end..asked.end };
        };
        stream.window = (stream.window * 2).min(self.max);
        let now = asked.start..(asked.start + stream.window).max(asked.end).min(end.max(asked.end));
        let behind = now.end..behind_end(now.end, stream.window, end);
        stream.recent = now.start..behind.end;
        stream.used = self.clock;
        Plan { now, behind }
    }

    /// What to read besides when `asked` is already being read: its stream has caught up with what was read behind it.
    pub fn caught_up(&mut self, asked: &Range<u64>, end: u64) -> Range<u64> {
        self.clock += 1;
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.recent.contains(&asked.start)) else {
            return asked.end..asked.end;
        };
        stream.used = self.clock;
        stream.window = stream.window.min(self.max);
        // Once a window: later requests in the same one find it ordered.
        if stream.recent.end - asked.start > stream.window {
            return asked.end..asked.end;
        }
        let behind = stream.recent.end..behind_end(stream.recent.end, stream.window, end);
        stream.recent = asked.start..behind.end;
        behind
    }

    fn begin(&mut self, asked: &Range<u64>) {
        let stream =
            Stream { recent: asked.clone(), window: (asked.end - asked.start).min(self.max), used: self.clock };
        if self.streams.len() < STREAMS {
            self.streams.push(stream);
        } else if let Some(oldest) = self.streams.iter_mut().min_by_key(|stream| stream.used) {
            *oldest = stream;
        }
    }
}

fn behind_end(start: u64, window: u64, end: u64) -> u64 {
    if window < BEHIND_FROM { start } else { (start + window).min(end.max(start)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = PAGE_SIZE;
    const FAR: u64 = 1 << 40;

    fn pages(start: u64, count: u64) -> Range<u64> {
        start * P..(start + count) * P
    }

    #[test]
    fn windows_double_while_requests_are_in_order() {
        let mut ahead = ReadAhead::new(16 * P);
        let mut at = 0;
        for window in [1, 2, 4, 8, 16, 16, 16] {
            let plan = ahead.plan(&pages(at, 1), FAR);
            assert_eq!(plan, Plan { now: pages(at, window), behind: pages(at + window, 0) });
            at += window;
        }
    }

    #[test]
    fn a_random_access_is_read_alone_and_spoils_nothing() {
        let mut ahead = ReadAhead::new(16 * P);
        let mut at = 0;
        for window in [1, 2, 4, 8] {
            assert_eq!(ahead.plan(&pages(1000 + 7 * at, 1), FAR).now, pages(1000 + 7 * at, 1));
            assert_eq!(ahead.plan(&pages(at, 1), FAR).now, pages(at, window));
            at += window;
        }
    }

    #[test]
    fn large_windows_are_followed_by_the_next() {
        let mut ahead = ReadAhead::new(64 * P);
        let mut at = 0;
        for window in [1, 2, 4, 8, 16] {
            ahead.plan(&pages(at, 1), FAR);
            at += window;
        }
        let plan = ahead.plan(&pages(at, 1), FAR);
        assert_eq!(plan, Plan { now: pages(at, 32), behind: pages(at + 32, 32) });
        // Nobody waited for what was behind: the stream goes on after it.
        let next = ahead.plan(&pages(at + 64, 1), FAR);
        assert_eq!(next, Plan { now: pages(at + 64, 64), behind: pages(at + 128, 64) });
    }

    #[test]
    fn who_catches_up_orders_one_more_window() {
        let mut ahead = ReadAhead::new(32 * P);
        let mut at = 0;
        for window in [1, 2, 4, 8, 16] {
            ahead.plan(&pages(at, 1), FAR);
            at += window;
        }
        assert_eq!(ahead.plan(&pages(at, 1), FAR).behind, pages(at + 32, 32));
        assert_eq!(ahead.caught_up(&pages(at + 32, 1), FAR), pages(at + 64, 32));
        assert!(ahead.caught_up(&pages(at + 33, 1), FAR).is_empty(), "it is ordered");
        assert_eq!(ahead.caught_up(&pages(at + 64, 1), FAR), pages(at + 96, 32));
        assert!(ahead.caught_up(&pages(5, 1), FAR).is_empty(), "no stream is there");
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut ahead = ReadAhead::new(64 * P);
        let mut at = 0;
        while at < 100 {
            let plan = ahead.plan(&pages(at, 1), 100 * P);
            assert!(plan.now.end <= 100 * P && plan.behind.end <= 100 * P, "{plan:?}");
            assert!(plan.now.contains(&(at * P)));
            at = plan.behind.end / P;
        }
        // Asked for before the VMO shrank: it is what was asked for, and no more.
        assert_eq!(ahead.plan(&pages(100, 4), 50 * P).now, pages(100, 4));
    }

    #[test]
    fn the_stream_that_was_not_continued_longest_is_forgotten() {
        let mut ahead = ReadAhead::new(16 * P);
        for stream in 0..STREAMS as u64 {
            ahead.plan(&pages(1000 * stream, 1), FAR);
        }
        for stream in 1..STREAMS as u64 {
            assert_eq!(ahead.plan(&pages(1000 * stream + 1, 1), FAR).now, pages(1000 * stream + 1, 2));
        }
        ahead.plan(&pages(50_000, 1), FAR);
        assert_eq!(ahead.plan(&pages(1, 1), FAR).now, pages(1, 1), "forgotten");
        assert_eq!(ahead.plan(&pages(50_001, 1), FAR).now, pages(50_001, 2));
    }

    #[test]
    fn windows_shrink_to_a_new_limit_at_once_and_grow_to_it_again() {
        let mut ahead = ReadAhead::new(64 * P);
        let mut at = 0;
        while at < 255 {
            at = ahead.plan(&pages(at, 1), FAR).behind.end / P;
        }
        ahead.limit(2 * P);
        assert!(ahead.caught_up(&pages(at - 1, 1), FAR).is_empty(), "a window that small has none behind it");
        assert_eq!(ahead.plan(&pages(at, 1), FAR), Plan { now: pages(at, 2), behind: pages(at + 2, 0) });
        ahead.limit(8 * P);
        assert_eq!(ahead.plan(&pages(at + 2, 1), FAR).now, pages(at + 2, 4));
        assert_eq!(ahead.plan(&pages(at + 6, 1), FAR).now, pages(at + 6, 8));
        ahead.limit(0);
        assert_eq!(ahead.plan(&pages(at + 14, 1), FAR).now, pages(at + 14, 1), "what is asked for is read in any case");
    }

    #[test]
    fn a_large_request_is_read_as_it_is() {
        let mut ahead = ReadAhead::new(16 * P);
        assert_eq!(ahead.plan(&pages(0, 100), FAR).now, pages(0, 100));
        assert_eq!(ahead.plan(&pages(100, 1), FAR).now, pages(100, 16), "its window is the most there may be");
    }
}
