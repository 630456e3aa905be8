//! Waiting of queues that do not wait by themselves: the same for all of them.

use crossbeam_utils::Backoff;

use super::Shape;

/// How to look again until there is something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spin {
    /// Whether what is waited for may have to happen on this very CPU.
    crowded: bool,
}

impl Spin {
    pub(super) fn of(shape: Shape) -> Self {
        Self { crowded: shape.crowded() }
    }

    /// Looks until there is something: with a spin hint between two looks where each member has a CPU of its own, else less and
    /// less often, and soon it yields the CPU.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "waits for what no model replaces")]
    pub(super) fn until<T>(self, mut look: impl FnMut() -> Option<T>) -> T {
        let backoff = Backoff::new();
        loop {
            if let Some(found) = look() {
                return found;
            }
            if self.crowded {
                backoff.snooze();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
