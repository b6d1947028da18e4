//! Signals: 32 bits in every object that can be waited for.
//!
//! Bits 0 to 23 belong to the system, 24 to 31 to the program.

use crate::scalars::zx_signals_t;

constants! {
    /// No signal.
    pub const ZX_SIGNAL_NONE: zx_signals_t = 0;

    /// All that the program may set.
    pub const ZX_USER_SIGNAL_ALL: zx_signals_t = 0xff00_0000;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_0: zx_signals_t = 1 << 24;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_1: zx_signals_t = 1 << 25;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_2: zx_signals_t = 1 << 26;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_3: zx_signals_t = 1 << 27;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_4: zx_signals_t = 1 << 28;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_5: zx_signals_t = 1 << 29;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_6: zx_signals_t = 1 << 30;
    /// Means what the program makes of it.
    pub const ZX_USER_SIGNAL_7: zx_signals_t = 1 << 31;

    /// All that belong to the system.
    pub const __ZX_OBJECT_SIGNAL_ALL: zx_signals_t = 0x00ff_ffff;
    /// There is something to read.
    pub const __ZX_OBJECT_READABLE: zx_signals_t = 1 << 0;
    /// There is room to write.
    pub const __ZX_OBJECT_WRITABLE: zx_signals_t = 1 << 1;
    /// The other end is gone.
    pub const __ZX_OBJECT_PEER_CLOSED: zx_signals_t = 1 << 2;
    /// What the object exists to tell.
    pub const __ZX_OBJECT_SIGNALED: zx_signals_t = 1 << 3;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_4: zx_signals_t = 1 << 4;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_5: zx_signals_t = 1 << 5;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_6: zx_signals_t = 1 << 6;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_7: zx_signals_t = 1 << 7;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_8: zx_signals_t = 1 << 8;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_9: zx_signals_t = 1 << 9;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_10: zx_signals_t = 1 << 10;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_11: zx_signals_t = 1 << 11;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_12: zx_signals_t = 1 << 12;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_13: zx_signals_t = 1 << 13;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_14: zx_signals_t = 1 << 14;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_15: zx_signals_t = 1 << 15;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_16: zx_signals_t = 1 << 16;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_17: zx_signals_t = 1 << 17;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_18: zx_signals_t = 1 << 18;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_19: zx_signals_t = 1 << 19;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_20: zx_signals_t = 1 << 20;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_21: zx_signals_t = 1 << 21;
    /// Means what the object's type makes of it.
    pub const __ZX_OBJECT_SIGNAL_22: zx_signals_t = 1 << 22;
    /// The handle waited on was closed.
    pub const __ZX_OBJECT_HANDLE_CLOSED: zx_signals_t = 1 << 23;

    /// Only in the result of a wait that was cancelled: the handle was closed.
    pub const ZX_SIGNAL_HANDLE_CLOSED: zx_signals_t = __ZX_OBJECT_HANDLE_CLOSED;
    /// The event is set.
    pub const ZX_EVENT_SIGNALED: zx_signals_t = __ZX_OBJECT_SIGNALED;
    /// All an event can show.
    pub const ZX_EVENT_SIGNAL_MASK: zx_signals_t = ZX_USER_SIGNAL_ALL | __ZX_OBJECT_SIGNALED;
    /// This one of the pair is set.
    pub const ZX_EVENTPAIR_SIGNALED: zx_signals_t = __ZX_OBJECT_SIGNALED;
    /// The other one of the pair is gone.
    pub const ZX_EVENTPAIR_PEER_CLOSED: zx_signals_t = __ZX_OBJECT_PEER_CLOSED;
    /// All that one of an event pair can show.
    pub const ZX_EVENTPAIR_SIGNAL_MASK: zx_signals_t =
        ZX_USER_SIGNAL_ALL | __ZX_OBJECT_SIGNALED | __ZX_OBJECT_PEER_CLOSED;
    /// The VMO has no children.
    pub const ZX_VMO_ZERO_CHILDREN: zx_signals_t = __ZX_OBJECT_SIGNALED;
    /// The timer's time has come.
    pub const ZX_TIMER_SIGNALED: zx_signals_t = __ZX_OBJECT_SIGNALED;
    /// The task has ended.
    pub const ZX_TASK_TERMINATED: zx_signals_t = __ZX_OBJECT_SIGNALED;
    /// The process has ended.
    pub const ZX_PROCESS_TERMINATED: zx_signals_t = __ZX_OBJECT_SIGNALED;
    /// The thread has ended.
    pub const ZX_THREAD_TERMINATED: zx_signals_t = __ZX_OBJECT_SIGNALED;
    /// The job has ended.
    pub const ZX_JOB_TERMINATED: zx_signals_t = __ZX_OBJECT_SIGNALED;
}

const _: () = {
    assert!(ZX_EVENT_SIGNAL_MASK == 0xff00_0008);
    assert!(ZX_EVENTPAIR_SIGNAL_MASK == 0xff00_000c);
    assert!(ZX_USER_SIGNAL_ALL == !__ZX_OBJECT_SIGNAL_ALL);
};
