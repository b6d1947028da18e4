//! How short memory is, which limits count, and what the kernel tells of it without anybody having to look.

use std::io;

use zxvm_host::linux::pressure::{Asked, Kind, Limit, Report, report};
use zxvm_syscall::pressure::Thresholds;

use super::{Finding, State};
use crate::table::size;

/// All about memory pressure.
pub fn findings() -> Vec<Finding> {
    let marks = |total| Thresholds::for_total(total).marks();
    match report(&marks(u64::MAX)) {
        Ok(report) => vec![left(&report.limits), stalls(&report.signs), groups(&report)],
        Err(error) => {
            let follows = "It needs /proc/meminfo. Events about memory tell nothing.";
            vec![Finding::new("memory left", State::Missing, error.to_string(), follows)]
        }
    }
}

fn left(limits: &[Limit]) -> Finding {
    let subject = "memory left";
    let least = |of: fn(&Limit) -> u64| limits.iter().map(of).min().unwrap_or(0);
    let (left, total) = (least(|limit| limit.left), least(|limit| limit.total));
    let from = match std::env::var("ZXVM_PRESSURE") {
        Err(_) => Some(Thresholds::for_total(total)),
        Ok(text) => Thresholds::parse(&text),
    };
    let Some(thresholds) = from else {
        let follows = "ZXVM_PRESSURE is not four descending numbers of MiB, as in 300:150:60:50.";
        return Finding::new(subject, State::Missing, "where levels begin is not known", follows).blocks();
    };
    let [warning, critical, imminent, out] = thresholds.marks().map(size);
    let follows =
        format!("Events: warning below {warning}, critical {critical}, imminent {imminent}, out of it {out}.");
    let state = if left < thresholds.warning { State::Limited } else { State::Ok };
    Finding::new(subject, state, format!("{} of {}", size(left), size(total)), follows)
}

/// Whether the kernel tells of threads that lose time because memory is short.
fn stalls(signs: &[Asked]) -> Finding {
    let subject = "memory pressure (PSI)";
    let can_be_heard = |kind| signs.iter().any(|sign| sign.kind == kind && sign.result.is_ok());
    if can_be_heard(Kind::Stall) {
        return Finding::new(subject, State::Ok, "told", "Whoever waits for events is woken when memory runs short.");
    }
    if can_be_heard(Kind::SlowStall) {
        let follows =
            "Only CAP_SYS_RESOURCE has it told sooner. From twice the first level on it is looked every second.";
        return Finding::new(subject, State::Limited, "told within two seconds", follows);
    }
    let why = signs.iter().filter(|sign| matches!(sign.kind, Kind::Stall | Kind::SlowStall));
    let why = why.filter_map(|sign| sign.result.err()).next_back();
    let found = why.map_or_else(|| "not there".to_owned(), |errno| io::Error::from(errno).to_string());
    let follows = "Memory that runs short is noticed when calls commit much (boot with psi=1 to change that).";
    Finding::new(subject, State::Limited, found, follows)
}

/// Which control groups limit memory, and what they tell.
fn groups(report: &Report) -> Finding {
    let subject = "limits of groups";
    let limits: Vec<_> = report.limits.iter().filter_map(|limit| Some((limit.group.as_ref()?, limit))).collect();
    let Some((tightest, limit)) = limits.iter().min_by_key(|(_, limit)| limit.left) else {
        return Finding::new(subject, State::Ok, "none", "The machine's memory is what counts.");
    };
    let found = match limits.len() {
        1 => format!("{} in {}", size(limit.total), tightest.display()),
        many => format!("{many}, the tightest {} in {}", size(limit.total), tightest.display()),
    };
    let signs = report.signs.iter().filter(|sign| sign.result.is_ok() && sign.file.starts_with(tightest));
    let told: Vec<_> = signs.map(|sign| word(sign.kind)).collect();
    if told.is_empty() {
        Finding::new(
            subject,
            State::Limited,
            found,
            "They count. The kernel tells this process nothing: looks every second while it works.",
        )
    } else {
        Finding::new(subject, State::Ok, found, format!("They count. Told without looking: {}.", told.join(", ")))
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Stall | Kind::SlowStall => "stalls",
        Kind::Event => "limits that are met",
        Kind::Usage => "usage",
        Kind::Reclaim => "reclaim",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    fn sign(kind: Kind, result: Result<(), Errno>) -> Asked {
        Asked { kind, file: "/g/file".into(), result }
    }

    #[test]
    fn stalls_are_told_soon_or_late_or_not() {
        let refused = sign(Kind::Stall, Err(Errno::PERM));
        assert_eq!(stalls(&[sign(Kind::Stall, Ok(()))]).state, State::Ok);
        let late = stalls(&[refused.clone(), sign(Kind::SlowStall, Ok(()))]);
        assert_eq!((late.state, late.found.as_str()), (State::Limited, "told within two seconds"));
        let never = stalls(&[refused, sign(Kind::SlowStall, Err(Errno::OPNOTSUPP)), sign(Kind::Usage, Ok(()))]);
        assert!(never.found.contains("not supported"), "{}", never.found);
        assert_eq!(stalls(&[]).found, "not there");
    }

    #[test]
    fn the_tightest_group_is_named_and_what_it_tells() {
        let limit = |group: Option<&str>, total, left| Limit { group: group.map(Into::into), total, left };
        let machine = limit(None, 8 << 30, 1 << 20);
        let report = |limits, signs| Report { limits, signs };
        assert_eq!(groups(&report(vec![machine.clone()], vec![])).found, "none");
        let limits = vec![machine, limit(Some("/g/h"), 2 << 30, 2 << 30), limit(Some("/g"), 4 << 30, 1 << 30)];
        let two = groups(&report(limits.clone(), vec![sign(Kind::Usage, Ok(())), sign(Kind::Event, Err(Errno::PERM))]));
        assert_eq!((two.state, two.found.as_str()), (State::Ok, "2, the tightest 4 GiB in /g"));
        assert_eq!(two.follows, "They count. Told without looking: usage.");
        assert_eq!(groups(&report(limits, vec![])).state, State::Limited);
    }
}
