//! Whether more is in use, again and again, than there is room for.
//!
//! Then nearly all that comes was proven and taken not long ago, as in a loop over a file that is somewhat larger than
//! the budget. To go on in the order of use would take each page just before its next use, and nothing would ever be
//! met. So what comes mostly stays on probation: whoever is on the clock keeps its place, and is met in every round.
//! Some are let in still, so that a clock whose pages are out of use is found out.

/// All.
const WHOLE: u32 = 1 << 16;
/// This many and more are nearly all.
const NEARLY_ALL: u32 = WHOLE / 10 * 9;
/// About so many comings back are looked at.
const WINDOW: u32 = 256;
/// In a loop one in so many is let in.
const ONE_IN: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Loops {
    /// How many of the pages that come were proven and taken not long ago.
    again: u32,
    kept_out: u32,
}

impl Loops {
    pub(super) fn new() -> Self {
        Self { again: 0, kept_out: 0 }
    }

    /// Notes that a page came, and whether it had been taken from the clock not long ago.
    pub(super) fn came(&mut self, was_proven: bool) {
        match was_proven {
            true => self.again += (WHOLE - self.again) / WINDOW,
            false => self.again -= self.again / WINDOW,
        }
    }

    /// Whether a ghost that comes again may stand on the clock.
    pub(super) fn lets_in(&mut self) -> bool {
        if self.again < NEARLY_ALL {
            return true;
        }
        self.kept_out = (self.kept_out + 1) % ONE_IN;
        self.kept_out == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_sixteen_is_let_in_while_nearly_all_come_again() {
        let mut loops = Loops::new();
        let let_in = |loops: &mut Loops| (0..160).filter(|_| loops.lets_in()).count();
        (0..WINDOW).for_each(|_| loops.came(true));
        assert_eq!(let_in(&mut loops), 160, "two thirds are not nearly all");
        (0..WINDOW * 3).for_each(|_| loops.came(true));
        assert_eq!(let_in(&mut loops), 10);
        (0..WINDOW).for_each(|at| loops.came(at % 4 > 0));
        assert_eq!(let_in(&mut loops), 160, "one in four is another");
    }
}
