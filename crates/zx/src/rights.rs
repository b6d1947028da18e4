//! [`Rights`]: what a handle lets its holder do.

use crate::sys;

flags! {
    /// A set of rights. Every call checks those of the handle it is given.
    pub struct Rights: sys::zx_rights_t {
        /// None.
        const NONE = sys::ZX_RIGHT_NONE;
        /// Make another handle to the object.
        const DUPLICATE = sys::ZX_RIGHT_DUPLICATE;
        /// Send the handle to another process.
        const TRANSFER = sys::ZX_RIGHT_TRANSFER;
        /// Read the content; map it readable.
        const READ = sys::ZX_RIGHT_READ;
        /// Change the content; map it writable.
        const WRITE = sys::ZX_RIGHT_WRITE;
        /// Map it executable.
        const EXECUTE = sys::ZX_RIGHT_EXECUTE;
        /// Map it at all.
        const MAP = sys::ZX_RIGHT_MAP;
        /// Ask for a property.
        const GET_PROPERTY = sys::ZX_RIGHT_GET_PROPERTY;
        /// Set a property.
        const SET_PROPERTY = sys::ZX_RIGHT_SET_PROPERTY;
        /// List what is below the object, and get handles to it.
        const ENUMERATE = sys::ZX_RIGHT_ENUMERATE;
        /// Kill a task.
        const DESTROY = sys::ZX_RIGHT_DESTROY;
        /// Set a policy.
        const SET_POLICY = sys::ZX_RIGHT_SET_POLICY;
        /// Ask for a policy.
        const GET_POLICY = sys::ZX_RIGHT_GET_POLICY;
        /// Change the signals that are for programs to change.
        const SIGNAL = sys::ZX_RIGHT_SIGNAL;
        /// Change those of the peer.
        const SIGNAL_PEER = sys::ZX_RIGHT_SIGNAL_PEER;
        /// Wait for signals.
        const WAIT = sys::ZX_RIGHT_WAIT;
        /// Ask for information.
        const INSPECT = sys::ZX_RIGHT_INSPECT;
        /// Change a job.
        const MANAGE_JOB = sys::ZX_RIGHT_MANAGE_JOB;
        /// Change a process.
        const MANAGE_PROCESS = sys::ZX_RIGHT_MANAGE_PROCESS;
        /// Change a thread.
        const MANAGE_THREAD = sys::ZX_RIGHT_MANAGE_THREAD;
        /// Apply a profile.
        const APPLY_PROFILE = sys::ZX_RIGHT_APPLY_PROFILE;
        /// Change a socket.
        const MANAGE_SOCKET = sys::ZX_RIGHT_MANAGE_SOCKET;
        /// Act on the regions inside a VMAR.
        const OP_CHILDREN = sys::ZX_RIGHT_OP_CHILDREN;
        /// Change the size of a VMO.
        const RESIZE = sys::ZX_RIGHT_RESIZE;
        /// Give a pager VMOs, and take them away.
        const ATTACH_VMO = sys::ZX_RIGHT_ATTACH_VMO;
        /// Answer for the VMOs of a pager.
        const MANAGE_VMO = sys::ZX_RIGHT_MANAGE_VMO;
        /// As an argument: the rights of the old handle. No handle has it, and it goes with no other.
        const SAME_RIGHTS = sys::ZX_RIGHT_SAME_RIGHTS;

        /// What most objects have.
        const BASIC = sys::ZX_RIGHTS_BASIC;
        /// What goes with content.
        const IO = sys::ZX_RIGHTS_IO;
        /// What goes with properties.
        const PROPERTY = sys::ZX_RIGHTS_PROPERTY;
        /// What goes with policies.
        const POLICY = sys::ZX_RIGHTS_POLICY;
        /// What every resource has.
        const RESOURCE_BASIC =
            sys::ZX_RIGHT_TRANSFER | sys::ZX_RIGHT_DUPLICATE | sys::ZX_RIGHT_WRITE | sys::ZX_RIGHT_INSPECT;
        /// A new channel.
        const CHANNEL_DEFAULT = (sys::ZX_RIGHTS_BASIC & !sys::ZX_RIGHT_DUPLICATE)
            | sys::ZX_RIGHTS_IO
            | sys::ZX_RIGHT_SIGNAL
            | sys::ZX_RIGHT_SIGNAL_PEER;
        /// A new VMO, which has `RESIZE` besides if it is resizable.
        const VMO_DEFAULT = sys::ZX_DEFAULT_VMO_RIGHTS;
    }
}

const _: () = assert!(Rights::VMO_DEFAULT.bits() == 0xD0EF);
