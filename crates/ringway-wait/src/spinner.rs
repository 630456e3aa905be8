//! How to wait, and whether spinning pays.

use std::time::{Duration, Instant};

use crate::primitive::spin_hint;

/// How a blocking call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Spin and never sleep: the lowest latency, at the price of a processor. Where there is only one
    /// processor, the spinner gives it away at every turn.
    Spin,
    /// Spin for a while and then sleep in the kernel.
    Park {
        /// How long to spin at the most; [`Duration::ZERO`]: sleep at once. About what a sleep and a wake cost
        /// is a good measure: then a wait costs at most twice what the better of the two would have. Waits
        /// learn: where spinning keeps failing they soon sleep at once, and only try again now and then.
        spin: Duration,
    },
}

impl Default for Wait {
    /// Park after up to 50 µs of spinning.
    fn default() -> Self {
        Self::Park { spin: Duration::from_micros(50) }
    }
}

/// Trust at the start, and the most there can be.
const TRUST: u8 = 8;
/// What a spin that paid adds.
const REWARD: u8 = 2;
/// Without trust, one wait in so many spins all the same, to see whether times have changed.
const PROBE: u8 = 32;
/// Looks between two looks at the clock, which costs some 20 ns.
const TURNS: u32 = 64;

/// Learns from the waits seen whether spinning pays.
#[derive(Debug)]
pub(crate) struct Spinner {
    wait: Wait,
    trust: u8,
    skipped: u8,
}

impl Spinner {
    pub(crate) fn new(wait: Wait) -> Self {
        Self { wait, trust: TRUST, skipped: 0 }
    }

    /// Whether waits end in sleep.
    pub(crate) fn parks(&self) -> bool {
        self.wait != Wait::Spin
    }

    /// Looks, again and again, for as long as it is worth it; `None` if that was not long enough.
    #[inline]
    pub(crate) fn spin<R>(
        &mut self,
        deadline: Option<Instant>,
        mut look: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let wait = self.wait;
        let found = match wait {
            Wait::Spin => spin_until(&mut look, || deadline),
            Wait::Park { spin: most } if self.worth_it(most) => spin_until(&mut look, || {
                let limit = Instant::now() + most;
                Some(deadline.map_or(limit, |deadline| deadline.min(limit)))
            }),
            Wait::Park { .. } => return look(),
        };
        self.trust = match found {
            Some(_) => (self.trust + REWARD).min(TRUST),
            None => self.trust.saturating_sub(1),
        };
        found
    }

    fn worth_it(&mut self, spin: Duration) -> bool {
        if spin.is_zero() || alone() {
            return false;
        }
        if self.trust == 0 && self.skipped < PROBE {
            self.skipped += 1;
            return false;
        }
        self.skipped = 0;
        true
    }
}

/// Looks until something is found or the limit has passed. The limit is asked for after the first turns: what is
/// found at once costs no look at the clock.
#[inline]
fn spin_until<R>(look: &mut impl FnMut() -> Option<R>, limit: impl FnOnce() -> Option<Instant>) -> Option<R> {
    let found = turns(look);
    if found.is_some() {
        return found;
    }
    let limit = limit();
    while limit.is_none_or(|limit| Instant::now() < limit) {
        if alone() {
            std::thread::yield_now();
        }
        let found = turns(look);
        if found.is_some() {
            return found;
        }
    }
    None
}

#[inline]
fn turns<R>(look: &mut impl FnMut() -> Option<R>) -> Option<R> {
    for _ in 0..TURNS {
        let found = look();
        if found.is_some() {
            return found;
        }
        spin_hint();
    }
    None
}

/// Whether this machine has but one processor.
fn alone() -> bool {
    #[cfg(ringway_loom)]
    return true;
    #[cfg(not(ringway_loom))]
    {
        static ALONE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *ALONE.get_or_init(|| crate::futex::processors() == 1)
    }
}
