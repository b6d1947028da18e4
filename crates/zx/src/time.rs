//! Moments and lengths of time, told apart by clock and unit in their types.
//!
//! 1. A number never leaves the range of `i64`: all arithmetic saturates. `INFINITE` plus anything less than that much
//!    below zero is not exact, as in C.
//! 2. Only values of the same clock and unit go together; the compiler sees to it.
//! 3. A tick is a nanosecond here, but programs ask for [`Ticks::per_second`].

use core::fmt;
use core::hash::Hash;
use core::marker::PhantomData;
use core::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use zxvm_syscall::system;

use crate::sys::{ZX_TIME_INFINITE, ZX_TIME_INFINITE_PAST};

/// A clock, as a type.
pub trait Timeline: Copy + Default + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static {}

/// A unit of time, as a type.
pub trait TimeUnit: Copy + Default + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static {}

macro_rules! markers {
    ($( $(#[$meta:meta])* $name:ident: $trait:ident; )*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
            pub struct $name;

            impl $trait for $name {}
        )*
    };
}

markers! {
    /// The clock that stands still while the machine is suspended.
    MonotonicTimeline: Timeline;
    /// The clock that counts from boot, suspended or not.
    BootTimeline: Timeline;
    /// A clock of the program's own making.
    SyntheticTimeline: Timeline;
    /// Nanoseconds.
    NsUnit: TimeUnit;
    /// Ticks of the hardware counter.
    TicksUnit: TimeUnit;
}

/// A moment of the clock `T`, in units of `U`.
///
/// ```
/// use zxvm as zx;
/// let start = zx::MonotonicInstant::get();
/// let deadline = start + zx::MonotonicDuration::from_millis(1);
/// deadline.sleep();
/// assert!(zx::MonotonicInstant::get() - start >= zx::Duration::from_micros(1000));
/// assert_eq!(zx::MonotonicInstant::INFINITE + zx::Duration::from_nanos(1), zx::Instant::INFINITE);
/// ```
#[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Instant<T, U = NsUnit>(i64, PhantomData<(T, U)>);

/// A length of time on the clock `T`, in units of `U`; negative for the past.
///
/// ```
/// use zxvm as zx;
/// let second = zx::MonotonicDuration::from_seconds(1);
/// assert_eq!((second * 90).into_minutes(), 1);
/// assert_eq!(-second / 4, zx::Duration::from_millis(-250));
/// ```
#[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Duration<T, U = NsUnit>(i64, PhantomData<(T, U)>);

/// A moment of the monotonic clock, in nanoseconds: what deadlines are.
pub type MonotonicInstant = Instant<MonotonicTimeline, NsUnit>;
/// A moment of the boot clock, in nanoseconds.
pub type BootInstant = Instant<BootTimeline, NsUnit>;
/// A moment of a clock of the program's own, in nanoseconds.
pub type SyntheticInstant = Instant<SyntheticTimeline, NsUnit>;
/// A moment in ticks.
pub type Ticks<T> = Instant<T, TicksUnit>;
/// A moment of the monotonic clock, in ticks.
pub type MonotonicTicks = Ticks<MonotonicTimeline>;
/// A moment of the boot clock, in ticks.
pub type BootTicks = Ticks<BootTimeline>;
/// A length of time on the monotonic clock, in nanoseconds.
pub type MonotonicDuration = Duration<MonotonicTimeline, NsUnit>;
/// A length of time on the boot clock, in nanoseconds.
pub type BootDuration = Duration<BootTimeline, NsUnit>;
/// A length of time on a clock of the program's own, in nanoseconds.
pub type SyntheticDuration = Duration<SyntheticTimeline, NsUnit>;
/// A length of time in ticks.
pub type DurationTicks<T> = Duration<T, TicksUnit>;
/// A length of time on the monotonic clock, in ticks.
pub type MonotonicDurationTicks = DurationTicks<MonotonicTimeline>;
/// A length of time on the boot clock, in ticks.
pub type BootDurationTicks = DurationTicks<BootTimeline>;

macro_rules! common_items {
    ($name:ident) => {
        impl<T, U> $name<T, U> {
            /// 0.
            pub const ZERO: Self = Self::new(0);
            /// Later, or longer, than any other.
            pub const INFINITE: Self = Self::new(ZX_TIME_INFINITE);
            /// Earlier, or further back, than any other.
            pub const INFINITE_PAST: Self = Self::new(ZX_TIME_INFINITE_PAST);

            const fn new(raw: i64) -> Self {
                Self(raw, PhantomData)
            }
        }

        impl<T> $name<T, NsUnit> {
            /// From nanoseconds.
            pub const fn from_nanos(nanos: i64) -> Self {
                Self::new(nanos)
            }

            /// In nanoseconds.
            pub const fn into_nanos(self) -> i64 {
                self.0
            }
        }

        impl<T> $name<T, TicksUnit> {
            /// From ticks.
            pub const fn from_raw(ticks: i64) -> Self {
                Self::new(ticks)
            }

            /// In ticks.
            pub const fn into_raw(self) -> i64 {
                self.0
            }
        }

        impl<T: Timeline, U: TimeUnit> fmt::Debug for $name<T, U> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "<{:?}, {:?}>({})"), T::default(), U::default(), self.0)
            }
        }
    };
}
common_items!(Instant);
common_items!(Duration);

impl MonotonicInstant {
    /// Now.
    pub fn get() -> Self {
        Self::new(system::clock_get_monotonic())
    }

    /// The moment `duration` from now.
    pub fn after(duration: MonotonicDuration) -> Self {
        Self::new(system::deadline_after(duration.0))
    }

    /// Sleeps until this moment; not at all if it is past.
    pub fn sleep(self) {
        system::nanosleep(self.0);
    }
}

impl BootInstant {
    /// Now.
    pub fn get() -> Self {
        Self::new(system::clock_get_boot())
    }

    /// The moment `duration` from now.
    pub fn after(duration: BootDuration) -> Self {
        Self::get() + duration
    }
}

impl<T> Ticks<T> {
    /// Ticks in a second.
    pub fn per_second() -> i64 {
        system::ticks_per_second()
    }
}

impl MonotonicTicks {
    /// Now.
    pub fn get() -> Self {
        Self::new(system::ticks_get())
    }
}

impl BootTicks {
    /// Now.
    pub fn get() -> Self {
        // A tick is a nanosecond.
        Self::new(system::clock_get_boot())
    }
}

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000 * MICRO;
const SECOND: i64 = 1_000 * MILLI;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

impl<T> Duration<T, NsUnit> {
    /// From microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self::new(micros.saturating_mul(MICRO))
    }

    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self::new(millis.saturating_mul(MILLI))
    }

    /// From seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::new(seconds.saturating_mul(SECOND))
    }

    /// From minutes.
    pub const fn from_minutes(minutes: i64) -> Self {
        Self::new(minutes.saturating_mul(MINUTE))
    }

    /// From hours.
    pub const fn from_hours(hours: i64) -> Self {
        Self::new(hours.saturating_mul(HOUR))
    }

    /// In whole microseconds, the rest cut off.
    pub const fn into_micros(self) -> i64 {
        self.0 / MICRO
    }

    /// In whole milliseconds, the rest cut off.
    pub const fn into_millis(self) -> i64 {
        self.0 / MILLI
    }

    /// In whole seconds, the rest cut off.
    pub const fn into_seconds(self) -> i64 {
        self.0 / SECOND
    }

    /// In seconds, as far as an `f64` can tell.
    pub const fn into_seconds_f64(self) -> f64 {
        self.0 as f64 / SECOND as f64
    }

    /// In whole minutes, the rest cut off.
    pub const fn into_minutes(self) -> i64 {
        self.0 / MINUTE
    }

    /// In whole hours, the rest cut off.
    pub const fn into_hours(self) -> i64 {
        self.0 / HOUR
    }
}

impl MonotonicDuration {
    /// Sleeps this long from now.
    pub fn sleep(self) {
        MonotonicInstant::after(self).sleep();
    }
}

impl<T> From<std::time::Duration> for Duration<T, NsUnit> {
    fn from(duration: std::time::Duration) -> Self {
        Self::new(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// `impl left op right -> result`, by a saturating method of `i64`.
macro_rules! operators {
    ($( $trait:ident::$method:ident($left:ident, $right:ident) -> $result:ident by $saturating:ident; )*) => { $(
        impl<T, U> $trait<$right<T, U>> for $left<T, U> {
            type Output = $result<T, U>;

            fn $method(self, other: $right<T, U>) -> $result<T, U> {
                $result::new(self.0.$saturating(other.0))
            }
        }
    )* };
}
operators! {
    Add::add(Instant, Duration) -> Instant by saturating_add;
    Add::add(Duration, Instant) -> Instant by saturating_add;
    Add::add(Duration, Duration) -> Duration by saturating_add;
    Sub::sub(Instant, Duration) -> Instant by saturating_sub;
    Sub::sub(Instant, Instant) -> Duration by saturating_sub;
    Sub::sub(Duration, Duration) -> Duration by saturating_sub;
}

macro_rules! assigning_operators {
    ($( $trait:ident::$method:ident($left:ident) by $saturating:ident; )*) => { $(
        impl<T, U> $trait<Duration<T, U>> for $left<T, U> {
            fn $method(&mut self, other: Duration<T, U>) {
                self.0 = self.0.$saturating(other.0);
            }
        }
    )* };
}
assigning_operators! {
    AddAssign::add_assign(Instant) by saturating_add;
    SubAssign::sub_assign(Instant) by saturating_sub;
    AddAssign::add_assign(Duration) by saturating_add;
    SubAssign::sub_assign(Duration) by saturating_sub;
}

impl<S: Into<i64>, T, U> Mul<S> for Duration<T, U> {
    type Output = Self;

    fn mul(self, factor: S) -> Self {
        Self::new(self.0.saturating_mul(factor.into()))
    }
}

impl<S: Into<i64>, T, U> MulAssign<S> for Duration<T, U> {
    fn mul_assign(&mut self, factor: S) {
        self.0 = self.0.saturating_mul(factor.into());
    }
}

/// Cuts the rest off. Panics on division by zero, as integers do.
impl<S: Into<i64>, T, U> Div<S> for Duration<T, U> {
    type Output = Self;

    fn div(self, divisor: S) -> Self {
        Self::new(self.0.saturating_div(divisor.into()))
    }
}

/// Cuts the rest off. Panics on division by zero, as integers do.
impl<S: Into<i64>, T, U> DivAssign<S> for Duration<T, U> {
    fn div_assign(&mut self, divisor: S) {
        self.0 = self.0.saturating_div(divisor.into());
    }
}

impl<T, U> Neg for Duration<T, U> {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(self.0.saturating_neg())
    }
}
