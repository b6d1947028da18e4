//! Pagers as handles see them.

use std::sync::Arc;

use zxvm_types::zx_koid_t;
use zxvm_vm::lock::assert_none_held;
use zxvm_vm::{AddressSpace, Pager};

use crate::object::{Base, Based};

/// A pager as handles see it. When its last handle goes, its VMOs have nobody to ask any more.
#[derive(Debug)]
pub struct PagerObject {
    base: Base,
    pager: Arc<Pager>,
    space: Arc<AddressSpace>,
}

impl PagerObject {
    /// For a pager of VMOs that are mapped in `space`. Nobody has handles to it yet.
    pub fn new(koid: zx_koid_t, pager: Arc<Pager>, space: Arc<AddressSpace>) -> Self {
        Self { base: Base::new(koid, 0), pager, space }
    }

    /// The pager.
    pub fn pager(&self) -> &Arc<Pager> {
        &self.pager
    }

    pub(crate) fn last_handle_gone(&self) {
        assert_none_held();
        self.space.close_pager(&self.pager);
    }
}

impl Based for PagerObject {
    fn base(&self) -> &Base {
        &self.base
    }
}
