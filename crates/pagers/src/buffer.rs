//! A buffer that starts at a page, as `O_DIRECT` wants it.

use crate::PAGE_SIZE;

/// Bytes that start at an address of whole pages. Never grows, so they stay there.
pub struct PageBuffer {
    bytes: Box<[u8]>,
    start: usize,
    len: usize,
}

impl PageBuffer {
    /// `len` bytes of zeros.
    pub fn new(len: usize) -> Self {
        let bytes = vec![0; len + PAGE_SIZE as usize - 1].into_boxed_slice();
        let start = bytes.as_ptr().align_offset(PAGE_SIZE as usize);
        Self { bytes, start, len }
    }

    /// The bytes, to look at.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_a_page_and_has_its_length() {
        for len in [0, 1, 4096, 10_000] {
            let mut buffer = PageBuffer::new(len);
            assert_eq!(buffer.bytes().len(), len);
            assert!(len == 0 || buffer.bytes().as_ptr().addr().is_multiple_of(PAGE_SIZE as usize));
        }
    }
}
