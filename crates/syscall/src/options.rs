//! `zx_vm_option_t`, decoded.

use zxvm_host::Prot;
use zxvm_types::*;

const PERMS: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
const CAN_MAP: u32 = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE;
const FLAGS: u32 = PERMS
    | CAN_MAP
    | ZX_VM_COMPACT
    | ZX_VM_SPECIFIC
    | ZX_VM_SPECIFIC_OVERWRITE
    | ZX_VM_CAN_MAP_SPECIFIC
    | ZX_VM_MAP_RANGE
    | ZX_VM_REQUIRE_NON_RESIZABLE
    | ZX_VM_ALLOW_FAULTS
    | ZX_VM_OFFSET_IS_UPPER_LIMIT
    | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED
    | ZX_VM_FAULT_BEYOND_STREAM_SIZE;

/// The bits of a call, still unchecked.
#[derive(Clone, Copy, Debug)]
pub struct Options(pub u32);

impl Options {
    pub fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    pub fn has_perms(self) -> bool {
        self.has(PERMS)
    }

    pub fn has_can_map(self) -> bool {
        self.has(CAN_MAP)
    }

    /// Whether the alignment is one that exists and no bit is set that has no meaning.
    pub fn check_form(self) -> Result<(), Status> {
        match (self.0 & !FLAGS & 0x00ff_ffff, self.exponent()) {
            (0, 0 | 10..=32) => Ok(()),
            _ => Err(Status::INVALID_ARGS),
        }
    }

    /// Write and execute come only with read.
    pub fn check_perms(self) -> Result<(), Status> {
        if self.has(ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE) && !self.perms().contains(Prot::READ) {
            return Err(Status::INVALID_ARGS);
        }
        Ok(())
    }

    pub fn exponent(self) -> u32 {
        self.0 >> ZX_VM_ALIGN_BASE
    }

    /// Bytes; 0 if none is asked for.
    pub fn align(self) -> u64 {
        if self.exponent() == 0 { 0 } else { 1 << self.exponent() }
    }

    /// The protection asked for. Execute-only memory is not offered on any processor here.
    pub fn perms(self) -> Prot {
        let read = ZX_VM_PERM_READ | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED;
        self.prot(read, ZX_VM_PERM_WRITE, ZX_VM_PERM_EXECUTE)
    }

    /// The PERM bits as they stand, for the rights they ask of a handle.
    pub fn perms_asked(self) -> Prot {
        self.prot(ZX_VM_PERM_READ, ZX_VM_PERM_WRITE, ZX_VM_PERM_EXECUTE)
    }

    /// Whether there is nothing but PERM bits.
    pub fn only_perms(self) -> bool {
        !self.has(!(PERMS | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED))
    }

    /// What a new region lets its contents be.
    pub fn can_map(self) -> Prot {
        self.prot(ZX_VM_CAN_MAP_READ, ZX_VM_CAN_MAP_WRITE, ZX_VM_CAN_MAP_EXECUTE)
    }

    fn prot(self, read: u32, write: u32, execute: u32) -> Prot {
        let mut prot = Prot::empty();
        prot.set(Prot::READ, self.has(read));
        prot.set(Prot::WRITE, self.has(write));
        prot.set(Prot::EXECUTE, self.has(execute));
        prot
    }
}

/// The rights that stand for a protection, on a VMO and on a VMAR alike.
pub fn rights_for(prot: Prot) -> zx_rights_t {
    let right = |flag, right| if prot.contains(flag) { right } else { 0 };
    right(Prot::READ, ZX_RIGHT_READ) | right(Prot::WRITE, ZX_RIGHT_WRITE) | right(Prot::EXECUTE, ZX_RIGHT_EXECUTE)
}

/// The protection that rights stand for.
pub fn prot_for(rights: zx_rights_t) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, rights & ZX_RIGHT_READ != 0);
    prot.set(Prot::WRITE, rights & ZX_RIGHT_WRITE != 0);
    prot.set(Prot::EXECUTE, rights & ZX_RIGHT_EXECUTE != 0);
    prot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_is_an_exponent_that_exists() {
        for n in 0..=255_u32 {
            let good = n == 0 || (10..=32).contains(&n);
            assert_eq!(Options(n << 24).check_form().is_ok(), good, "{n}");
        }
        assert_eq!(Options(ZX_VM_ALIGN_4GB).align(), 4 << 30);
    }

    #[test]
    fn bits_without_a_meaning_are_refused() {
        for bit in 0..24 {
            assert_eq!(Options(1 << bit).check_form().is_ok(), bit <= 15, "{bit}");
        }
    }

    #[test]
    fn execute_only_becomes_readable_where_asked() {
        let options = Options(ZX_VM_PERM_EXECUTE | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED);
        assert_eq!(options.check_perms(), Ok(()));
        assert_eq!(options.perms(), Prot::READ | Prot::EXECUTE);
        assert_eq!(Options(ZX_VM_PERM_EXECUTE).check_perms(), Err(Status::INVALID_ARGS));
    }
}
