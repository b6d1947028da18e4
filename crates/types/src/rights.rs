//! Rights: what a handle lets its holder do.

use crate::scalars::zx_rights_t;

constants! {
    /// No right.
    pub const ZX_RIGHT_NONE: zx_rights_t = 0;
    /// Make another handle to the object.
    pub const ZX_RIGHT_DUPLICATE: zx_rights_t = 1 << 0;
    /// Send the handle to another process.
    pub const ZX_RIGHT_TRANSFER: zx_rights_t = 1 << 1;
    /// Read the content; map it readable.
    pub const ZX_RIGHT_READ: zx_rights_t = 1 << 2;
    /// Change the content; map it writable.
    pub const ZX_RIGHT_WRITE: zx_rights_t = 1 << 3;
    /// Map it executable.
    pub const ZX_RIGHT_EXECUTE: zx_rights_t = 1 << 4;
    /// Map it at all.
    pub const ZX_RIGHT_MAP: zx_rights_t = 1 << 5;
    /// Ask for a property.
    pub const ZX_RIGHT_GET_PROPERTY: zx_rights_t = 1 << 6;
    /// Set a property.
    pub const ZX_RIGHT_SET_PROPERTY: zx_rights_t = 1 << 7;
    /// List what is below the object, and get handles to it.
    pub const ZX_RIGHT_ENUMERATE: zx_rights_t = 1 << 8;
    /// Kill a task.
    pub const ZX_RIGHT_DESTROY: zx_rights_t = 1 << 9;
    /// Set a policy.
    pub const ZX_RIGHT_SET_POLICY: zx_rights_t = 1 << 10;
    /// Ask for a policy.
    pub const ZX_RIGHT_GET_POLICY: zx_rights_t = 1 << 11;
    /// Change the user signals.
    pub const ZX_RIGHT_SIGNAL: zx_rights_t = 1 << 12;
    /// Change the user signals of the peer.
    pub const ZX_RIGHT_SIGNAL_PEER: zx_rights_t = 1 << 13;
    /// Wait for signals.
    pub const ZX_RIGHT_WAIT: zx_rights_t = 1 << 14;
    /// Ask for information.
    pub const ZX_RIGHT_INSPECT: zx_rights_t = 1 << 15;
    /// Change a job.
    pub const ZX_RIGHT_MANAGE_JOB: zx_rights_t = 1 << 16;
    /// Change a process.
    pub const ZX_RIGHT_MANAGE_PROCESS: zx_rights_t = 1 << 17;
    /// Change a thread.
    pub const ZX_RIGHT_MANAGE_THREAD: zx_rights_t = 1 << 18;
    /// Apply a profile.
    pub const ZX_RIGHT_APPLY_PROFILE: zx_rights_t = 1 << 19;
    /// Change a socket.
    pub const ZX_RIGHT_MANAGE_SOCKET: zx_rights_t = 1 << 20;
    /// Act on the regions inside a VMAR.
    pub const ZX_RIGHT_OP_CHILDREN: zx_rights_t = 1 << 21;
    /// Change the size of a VMO.
    pub const ZX_RIGHT_RESIZE: zx_rights_t = 1 << 22;
    /// Give a pager VMOs, and take them away.
    pub const ZX_RIGHT_ATTACH_VMO: zx_rights_t = 1 << 23;
    /// Answer for the VMOs of a pager.
    pub const ZX_RIGHT_MANAGE_VMO: zx_rights_t = 1 << 24;
    /// As an argument: the rights of the old handle. No handle has it.
    pub const ZX_RIGHT_SAME_RIGHTS: zx_rights_t = 1 << 31;

    /// What most objects have.
    pub const ZX_RIGHTS_BASIC: zx_rights_t =
        ZX_RIGHT_TRANSFER | ZX_RIGHT_DUPLICATE | ZX_RIGHT_WAIT | ZX_RIGHT_INSPECT;
    /// What goes with content.
    pub const ZX_RIGHTS_IO: zx_rights_t = ZX_RIGHT_READ | ZX_RIGHT_WRITE;
    /// What goes with properties.
    pub const ZX_RIGHTS_PROPERTY: zx_rights_t = ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_SET_PROPERTY;
    /// What goes with policies.
    pub const ZX_RIGHTS_POLICY: zx_rights_t = ZX_RIGHT_GET_POLICY | ZX_RIGHT_SET_POLICY;

    /// A new VMO, which has `RESIZE` besides if it is resizable.
    pub const ZX_DEFAULT_VMO_RIGHTS: zx_rights_t =
        ZX_RIGHTS_BASIC | ZX_RIGHTS_IO | ZX_RIGHTS_PROPERTY | ZX_RIGHT_MAP | ZX_RIGHT_SIGNAL;
    /// A new VMAR, which has `READ`, `WRITE` and `EXECUTE` besides as it was asked for.
    pub const ZX_DEFAULT_VMAR_RIGHTS: zx_rights_t = (ZX_RIGHTS_BASIC & !ZX_RIGHT_WAIT) | ZX_RIGHT_OP_CHILDREN;
    /// A new pager. It cannot be duplicated.
    pub const ZX_DEFAULT_PAGER_RIGHTS: zx_rights_t =
        ZX_RIGHT_INSPECT | ZX_RIGHT_TRANSFER | ZX_RIGHT_ATTACH_VMO | ZX_RIGHT_MANAGE_VMO;
    /// A new port.
    pub const ZX_DEFAULT_PORT_RIGHTS: zx_rights_t = (ZX_RIGHTS_BASIC & !ZX_RIGHT_WAIT) | ZX_RIGHTS_IO;
    /// A new event.
    pub const ZX_DEFAULT_EVENT_RIGHTS: zx_rights_t = ZX_RIGHTS_BASIC | ZX_RIGHT_SIGNAL;
    /// Each of a new event pair.
    pub const ZX_DEFAULT_EVENTPAIR_RIGHTS: zx_rights_t = ZX_DEFAULT_EVENT_RIGHTS | ZX_RIGHT_SIGNAL_PEER;
    /// An event of the system about memory.
    pub const ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS: zx_rights_t =
        ZX_RIGHT_WAIT | ZX_RIGHT_DUPLICATE | ZX_RIGHT_TRANSFER;
    /// A new process.
    pub const ZX_DEFAULT_PROCESS_RIGHTS: zx_rights_t = ZX_RIGHTS_BASIC
        | ZX_RIGHTS_IO
        | ZX_RIGHTS_PROPERTY
        | ZX_RIGHT_ENUMERATE
        | ZX_RIGHT_DESTROY
        | ZX_RIGHT_SIGNAL
        | ZX_RIGHT_MANAGE_PROCESS
        | ZX_RIGHT_MANAGE_THREAD;
    /// A new job.
    pub const ZX_DEFAULT_JOB_RIGHTS: zx_rights_t = ZX_DEFAULT_PROCESS_RIGHTS | ZX_RIGHTS_POLICY | ZX_RIGHT_MANAGE_JOB;
    /// A new thread.
    pub const ZX_DEFAULT_THREAD_RIGHTS: zx_rights_t = ZX_RIGHTS_BASIC
        | ZX_RIGHTS_IO
        | ZX_RIGHTS_PROPERTY
        | ZX_RIGHT_DESTROY
        | ZX_RIGHT_SIGNAL
        | ZX_RIGHT_MANAGE_THREAD;
    /// A new resource.
    pub const ZX_DEFAULT_RESOURCE_RIGHTS: zx_rights_t =
        ZX_RIGHT_TRANSFER | ZX_RIGHT_DUPLICATE | ZX_RIGHT_WRITE | ZX_RIGHT_INSPECT;
    /// A new BTI.
    pub const ZX_DEFAULT_BTI_RIGHTS: zx_rights_t =
        (ZX_RIGHTS_BASIC & !ZX_RIGHT_WAIT) | ZX_RIGHTS_IO | ZX_RIGHTS_PROPERTY | ZX_RIGHT_MAP;
    /// A new IOMMU.
    pub const ZX_DEFAULT_IOMMU_RIGHTS: zx_rights_t = ZX_RIGHTS_BASIC & !ZX_RIGHT_WAIT;
    /// A new PMT.
    pub const ZX_DEFAULT_PMT_RIGHTS: zx_rights_t = ZX_RIGHT_INSPECT;
    /// A new stream.
    pub const ZX_DEFAULT_STREAM_RIGHTS: zx_rights_t = ZX_RIGHTS_BASIC | ZX_RIGHTS_PROPERTY | ZX_RIGHT_SIGNAL;
}

const _: () = {
    assert!(ZX_RIGHTS_BASIC == 0xC003);
    assert!(ZX_RIGHTS_IO == 0xC);
    assert!(ZX_RIGHTS_PROPERTY == 0xC0);
    assert!(ZX_RIGHTS_POLICY == 0xC00);
    assert!(ZX_DEFAULT_VMO_RIGHTS == 0xD0EF);
    assert!(ZX_DEFAULT_VMAR_RIGHTS == 0x208003);
    assert!(ZX_DEFAULT_PAGER_RIGHTS == 0x1808002);
    assert!(ZX_DEFAULT_PORT_RIGHTS == 0x800F);
    assert!(ZX_DEFAULT_EVENT_RIGHTS == 0xD003);
    assert!(ZX_DEFAULT_EVENTPAIR_RIGHTS == 0xF003);
    assert!(ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS == 0x4003);
    assert!(ZX_DEFAULT_PROCESS_RIGHTS == 0x6D3CF);
    assert!(ZX_DEFAULT_JOB_RIGHTS == 0x7DFCF);
    assert!(ZX_DEFAULT_THREAD_RIGHTS == 0x4D2CF);
    assert!(ZX_DEFAULT_RESOURCE_RIGHTS == 0x800B);
    assert!(ZX_DEFAULT_BTI_RIGHTS == 0x80EF);
    assert!(ZX_DEFAULT_IOMMU_RIGHTS == 0x8003);
    assert!(ZX_DEFAULT_PMT_RIGHTS == 0x8000);
    assert!(ZX_DEFAULT_STREAM_RIGHTS == 0xD0C3);
};
