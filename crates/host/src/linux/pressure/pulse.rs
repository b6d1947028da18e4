//! When to look without a sign, in a group with a limit of which the kernel tells no amounts: version 2 tells of none, and version 1 not
//! everybody.
//!
//! Memory is not taken by a process that does nothing. So it is looked every second while this process uses its processors,
//! and the longer it does not, the less often: an idle process is woken once in a minute, and only in such a group. (Others
//! in the group may take memory meanwhile; then there are stalls, and limits that are met.)

use core::time::Duration;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(64);

/// How long until the next look.
#[derive(Debug)]
pub struct Pulse(Duration);

impl Pulse {
    /// As of a process that works.
    pub fn new() -> Self {
        Self(SHORTEST)
    }

    /// In the time `passed` since this was asked the last time, the process has used so much of its processors: from a thousandth
    /// on it works. How long until the next look.
    pub fn next(&mut self, passed: Duration, used: Duration) -> Duration {
        self.0 = if used * 1000 >= passed { SHORTEST } else { (self.0 * 2).min(LONGEST) };
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_process_is_looked_at_less_and_less_often() {
        let mut pulse = Pulse::new();
        let idle = |pulse: &mut Pulse| pulse.next(Duration::from_secs(1), Duration::from_micros(999)).as_secs();
        let all: Vec<_> = (0..8).map(|_| idle(&mut pulse)).collect();
        assert_eq!(all, [2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(pulse.next(Duration::from_secs(64), Duration::from_millis(64)), SHORTEST);
        assert_eq!(idle(&mut pulse), 2);
    }
}
