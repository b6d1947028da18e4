//! Status codes as numbers. The list stands here once: the C names, the names in [`Status`](crate::Status) and
//! [`status_name`] are made from it.

use core::ffi::CStr;

use crate::scalars::zx_status_t;

/// Hands the list `NAME_IN_STATUS = C_NAME = value` to the macro named.
macro_rules! for_each_status {
    ($then:ident) => {
        $then! {
            /// It worked.
            OK = ZX_OK = 0;
            /// Something the system did not foresee went wrong.
            INTERNAL = ZX_ERR_INTERNAL = -1;
            /// This object, option or build does not do that.
            NOT_SUPPORTED = ZX_ERR_NOT_SUPPORTED = -2;
            /// A resource other than memory has run out.
            NO_RESOURCES = ZX_ERR_NO_RESOURCES = -3;
            /// There is not enough memory.
            NO_MEMORY = ZX_ERR_NO_MEMORY = -4;
            /// A wait was interrupted and is to be tried again. No system call returns it.
            INTERRUPTED_RETRY = ZX_ERR_INTERNAL_INTR_RETRY = -6;
            /// An argument makes no sense.
            INVALID_ARGS = ZX_ERR_INVALID_ARGS = -10;
            /// No such handle.
            BAD_HANDLE = ZX_ERR_BAD_HANDLE = -11;
            /// The handle is to an object of another type.
            WRONG_TYPE = ZX_ERR_WRONG_TYPE = -12;
            /// No such system call.
            BAD_SYSCALL = ZX_ERR_BAD_SYSCALL = -13;
            /// A number is outside what this object has.
            OUT_OF_RANGE = ZX_ERR_OUT_OF_RANGE = -14;
            /// The caller's buffer is too small.
            BUFFER_TOO_SMALL = ZX_ERR_BUFFER_TOO_SMALL = -15;
            /// The object is not in a state that allows this.
            BAD_STATE = ZX_ERR_BAD_STATE = -20;
            /// The deadline came first.
            TIMED_OUT = ZX_ERR_TIMED_OUT = -21;
            /// It cannot be done now; a wait will tell when it can.
            SHOULD_WAIT = ZX_ERR_SHOULD_WAIT = -22;
            /// It was called off, by a closed handle for one.
            CANCELED = ZX_ERR_CANCELED = -23;
            /// The other end is gone.
            PEER_CLOSED = ZX_ERR_PEER_CLOSED = -24;
            /// What was looked for is not there.
            NOT_FOUND = ZX_ERR_NOT_FOUND = -25;
            /// It is there already.
            ALREADY_EXISTS = ZX_ERR_ALREADY_EXISTS = -26;
            /// It belongs to another already.
            ALREADY_BOUND = ZX_ERR_ALREADY_BOUND = -27;
            /// Whatever does this is not there at present.
            UNAVAILABLE = ZX_ERR_UNAVAILABLE = -28;
            /// The handle lacks a right, or the caller may not.
            ACCESS_DENIED = ZX_ERR_ACCESS_DENIED = -30;
            /// Input or output failed.
            IO = ZX_ERR_IO = -40;
            /// The device refused.
            IO_REFUSED = ZX_ERR_IO_REFUSED = -41;
            /// Data was read that fails its check.
            IO_DATA_INTEGRITY = ZX_ERR_IO_DATA_INTEGRITY = -42;
            /// Data is lost.
            IO_DATA_LOSS = ZX_ERR_IO_DATA_LOSS = -43;
            /// The device is not there any more.
            IO_NOT_PRESENT = ZX_ERR_IO_NOT_PRESENT = -44;
            /// More came in than could be taken.
            IO_OVERRUN = ZX_ERR_IO_OVERRUN = -45;
            /// The device did not answer in time.
            IO_MISSED_DEADLINE = ZX_ERR_IO_MISSED_DEADLINE = -46;
            /// The device cannot do this.
            IO_INVALID = ZX_ERR_IO_INVALID = -47;
            /// The path is malformed.
            BAD_PATH = ZX_ERR_BAD_PATH = -50;
            /// A directory was expected.
            NOT_DIR = ZX_ERR_NOT_DIR = -51;
            /// A regular file was expected.
            NOT_FILE = ZX_ERR_NOT_FILE = -52;
            /// The file would be too large.
            FILE_BIG = ZX_ERR_FILE_BIG = -53;
            /// The device is full.
            NO_SPACE = ZX_ERR_NO_SPACE = -54;
            /// The directory still holds something.
            NOT_EMPTY = ZX_ERR_NOT_EMPTY = -55;
            /// A callback says: no more. No system call returns it.
            STOP = ZX_ERR_STOP = -60;
            /// A callback says: go on. No system call returns it.
            NEXT = ZX_ERR_NEXT = -61;
            /// The answer will come later. No system call returns it.
            ASYNC = ZX_ERR_ASYNC = -62;
            /// The protocol is not known here.
            PROTOCOL_NOT_SUPPORTED = ZX_ERR_PROTOCOL_NOT_SUPPORTED = -70;
            /// No way leads to that address.
            ADDRESS_UNREACHABLE = ZX_ERR_ADDRESS_UNREACHABLE = -71;
            /// The address is taken.
            ADDRESS_IN_USE = ZX_ERR_ADDRESS_IN_USE = -72;
            /// The socket is not connected.
            NOT_CONNECTED = ZX_ERR_NOT_CONNECTED = -73;
            /// The other side turned the connection down.
            CONNECTION_REFUSED = ZX_ERR_CONNECTION_REFUSED = -74;
            /// The other side broke the connection off.
            CONNECTION_RESET = ZX_ERR_CONNECTION_RESET = -75;
            /// The connection was given up.
            CONNECTION_ABORTED = ZX_ERR_CONNECTION_ABORTED = -76;
        }
    };
}
pub(crate) use for_each_status;

macro_rules! declare {
    ($( $(#[$meta:meta])* $name:ident = $c_name:ident = $value:literal; )*) => {
        constants! {
            $( $(#[$meta])* pub const $c_name: zx_status_t = $value; )*
            /// The thread is being killed. Never seen outside a kernel; [`Status`](crate::Status) has no name for it.
            pub const ZX_ERR_INTERNAL_INTR_KILLED: zx_status_t = -502;
        }

        /// The C name of a status code, such as `ZX_ERR_NO_MEMORY`; `(UNKNOWN)` for a number that has none.
        pub const fn status_name(raw: zx_status_t) -> &'static CStr {
            match raw {
                $( $c_name => c_string(concat!(stringify!($c_name), "\0")), )*
                ZX_ERR_INTERNAL_INTR_KILLED => c"ZX_ERR_INTERNAL_INTR_KILLED",
                _ => c"(UNKNOWN)",
            }
        }
    };
}
for_each_status!(declare);

const fn c_string(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("not a C string"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_value_and_its_own_name() {
        let values: HashSet<_> = CONSTANTS.iter().map(|c| c.value).collect();
        assert_eq!(values.len(), CONSTANTS.len());
        for constant in CONSTANTS {
            assert_eq!(status_name(constant.value as zx_status_t).to_str(), Ok(constant.name));
        }
    }

    #[test]
    fn retired_and_unused_numbers_have_no_name() {
        for raw in [-5, -7, -29, -77, -501, 1, i32::MIN, i32::MAX] {
            assert_eq!(status_name(raw), c"(UNKNOWN)");
        }
    }
}
