//! Everything this crate declares, by its C name: for comparing it with something that is not Rust.
//!
//! The tables are made by the macros that declare the items, so nothing can be missing from them.

use crate::{
    errors, info, info_kmem, info_maps, info_vmo, limits, objects, pager, port, property, rights, scalars, signals,
    string_view, system, topics, vm, vmo, wait,
};

/// An integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scalar {
    /// Its name.
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// Whether it has negative values.
    pub signed: bool,
}

/// An integer constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// Its type: one of [`scalars`], or a Rust integer type.
    pub repr: &'static str,
    /// Its value.
    pub value: i128,
}

/// A field of a [`Record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name in C; a path where the field is inside a C union.
    pub name: &'static str,
    /// Bytes from the start of the record.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
}

/// A structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// In order of offset.
    pub fields: &'static [Field],
}

/// All integer types.
pub fn scalars() -> impl Iterator<Item = &'static Scalar> {
    scalars::SCALARS.iter()
}

/// All integer constants.
pub fn constants() -> impl Iterator<Item = &'static Constant> {
    [
        errors::CONSTANTS,
        info::CONSTANTS,
        info_maps::CONSTANTS,
        info_vmo::CONSTANTS,
        limits::CONSTANTS,
        objects::CONSTANTS,
        pager::CONSTANTS,
        port::CONSTANTS,
        property::CONSTANTS,
        rights::CONSTANTS,
        signals::CONSTANTS,
        system::CONSTANTS,
        topics::CONSTANTS,
        vm::CONSTANTS,
        vmo::CONSTANTS,
    ]
    .into_iter()
    .flatten()
}

/// All records.
pub fn records() -> impl Iterator<Item = &'static Record> {
    [
        info::RECORDS,
        info_kmem::RECORDS,
        info_maps::RECORDS,
        info_vmo::RECORDS,
        pager::RECORDS,
        port::RECORDS,
        string_view::RECORDS,
        vmo::RECORDS,
        wait::RECORDS,
    ]
    .into_iter()
    .flatten()
}
