//! Parts of the file, as `--need` and `--dont-need` name them.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::str::FromStr;

use zxvm_host::PAGE_SIZE;
use zxvm_syscall::budget_of;

/// Where a part begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// So many hundredths of the file.
    Percent(f64),
    /// So many bytes into it.
    Bytes(u64),
}

impl Bound {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(number) => number.parse().ok().filter(|part| (0.0..=100.0).contains(part)).map(Self::Percent),
            None => budget_of(text).map(Self::Bytes),
        }
    }

    /// In a file of so many bytes.
    fn bytes(self, file_bytes: u64) -> u64 {
        match self {
            Self::Percent(part) => (file_bytes as f64 * part / 100.0) as u64 / PAGE_SIZE * PAGE_SIZE,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(part) => write!(f, "{part}%"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

/// A part of the file: `10%-20%`, `16M-32M`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    from: Bound,
    to: Bound,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bounds = text.split_once('-').and_then(|(from, to)| Some((Bound::parse(from)?, Bound::parse(to)?)));
        let Some((from, to)) = bounds else {
            return Err("neither like 10%-20% nor like 16M-32M".to_owned());
        };
        Ok(Self { from, to })
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

impl Part {
    /// Its pages, whole ones, in a file of so many bytes.
    ///
    /// # Errors
    /// It has none, or not all of it is in the file.
    pub fn pages(&self, file_bytes: u64) -> Result<Range<u64>, String> {
        let [from, to] = [self.from, self.to].map(|bound| bound.bytes(file_bytes));
        // What is said in hundredths ends with the file, also where that is no whole page.
        let to = if self.to == Bound::Percent(100.0) { file_bytes } else { to };
        if from >= to {
            return Err(format!("the part {self} is empty"));
        }
        if to > file_bytes.next_multiple_of(PAGE_SIZE) {
            return Err(format!("the part {self} is not in the file, which has {file_bytes} bytes"));
        }
        Ok(from / PAGE_SIZE..to.div_ceil(PAGE_SIZE))
    }
}

/// What `--budget` says, in bytes.
///
/// # Errors
/// No size, or too small for the engine.
pub fn budget(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 256 << 10;
    match budget_of(text) {
        None => Err("not a size such as 64M or 1G".to_owned()),
        Some(bytes) if bytes < LEAST => Err("less than 256K, the least there can be".to_owned()),
        Some(bytes) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(part: &str, file_bytes: u64) -> Result<Range<u64>, String> {
        part.parse::<Part>()?.pages(file_bytes)
    }

    #[test]
    fn parts_are_whole_pages() {
        let file = 1000 * PAGE_SIZE;
        assert_eq!(pages("10%-20%", file), Ok(100..200));
        assert_eq!(pages("0%-100%", file + 1), Ok(0..1001));
        assert_eq!(pages("12.5%-50%", file), Ok(125..500));
        assert_eq!(pages("16K-32K", file), Ok(4..8));
        assert_eq!(pages("1-4097", file), Ok(0..2));
        assert_eq!(pages("0-4096000", file), Ok(0..1000));
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for wrong in ["", "10%", "a-b", "10%-", "-1-5", "10%-101%", "NaN%-5%", "1X-2X"] {
            assert!(wrong.parse::<Part>().unwrap_err().contains("10%-20%"), "{wrong}");
        }
        let file = 10 * PAGE_SIZE;
        assert_eq!(pages("20%-20%", file).unwrap_err(), "the part 20%-20% is empty");
        assert_eq!(pages("8K-4K", file).unwrap_err(), "the part 8192-4096 is empty");
        assert_eq!(pages("1%-9%", file).unwrap_err(), "the part 1%-9% is empty", "less than a page");
        assert!(pages("0-1M", file).unwrap_err().contains("is not in the file, which has 40960 bytes"));
    }

    #[test]
    fn budgets_have_a_least() {
        assert_eq!(budget("256K"), Ok(256 << 10));
        assert!(budget("262143").unwrap_err().contains("256K"));
        assert!(budget("much").unwrap_err().contains("64M"));
    }
}
