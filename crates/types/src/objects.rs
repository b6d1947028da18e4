//! Object types.

use crate::scalars::zx_obj_type_t;

constants! {
    /// No object.
    pub const ZX_OBJ_TYPE_NONE: zx_obj_type_t = 0;
    /// A process.
    pub const ZX_OBJ_TYPE_PROCESS: zx_obj_type_t = 1;
    /// A thread.
    pub const ZX_OBJ_TYPE_THREAD: zx_obj_type_t = 2;
    /// Memory.
    pub const ZX_OBJ_TYPE_VMO: zx_obj_type_t = 3;
    /// One end of a channel.
    pub const ZX_OBJ_TYPE_CHANNEL: zx_obj_type_t = 4;
    /// An event.
    pub const ZX_OBJ_TYPE_EVENT: zx_obj_type_t = 5;
    /// A queue of packets.
    pub const ZX_OBJ_TYPE_PORT: zx_obj_type_t = 6;
    /// An interrupt.
    pub const ZX_OBJ_TYPE_INTERRUPT: zx_obj_type_t = 9;
    /// A PCI device.
    pub const ZX_OBJ_TYPE_PCI_DEVICE: zx_obj_type_t = 11;
    /// The kernel's log.
    pub const ZX_OBJ_TYPE_DEBUGLOG: zx_obj_type_t = 12;
    /// The old name of `DEBUGLOG`.
    pub const ZX_OBJ_TYPE_LOG: zx_obj_type_t = ZX_OBJ_TYPE_DEBUGLOG;
    /// One end of a socket.
    pub const ZX_OBJ_TYPE_SOCKET: zx_obj_type_t = 14;
    /// A permission for something scarce.
    pub const ZX_OBJ_TYPE_RESOURCE: zx_obj_type_t = 15;
    /// One of two linked events.
    pub const ZX_OBJ_TYPE_EVENTPAIR: zx_obj_type_t = 16;
    /// A group of processes.
    pub const ZX_OBJ_TYPE_JOB: zx_obj_type_t = 17;
    /// A region of address space.
    pub const ZX_OBJ_TYPE_VMAR: zx_obj_type_t = 18;
    /// One end of a FIFO.
    pub const ZX_OBJ_TYPE_FIFO: zx_obj_type_t = 19;
    /// A virtual machine.
    pub const ZX_OBJ_TYPE_GUEST: zx_obj_type_t = 20;
    /// A processor of a virtual machine.
    pub const ZX_OBJ_TYPE_VCPU: zx_obj_type_t = 21;
    /// A timer.
    pub const ZX_OBJ_TYPE_TIMER: zx_obj_type_t = 22;
    /// An IOMMU.
    pub const ZX_OBJ_TYPE_IOMMU: zx_obj_type_t = 23;
    /// A device's way to start bus transactions.
    pub const ZX_OBJ_TYPE_BTI: zx_obj_type_t = 24;
    /// A scheduling profile.
    pub const ZX_OBJ_TYPE_PROFILE: zx_obj_type_t = 25;
    /// Memory pinned for a device.
    pub const ZX_OBJ_TYPE_PMT: zx_obj_type_t = 26;
    /// What keeps a task suspended.
    pub const ZX_OBJ_TYPE_SUSPEND_TOKEN: zx_obj_type_t = 27;
    /// A program's own source of pages.
    pub const ZX_OBJ_TYPE_PAGER: zx_obj_type_t = 28;
    /// An exception being handled.
    pub const ZX_OBJ_TYPE_EXCEPTION: zx_obj_type_t = 29;
    /// A clock.
    pub const ZX_OBJ_TYPE_CLOCK: zx_obj_type_t = 30;
    /// A position in a VMO.
    pub const ZX_OBJ_TYPE_STREAM: zx_obj_type_t = 31;
    /// A block of message-signalled interrupts.
    pub const ZX_OBJ_TYPE_MSI: zx_obj_type_t = 32;
    /// One end of a shared I/O buffer.
    pub const ZX_OBJ_TYPE_IOB: zx_obj_type_t = 33;
    /// A counter.
    pub const ZX_OBJ_TYPE_COUNTER: zx_obj_type_t = 34;
    /// Memory shared by several I/O buffers.
    pub const ZX_OBJ_TYPE_IOB_SHARED_REGION: zx_obj_type_t = 35;
    /// Every type is below this.
    pub const ZX_OBJ_TYPE_UPPER_BOUND: zx_obj_type_t = 64;
}
