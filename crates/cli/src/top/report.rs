//! What a watched process tells, taken apart. Nothing in it is believed: names get no control characters, and numbers may be any.

use serde::{Deserialize, Deserializer};

/// All that is told, as of version 1. What it may tell besides is not looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    #[serde(rename = "zxvm_top")]
    version: u64,
    pub pid: u64,
    #[serde(deserialize_with = "plain")]
    pub name: String,
    /// When it was told, on its monotonic clock.
    pub now_ns: u64,
    /// How long its engine has been there.
    pub uptime_ns: u64,
    pub memory: Memory,
    /// Nothing where Linux does not tell.
    pub pressure: Option<Pressure>,
    pub vmos: Vec<Vmo>,
    pub vmos_left_out: u64,
    /// Regions and mappings, depth first, lowest first.
    pub maps: Vec<Map>,
    pub maps_left_out: u64,
}

/// What has become of what pagers provide, in bytes, but for faults and waits.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Memory {
    pub budget: Option<u64>,
    pub resident: u64,
    pub dirty: u64,
    pub supplied: u64,
    pub evicted: u64,
    pub refaulted: u64,
    pub faults: u64,
    pub starved: u64,
}

/// How short memory is.
#[derive(Clone, Debug, Deserialize)]
pub struct Pressure {
    #[serde(deserialize_with = "plain")]
    pub level: String,
    pub left: u64,
    pub total: u64,
}

/// A VMO.
#[derive(Clone, Debug, Deserialize)]
pub struct Vmo {
    pub koid: u64,
    #[serde(deserialize_with = "plain")]
    pub name: String,
    #[serde(deserialize_with = "plain")]
    pub kind: String,
    pub size: u64,
    pub committed: u64,
    pub dirty: u64,
    pub children: u64,
    pub mappings: u64,
    pub handles: u64,
}

/// A region, or a part of a mapping.
#[derive(Clone, Debug, Deserialize)]
pub struct Map {
    #[serde(flatten)]
    pub what: What,
    pub depth: usize,
    pub base: u64,
    pub size: u64,
    #[serde(deserialize_with = "plain")]
    pub name: String,
}

/// Which of the two.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What {
    /// A region.
    Vmar {
        /// Of it, if there is a handle to it.
        koid: Option<u64>,
    },
    /// Pages of a mapping.
    Mapping {
        /// Of the VMO.
        koid: u64,
        #[serde(deserialize_with = "plain")]
        prot: String,
        committed: u64,
    },
}

/// A text that can be shown on any terminal.
fn plain<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(without_control(&String::deserialize(from)?))
}

fn without_control(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect()
}

impl Report {
    /// Takes the text apart.
    ///
    /// # Errors
    /// Why there is no report in it, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        if let Ok(refusal) = serde_json::from_str::<Refusal>(text) {
            return Err(format!("it says: {}", without_control(&refusal.error)));
        }
        let report: Self = serde_json::from_str(text).map_err(|_| "what is told there is no report".to_owned())?;
        if report.version == 1 { Ok(report) } else { Err("it tells a report of another version".to_owned()) }
    }

    /// Times and bytes a second since an earlier report: faults, and what was evicted.
    pub fn rates_since(&self, earlier: &Self) -> Rates {
        let a_second = |now: u64, before: u64| {
            let (more, time) = (now.saturating_sub(before), self.now_ns.saturating_sub(earlier.now_ns));
            u128::from(more).saturating_mul(1_000_000_000).checked_div(time.into()).map_or(0, |rate| rate as u64)
        };
        let (now, before) = (&self.memory, &earlier.memory);
        Rates { faults: a_second(now.faults, before.faults), evicted: a_second(now.evicted, before.evicted) }
    }
}

/// What happens in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Accesses that came to the engine.
    pub faults: u64,
    /// Bytes taken out of memory.
    pub evicted: u64,
}

/// Valid JSON as it was told, with nothing in it that a terminal may take for an order.
pub fn raw(text: &str) -> String {
    let mut shown = String::new();
    for c in text.trim_end().chars() {
        match c {
            // Only between values: in texts JSON has them escaped.
            '\t' | '\r' | '\n' => shown.push(' '),
            c if c.is_control() => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown + "\n"
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A report with two regions and two VMOs, one of which has a name that is meant to do harm.
    pub const TEXT: &str = r#"{"zxvm_top":1,"pid":42,"name":"prog","now_ns":5000000000,"uptime_ns":3723000000000,
        "memory":{"budget":1048576,"resident":786432,"dirty":262144,"newcomers":0,"proven":0,"need_not":0,"need":0,
        "supplied":4096,"evicted":40960,"refaulted":0,"faults":500,"starved":0},
        "pressure":{"level":"warning","left":268435456,"total":1073741824},
        "vmos":[{"koid":1030,"name":"big\u001b[2J","kind":"pager","size":4194304,"committed":786432,"dirty":262144,
        "pager_backed":true,"parent":null,"children":0,"mappings":1,"handles":1},
        {"koid":1031,"name":"little","kind":"plain","size":8192,"committed":4096,"dirty":0,
        "pager_backed":false,"parent":null,"children":3,"mappings":0,"handles":2}],"vmos_left_out":0,
        "maps":[{"kind":"vmar","depth":0,"base":4096,"size":1073741824,"koid":1026,"name":"root"},
        {"kind":"vmar","depth":1,"base":8192,"size":65536,"koid":null,"name":"useralloc"},
        {"kind":"mapping","depth":2,"base":8192,"size":4096,"koid":1031,"name":"little","prot":"rw-","offset":0,"committed":4096},
        {"kind":"mapping","depth":1,"base":1048576,"size":4194304,"koid":1030,"name":"big","prot":"r--","offset":0,"committed":786432}],
        "maps_left_out":0}"#;

    #[test]
    fn a_report_is_read_and_names_are_tamed() {
        let report = Report::read(TEXT).unwrap();
        assert_eq!((report.pid, report.vmos[0].name.as_str()), (42, "big\u{b7}[2J"));
        assert!(matches!(report.maps[1].what, What::Vmar { koid: None }));
        assert!(matches!(&report.maps[2].what, What::Mapping { prot, .. } if prot == "rw-"));
    }

    #[test]
    fn what_is_no_report_is_refused_in_words() {
        let why = |text: &str| Report::read(text).unwrap_err();
        assert_eq!(why("{\"zxvm_top\":1,\"error\":\"another user\\u0007\"}"), "it says: another user\u{b7}");
        assert_eq!(why("hello"), "what is told there is no report");
        assert_eq!(why("{}"), "what is told there is no report");
        assert_eq!(why(&TEXT.replace("\"zxvm_top\":1", "\"zxvm_top\":2")), "it tells a report of another version");
    }

    #[test]
    fn rates_are_by_its_own_clock() {
        let before = Report::read(TEXT).unwrap();
        let mut now = before.clone();
        assert_eq!(now.rates_since(&before), Rates::default());
        now.now_ns += 500_000_000;
        now.memory.faults += 100;
        now.memory.evicted += 4096;
        assert_eq!(now.rates_since(&before), Rates { faults: 200, evicted: 8192 });
        assert_eq!(before.rates_since(&now), Rates::default());
    }

    #[test]
    fn raw_reports_give_no_orders_to_terminals() {
        assert_eq!(raw("{\"a\":\r\n\"b\u{9b}2J\u{7f}\"}\n"), "{\"a\":  \"b\\u009b2J\\u007f\"}\n");
    }
}
