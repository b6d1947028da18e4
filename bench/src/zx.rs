//! The same on zxvm.

use zxvm_host::user::{UserRef, UserSlice};
use zxvm_syscall::Kernel;
use zxvm_types::*;

use crate::raw::P;

/// What mappings are made with.
pub const RW: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;

/// The engine of this process.
pub fn kernel() -> &'static Kernel {
    Kernel::current().expect("zxvm runs here")
}

/// A VMO of so many pages.
pub fn vmo(pages: usize) -> zx_handle_t {
    let mut handle = 0;
    kernel().vmo_create((pages * P) as u64, 0, &mut handle).unwrap();
    handle
}

/// So many VMOs of so many pages, mapped one behind the other in a VMAR of their own.
pub struct Mapped {
    /// The VMAR.
    pub vmar: zx_handle_t,
    /// The VMOs.
    pub vmos: Vec<zx_handle_t>,
    /// The address of the first.
    pub base: usize,
    /// Bytes mapped.
    pub len: usize,
}

impl Mapped {
    /// Maps them.
    pub fn new(count: usize, pages: usize) -> Self {
        let k = kernel();
        let len = count * pages * P;
        let can = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC;
        let (mut vmar, mut base) = (0, 0);
        k.vmar_allocate(k.vmar_root_self(), can, 0, len, &mut vmar, &mut base).unwrap();
        let map = |index: usize| {
            let vmo = vmo(pages);
            let at = index * pages * P;
            k.vmar_map(vmar, RW | ZX_VM_SPECIFIC, at, vmo, 0, pages * P, None::<&mut usize>).unwrap();
            vmo
        };
        Self { vmar, vmos: (0..count).map(map).collect(), base, len }
    }

    /// `zx_vmar_op_range` on everything.
    pub fn op(&self, op: u32) {
        kernel().vmar_op_range(self.vmar, op, self.base, self.len, 0, 0).unwrap();
    }

    /// `zx_vmar_protect` of everything.
    pub fn protect(&self, options: u32) {
        kernel().vmar_protect(self.vmar, options, self.base, self.len).unwrap();
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        kernel().vmar_destroy(self.vmar).unwrap();
        kernel().handle_close(self.vmar).unwrap();
        kernel().handle_close_many(&self.vmos).unwrap();
    }
}

/// `zx_vmo_read`.
pub fn read(vmo: zx_handle_t, to: &mut [u8]) {
    kernel().vmo_read(vmo, UserSlice::from(to), 0).unwrap();
}

/// `zx_vmo_write`.
pub fn write(vmo: zx_handle_t, from: &[u8]) {
    kernel().vmo_write(vmo, UserRef::from(from), 0).unwrap();
}
