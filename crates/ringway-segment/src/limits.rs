//! Looking before taking.
//!
//! Linux promises memory that it does not have, and what follows is not an error but SIGBUS, SIGXFSZ or the OOM
//! killer. So what is left under each limit is looked up before a segment is sized, and then all of it is
//! reserved. Between the two somebody else may take some: then the reservation fails, and the limits are looked
//! up again to tell which it was.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::error::{OsFault, Refusal};
use crate::origin::Origin;
use crate::size::Size;
use crate::sys;

/// There is less of something than was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// The segment it was for.
    pub at: Origin,
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes left under the limit, `None` if nobody tells.
    pub available: Option<u64>,
    /// The limit in the way.
    pub limit: Limit,
}

/// What can run out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The memory of the host.
    Host,
    /// What the host promises at all (`vm.overcommit_memory` is 2).
    Commit,
    /// The memory limit of a control group.
    Cgroup(PathBuf),
    /// The size of the mount that the file is on.
    Mount(PathBuf),
    /// The largest file that this process may make (`RLIMIT_FSIZE`).
    FileSize,
    /// The address space of this process (`RLIMIT_AS`), or how many mappings it may have.
    AddressSpace,
    /// The memory that this process may lock (`RLIMIT_MEMLOCK`).
    Locked,
    /// The pool of huge pages.
    HugePages,
    /// The memory that the caller has lent.
    Lent,
}

impl Limit {
    fn advice(&self) -> &'static str {
        match self {
            Limit::Host | Limit::Commit => "ask for a smaller capacity, or free memory",
            Limit::Cgroup(_) => "ask for a smaller capacity, or raise the group's limit",
            Limit::Mount(_) => {
                "ask for a smaller capacity, remove what is left over there, or remount it larger (containers: \
                 --shm-size)"
            }
            Limit::FileSize => "ask for a smaller capacity, or raise the limit (`ulimit -f`)",
            Limit::AddressSpace => {
                "ask for a smaller capacity, or raise the limit (`ulimit -v`, or vm.max_map_count)"
            }
            Limit::Locked => "ask for a smaller capacity, do not lock, or raise the limit (`ulimit -l`)",
            Limit::HugePages => "ask for a smaller capacity, or make the pool larger (vm.nr_hugepages)",
            Limit::Lent => "ask for a smaller capacity, or lend more",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Host => f.write_str("the memory of this host"),
            Limit::Commit => f.write_str("the commit limit of this host"),
            Limit::Cgroup(group) => write!(f, "the memory limit of control group {}", group.display()),
            Limit::Mount(directory) => write!(f, "the mount of {}", directory.display()),
            Limit::FileSize => f.write_str("the file size limit of this process"),
            Limit::AddressSpace => f.write_str("the address space of this process"),
            Limit::Locked => f.write_str("the limit on locked memory of this process"),
            Limit::HugePages => f.write_str("the pool of huge pages"),
            Limit::Lent => f.write_str("the memory that was lent"),
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortage { at, asked, available, limit } = self;
        write!(f, "{at}: {} asked for, ", Size(*asked))?;
        match available {
            Some(left) => write!(f, "{} left under {limit}", Size(*left))?,
            None => write!(f, "not to be had under {limit}")?,
        }
        write!(f, "; {}", limit.advice())
    }
}

impl std::error::Error for Shortage {}

/// Sizes a new file that nobody else has, and reserves all of it.
pub(crate) fn provide(file: &File, total: u64, at: &Origin) -> Result<(), Refusal> {
    foresee(file, total, at)?;
    file.set_len(total).map_err(|source| Refusal::Os(OsFault::new(at, "size it", source)))?;
    match reserve(file, total, total, at) {
        // Whatever the file system, what has been written is there.
        Err(Refusal::Os(fault)) if fault.source.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            write_zeros(file, total).map_err(|source| match source.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT) => Refusal::Short(culprit(file, total, at)),
                _ => Refusal::Os(OsFault::new(at, "reserve its memory", source)),
            })
        }
        other => other,
    }
}

/// An error if it is known that a new file of so many bytes cannot be had, in the directory or on the mount of `near`.
pub(crate) fn foresee(near: &File, total: u64, at: &Origin) -> Result<(), Refusal> {
    // First of all: going beyond it raises a signal.
    if let Some(left) = sys::file_size_limit().filter(|left| *left < total) {
        return Err(Refusal::Short(short(at, total, Some(left), Limit::FileSize)));
    }
    if sys::mount(near).is_ok_and(|mount| mount.huge_page.is_some()) {
        let source = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        return Err(Refusal::Os(OsFault::new(at, "keep its header on a mount of huge pages", source)));
    }
    look(near, total, at)
}

fn write_zeros(file: &File, total: u64) -> io::Result<()> {
    let zeros = [0; 64 << 10];
    for start in (0..total).step_by(zeros.len()) {
        let len = usize::try_from(total - start).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all_at(&zeros[..len], start)?;
    }
    Ok(())
}

/// Reserves what a file of `total` bytes lacks. Most often it lacks nothing, which costs one system call.
pub(crate) fn complete(file: &File, total: u64, at: &Origin) -> Result<(), Refusal> {
    let there = file.metadata().map_err(|source| Refusal::Os(OsFault::new(at, "look at it", source)))?;
    let missing = total.saturating_sub(there.blocks().saturating_mul(512));
    if missing == 0 {
        return Ok(());
    }
    look(file, missing, at)?;
    match reserve(file, total, missing, at) {
        // A file system that cannot reserve cannot give back either, and others write to the file by now: what it
        // counts as missing is compressed, or its way of counting.
        Err(Refusal::Os(fault)) if fault.source.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// An error if this process is known not to be allowed to lock so many bytes.
pub(crate) fn lockable(asked: u64, at: &Origin) -> Result<(), Refusal> {
    match unlocked() {
        Some(left) if left < asked => Err(Refusal::Short(locked(asked, at))),
        _ => Ok(()),
    }
}

/// The shortage behind an `ENOMEM`, `EAGAIN` or `EPERM` of `mlock`.
pub(crate) fn locked(asked: u64, at: &Origin) -> Shortage {
    // With room enough it is something else, and the figure would mislead.
    short(at, asked, unlocked().filter(|left| *left < asked), Limit::Locked)
}

/// What this process may still lock, `None` if that has no limit.
pub(crate) fn unlocked() -> Option<u64> {
    /// `CAP_IPC_LOCK`: exempt.
    const EXEMPT: u64 = 1 << 14;
    let limit = sys::locked_limit()?;
    // Of this thread: capabilities are a thread's.
    let status = read("/proc/thread-self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    if capabilities.is_some_and(|found| found & EXEMPT != 0) {
        return None;
    }
    Some(limit.saturating_sub(in_kilobytes(&status, "VmLck:").unwrap_or_default()))
}

/// The pool of huge pages has not enough.
pub(crate) fn huge_pages(asked: u64, free: Option<u64>, at: &Origin) -> Shortage {
    short(at, asked, free, Limit::HugePages)
}

/// The memory that was lent is not enough.
pub(crate) fn lent(asked: u64, lent: u64, at: &Origin) -> Shortage {
    short(at, asked, Some(lent), Limit::Lent)
}

/// The shortage behind an `ENOMEM` of `mmap`.
pub(crate) fn address_space(asked: u64, at: &Origin) -> Shortage {
    let available = sys::address_space_limit().map(|limit| limit.saturating_sub(address_space_in_use()));
    // With room enough it is the number of mappings, and the figure would mislead.
    short(at, asked, available.filter(|left| *left < asked), Limit::AddressSpace)
}

fn reserve(file: &File, total: u64, asked: u64, at: &Origin) -> Result<(), Refusal> {
    sys::reserve(file, total).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOSPC | libc::ENOMEM | libc::EDQUOT) => Refusal::Short(culprit(file, asked, at)),
        _ => Refusal::Os(OsFault::new(at, "reserve its memory", source)),
    })
}

/// An error if any limit is known to leave less than `asked`.
fn look(file: &File, asked: u64, at: &Origin) -> Result<(), Refusal> {
    match tightest(file, at) {
        Some((left, limit)) if left < asked => Err(Refusal::Short(short(at, asked, Some(left), limit))),
        _ => Ok(()),
    }
}

/// The kernel has refused `asked` bytes: the limit that is nearest to its end.
fn culprit(file: &File, asked: u64, at: &Origin) -> Shortage {
    match tightest(file, at) {
        Some((left, limit)) => short(at, asked, Some(left), limit),
        None => short(at, asked, None, Limit::Host),
    }
}

fn short(at: &Origin, asked: u64, available: Option<u64>, limit: Limit) -> Shortage {
    Shortage { at: at.clone(), asked, available, limit }
}

/// Whatever can be looked up; what cannot is left for the reservation to find out.
fn tightest(file: &File, at: &Origin) -> Option<(u64, Limit)> {
    let mut found = Vec::new();
    let mut in_memory = true;
    if let (Some(path), Ok(mount)) = (at.path(), sys::mount(file)) {
        let directory = path.parent().unwrap_or(path).to_owned();
        found.extend(mount.free.map(|left| (left, Limit::Mount(directory))));
        in_memory = mount.in_memory;
    }
    if in_memory {
        let memory = read("/proc/meminfo").unwrap_or_default();
        found.extend(in_kilobytes(&memory, "MemAvailable:").map(|left| (left, Limit::Host)));
        found.extend(commit(&memory).map(|left| (left, Limit::Commit)));
        found.extend(cgroup::room().map(|(left, group)| (left, Limit::Cgroup(group))));
    }
    found.into_iter().min_by_key(|(left, _)| *left)
}

/// The text of a small file of the kernel's, in which paths need not be UTF-8: what is not is replaced. With room for all of it from the start it is read at once: such a file
/// may be computed anew at each call.
pub(crate) fn read(path: impl AsRef<Path>) -> Option<String> {
    let mut text = Vec::with_capacity(16 << 10);
    File::open(path).ok()?.read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn commit(memory: &str) -> Option<u64> {
    let mode = read("/proc/sys/vm/overcommit_memory")?;
    if mode.trim() != "2" {
        return None;
    }
    Some(in_kilobytes(memory, "CommitLimit:")?.saturating_sub(in_kilobytes(memory, "Committed_AS:")?))
}

pub(crate) fn in_kilobytes(memory: &str, key: &str) -> Option<u64> {
    let rest = memory.lines().find_map(|line| line.strip_prefix(key))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

pub(crate) fn address_space_in_use() -> u64 {
    let pages = read("/proc/self/statm")
        .and_then(|text| text.split(' ').next().and_then(|size| size.parse::<u64>().ok()));
    pages.unwrap_or_default().saturating_mul(sys::page_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_meminfo_are_in_bytes() {
        let text = "MemTotal:       24684084 kB\nMemAvailable:       1000 kB\nHugePages_Total:       0\n";
        assert_eq!(in_kilobytes(text, "MemAvailable:"), Some(1_024_000));
        assert_eq!(in_kilobytes(text, "HugePages_Total:"), None);
        assert_eq!(in_kilobytes(text, "Absent:"), None);
    }

    #[test]
    fn a_path_that_is_not_utf8_does_not_hide_the_rest_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"35 /a\xFF rw\n36 /b rw\n").unwrap();
        assert_eq!(read(file.path()).unwrap(), "35 /a\u{FFFD} rw\n36 /b rw\n");
    }

    #[test]
    fn a_shortage_says_where_how_much_and_what_to_do() {
        let limit = Limit::Mount("/m".into());
        let shortage = short(&Origin::Named("/m/x".into()), 64 << 20, Some(300), limit);
        let text = shortage.to_string();
        let figures = ["67108864 bytes (64 MiB) asked for", "300 bytes left under the mount of /m"];
        for part in ["/m/x", "--shm-size"].into_iter().chain(figures) {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_hole_in_a_file_is_filled_and_a_whole_file_left_alone() {
        let file = File::from(sys::memfd(c"ringway-test", false).unwrap());
        file.set_len(1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().blocks(), 0);
        complete(&file, 1 << 20, &Origin::Memfd).unwrap();
        assert_eq!(file.metadata().unwrap().blocks() * 512, 1 << 20);
        complete(&file, 1 << 20, &Origin::Memfd).unwrap();
    }
}
