//! The processors: how many this process may use, and what makes a hand-over between two of them slow.

use std::{collections::BTreeSet, path::Path};

use ringway::host::memory::{Version, hierarchies};

use super::{
    finding::{Finding, Topic, Verdict},
    host::{Host, field},
};

/// The kernel's own limit.
const MOST: usize = 8192;
/// Microseconds that waking a processor may take before it outweighs waking a sleeper.
const DEEP: u64 = 20;
const CPU: &str = "/sys/devices/system/cpu";

pub(super) fn findings(host: &Host) -> Vec<Finding> {
    let allowed = host.text("/proc/self/status").and_then(|text| list(field(&text, "Cpus_allowed_list:")?));
    let allowed = allowed.unwrap_or_default();
    vec![
        count(&allowed),
        quota(host),
        siblings(host, &allowed),
        isolated(host, &allowed),
        governor(host, &allowed),
        idle(host, &allowed),
        clock(host),
    ]
}

/// Of a text such as `0-3,8`; `None` if it is not one.
fn list(text: &str) -> Option<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if last >= MOST {
            return None;
        }
        found.extend(first..=last);
    }
    Some(found)
}

fn count(allowed: &BTreeSet<usize>) -> Finding {
    let found = Finding::new(Topic::Processors, "allowed", allowed.len().to_string())
        .figure("processors", allowed.len())
        .means("two sides on two processors hand over at the speed of the memory between them");
    match allowed.len() {
        0 => Finding { found: "not said".into(), ..found }.unknown(),
        1 => found
            .means("both sides share one processor: each hand-over takes a switch of the scheduler, and nobody spins")
            .bad(Verdict::Worse, "taskset -c 0,1 PROGRAM (containers: --cpuset-cpus; systemd: AllowedCPUs=)"),
        _ => found,
    }
}

/// The tightest quota, in processors, and the group that sets it.
fn quota(host: &Host) -> Finding {
    let membership = host.text("/proc/self/cgroup").unwrap_or_default();
    let mounts = host.text("/proc/self/mountinfo").unwrap_or_default();
    let all = hierarchies(&membership, &mounts, "cpu");
    let quotas = all.iter().flat_map(|hierarchy| {
        hierarchy.groups().filter_map(|group| Some((quota_of(host, group, hierarchy.version())?, group)))
    });
    let means = "a process that spins does not run into the end of a quota";
    let Some((processors, group)) = quotas.min_by(|(one, _), (other, _)| one.total_cmp(other)) else {
        return Finding::new(Topic::Processors, "quota", "none").means(means);
    };
    let said = format!("{processors:.2} processors, in {}", group.display());
    let found = Finding::new(Topic::Processors, "quota", said)
        .figure("processors", processors)
        .figure("group", group.display().to_string())
        .means(means);
    if processors >= 2.0 {
        return found;
    }
    found
        .means("two sides that are busy, or spin, use it up and then stand still for the rest of each period")
        .bad(
            Verdict::Worse,
            format!(
                "give {} 2 processors or more (containers: --cpus; systemd: CPUQuota=), or do not spin",
                group.display()
            ),
        )
}

fn quota_of(host: &Host, group: &Path, version: Version) -> Option<f64> {
    let (quota, period) = match version {
        Version::One => {
            (host.number(group.join("cpu.cfs_quota_us"))?, host.number(group.join("cpu.cfs_period_us"))?)
        }
        Version::Two => {
            let text = host.text(group.join("cpu.max"))?;
            let (quota, period) = text.split_once(' ')?;
            (quota.parse().ok()?, period.parse().ok()?)
        }
    };
    (period != 0).then(|| quota as f64 / period as f64)
}

fn siblings(host: &Host, allowed: &BTreeSet<usize>) -> Finding {
    let siblings_of = |cpu| list(&host.text(format!("{CPU}/cpu{cpu}/topology/thread_siblings_list"))?);
    let cores: Option<BTreeSet<_>> = allowed.iter().map(siblings_of).collect();
    let means = "two processors of one core hand over fastest, and slow each other down at all else";
    let Some(cores) = cores.filter(|cores| !cores.is_empty()) else {
        return Finding::new(Topic::Processors, "cores", "not said").means(means).unknown();
    };
    let shared = cores.iter().any(|core| core.intersection(allowed).count() > 1);
    let said = if shared { ", some of them with more than one processor" } else { "" };
    let found = Finding::new(Topic::Processors, "cores", format!("{}{said}", cores.len()))
        .figure("cores", cores.len())
        .figure("shared", shared)
        .means(means);
    if cores.len() == 1 && shared {
        return found.bad(Verdict::Worse, "taskset -c with processors of two cores (lscpu -e shows them)");
    }
    found
}

fn isolated(host: &Host, allowed: &BTreeSet<usize>) -> Finding {
    let means = "others may run on the processors of either side: now and then a message waits for them";
    let found = host.text(format!("{CPU}/isolated")).and_then(|text| list(&text));
    let Some(isolated) = found else {
        return Finding::new(Topic::Processors, "isolated", "not said").means(means).unknown();
    };
    let ours: Vec<_> = isolated.intersection(allowed).copied().collect();
    let found = Finding::new(Topic::Processors, "isolated", format!("{} of those allowed", ours.len()))
        .figure("isolated", ours.clone());
    if ours.is_empty() {
        return found.means(means).bad(
            Verdict::Worse,
            "for the steadiest latency: isolcpus= on the kernel's command line, and pin both sides there",
        );
    }
    found.means("who is pinned to these has them alone")
}

fn governor(host: &Host, allowed: &BTreeSet<usize>) -> Finding {
    let governors: BTreeSet<_> = allowed
        .iter()
        .filter_map(|cpu| host.text(format!("{CPU}/cpu{cpu}/cpufreq/scaling_governor")))
        .filter(|governor| !governor.is_empty())
        .collect();
    let governors: Vec<_> = governors.into_iter().collect();
    let means = "a processor that was idle is slow at first, and so are the first messages after a pause";
    if governors.is_empty() {
        // As in most virtual machines.
        return Finding::new(Topic::Processors, "governor", "not said").means(means).unknown();
    }
    let found = Finding::new(Topic::Processors, "governor", governors.join(", "))
        .figure("governors", governors.clone());
    if governors == ["performance"] {
        return found.means("processors keep their speed while they are idle");
    }
    found.means(means).bad(Verdict::Worse, "cpupower frequency-set -g performance")
}

/// The longest that a processor may take to wake.
fn idle(host: &Host, allowed: &BTreeSet<usize>) -> Finding {
    let states = allowed.iter().flat_map(|cpu| {
        let directory = format!("{CPU}/cpu{cpu}/cpuidle");
        let states: Vec<_> =
            host.names(&directory).into_iter().map(|state| format!("{directory}/{state}")).collect();
        states
    });
    let enabled = states.filter(|state| host.number(format!("{state}/disable")).unwrap_or_default() == 0);
    let deepest = enabled.filter_map(|state| host.number(format!("{state}/latency"))).max();
    let means = "waking one who sleeps on an idle processor takes so much longer";
    let Some(latency) = deepest else {
        // As in most virtual machines.
        return Finding::new(Topic::Processors, "idle states", "not said").means(means).unknown();
    };
    let found =
        Finding::new(Topic::Processors, "idle states", format!("the deepest takes {latency} µs to leave"))
            .figure("latency_us", latency)
            .means(means);
    if latency > DEEP {
        return found.bad(Verdict::Worse, format!("cpupower idle-set -D {DEEP}, or spin longer"));
    }
    found
}

fn clock(host: &Host) -> Finding {
    let source = host.text("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.filter(|source| !source.is_empty());
    let found = Finding::new(Topic::Processors, "clock", source.as_deref().unwrap_or("not said"))
        .figure("source", source.clone())
        .means("looking at the clock, as who spins and who has a deadline does, costs no system call");
    match source.as_deref() {
        None => found.unknown(),
        Some("tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page" | "arch_sys_counter") => found,
        Some(_) => found
            .means("each look at the clock, as who spins and who has a deadline takes, may be a slow system call")
            .bad(
                Verdict::Worse,
                "clocksource=tsc on the kernel's command line, if dmesg does not call the TSC unstable",
            ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::host::Made, *};

    fn set(cpus: &[usize]) -> BTreeSet<usize> {
        cpus.iter().copied().collect()
    }

    #[test]
    fn lists_of_processors_are_read_and_rubbish_is_none() {
        assert_eq!(list("0-2,8"), Some(set(&[0, 1, 2, 8])));
        assert_eq!(list(" 3\n"), Some(set(&[3])));
        assert_eq!((list(""), list("5-3")), (Some(set(&[])), Some(set(&[]))));
        for rubbish in ["a", "1-", "-1", "0-18446744073709551615", "0-4000000000", "1-2-3", "é"] {
            assert_eq!(list(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn one_processor_is_worse_and_none_at_all_unknown() {
        assert_eq!(count(&set(&[])).verdict, Verdict::Unknown);
        assert_eq!(count(&set(&[3])).verdict, Verdict::Worse);
        assert_eq!(count(&set(&[0, 3])).verdict, Verdict::Good);
    }

    #[test]
    fn the_tightest_quota_of_both_versions_counts() {
        let made = Made::new(&[
            ("/proc/self/cgroup", "4:cpu,cpuacct:/x\n0::/a/b\n"),
            (
                "/proc/self/mountinfo",
                "1 0 0:1 / /one rw - cgroup cgroup rw,cpu,cpuacct\n2 0 0:2 / /two rw - cgroup2 cgroup2 rw\n",
            ),
        ]);
        assert_eq!(quota(&made.host()).found, "none");
        made.file("/two/a/b/cpu.max", "max 100000\n");
        made.file("/one/x/cpu.cfs_quota_us", "-1\n");
        made.file("/one/x/cpu.cfs_period_us", "100000\n");
        assert_eq!(quota(&made.host()).found, "none");
        made.file("/two/a/cpu.max", "300000 100000\n");
        assert_eq!(
            (quota(&made.host()).verdict, quota(&made.host()).figures["processors"].as_f64()),
            (Verdict::Good, Some(3.0))
        );
        made.file("/one/x/cpu.cfs_quota_us", "150000\n");
        let found = quota(&made.host());
        assert_eq!((found.verdict, found.found.as_str()), (Verdict::Worse, "1.50 processors, in /one/x"));
        made.file("/one/x/cpu.cfs_quota_us", "rubbish");
        for rubbish in ["1 0", "0 0", "1", "", "x y"] {
            made.file("/two/a/cpu.max", rubbish);
            assert_eq!(quota(&made.host()).found, "none", "{rubbish}");
        }
    }

    #[test]
    fn processors_of_one_core_only_are_worse() {
        let made = Made::new(&[]);
        assert_eq!(siblings(&made.host(), &set(&[0, 1])).verdict, Verdict::Unknown);
        let file = |cpu, text| {
            made.file(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"), text);
        };
        (0..2).for_each(|cpu| file(cpu, "0-1\n"));
        file(2, "2\n");
        assert_eq!(siblings(&made.host(), &set(&[0, 1])).verdict, Verdict::Worse);
        let found = siblings(&made.host(), &set(&[0, 1, 2]));
        assert_eq!((found.verdict, &found.figures["cores"]), (Verdict::Good, &2.into()));
        assert_eq!(siblings(&made.host(), &set(&[0, 2])).found, "2");
        assert_eq!(siblings(&made.host(), &set(&[2])).verdict, Verdict::Good);
    }

    #[test]
    fn only_isolated_processors_that_are_allowed_count() {
        let made = Made::new(&[]);
        assert_eq!(isolated(&made.host(), &set(&[0])).verdict, Verdict::Unknown);
        made.file("/sys/devices/system/cpu/isolated", "2-3\n");
        assert_eq!(isolated(&made.host(), &set(&[0, 1])).verdict, Verdict::Worse);
        assert_eq!(isolated(&made.host(), &set(&[0, 3])).verdict, Verdict::Good);
    }

    #[test]
    fn every_allowed_processor_must_keep_its_speed() {
        let made = Made::new(&[]);
        let of = || governor(&made.host(), &set(&[0, 1])).verdict;
        assert_eq!(of(), Verdict::Unknown);
        made.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
        assert_eq!(of(), Verdict::Good);
        made.file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
        assert_eq!(of(), Verdict::Worse);
    }

    #[test]
    fn the_deepest_idle_state_that_is_not_disabled_counts() {
        let made = Made::new(&[]);
        let of = || idle(&made.host(), &set(&[0]));
        assert_eq!(of().verdict, Verdict::Unknown);
        let file = |state, file, text| {
            made.file(&format!("/sys/devices/system/cpu/cpu0/cpuidle/{state}/{file}"), text);
        };
        file("state0", "latency", "0");
        file("state1", "latency", "2");
        file("state2", "latency", "133");
        file("state3", "latency", "rubbish");
        assert_eq!((of().verdict, &of().figures["latency_us"]), (Verdict::Worse, &133.into()));
        file("state2", "disable", "1");
        assert_eq!((of().verdict, &of().figures["latency_us"]), (Verdict::Good, &2.into()));
    }

    #[test]
    fn a_clock_that_needs_a_system_call_is_worse() {
        let made = Made::new(&[]);
        let of = || clock(&made.host()).verdict;
        assert_eq!(of(), Verdict::Unknown);
        let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        for (text, verdict) in [
            ("tsc\n", Verdict::Good),
            ("kvm-clock\n", Verdict::Good),
            ("hpet\n", Verdict::Worse),
            ("", Verdict::Unknown),
        ] {
            made.file(file, text);
            assert_eq!(of(), verdict, "{text}");
        }
    }
}
