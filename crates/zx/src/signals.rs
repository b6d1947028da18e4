//! [`Signals`]: 32 bits in every object that can be waited for.
//!
//! Bits 0 to 23 belong to the system and mean what the object's type makes of them; 24 to 31 are the program's.

use crate::sys;

flags! {
    /// A set of signals.
    pub struct Signals: sys::zx_signals_t {
        /// None.
        const NONE = sys::ZX_SIGNAL_NONE;
        /// All that belong to the system.
        const OBJECT_ALL = sys::__ZX_OBJECT_SIGNAL_ALL;
        /// All that are the program's.
        const USER_ALL = sys::ZX_USER_SIGNAL_ALL;
        /// Bit 0.
        const OBJECT_0 = 1 << 0;
        /// Bit 1.
        const OBJECT_1 = 1 << 1;
        /// Bit 2.
        const OBJECT_2 = 1 << 2;
        /// Bit 3.
        const OBJECT_3 = 1 << 3;
        /// Bit 4.
        const OBJECT_4 = 1 << 4;
        /// Bit 5.
        const OBJECT_5 = 1 << 5;
        /// Bit 6.
        const OBJECT_6 = 1 << 6;
        /// Bit 7.
        const OBJECT_7 = 1 << 7;
        /// Bit 8.
        const OBJECT_8 = 1 << 8;
        /// Bit 9.
        const OBJECT_9 = 1 << 9;
        /// Bit 10.
        const OBJECT_10 = 1 << 10;
        /// Bit 11.
        const OBJECT_11 = 1 << 11;
        /// Bit 12.
        const OBJECT_12 = 1 << 12;
        /// Bit 13.
        const OBJECT_13 = 1 << 13;
        /// Bit 14.
        const OBJECT_14 = 1 << 14;
        /// Bit 15.
        const OBJECT_15 = 1 << 15;
        /// Bit 16.
        const OBJECT_16 = 1 << 16;
        /// Bit 17.
        const OBJECT_17 = 1 << 17;
        /// Bit 18.
        const OBJECT_18 = 1 << 18;
        /// Bit 19.
        const OBJECT_19 = 1 << 19;
        /// Bit 20.
        const OBJECT_20 = 1 << 20;
        /// Bit 21.
        const OBJECT_21 = 1 << 21;
        /// Bit 22.
        const OBJECT_22 = 1 << 22;
        /// Means what the program makes of it.
        const USER_0 = sys::ZX_USER_SIGNAL_0;
        /// Means what the program makes of it.
        const USER_1 = sys::ZX_USER_SIGNAL_1;
        /// Means what the program makes of it.
        const USER_2 = sys::ZX_USER_SIGNAL_2;
        /// Means what the program makes of it.
        const USER_3 = sys::ZX_USER_SIGNAL_3;
        /// Means what the program makes of it.
        const USER_4 = sys::ZX_USER_SIGNAL_4;
        /// Means what the program makes of it.
        const USER_5 = sys::ZX_USER_SIGNAL_5;
        /// Means what the program makes of it.
        const USER_6 = sys::ZX_USER_SIGNAL_6;
        /// Means what the program makes of it.
        const USER_7 = sys::ZX_USER_SIGNAL_7;
        /// There is something to read.
        const OBJECT_READABLE = sys::__ZX_OBJECT_READABLE;
        /// There is room to write.
        const OBJECT_WRITABLE = sys::__ZX_OBJECT_WRITABLE;
        /// The other end is gone.
        const OBJECT_PEER_CLOSED = sys::__ZX_OBJECT_PEER_CLOSED;
        /// Only in the result of a wait that was cancelled: the handle was closed.
        const HANDLE_CLOSED = sys::ZX_SIGNAL_HANDLE_CLOSED;

        /// The event is set.
        const EVENT_SIGNALED = sys::ZX_EVENT_SIGNALED;
        /// This one of the pair is set.
        const EVENTPAIR_SIGNALED = sys::ZX_EVENTPAIR_SIGNALED;
        /// The other one of the pair is gone.
        const EVENTPAIR_PEER_CLOSED = sys::ZX_EVENTPAIR_PEER_CLOSED;
        /// The VMO has no children.
        const VMO_ZERO_CHILDREN = sys::ZX_VMO_ZERO_CHILDREN;
        /// The task has ended.
        const TASK_TERMINATED = sys::ZX_TASK_TERMINATED;
        /// The job has ended.
        const JOB_TERMINATED = sys::ZX_JOB_TERMINATED;
        /// The job has no jobs below it.
        const JOB_NO_JOBS = 1 << 4;
        /// The job has no processes.
        const JOB_NO_PROCESSES = 1 << 5;
        /// The process has ended.
        const PROCESS_TERMINATED = sys::ZX_PROCESS_TERMINATED;
        /// The thread has ended.
        const THREAD_TERMINATED = sys::ZX_THREAD_TERMINATED;
        /// The thread runs.
        const THREAD_RUNNING = 1 << 4;
        /// The thread is suspended.
        const THREAD_SUSPENDED = 1 << 5;
        /// The timer's time has come.
        const TIMER_SIGNALED = sys::ZX_TIMER_SIGNALED;

        /// The channel has a message.
        const CHANNEL_READABLE = sys::__ZX_OBJECT_READABLE;
        /// The channel takes messages.
        const CHANNEL_WRITABLE = sys::__ZX_OBJECT_WRITABLE;
        /// The other end of the channel is gone.
        const CHANNEL_PEER_CLOSED = sys::__ZX_OBJECT_PEER_CLOSED;
        /// The clock has been set once.
        const CLOCK_STARTED = 1 << 4;
        /// The clock has been set.
        const CLOCK_UPDATED = 1 << 5;
        /// The counter is at zero or below.
        const COUNTER_NON_POSITIVE = 1 << 4;
        /// The counter is above zero.
        const COUNTER_POSITIVE = 1 << 5;
        /// The socket has data.
        const SOCKET_READABLE = sys::__ZX_OBJECT_READABLE;
        /// The socket takes data.
        const SOCKET_WRITABLE = sys::__ZX_OBJECT_WRITABLE;
        /// The other end of the socket is gone.
        const SOCKET_PEER_CLOSED = sys::__ZX_OBJECT_PEER_CLOSED;
        /// The other end of the socket does not write any more.
        const SOCKET_PEER_WRITE_DISABLED = 1 << 4;
        /// This end of the socket cannot write any more.
        const SOCKET_WRITE_DISABLED = 1 << 5;
        /// The socket has as much data as was asked for.
        const SOCKET_READ_THRESHOLD = 1 << 10;
        /// The socket has as much room as was asked for.
        const SOCKET_WRITE_THRESHOLD = 1 << 11;
        /// The FIFO has entries.
        const FIFO_READABLE = sys::__ZX_OBJECT_READABLE;
        /// The FIFO takes entries.
        const FIFO_WRITABLE = sys::__ZX_OBJECT_WRITABLE;
        /// The other end of the FIFO is gone.
        const FIFO_PEER_CLOSED = sys::__ZX_OBJECT_PEER_CLOSED;
        /// The other end of the I/O buffer is gone.
        const IOB_PEER_CLOSED = sys::__ZX_OBJECT_PEER_CLOSED;
        /// Something was written to the region that I/O buffers share.
        const IOB_SHARED_REGION_UPDATED = sys::__ZX_OBJECT_SIGNALED;
        /// The log has entries.
        const LOG_READABLE = sys::__ZX_OBJECT_READABLE;
        /// The log takes entries.
        const LOG_WRITABLE = sys::__ZX_OBJECT_WRITABLE;
        /// The virtual interrupt is not triggered.
        const VIRTUAL_INTERRUPT_UNTRIGGERED = 1 << 4;
    }
}
