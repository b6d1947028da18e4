//! Object types: the Rust types of handles, all made by one macro, and [`ObjectType`], their numbers.

use crate::sys;

assoc_values! {
    /// What kind of object a handle refers to.
    pub struct ObjectType(sys::zx_obj_type_t) {
        /// No object.
        NONE = sys::ZX_OBJ_TYPE_NONE;
        /// A process.
        PROCESS = sys::ZX_OBJ_TYPE_PROCESS;
        /// A thread.
        THREAD = sys::ZX_OBJ_TYPE_THREAD;
        /// Memory.
        VMO = sys::ZX_OBJ_TYPE_VMO;
        /// One end of a channel.
        CHANNEL = sys::ZX_OBJ_TYPE_CHANNEL;
        /// An event.
        EVENT = sys::ZX_OBJ_TYPE_EVENT;
        /// A queue of packets.
        PORT = sys::ZX_OBJ_TYPE_PORT;
        /// An interrupt.
        INTERRUPT = sys::ZX_OBJ_TYPE_INTERRUPT;
        /// A PCI device.
        PCI_DEVICE = sys::ZX_OBJ_TYPE_PCI_DEVICE;
        /// The kernel's log.
        DEBUGLOG = sys::ZX_OBJ_TYPE_DEBUGLOG;
        /// One end of a socket.
        SOCKET = sys::ZX_OBJ_TYPE_SOCKET;
        /// A permission for something scarce.
        RESOURCE = sys::ZX_OBJ_TYPE_RESOURCE;
        /// One of two linked events.
        EVENTPAIR = sys::ZX_OBJ_TYPE_EVENTPAIR;
        /// A group of processes.
        JOB = sys::ZX_OBJ_TYPE_JOB;
        /// A region of address space.
        VMAR = sys::ZX_OBJ_TYPE_VMAR;
        /// One end of a FIFO.
        FIFO = sys::ZX_OBJ_TYPE_FIFO;
        /// A virtual machine.
        GUEST = sys::ZX_OBJ_TYPE_GUEST;
        /// A processor of a virtual machine.
        VCPU = sys::ZX_OBJ_TYPE_VCPU;
        /// A timer.
        TIMER = sys::ZX_OBJ_TYPE_TIMER;
        /// An IOMMU.
        IOMMU = sys::ZX_OBJ_TYPE_IOMMU;
        /// A device's way to start bus transactions.
        BTI = sys::ZX_OBJ_TYPE_BTI;
        /// A scheduling profile.
        PROFILE = sys::ZX_OBJ_TYPE_PROFILE;
        /// Memory pinned for a device.
        PMT = sys::ZX_OBJ_TYPE_PMT;
        /// What keeps a task suspended.
        SUSPEND_TOKEN = sys::ZX_OBJ_TYPE_SUSPEND_TOKEN;
        /// A program's own source of pages.
        PAGER = sys::ZX_OBJ_TYPE_PAGER;
        /// An exception being handled.
        EXCEPTION = sys::ZX_OBJ_TYPE_EXCEPTION;
        /// A clock.
        CLOCK = sys::ZX_OBJ_TYPE_CLOCK;
        /// A position in a VMO.
        STREAM = sys::ZX_OBJ_TYPE_STREAM;
        /// A block of message-signalled interrupts.
        MSI = sys::ZX_OBJ_TYPE_MSI;
        /// One end of a shared I/O buffer.
        IOB = sys::ZX_OBJ_TYPE_IOB;
        /// A counter.
        COUNTER = sys::ZX_OBJ_TYPE_COUNTER;
        /// Memory shared by several I/O buffers.
        IOB_SHARED_REGION = sys::ZX_OBJ_TYPE_IOB_SHARED_REGION;
    }
}

/// Gives a handle type the methods that go to the object and leave the handle as it is.
macro_rules! common_methods {
    ($name:ident) => {
        impl $name {
            /// This handle, borrowed, as one of no particular type.
            pub fn as_handle_ref(&self) -> $crate::HandleRef<'_> {
                $crate::HandleRef::borrow_raw(self.raw_handle())
            }

            /// Clears, then sets signals of the object. See [`NullableHandle::signal`](crate::NullableHandle::signal).
            pub fn signal(&self, clear_mask: $crate::Signals, set_mask: $crate::Signals) -> Result<(), $crate::Status> {
                $crate::NullableHandle::signal(&self.as_handle_ref(), clear_mask, set_mask)
            }

            /// Waits for any of `signals`. See [`NullableHandle::wait_one`](crate::NullableHandle::wait_one).
            pub fn wait_one(&self, signals: $crate::Signals, deadline: $crate::MonotonicInstant) -> $crate::WaitResult {
                $crate::NullableHandle::wait_one(&self.as_handle_ref(), signals, deadline)
            }

            /// A packet in `port` for any of `signals`. See [`NullableHandle::wait_async`](crate::NullableHandle::wait_async).
            pub fn wait_async(
                &self,
                port: &$crate::Port,
                key: u64,
                signals: $crate::Signals,
                options: $crate::WaitAsyncOpts,
            ) -> Result<(), $crate::Status> {
                $crate::NullableHandle::wait_async(&self.as_handle_ref(), port, key, signals, options)
            }

            /// An item for [`object_wait_many`](crate::object_wait_many) that waits for any of `signals` here.
            pub fn wait_item(&self, signals: $crate::Signals) -> $crate::WaitItem<'_> {
                $crate::WaitItem::new(self.as_handle_ref(), signals)
            }

            /// The object's name. See [`NullableHandle::get_name`](crate::NullableHandle::get_name).
            pub fn get_name(&self) -> Result<$crate::Name, $crate::Status> {
                $crate::NullableHandle::get_name(&self.as_handle_ref())
            }

            /// Renames the object. See [`NullableHandle::set_name`](crate::NullableHandle::set_name).
            pub fn set_name(&self, name: &$crate::Name) -> Result<(), $crate::Status> {
                $crate::NullableHandle::set_name(&self.as_handle_ref(), name)
            }

            /// Koid, type and rights. See [`NullableHandle::basic_info`](crate::NullableHandle::basic_info).
            pub fn basic_info(&self) -> Result<$crate::HandleBasicInfo, $crate::Status> {
                $crate::NullableHandle::basic_info(&self.as_handle_ref())
            }

            /// How many handles the object has. See [`NullableHandle::count_info`](crate::NullableHandle::count_info).
            pub fn count_info(&self) -> Result<$crate::HandleCountInfo, $crate::Status> {
                $crate::NullableHandle::count_info(&self.as_handle_ref())
            }

            /// The object's number. See [`NullableHandle::koid`](crate::NullableHandle::koid).
            pub fn koid(&self) -> Result<$crate::Koid, $crate::Status> {
                $crate::NullableHandle::koid(&self.as_handle_ref())
            }
        }

        impl $crate::AsHandleRef for $name {
            fn as_handle_ref(&self) -> $crate::HandleRef<'_> {
                $name::as_handle_ref(self)
            }
        }
    };
}

/// Declares the Rust type of an object: a [`NullableHandle`](crate::NullableHandle) that is meant to be of that type.
/// Nothing checks that it is; a call on another type of object gives `WRONG_TYPE`.
macro_rules! object_type {
    ($(#[$meta:meta])* pub struct $name:ident;) => {
        $(#[$meta])*
        #[derive(Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
        #[repr(transparent)]
        pub struct $name($crate::NullableHandle);

        impl $name {
            /// The handle's number; 0 if it is invalid. This object keeps it.
            pub const fn raw_handle(&self) -> $crate::sys::zx_handle_t {
                self.0.raw_handle()
            }

            /// The handle's number, to be closed by the caller.
            pub fn into_raw(self) -> $crate::sys::zx_handle_t {
                self.0.into_raw()
            }

            /// The handle without its type.
            pub fn into_handle(self) -> $crate::NullableHandle {
                self.0
            }

            /// Another handle to the same object. See
            /// [`NullableHandle::duplicate_handle`](crate::NullableHandle::duplicate_handle).
            pub fn duplicate_handle(&self, rights: $crate::Rights) -> Result<Self, $crate::Status> {
                self.0.duplicate_handle(rights).map(Self)
            }

            /// The same as [`duplicate_handle`](Self::duplicate_handle).
            pub fn duplicate(&self, rights: $crate::Rights) -> Result<Self, $crate::Status> {
                self.duplicate_handle(rights)
            }

            /// Another handle in place of this one. See
            /// [`NullableHandle::replace_handle`](crate::NullableHandle::replace_handle).
            pub fn replace_handle(self, rights: $crate::Rights) -> Result<Self, $crate::Status> {
                self.0.replace_handle(rights).map(Self)
            }

            /// The same as [`replace_handle`](Self::replace_handle).
            pub fn replace(self, rights: $crate::Rights) -> Result<Self, $crate::Status> {
                self.replace_handle(rights)
            }
        }

        common_methods!($name);

        impl From<$crate::NullableHandle> for $name {
            /// Unchecked: a handle to another type of object gives `WRONG_TYPE` when it is used.
            fn from(handle: $crate::NullableHandle) -> Self {
                Self(handle)
            }
        }

        impl From<$crate::Handle> for $name {
            /// Unchecked, as from a `NullableHandle`.
            fn from(handle: $crate::Handle) -> Self {
                Self(handle.into())
            }
        }

        impl From<$name> for $crate::NullableHandle {
            fn from(object: $name) -> Self {
                object.0
            }
        }

        impl $crate::HandleBased for $name {}
    };
}
