//! Moments and lengths of time: their arithmetic, and the clocks.

use zx::{
    BootDuration, BootInstant, BootTicks, Duration, Instant, MonotonicDuration, MonotonicInstant, MonotonicTicks,
};
use zxvm as zx;

type Moment = MonotonicInstant;
type Length = MonotonicDuration;

#[test]
fn arithmetic() {
    let (five, three) = (Length::from_nanos(5), Length::from_nanos(3));
    let at = Moment::from_nanos(100);
    assert_eq!([at + five, five + at, at - five].map(Moment::into_nanos), [105, 105, 95]);
    assert_eq!(at - Moment::from_nanos(130), Length::from_nanos(-30));
    assert_eq!([five + three, five - three, -five, five * 3, five / 2].map(Length::into_nanos), [8, 2, -5, 15, 2]);
    assert_eq!((five * 2_u8, five / 2_i32), (Length::from_nanos(10), Length::from_nanos(2)));
    let (mut moment, mut length) = (at, five);
    moment += five;
    moment -= three;
    length += three;
    length -= Length::from_nanos(1);
    length *= 6;
    length /= 4_i64;
    assert_eq!((moment.into_nanos(), length.into_nanos()), (102, 10));
}

#[test]
fn arithmetic_saturates() {
    let one = Length::from_nanos(1);
    assert_eq!(Moment::INFINITE + one, Moment::INFINITE);
    assert_eq!(one + Moment::INFINITE, Moment::INFINITE);
    assert_eq!(Moment::INFINITE_PAST - one, Moment::INFINITE_PAST);
    assert_eq!(Moment::INFINITE - Moment::INFINITE_PAST, Length::INFINITE);
    assert_eq!(Length::INFINITE + one, Length::INFINITE);
    assert_eq!(Length::INFINITE_PAST - one, Length::INFINITE_PAST);
    assert_eq!(-Length::INFINITE_PAST, Length::INFINITE);
    assert_eq!(Length::INFINITE_PAST / -1, Length::INFINITE);
    assert_eq!(Length::INFINITE * -2, Length::INFINITE_PAST);
    let mut length = Length::INFINITE;
    length *= 2;
    length += one;
    assert_eq!(length, Length::INFINITE);
    assert_eq!((Length::INFINITE.into_nanos(), Moment::INFINITE_PAST.into_nanos()), (i64::MAX, i64::MIN));
}

#[test]
#[should_panic = "divide by zero"]
fn division_by_zero() {
    let _ = Length::from_nanos(1) / 0;
}

#[test]
fn units() {
    const WEEK: Length = Length::from_hours(24 * 7);
    assert_eq!(WEEK.into_nanos(), 604_800_000_000_000);
    assert_eq!(Length::from_minutes(10_080), WEEK);
    assert_eq!(Length::from_seconds(604_800), WEEK);
    assert_eq!(Length::from_millis(604_800_000), WEEK);
    assert_eq!(Length::from_micros(604_800_000_000), WEEK);
    assert_eq!((WEEK.into_micros(), WEEK.into_millis()), (604_800_000_000, 604_800_000));
    assert_eq!((WEEK.into_seconds(), WEEK.into_minutes(), WEEK.into_hours()), (604_800, 10_080, 168));
    assert_eq!(Length::from_nanos(-1_999).into_micros(), -1);
    assert_eq!(Length::from_millis(-1_500).into_seconds_f64(), -1.5);
    assert_eq!(Length::from_hours(i64::MAX), Length::INFINITE);
    assert_eq!(Length::from_micros(i64::MIN), Length::INFINITE_PAST);
    assert_eq!(Length::from(std::time::Duration::new(2, 7)), Length::from_nanos(2_000_000_007));
    assert_eq!(Length::from(std::time::Duration::MAX), Length::INFINITE);
}

#[test]
fn clocks_and_units_are_types_and_show() {
    assert_eq!(format!("{:?}", Moment::from_nanos(7)), "Instant<MonotonicTimeline, NsUnit>(7)");
    assert_eq!(format!("{:?}", BootDuration::from_nanos(-7)), "Duration<BootTimeline, NsUnit>(-7)");
    assert_eq!(format!("{:?}", BootTicks::from_raw(0)), "Instant<BootTimeline, TicksUnit>(0)");
    assert_eq!(zx::SyntheticInstant::default(), Instant::ZERO);
    assert_eq!(zx::SyntheticInstant::from_nanos(3) - Instant::ZERO, zx::SyntheticDuration::from_nanos(3));
    let ticks = BootTicks::from_raw(9) - BootTicks::from_raw(4);
    assert_eq!((ticks, ticks.into_raw()), (zx::BootDurationTicks::from_raw(5), 5));
    assert_eq!((size_of::<Moment>(), size_of::<Duration<zx::MonotonicTimeline>>()), (8, 8));
    assert!(Moment::INFINITE_PAST < Moment::ZERO && Length::ZERO < Length::INFINITE);
}

#[test]
fn clocks_advance() {
    let (moment, ticks, boot, boot_ticks) =
        (Moment::get(), MonotonicTicks::get(), BootInstant::get(), BootTicks::get());
    let length = Length::from_millis(5);
    length.sleep();
    assert!(Moment::get() - moment >= length);
    let in_ticks = MonotonicTicks::get() - ticks;
    assert!(in_ticks.into_raw() >= MonotonicTicks::per_second() / 200);
    assert!(BootInstant::get() - boot >= Duration::from_millis(5));
    assert!((BootTicks::get() - boot_ticks).into_raw() >= BootTicks::per_second() / 200);
    // The boot clock also counts while the machine is suspended.
    let monotonic = Moment::get().into_nanos();
    assert!(BootInstant::get().into_nanos() >= monotonic);
}

#[test]
fn deadlines() {
    let before = Moment::get();
    let deadline = Moment::after(Length::from_millis(2));
    assert!(deadline >= before + Length::from_millis(2));
    deadline.sleep();
    assert!(Moment::get() >= deadline);
    assert_eq!(Moment::after(Length::INFINITE), Moment::INFINITE);
    assert!(BootInstant::after(BootDuration::from_hours(1)) > BootInstant::get());
    // In the past: at once.
    Moment::INFINITE_PAST.sleep();
    Length::from_seconds(-1).sleep();
}
