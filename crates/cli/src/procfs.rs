//! The texts and tables of `/proc`, taken apart. No input or output here.
//!
//! A line that does not look as the kernel writes it gives `None` (or is left out of a list), never a guess.

use std::ops::Range;

/// Bytes of one entry of `/proc/PID/pagemap`.
pub const PAGEMAP_ENTRY: usize = 8;

/// Bit 63 of an entry: the page is in memory and in the page table.
const PAGEMAP_PRESENT: u64 = 1 << 63;

/// Runs of present pages, as indices of entries.
pub fn present_runs(pagemap: &[u8]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for (index, entry) in (0..).zip(pagemap.as_chunks::<PAGEMAP_ENTRY>().0) {
        if u64::from_ne_bytes(*entry) & PAGEMAP_PRESENT == 0 {
            continue;
        }
        match runs.last_mut() {
            Some(last) if last.end == index => last.end += 1,
            Some(_) | None => runs.push(index..index + 1),
        }
    }
    runs
}

/// One area of an address space, as `smaps` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Addresses.
    pub range: Range<u64>,
    /// Four letters: `r`, `w`, `x` or `-`, and `s` for shared or `p` for private.
    pub perms: String,
    /// Bytes of it that are resident.
    pub rss_bytes: u64,
}

/// The areas of `smaps` that touch `within`.
pub fn areas(smaps: &str, within: &Range<u64>) -> Vec<Area> {
    let mut areas = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if let Some((range, perms)) = area_header(line) {
            areas.extend(current.take());
            let touches = range.start < within.end && within.start < range.end;
            current = touches.then(|| Area { range, perms: perms.to_owned(), rss_bytes: 0 });
        } else if let (Some(area), Some(kib)) = (&mut current, kib_field(line, "Rss")) {
            area.rss_bytes = kib * 1024;
        }
    }
    areas.extend(current);
    areas
}

/// `start-end perms …`, the first line of an area.
fn area_header(line: &str) -> Option<(Range<u64>, &str)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let hex = |digits| u64::from_str_radix(digits, 16).ok();
    Some((hex(start)?..hex(end)?, words.next().filter(|perms| perms.len() == 4)?))
}

/// The number of a line `Name:   123 kB`.
fn kib_field(line: &str, name: &str) -> Option<u64> {
    line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

/// The field `name` of a text such as `/proc/meminfo` or `/proc/PID/status`, in bytes.
pub fn bytes_field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| kib_field(line, name)).map(|kib| kib * 1024)
}

/// Page faults of a thread or process, by its `stat`: those that were served from memory, and those that had to wait for a disk.
pub fn faults(stat: &str) -> Option<u64> {
    // The name may hold anything, brackets and spaces too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let mut field = |skip| fields.nth(skip)?.parse::<u64>().ok();
    Some(field(7)? + field(1)?)
}

/// The field `name` of `/proc/PID/status`, a signal set written in hexadecimal.
pub fn signal_set(status: &str, name: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

/// What stands in brackets in a list of settings, such as `always [never] force`.
pub fn chosen(setting: &str) -> Option<&str> {
    let (_, rest) = setting.split_once('[')?;
    rest.split_once(']').map(|(chosen, _)| chosen)
}

/// Major and minor number of a kernel release such as `6.18.44-custom`.
pub fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..digits].parse().ok()?))
}

/// Processors that run, as `/proc/stat` lists them.
pub fn processors(stat: &str) -> u64 {
    let numbered =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    stat.lines().filter(numbered).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_by_bit_63_alone() {
        let entries = [1 << 63, (1 << 63) | 77, 1 << 62, 0, !0, (1 << 63) - 1];
        let bytes: Vec<u8> = entries.iter().flat_map(|entry: &u64| entry.to_ne_bytes()).collect();
        assert_eq!(present_runs(&bytes), [0..2, 4..5]);
        assert_eq!(present_runs(&[]), []);
    }

    const SMAPS: &str = "\
55d0c8a00000-55d0c8a21000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
Rss:                  88 kB
Pss:                  88 kB
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000004000 rw-s 00010000 00:01 1036                       /memfd:zxvm (deleted)
Size:                 16 kB
Rss:                   8 kB
SwapPss:               0 kB
7f0000004000-7f0000008000 ---p 00000000 00:00 0
Size:                 16 kB
Rss:                   0 kB
7f0000008000-7f000000a000 r--s 00000000 00:01 1036                       /memfd:zxvm (deleted)
Rss:                   4 kB
";

    #[test]
    fn areas_are_those_that_touch_the_range() {
        let found = areas(SMAPS, &(0x7f00_0000_3000..0x7f00_0000_8000));
        let told: Vec<_> = found.iter().map(|area| (area.range.start, area.perms.as_str(), area.rss_bytes)).collect();
        assert_eq!(told, [(0x7f00_0000_0000, "rw-s", 8192), (0x7f00_0000_4000, "---p", 0)]);
        assert_eq!(areas(SMAPS, &(0..u64::MAX)).len(), 4);
        assert_eq!(areas(SMAPS, &(0x1000..0x2000)), []);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "VmRSS:\t    5184 kB\nRssAnon:\t     100 kB\nRssShmem:\t      12 kB\nSigCgt:\t0000000000000440\n";
        assert_eq!(bytes_field(status, "RssShmem"), Some(12 << 10));
        assert_eq!(bytes_field(status, "Rss"), None);
        assert_eq!(signal_set(status, "SigCgt"), Some(0x440));
        assert_eq!(signal_set(status, "SigBlk"), None);
    }

    #[test]
    fn settings_and_versions() {
        assert_eq!(chosen("always within_size advise [never] deny force\n"), Some("never"));
        assert_eq!(chosen("1\n"), None);
        assert_eq!(kernel_version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(kernel_version("5.4-rc1"), Some((5, 4)));
        assert_eq!(kernel_version("6.1"), Some((6, 1)));
        assert_eq!(kernel_version("next"), None);
        assert_eq!(processors("cpu  1 2\ncpu0 1 2\ncpu13 1 2\nintr 5\n"), 2);
    }

    #[test]
    fn faults_are_found_behind_any_name() {
        let stat = "42 (a) (b c) S 1 2 3 4 5 6 700 80 9 10 11 12\n";
        assert_eq!(faults(stat), Some(709));
        assert_eq!(faults("42 (a) S 1 2"), None);
    }
}
