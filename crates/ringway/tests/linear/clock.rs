//! One time for all processes.
#![allow(unsafe_code)]

use ringway_ring::primitive::{Ordering, Word, fence};

/// The time, in nanoseconds of the one monotonic clock of this host, put down in `at`.
///
/// Linux sees to it that this clock never runs backwards, from whichever processor it is read.
///
/// What was done before this is done, for all to see, at that time: the first fence comes before the clock's look at its
/// page, and that before its look at the counter. Nothing that is done after this was done at that time yet: the store needs
/// the time, and the second fence has all accesses after it wait for the store. So an operation between two of these has
/// happened, if at all, at an instant between the two times.
pub(crate) fn stamp(at: &Word) -> u64 {
    fence(Ordering::SeqCst);
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a place for the result.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    let time = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
    at.store(time, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    time
}
