//! The system calls of the harness that the standard library has no words for.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "a futex is a call on an atomic word")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use libc::{c_int, c_long};

/// Turns the result of `call` into an error that names the call.
fn checked(call: &str, result: c_long) -> io::Result<c_long> {
    if result != -1 {
        return Ok(result);
    }
    let error = io::Error::last_os_error();
    Err(io::Error::new(error.kind(), format!("{call}: {error}")))
}

/// Anonymous memory of `size` zero bytes that can be handed to another process.
pub(super) fn memfd(size: u64) -> io::Result<File> {
    // SAFETY: the name is a string that ends in NUL and lives as long as the program.
    let fd = unsafe { libc::memfd_create(c"ringway-bench".as_ptr(), libc::MFD_CLOEXEC) };
    let fd = checked("memfd_create", c_long::from(fd))? as RawFd;
    // SAFETY: the call above has just made this descriptor and nobody else knows it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(size)?;
    Ok(file)
}

/// A pipe, its end for reading and its end for writing, that holds `capacity` bytes or, where the host
/// does not allow that many, what a pipe holds by default.
pub(super) fn pipe(capacity: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: `ends` is room for the two descriptors the call writes.
    checked("pipe2", unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    // SAFETY: the call above has just made both descriptors and nobody else knows them.
    let (reader, writer) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    let capacity = c_int::try_from(capacity).unwrap_or(c_int::MAX);
    // SAFETY: F_SETPIPE_SZ takes an int and touches no memory of ours.
    unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, capacity) };
    Ok((reader, writer))
}

/// Asks for `bytes` of send buffer for a socket; the host may grant less.
pub(super) fn set_send_buffer(socket: BorrowedFd<'_>, bytes: usize) {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    // SAFETY: SO_SNDBUF reads one int, which is what pointer and length describe.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const bytes).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
}

/// Lets programs that this process starts inherit `fd`.
pub(super) fn keep_over_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_SETFD takes an int and touches no memory of ours.
    checked("fcntl", unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }.into())?;
    Ok(())
}

/// Takes possession of a descriptor that was inherited under `number`.
///
/// # Errors
/// No such descriptor is open, it is one of the standard three, or it has an owner: what this process opens
/// closes on exec, and so does what was taken before.
pub(super) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD touches no memory of ours; it fails if the number is not open.
    let flags = checked("fcntl", unsafe { libc::fcntl(number, libc::F_GETFD) }.into())?;
    if number <= libc::STDERR_FILENO || flags & c_long::from(libc::FD_CLOEXEC) != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {number} has an owner")));
    }
    // SAFETY: F_SETFD takes an int and touches no memory of ours.
    checked("fcntl", unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: the descriptor is open and came over exec, as was just seen; nobody has taken it before, for
    // then it would close on exec.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A set of CPUs as the kernel writes it: room for 8192.
type CpuMask = [u64; 128];

/// The CPUs the calling thread may run on, lowest first.
pub(super) fn cpus() -> io::Result<Vec<usize>> {
    let mut mask: CpuMask = [0; 128];
    // SAFETY: pointer and length describe `mask`; every bit pattern the kernel writes there is a u64.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<CpuMask>(), mask.as_mut_ptr().cast()) };
    checked("sched_getaffinity", result.into())?;
    Ok((0..mask.len() * 64).filter(|cpu| mask[cpu / 64] >> (cpu % 64) & 1 == 1).collect())
}

/// Lets the calling thread run on `cpus` only.
pub(super) fn pin(cpus: &[usize]) -> io::Result<()> {
    let mut mask: CpuMask = [0; 128];
    for cpu in cpus {
        if let Some(word) = mask.get_mut(cpu / 64) {
            *word |= 1 << (cpu % 64);
        }
    }
    // SAFETY: pointer and length describe `mask`, which the call only reads.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<CpuMask>(), mask.as_ptr().cast()) };
    checked("sched_setaffinity", result.into())?;
    Ok(())
}

/// Has the kernel kill this process when the thread that started it ends.
pub(super) fn die_with_parent() -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory of ours.
    checked("prctl", unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }.into())?;
    Ok(())
}

/// Processor time this process has used so far, all its threads together.
pub(super) fn cpu_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is room for the one timespec the call writes.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    checked("clock_gettime", result.into())?;
    Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32))
}

/// Sleeps while `word` is `seen`; may also return for no reason, so the caller looks again.
pub(super) fn futex_wait(word: &AtomicU32, seen: u32) {
    let no_timeout = std::ptr::null::<libc::timespec>();
    // SAFETY: the address is that of an aligned word that lives as long as the borrow, which the kernel
    // only reads; a null timeout means none.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, no_timeout) };
}

/// Wakes one sleeper of `word`, in whatever process it is.
pub(super) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the kernel uses the address as a key only.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
