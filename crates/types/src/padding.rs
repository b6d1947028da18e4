//! Bytes of a record that mean nothing and are always zero.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A byte of padding. Only zero can be made of it in Rust; what others put there is neither compared nor shown.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct PadByte(u8);

impl fmt::Debug for PadByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl PartialEq for PadByte {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for PadByte {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zx_info_process_t;

    #[test]
    fn records_that_differ_only_in_padding_are_equal() {
        let clean = zx_info_process_t { return_code: 7, ..Default::default() };
        let mut bytes = [0; size_of::<zx_info_process_t>()];
        bytes.copy_from_slice(clean.as_bytes());
        assert_eq!(bytes[20..], [0; 4]);
        bytes[20..].fill(0xff);
        assert_eq!(zx_info_process_t::read_from_bytes(&bytes).unwrap(), clean);
        bytes[16] = 1;
        assert_ne!(zx_info_process_t::read_from_bytes(&bytes).unwrap(), clean);
    }
}
