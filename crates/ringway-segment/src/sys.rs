//! The system calls that std lacks, each as a safe function that says nothing but what the kernel said.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Reserving goes in pieces of this size, so that a signal costs one piece and not all.
const PIECE: u64 = 64 << 20;
/// The smallest piece. The kernel reserves it in less time than lies between the signals of any timer in use.
const SMALLEST_PIECE: u64 = 64 << 10;

fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Bytes of a page.
pub(crate) fn page_size() -> u64 {
    // SAFETY: `sysconf` takes a plain number and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("the kernel has a page size")
}

/// The user whose permissions this process has.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: `geteuid` takes nothing, cannot fail and touches no memory of ours.
    unsafe { libc::geteuid() }
}

/// A new memfd that can be sealed and, where the kernel knows how to promise that, never executed.
pub(crate) fn memfd(name: &CStr, huge_pages: bool) -> io::Result<OwnedFd> {
    let huge = if huge_pages { libc::MFD_HUGETLB } else { 0 };
    match memfd_with(name, libc::MFD_NOEXEC_SEAL | huge) {
        // Before Linux 6.3 the flag is unknown.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => memfd_with(name, huge),
        other => other,
    }
}

/// A new memfd that can be sealed, and closes on exec; with these flags besides.
pub(crate) fn memfd_with(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | flags;
    // SAFETY: `name` is a string that ends in NUL and lives through the call, which only reads it.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Seals the size for good: no shrinking, no growing, no further seals.
pub(crate) fn seal_size(fd: impl AsFd) -> io::Result<()> {
    add_seals(fd, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL)
}

/// Adds these seals to a memfd.
pub(crate) fn add_seals(fd: impl AsFd, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call; this command takes a plain number.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(())
}

/// The seals of a memfd; an error for anything else.
pub(crate) fn seals(fd: impl AsFd) -> io::Result<libc::c_int> {
    // SAFETY: the descriptor is open for the whole call; this command takes nothing.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GET_SEALS) })
}

/// Opens `path`; `mode` counts only if the flags make a file.
pub(crate) fn open(path: &CStr, flags: libc::c_int, mode: libc::mode_t) -> io::Result<OwnedFd> {
    // SAFETY: `path` ends in NUL and lives through the call, which only reads it; `mode` is what the variable
    // argument is read as (C promotes it to `unsigned int`, which it is).
    let fd = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, mode as libc::c_uint) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the file behind a descriptor's path in `/proc` the name `to`.
pub(crate) fn link(from: &CStr, to: &CStr) -> io::Result<()> {
    // SAFETY: both strings end in NUL and live through the call, which only reads them.
    let answer = unsafe {
        libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW)
    };
    check(answer)?;
    Ok(())
}

/// A number that nobody can have hit upon before.
pub(crate) fn nonce() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the pointer is to so many writable bytes. So few come all at once.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == bytes.len() as isize { Ok(u64::from_ne_bytes(bytes)) } else { Err(io::Error::last_os_error()) }
}

/// Makes the kernel set aside all memory of the first `len` bytes.
pub(crate) fn reserve(fd: impl AsFd, len: u64) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    in_pieces(len, |start, len| {
        // SAFETY: the descriptor is open for the whole call; the rest are plain numbers, below 2^43.
        check(unsafe { libc::fallocate(fd, 0, start as libc::off_t, len as libc::off_t) })
    })
}

/// Calls `reserve` with the start and the length of one piece after the other.
///
/// In most kernels a signal makes it give back all of the piece it is at. So each one halves the pieces that follow,
/// or a timer that is faster than a piece would make this endless.
fn in_pieces(len: u64, mut reserve: impl FnMut(u64, u64) -> io::Result<libc::c_int>) -> io::Result<()> {
    let (mut done, mut most) = (0, PIECE);
    while done < len {
        let piece = most.min(len - done);
        match reserve(done, piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => most = (most / 2).max(SMALLEST_PIECE),
            other => {
                other?;
                done += piece;
            }
        }
    }
    Ok(())
}

/// What a mount says about itself.
#[derive(Debug)]
pub(crate) struct Mount {
    /// Bytes in all, `None` if the mount has no limit.
    pub(crate) size: Option<u64>,
    /// Bytes that this user may still take, `None` if the mount has no limit.
    pub(crate) free: Option<u64>,
    /// How many files it can have and how many more, `None` if that has no limit.
    pub(crate) files: Option<(u64, u64)>,
    /// Whether its files are memory.
    pub(crate) in_memory: bool,
    /// The size of its pages, if they are huge ones.
    pub(crate) huge_page: Option<u64>,
}

/// Asks for the mount on which an open file is.
pub(crate) fn mount(fd: impl AsFd) -> io::Result<Mount> {
    let mut found = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the descriptor is open for the whole call, and the pointer is to writable memory of the type that
    // the call fills.
    check(unsafe { libc::fstatfs(fd.as_fd().as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, so it has filled the structure; all of it was zeroed before, and every bit
    // pattern is a value of its integer fields.
    let found = unsafe { found.assume_init() };
    let block = u64::try_from(found.f_bsize).unwrap_or_default();
    // A tmpfs without a limit has no number of blocks, or of files.
    let bytes = |blocks: u64| (found.f_blocks != 0).then(|| blocks.saturating_mul(block));
    Ok(Mount {
        size: bytes(found.f_blocks),
        free: bytes(found.f_bavail),
        files: (found.f_files != 0).then_some((found.f_files, found.f_ffree)),
        in_memory: found.f_type == libc::TMPFS_MAGIC,
        huge_page: (found.f_type == libc::HUGETLBFS_MAGIC).then_some(block),
    })
}

/// The largest file that this process may make, `None` without a limit; beyond it comes a signal and no error.
pub(crate) fn file_size_limit() -> Option<u64> {
    // SAFETY: the reference is to writable memory of the type that the call fills.
    limit(|found| unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, found) })
}

/// The most address space that this process may have, `None` without a limit.
pub(crate) fn address_space_limit() -> Option<u64> {
    // SAFETY: as above.
    limit(|found| unsafe { libc::getrlimit(libc::RLIMIT_AS, found) })
}

/// The most memory that this process may lock, `None` without a limit.
pub(crate) fn locked_limit() -> Option<u64> {
    // SAFETY: as above.
    limit(|found| unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, found) })
}

/// The most descriptors that this process may have, `None` without a limit.
pub(crate) fn descriptor_limit() -> Option<u64> {
    // SAFETY: as above.
    limit(|found| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, found) })
}

fn limit(ask: impl FnOnce(&mut libc::rlimit) -> libc::c_int) -> Option<u64> {
    let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    check(ask(&mut found)).ok()?;
    (found.rlim_cur != libc::RLIM_INFINITY).then_some(found.rlim_cur)
}

/// How to hold a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Shared,
    Alone,
}

/// Locks one byte for the open file description, without waiting; `false` if others' locks forbid it.
pub(crate) fn try_lock(fd: impl AsFd, byte: u8, hold: Hold) -> io::Result<bool> {
    let kind = match hold {
        Hold::Shared => libc::F_RDLCK,
        Hold::Alone => libc::F_WRLCK,
    };
    match set_lock(fd, kind, byte.into(), 1) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How others hold a byte, `None` if nobody does. Needs no more than a descriptor for reading.
pub(crate) fn held(fd: impl AsFd, byte: u8) -> io::Result<Option<Hold>> {
    let mut request = lock_of(libc::F_WRLCK, byte.into(), 1);
    // SAFETY: the descriptor is open for the whole call; the pointer is to a `flock`, which the command reads and
    // writes.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_OFD_GETLK, &raw mut request) })?;
    Ok(match libc::c_int::from(request.l_type) {
        libc::F_UNLCK => None,
        libc::F_RDLCK => Some(Hold::Shared),
        _ => Some(Hold::Alone),
    })
}

/// Gives one byte back.
pub(crate) fn unlock(fd: impl AsFd, byte: u8) -> io::Result<()> {
    set_lock(fd, libc::F_UNLCK, byte.into(), 1)
}

/// Gives all bytes back.
pub(crate) fn unlock_all(fd: impl AsFd) -> io::Result<()> {
    set_lock(fd, libc::F_UNLCK, 0, 0)
}

fn set_lock(fd: impl AsFd, kind: libc::c_int, start: libc::off_t, len: libc::off_t) -> io::Result<()> {
    let request = lock_of(kind, start, len);
    // SAFETY: the descriptor is open for the whole call; the pointer is to a `flock`, which the command reads.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_OFD_SETLK, &raw const request) })?;
    Ok(())
}

fn lock_of(kind: libc::c_int, start: libc::off_t, len: libc::off_t) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: len,
        // Demanded for locks of open file descriptions.
        l_pid: 0,
    }
}

/// Another descriptor of the same open file, closed on exec, above those of standard input and output.
pub(crate) fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open for the whole call; this command takes a plain number.
    let copy = check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Whether a program started by this process would go without this descriptor; an error if it is not open.
pub(crate) fn closes_on_exec(fd: RawFd) -> io::Result<bool> {
    // SAFETY: asking for the flags of any number is harmless; one that is not open is an error.
    Ok(check(unsafe { libc::fcntl(fd, libc::F_GETFD) })? & libc::FD_CLOEXEC != 0)
}

/// Sets whether a program started by this process goes without this descriptor.
///
/// Nothing here allocates or locks: it is fit for the moment between fork and exec.
pub(crate) fn set_closes_on_exec(fd: impl AsFd, closes: bool) -> io::Result<()> {
    let flags = if closes { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: the descriptor is open for the whole call; this command takes a plain number.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFD, flags) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserves `len` bytes where whatever is longer than `longest` is interrupted; the calls' number and the bytes.
    fn interrupted_beyond(longest: u64, len: u64) -> (u32, u64) {
        let (mut calls, mut reserved) = (0, 0);
        let call = |start, len| {
            calls += 1;
            assert!(calls < 10_000, "endless");
            assert_eq!(start, reserved);
            if len > longest {
                return Err(io::Error::from_raw_os_error(libc::EINTR));
            }
            reserved += len;
            Ok(0)
        };
        in_pieces(len, call).unwrap();
        (calls, reserved)
    }

    #[test]
    fn reserving_comes_to_an_end_however_often_it_is_interrupted() {
        let len = 2 * PIECE + 4096;
        assert_eq!(interrupted_beyond(PIECE, len), (3, len));
        // Halved 6 times, then 128 pieces of a mebibyte and the rest.
        assert_eq!(interrupted_beyond(1 << 20, len), (6 + 129, len));
        assert_eq!(interrupted_beyond(SMALLEST_PIECE, len), (10 + 2049, len));
    }

    #[test]
    fn reserving_ends_at_any_other_error() {
        let full = in_pieces(1, |_, _| Err(io::Error::from_raw_os_error(libc::ENOSPC)));
        assert_eq!(full.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    }
}
