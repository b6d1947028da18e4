//! A string somewhere else. The one structure here that holds a pointer, and so is no plain data.

use core::ffi::c_char;
use core::mem::offset_of;

use crate::catalogue::{Field, Record};

/// A string: where it is and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct zx_string_view_t {
    /// Its first byte; `length` bytes further is a NUL.
    pub c_str: *const c_char,
    /// Bytes before that NUL.
    pub length: usize,
}

const _: () = assert!(
    size_of::<zx_string_view_t>() == 16
        && offset_of!(zx_string_view_t, c_str) == 0
        && offset_of!(zx_string_view_t, length) == 8
);

pub(crate) const RECORDS: &[Record] = &[Record {
    name: "zx_string_view_t",
    size: size_of::<zx_string_view_t>(),
    fields: &[Field { name: "c_str", offset: 0, size: 8 }, Field { name: "length", offset: 8, size: 8 }],
}];
