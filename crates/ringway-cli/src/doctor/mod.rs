//! `ringway doctor`: what this host gives for rings and what it lacks.
//!
//! What can be tried is tried, and what is limited is looked up; nothing of it is left. Whatever cannot be read, or makes
//! no sense, is a finding too: *unknown*.
//!
//! Each module looks at one part of the host, by its files (`host.rs`) or by what the library has tried, and says
//! what it has found (`finding.rs`).

mod finding;
mod host;
mod kernel;
mod limits;
mod names;
mod pages;
mod processors;
mod surroundings;

use std::{
    io::{self, Write},
    path::Path,
};

use clap::Args;
use ringway::host::memory::Limits;

use self::{finding::Report, host::Host};
use crate::{exit::Failure, place::Place};

/// What a ring of the usual size takes, and a little.
const ROOM: u64 = 2 << 20;

/// Where names would be, and how to say it.
#[derive(Debug, Args)]
pub struct Options {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Looks at the host and prints what was found.
///
/// # Errors
///
/// If Ringway cannot do without something that is missing, or the output cannot be written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let report = examine(&Host::here(), options.place.names().dir());
    print(&report, options.json).map_err(Failure::print)?;
    match report.missing().as_slice() {
        [] => Ok(()),
        missing => Err(Failure::lacking(missing)),
    }
}

fn examine(host: &Host, names: &Path) -> Report {
    let mut found = kernel::findings(host);
    found.extend(names::findings(host, names));
    found.extend(limits::findings(host, &Limits::here()));
    found.extend(pages::findings(host));
    found.extend(processors::findings(host));
    found.extend(surroundings::findings(host, names));
    Report::new(found)
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::{host::Made, *};

    /// Every file that is read, and some that lead to more.
    const FILES: [&str; 20] = [
        "/proc/sys/kernel/osrelease",
        "/proc/self/mountinfo",
        "/proc/self/cgroup",
        "/proc/self/status",
        "/proc/meminfo",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/vm/nr_overcommit_hugepages",
        "/sys/kernel/mm/transparent_hugepage/shmem_enabled",
        "/sys/devices/system/cpu/isolated",
        "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "/sys/devices/system/cpu/cpu0/cpuidle/state0/latency",
        "/sys/devices/system/cpu/cpu0/cpuidle/state0/disable",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory.current",
        "/sys/fs/cgroup/memory.stat",
        "/sys/fs/cgroup/cpu.max",
        "/run/systemd/seats/seat0",
        "/etc/systemd/logind.conf",
    ];

    /// Keys and numbers as the kernel writes them, and what it never writes.
    const PIECES: [&[u8]; 24] = [
        b"MemAvailable:",
        b" 18446744073709551615 ",
        b"kB",
        b"\n",
        b"HugePages_Free:",
        b"HugePages_Rsvd:",
        b"-1",
        b"0",
        b"42 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,cpu",
        b"0::/..",
        b"0::/",
        b"CommitLimit:",
        b"[",
        b"]",
        b"Cpus_allowed_list:",
        b"0-8191",
        b"Uid:",
        b"\xff\0",
        b"\\04",
        b"Seccomp:",
        b"RemoveIPC=",
        b"[Login]\n",
        b",",
        b"Hugepagesize:",
    ];

    fn has_all(report: &Report) {
        let text = report.to_string();
        for name in ["version", "directory", "control group", "pool", "allowed", "RemoveIPC"] {
            assert!(text.contains(name), "{name} in\n{text}");
        }
        serde_json::to_string(report).unwrap();
    }

    #[test]
    fn a_host_without_proc_and_sys_is_examined_to_the_end() {
        has_all(&examine(&Made::new(&[]).host(), Path::new("/dev/shm")));
    }

    #[test]
    fn whatever_the_files_hold_the_host_is_examined_to_the_end() {
        let made = Made::new(&[]);
        let mut state = 1u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..100 {
            for file in FILES {
                let pieces = next(12);
                let text: Vec<_> = (0..pieces).flat_map(|_| PIECES[next(PIECES.len())]).copied().collect();
                made.file(file, text);
            }
            has_all(&examine(&made.host(), Path::new("/dev/shm")));
        }
    }
}
