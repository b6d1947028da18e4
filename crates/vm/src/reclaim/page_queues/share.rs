//! How much of the room is for newcomers. It follows the ghosts: each that comes again moves it by a page towards the
//! queue it was taken from.

/// Parts of a whole.
const WHOLE: u64 = 1 << 32;
/// Less would not give a newcomer the time to be used again.
const LEAST: u64 = WHOLE / 20;
/// More would leave proven pages no time between two looks.
const MOST: u64 = WHOLE / 10 * 9;

/// See the module.
#[derive(Debug)]
pub(super) struct Share {
    newcomers: u64,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { newcomers: WHOLE / 10 }
    }

    /// How many of so many pages are for newcomers.
    pub(super) fn newcomers(&self, pages: u64) -> u64 {
        (u128::from(pages) * u128::from(self.newcomers) / u128::from(WHOLE)) as u64
    }

    /// A page came again that had been taken from the newcomers.
    pub(super) fn more_for_newcomers(&mut self, pages: u64) {
        self.newcomers = (self.newcomers + WHOLE / pages.max(1)).min(MOST);
    }

    /// A page came again that had been taken from those that are proven.
    pub(super) fn more_for_proven(&mut self, pages: u64) {
        self.newcomers = self.newcomers.saturating_sub(WHOLE / pages.max(1)).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_by_pages_and_keeps_its_bounds() {
        let mut share = Share::new();
        assert_eq!((share.newcomers(1000), share.newcomers(0)), (99, 0));
        (0..100).for_each(|_| share.more_for_newcomers(1000));
        assert_eq!(share.newcomers(1000), 199);
        (0..2000).for_each(|_| share.more_for_newcomers(1000));
        assert_eq!(share.newcomers(1000), 899);
        (0..2000).for_each(|_| share.more_for_proven(1000));
        assert_eq!(share.newcomers(1000), 49);
        share.more_for_newcomers(0);
        assert_eq!(share.newcomers(u64::MAX) >> 32, MOST - 1, "nothing overflows");
    }
}
