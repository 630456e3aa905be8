//! What this host gives for waiting and what it lacks: each [`Feature`] tried, because a sandbox may forbid what the
//! kernel has. A room with unsafe code.
//!
//! ```
//! use ringway_wait::host::Feature;
//!
//! for feature in Feature::ALL {
//!     match feature.try_out() {
//!         Ok(()) => println!("{feature}: works"),
//!         Err(error) => println!("{feature}: {error}"),
//!     }
//! }
//! ```
#![allow(unsafe_code, clippy::disallowed_types)]

use core::{
    mem::offset_of,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};
use std::{
    fmt, io,
    os::fd::{FromRawFd, OwnedFd},
    thread,
};

/// Something of the kernel's that waiting, or knowing of a peer's death, uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Sleeping on a word until another process wakes.
    Futex,
    /// Sleeping on many words at once (5.16).
    FutexWaitv,
    /// A word that the kernel marks when the thread that owns it ends.
    RobustList,
    /// A descriptor of a process (5.3).
    Pidfd,
    /// A fence that one process executes on behalf of all that have registered (4.16).
    Membarrier,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 5] =
        [Feature::Futex, Feature::FutexWaitv, Feature::RobustList, Feature::Pidfd, Feature::Membarrier];

    /// Tries it. Nothing of it is left, but that [`Feature::Membarrier`] registers this process for such fences.
    ///
    /// # Errors
    /// What the kernel, or a sandbox in its place, answers.
    pub fn try_out(self) -> io::Result<()> {
        match self {
            Feature::Futex => futex(),
            Feature::FutexWaitv => futex_waitv(),
            Feature::RobustList => robust_list(),
            Feature::Pidfd => pidfd(),
            Feature::Membarrier => membarrier(),
        }
    }
}

/// By the name that the kernel's manual has it under.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feature::Futex => "futex",
            Feature::FutexWaitv => "futex_waitv",
            Feature::RobustList => "set_robust_list",
            Feature::Pidfd => "pidfd_open",
            Feature::Membarrier => "membarrier",
        })
    }
}

fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// A sleep that the kernel refuses because the word has another value was understood.
fn refused_for_the_value(answer: libc::c_long) -> io::Result<()> {
    match check(answer) {
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(()),
        other => other.map(drop),
    }
}

fn futex() -> io::Result<()> {
    let word = AtomicU32::new(0);
    // SAFETY: the kernel reads `word`, which lives through the call; a null timeout is none; the second address is
    // not used by this operation. It does not sleep: the word is not 1.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            1,
            ptr::null::<libc::timespec>(),
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    refused_for_the_value(answer)?;
    // SAFETY: the kernel uses the address as a key only.
    check(unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) }).map(drop)
}

/// `struct futex_waitv` of the kernel.
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// A word of 32 bits.
const FUTEX2_SIZE_U32: u32 = 2;

fn futex_waitv() -> io::Result<()> {
    let word = AtomicU32::new(0);
    let address = word.as_ptr().expose_provenance() as u64;
    let waiters = [Waiter { value: 1, address, flags: FUTEX2_SIZE_U32, reserved: 0 }];
    // SAFETY: pointer and length describe `waiters`, which the kernel reads, and its address is that of `word`; both
    // live through the call. A null timeout is none. It does not sleep: the word is not 1.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            waiters.len(),
            0,
            ptr::null::<libc::timespec>(),
            libc::CLOCK_MONOTONIC,
        )
    };
    refused_for_the_value(answer)
}

/// `struct robust_list` of the kernel.
#[repr(C)]
struct Node {
    next: *const Node,
}

/// `struct robust_list_head` of the kernel, up to `node`: the one node that is in it; and the word it is for.
#[repr(C)]
struct List {
    head: Node,
    offset: libc::c_long,
    pending: *const Node,
    node: Node,
    word: AtomicU32,
}

// SAFETY: between threads only `word` changes, which is atomic; the rest is read, by the kernel.
unsafe impl Sync for List {}

/// Has a thread own a word and end: by the time it can be joined the kernel has marked the word.
fn robust_list() -> io::Result<()> {
    let mut list = List {
        head: Node { next: ptr::null() },
        offset: (offset_of!(List, word) - offset_of!(List, node)) as libc::c_long,
        pending: ptr::null(),
        node: Node { next: ptr::null() },
        word: AtomicU32::new(0),
    };
    let (head, node) = (&raw const list.head, &raw const list.node);
    list.node.next = head;
    list.head.next = node;
    let list = &list;
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, || own(list))?;
        // Not only its closure has come to its end then, as with the scope, but the thread.
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that tried it has panicked")))
    })?;
    // Relaxed: the thread that the kernel wrote it for has been joined.
    if list.word.load(Ordering::Relaxed) & libc::FUTEX_OWNER_DIED == 0 {
        return Err(io::Error::other("a thread has ended, and the kernel did not mark its word"));
    }
    Ok(())
}

fn own(list: &List) -> io::Result<()> {
    // SAFETY: no memory is passed.
    let thread = unsafe { libc::gettid() };
    // Relaxed: nobody but the kernel looks before this thread is joined.
    list.word.store(thread as u32 | libc::FUTEX_WAITERS, Ordering::Relaxed);
    // SAFETY:
    // - The list, its node and its word stay where they are until this thread has ended, for who lent them joins it.
    // - It takes the place of the C library's list for this thread, which is empty: the thread holds no robust mutex,
    //   and takes none in what is left of its life.
    let answer =
        unsafe { libc::syscall(libc::SYS_set_robust_list, ptr::from_ref(list), offset_of!(List, node)) };
    check(answer).map(drop)
}

fn pidfd() -> io::Result<()> {
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) })?;
    // SAFETY: the kernel has just made this descriptor, which is an `int`, for us; nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) });
    Ok(())
}

fn membarrier() -> io::Result<()> {
    for command in [libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED] {
        // SAFETY: no memory is passed.
        check(unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) })?;
    }
    Ok(())
}

/// The commands that `membarrier` knows here, as a set of bits in the kernel's numbering.
///
/// # Errors
/// The kernel, or a sandbox in its place, does not know the call.
pub fn membarrier_commands() -> io::Result<u32> {
    // SAFETY: no memory is passed.
    let known = check(unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_QUERY, 0, 0) })?;
    Ok(known as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_error_unless_it_is_for_the_value() {
        // SAFETY: no memory is passed, and there is no such call.
        let absent = unsafe { libc::syscall(-1) };
        assert_eq!(refused_for_the_value(absent).unwrap_err().raw_os_error(), Some(libc::ENOSYS));
        assert!(refused_for_the_value(0).is_ok());
    }

    #[test]
    fn what_every_wait_needs_can_be_had_here() {
        Feature::Futex.try_out().unwrap();
    }

    #[test]
    fn a_kernel_that_takes_a_robust_list_marks_the_word_of_a_thread_that_has_ended() {
        match robust_list().map_err(|error| (error.raw_os_error(), error)) {
            Ok(()) => {}
            Err((Some(_), error)) => eprintln!("skipped: no robust list here: {error}"),
            Err((None, error)) => panic!("{error}"),
        }
    }

    #[test]
    fn trying_does_no_harm_however_often() {
        for feature in Feature::ALL {
            let first = feature.try_out().map_err(|error| error.raw_os_error());
            for _ in 0..20 {
                assert_eq!(feature.try_out().map_err(|error| error.raw_os_error()), first, "{feature}");
            }
        }
    }
}
