//! What `--write` stores: records of one page each, which tell of every byte whether it belongs there.

use zxvm_host::PAGE_SIZE;

use crate::mix::mix;

/// Words in a page.
pub const WORDS: usize = PAGE_SIZE as usize / size_of::<u64>();

const MAGIC: u64 = u64::from_le_bytes(*b"zxvm rec");

/// The record of a number for a page. Every word depends on both.
pub fn record(page: u64, number: u64) -> [u64; WORDS] {
    let seed = mix(page ^ mix(number));
    let mut words: [u64; WORDS] = std::array::from_fn(|index| mix(seed ^ index as u64));
    words[0] = MAGIC;
    words[1] = page;
    words[2] = number;
    // At both ends, so that no part of one passes for something else.
    words[WORDS - 1] = MAGIC;
    words
}

/// What a page of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No record, nor one that begins or ends there.
    Other,
    /// The whole record of this number.
    Whole(u64),
    /// Part of one, or one of another page.
    Torn,
}

/// Looks at the bytes of a page.
pub fn look(page: u64, bytes: &[u8]) -> Found {
    let word = |index: usize| u64::from_le_bytes(bytes[index * 8..][..8].try_into().expect("eight bytes"));
    if word(0) != MAGIC && word(WORDS - 1) != MAGIC {
        return Found::Other;
    }
    let number = word(2);
    let whole = record(page, number).iter().enumerate().all(|(index, expected)| word(index) == *expected);
    if whole { Found::Whole(number) } else { Found::Torn }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(page: u64, number: u64) -> Vec<u8> {
        record(page, number).iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_record_is_whole_only_as_a_whole_and_in_its_page() {
        let whole = bytes(5, 77);
        assert_eq!(look(5, &whole), Found::Whole(77));
        assert_eq!(look(6, &whole), Found::Torn);
        for bit in (0..PAGE_SIZE as usize * 8).step_by(37) {
            let mut other = whole.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(look(5, &other), Found::Torn, "bit {bit}");
        }
    }

    #[test]
    fn two_halves_are_torn_and_other_content_is_not() {
        // The first words of records of a page are alike up to their numbers, and so is the last.
        for cut in (24..PAGE_SIZE as usize - 8).step_by(8) {
            let mixed = [&bytes(5, 1)[..cut], &bytes(5, 2)[cut..]].concat();
            assert_eq!(look(5, &mixed), Found::Torn, "cut at {cut}");
            let begun = [&bytes(5, 1)[..cut], &vec![0; PAGE_SIZE as usize][cut..]].concat();
            assert_eq!(look(5, &begun), Found::Torn, "begun, up to {cut}");
        }
        assert_eq!(look(5, &[0; PAGE_SIZE as usize]), Found::Other);
        assert_eq!(look(5, &[b'x'; PAGE_SIZE as usize]), Found::Other);
    }
}
