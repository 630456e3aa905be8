//! The system calls, and the one instruction that Rust has no word for: a room with unsafe code.
#![allow(unsafe_code, clippy::disallowed_types)]

use core::{mem::MaybeUninit, ptr, sync::atomic::AtomicU32};
use std::{io, time::Instant};

/// Sleeps on `word` while it holds `expected`.
///
/// FUTEX_WAIT_BITSET takes an absolute deadline on the monotonic clock, so that a signal in between does not
/// stretch it. Not FUTEX_PRIVATE_FLAG: the sleeper and the waker are different processes.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Instant>) {
    let timeout = deadline.map(absolute);
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the kernel reads `word`, which is valid for as long as the reference; `timeout` is null or points
    // to a timespec that outlives the call; the second address is not used by this operation.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            timeout,
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    let error = (result != 0).then(io::Error::last_os_error);
    if !matches!(
        error.and_then(|e| e.raw_os_error()),
        None | Some(libc::ETIMEDOUT | libc::EAGAIN | libc::EINTR)
    ) {
        // Nothing else is documented for good arguments. Should a sandbox refuse the call, the caller polls, and
        // gives the processor away in between.
        std::thread::yield_now();
    }
}

/// A word to sleep on together with others.
#[derive(Debug, Clone, Copy)]
pub struct Awaited<'a> {
    word: &'a AtomicU32,
    expected: u32,
    flags: u32,
}

/// `FUTEX2_SIZE_U32`, which libc has no word for.
const SIZE_U32: u32 = 2;
/// `FUTEX2_PRIVATE`.
const PRIVATE: u32 = 128;

impl<'a> Awaited<'a> {
    /// A word of shared memory, while it holds `expected`.
    pub(crate) fn shared(word: &'a AtomicU32, expected: u32) -> Self {
        Self { word, expected, flags: SIZE_U32 }
    }

    /// A word of this process's own, while it is 0.
    pub(crate) fn private(word: &'a AtomicU32) -> Self {
        Self { word, expected: 0, flags: SIZE_U32 | PRIVATE }
    }
}

/// `struct futex_waitv`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Waiter {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// Sleeps while each word, of which there are `N` at the most, holds what is expected of it, until woken or the deadline, or for
/// no reason at all. One system call; `false` if there is no such call here.
pub fn wait_any<'a, const N: usize>(
    words: impl IntoIterator<Item = Awaited<'a>>,
    deadline: Option<Instant>,
) -> bool {
    let mut waiters = [Waiter { expected: 0, address: 0, flags: 0, reserved: 0 }; N];
    let mut count = 0u32;
    for (waiter, word) in waiters.iter_mut().zip(words) {
        let address = word.word.as_ptr() as u64;
        *waiter = Waiter { expected: u64::from(word.expected), address, flags: word.flags, reserved: 0 };
        count += 1;
    }
    let timeout = deadline.map(absolute);
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the kernel reads `count` initialised entries, and the words, which are valid for as long as the references;
    // `timeout` is null or points to a timespec that outlives the call.
    let result = unsafe {
        libc::syscall(libc::SYS_futex_waitv, waiters.as_ptr(), count, 0u32, timeout, libc::CLOCK_MONOTONIC)
    };
    let error = if result < 0 { io::Error::last_os_error().raw_os_error() } else { None };
    matches!(error, None | Some(libc::ETIMEDOUT | libc::EAGAIN | libc::EINTR))
}

/// Wakes sleepers on `word`, so many at the most, and says how many.
pub(crate) fn wake(word: &AtomicU32, most: i32) -> u32 {
    // SAFETY: the address is valid; FUTEX_WAKE reads no memory through it.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, most) };
    // A sandbox that refuses the call refuses sleep, too: nobody was woken.
    u32::try_from(woken).unwrap_or(0)
}

/// Stores 0 into the word and wakes one sleeper on it, in whatever process: one system call, which a kill finds either
/// not begun or done.
///
/// Nothing happens where the word cannot be written, its file having been truncated, say: a store would end the
/// process there.
///
/// Release: pairs with the Acquire of whoever finds 0. The kernel's operation is a read-modify-write with a full
/// barrier on x86-64, and one of release order with a full barrier behind it on aarch64.
pub(crate) fn clear_and_wake(word: *const AtomicU32) {
    // Sets the second word, which is the first, to 0 and wakes one sleeper on the first. Another sleeper is woken if
    // the word held -1, which none does that has not been scribbled on.
    let operation = libc::FUTEX_OP(libc::FUTEX_OP_SET, 0, libc::FUTEX_OP_CMP_EQ, -1);
    // SAFETY: the kernel reaches the word as it reaches any address of a process: where it may not, the call fails.
    // What it changes is a word that everyone accesses atomically.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE_OP, 1, 0usize, word, operation);
    }
}

/// Wakes all threads of this process that sleep on `word` as a private one.
pub(crate) fn wake_all_private(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the address is valid; FUTEX_WAKE reads no memory through it.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX);
    }
}

/// `deadline` on CLOCK_MONOTONIC, which `Instant` counts on but does not give away.
fn absolute(deadline: Instant) -> libc::timespec {
    // In this order a delay between the two makes the sleep longer, never shorter.
    let left = deadline.saturating_duration_since(Instant::now());
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec to write to. The clock always exists.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
    }
    let nanoseconds = now.tv_nsec + i64::from(left.subsec_nanos());
    let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
    libc::timespec {
        tv_sec: now.tv_sec.saturating_add(seconds).saturating_add(nanoseconds / 1_000_000_000),
        tv_nsec: nanoseconds % 1_000_000_000,
    }
}

/// The processor this thread runs on, counted from 1; 0 if the kernel does not tell.
pub(crate) fn processor() -> u32 {
    // SAFETY: no memory is passed.
    let processor = unsafe { libc::sched_getcpu() };
    u32::try_from(processor + 1).unwrap_or(0)
}

/// How many processors this thread may run on; 0 if the kernel does not tell, as where there are more than a set has room for.
pub(crate) fn processors() -> u32 {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the kernel writes no more than the size that it is told; all zeros, and what it writes, are a set.
    let count = unsafe {
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr());
        libc::CPU_COUNT(set.assume_init_ref())
    };
    u32::try_from(count).unwrap_or(0)
}

/// A full barrier on x86-64: any locked instruction is one, and this is cheaper than the `mfence` that a SeqCst
/// fence becomes. What the Linux kernel's `smp_mb()` does.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn locked_fence() {
    // SAFETY: `or` with 0 changes nothing; the stack's top is mapped and aligned. Without `nomem` the compiler
    // takes it for an access to all memory and moves nothing across.
    unsafe {
        core::arch::asm!("lock or dword ptr [rsp], 0", options(nostack));
    }
}
