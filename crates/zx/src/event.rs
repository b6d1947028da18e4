//! [`Event`]: signals and nothing else.

use zxvm_syscall::Kernel;

use crate::handle::NullableHandle;
use crate::sys;

object_type! {
    /// An event: an object that has nothing but signals, for threads to wake each other with.
    ///
    /// ```
    /// use zxvm as zx;
    /// let event = zx::Event::create();
    /// std::thread::scope(|s| {
    ///     s.spawn(|| event.signal(zx::Signals::NONE, zx::Signals::EVENT_SIGNALED));
    ///     event.wait_one(zx::Signals::EVENT_SIGNALED, zx::MonotonicInstant::INFINITE).unwrap();
    /// });
    /// ```
    pub struct Event;
}

impl Event {
    /// A new event with no signal active. Its handle has the rights [`BASIC`](crate::Rights::BASIC) and `SIGNAL`.
    ///
    /// # Panics
    /// If there is no memory, or no engine.
    pub fn create() -> Self {
        let mut raw = sys::ZX_HANDLE_INVALID;
        Kernel::current().and_then(|kernel| kernel.event_create(0, &mut raw)).expect("an event");
        NullableHandle::adopt(raw).into()
    }
}
