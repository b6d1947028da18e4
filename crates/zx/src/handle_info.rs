//! What any handle tells about itself and its object.

use crate::koid::Koid;
use crate::object_type::ObjectType;
use crate::rights::Rights;
use crate::sys;

/// A handle, and the object it refers to.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq)]
pub struct HandleBasicInfo {
    /// The object.
    pub koid: Koid,
    /// What this handle allows. Rights that this crate does not know are left out.
    pub rights: Rights,
    /// The object's type.
    pub object_type: ObjectType,
    /// The peer of an event pair, the job of a process; 0 for other types.
    pub related_koid: Koid,
}

impl From<sys::zx_info_handle_basic_t> for HandleBasicInfo {
    fn from(info: sys::zx_info_handle_basic_t) -> Self {
        Self {
            koid: Koid::from_raw(info.koid),
            rights: Rights::from_bits_truncate(info.rights),
            object_type: ObjectType::from_raw(info.r#type),
            related_koid: Koid::from_raw(info.related_koid),
        }
    }
}

/// How many handles an object has.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq)]
pub struct HandleCountInfo {
    /// The number. Mappings and children are not handles.
    pub handle_count: u32,
}

impl From<sys::zx_info_handle_count_t> for HandleCountInfo {
    fn from(info: sys::zx_info_handle_count_t) -> Self {
        Self { handle_count: info.handle_count }
    }
}
