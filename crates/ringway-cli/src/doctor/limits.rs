//! What may run out: the limits of the control groups and of this process.

use std::path::Path;

use ringway::host::memory::{Budget, Limits};

use super::{
    ROOM,
    finding::{Finding, Topic, Verdict},
    host::{Host, field},
};
use crate::size::Rough;

/// Address space that nobody is short of.
const WIDE: u64 = 1 << 30;
/// Open files that nobody is short of.
const FILES: u64 = 256;

pub(super) fn findings(host: &Host, limits: &Limits) -> Vec<Finding> {
    vec![
        group(host),
        available(host),
        locked(limits.lockable),
        file_size(limits.file_size),
        address_space(limits.address_space),
        open_files(limits.open_files),
        overcommit(host),
    ]
}

fn group(host: &Host) -> Finding {
    let membership = host.text("/proc/self/cgroup").unwrap_or_default();
    let mounts = host.text("/proc/self/mountinfo").unwrap_or_default();
    let budget = Budget::tightest(&membership, &mounts, |file: &Path| host.text(file));
    let Some(budget) = budget else {
        return Finding::new(Topic::Limits, "control group", "no limit")
            .means("only the host's memory limits what rings take");
    };
    let left = budget.left();
    let said = format!("{} of {} left in {}", Rough(left), Rough(budget.limit), budget.group.display());
    let found = Finding::new(Topic::Limits, "control group", said)
        .figure("group", budget.group.display().to_string())
        .figure("limit_bytes", budget.limit)
        .figure("used_bytes", budget.used)
        .figure("left_bytes", left)
        .means(
            "a ring's memory counts for the group of who makes it; beyond the limit creating one is an error",
        );
    if left >= ROOM {
        return found;
    }
    found.means("a ring of the usual size is refused, with figures").bad(
        Verdict::Worse,
        format!(
            "write a larger number to {} (containers: --memory; systemd: MemoryMax=)",
            budget.group.join(budget.file).display()
        ),
    )
}

fn available(host: &Host) -> Finding {
    let memory = host.text("/proc/meminfo").unwrap_or_default();
    let means = "what the whole host has left for rings and all else";
    let Some(left) = kilobytes(&memory, "MemAvailable:") else {
        return Finding::new(Topic::Limits, "host", "not said").means(means).unknown();
    };
    let found = Finding::new(Topic::Limits, "host", format!("{} available", Rough(left)))
        .figure("available_bytes", left)
        .means(means);
    if left >= ROOM {
        return found;
    }
    found
        .means("a ring of the usual size is refused, with figures")
        .bad(Verdict::Worse, "end what takes the memory, or add some")
}

fn kilobytes(memory: &str, key: &str) -> Option<u64> {
    field(memory, key)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A limit in bytes that is enough, or not.
fn bytes(
    name: &'static str,
    limit: Option<u64>,
    left: Option<u64>,
    enough: u64,
    mend: &'static str,
) -> Finding {
    let said = match limit {
        None => "no limit".to_owned(),
        Some(limit) if left == Some(limit) => Rough(limit).to_string(),
        Some(limit) => format!("{} of {} left", Rough(left.unwrap_or_default()), Rough(limit)),
    };
    let found =
        Finding::new(Topic::Limits, name, said).figure("limit_bytes", limit).figure("left_bytes", left);
    if left.is_some_and(|left| left < enough) { found.bad(Verdict::Worse, mend) } else { found }
}

fn locked(left: Option<u64>) -> Finding {
    bytes(
        "RLIMIT_MEMLOCK",
        left,
        left,
        ROOM,
        "ulimit -l unlimited (containers: --ulimit memlock=-1; systemd: LimitMEMLOCK=infinity)",
    )
    .means("what this process may still lock; only rings that ask for it (`lock`) are locked, and refused beyond it")
}

fn file_size(limit: Option<u64>) -> Finding {
    bytes("RLIMIT_FSIZE", limit, limit, ROOM, "ulimit -f unlimited (systemd: LimitFSIZE=infinity)")
        .means("the largest ring; a larger one is an error and no signal")
}

fn address_space(limit: Option<(u64, u64)>) -> Finding {
    let (limit, left) = limit.unzip();
    bytes("RLIMIT_AS", limit, left, WIDE, "ulimit -v unlimited (systemd: LimitAS=infinity)")
        .means("a ring is mapped twice, back to back: it takes twice its capacity of this")
}

fn open_files(limit: Option<u64>) -> Finding {
    let said = limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let found = Finding::new(Topic::Limits, "RLIMIT_NOFILE", said)
        .figure("limit", limit)
        .means("each end of a ring keeps a file open, an offer a second one");
    if limit.is_some_and(|limit| limit < FILES) {
        return found.bad(Verdict::Worse, "ulimit -n 1024 (systemd: LimitNOFILE=1024)");
    }
    found
}

fn overcommit(host: &Host) -> Finding {
    let mode = host.number("/proc/sys/vm/overcommit_memory");
    let said = match mode {
        Some(0) => "0, by judgement",
        Some(1) => "1, always",
        Some(2) => "2, never",
        _ => "not said",
    };
    let found = Finding::new(Topic::Limits, "vm.overcommit", said)
        .figure("mode", mode)
        .means("all of a ring's memory is reserved when it is made, whatever this says");
    match mode {
        Some(0 | 1) => found,
        Some(2) => {
            let memory = host.text("/proc/meminfo").unwrap_or_default();
            let limit = kilobytes(&memory, "CommitLimit:");
            let left = limit
                .zip(kilobytes(&memory, "Committed_AS:"))
                .map(|(limit, used)| limit.saturating_sub(used));
            found
                .figure("commit_limit_bytes", limit)
                .figure("commit_left_bytes", left)
                .means("rings count against the commit limit, and a forked child that touches one may end by a signal")
                .bad(Verdict::Worse, "sysctl vm.overcommit_memory=0, or a larger vm.overcommit_ratio")
        }
        _ => found.unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::host::Made, *};

    const MOUNTS: &str = "42 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_groups_limit_and_use_are_read_and_a_tight_one_is_worse() {
        let made = Made::new(&[("/proc/self/cgroup", "0::/a\n"), ("/proc/self/mountinfo", MOUNTS)]);
        assert_eq!(group(&made.host()).found, "no limit");
        made.file("/sys/fs/cgroup/a/memory.max", "1073741824\n");
        made.file("/sys/fs/cgroup/a/memory.current", "1048576\n");
        let found = group(&made.host());
        assert_eq!((found.verdict, &found.figures["used_bytes"]), (Verdict::Good, &1_048_576.into()));
        made.file("/sys/fs/cgroup/a/memory.current", "1073741824\n");
        let found = group(&made.host());
        assert_eq!((found.verdict, &found.figures["left_bytes"]), (Verdict::Worse, &0.into()));
        assert!(found.mend.unwrap().contains("/sys/fs/cgroup/a/memory.max"));
        made.file("/sys/fs/cgroup/a/memory.max", "rubbish");
        assert_eq!(group(&made.host()).found, "no limit");
    }

    #[test]
    fn a_limit_is_worse_below_what_a_ring_needs_and_good_where_there_is_none() {
        for limit in [locked, file_size] {
            assert_eq!(limit(None).verdict, Verdict::Good);
            assert_eq!(limit(Some(ROOM)).verdict, Verdict::Good);
            let tight = limit(Some(ROOM - 1));
            assert!(tight.verdict == Verdict::Worse && tight.mend.unwrap().contains("ulimit"));
        }
        assert_eq!(address_space(None).verdict, Verdict::Good);
        assert_eq!(address_space(Some((WIDE * 2, WIDE))).found, "1 GiB of 2 GiB left");
        assert_eq!(address_space(Some((WIDE * 2, WIDE - 1))).verdict, Verdict::Worse);
        assert_eq!(
            (open_files(None).verdict, open_files(Some(FILES)).verdict),
            (Verdict::Good, Verdict::Good)
        );
        assert_eq!(open_files(Some(FILES - 1)).verdict, Verdict::Worse);
    }

    #[test]
    fn memory_that_is_never_overcommitted_is_worse_and_has_figures() {
        let made = Made::new(&[("/proc/sys/vm/overcommit_memory", "2\n")]);
        made.file("/proc/meminfo", "MemAvailable: 100000 kB\nCommitLimit: 10 kB\nCommitted_AS: 4 kB\n");
        let found = overcommit(&made.host());
        assert_eq!((found.verdict, &found.figures["commit_left_bytes"]), (Verdict::Worse, &6144.into()));
        for (text, verdict) in [("0", Verdict::Good), ("1", Verdict::Good), ("x", Verdict::Unknown)] {
            made.file("/proc/sys/vm/overcommit_memory", text);
            assert_eq!(overcommit(&made.host()).verdict, verdict, "{text}");
        }
    }

    #[test]
    fn a_host_short_of_memory_is_worse_and_one_that_does_not_say_is_unknown() {
        let made = Made::new(&[]);
        assert_eq!(available(&made.host()).verdict, Verdict::Unknown);
        for (text, verdict) in [
            ("MemAvailable: 100000 kB", Verdict::Good),
            ("MemAvailable: 100 kB", Verdict::Worse),
            ("MemAvailable: many", Verdict::Unknown),
            ("MemAvailable: 18446744073709551615 kB", Verdict::Unknown),
        ] {
            made.file("/proc/meminfo", text);
            assert_eq!(available(&made.host()).verdict, verdict, "{text}");
        }
    }
}
