//! Waiting of queues that do not wait by themselves: the same for all of them.

use std::thread;

use crossbeam_utils::Backoff;

use super::Shape;

/// What is done between two looks for something.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spin {
    /// Nothing, but a hint to the core that it spins.
    Hint,
    /// More and more hints, and soon the CPU is yielded each time.
    BackOff,
    /// The CPU is yielded each time: what is waited for may have to happen on this very one.
    Yield,
}

impl Spin {
    /// What suits members who each have a CPU, and those who share one.
    pub(super) fn of(shape: Shape) -> Self {
        if shape.crowded() { Self::BackOff } else { Self::Hint }
    }

    /// Looks until there is something.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "waits for what no model replaces")]
    pub(super) fn until<T>(self, mut look: impl FnMut() -> Option<T>) -> T {
        let backoff = Backoff::new();
        loop {
            if let Some(found) = look() {
                return found;
            }
            match self {
                Self::Hint => std::hint::spin_loop(),
                Self::BackOff => backoff.snooze(),
                Self::Yield => thread::yield_now(),
            }
        }
    }
}
