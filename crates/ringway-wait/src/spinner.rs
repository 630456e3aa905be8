//! How to wait, and whether spinning pays.

use std::time::{Duration, Instant};

use crate::primitive::{Flag, Ordering, spin_hint};

/// How a blocking call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Spin and never sleep: the lowest latency, at the price of a processor. Where both sides share one processor,
    /// the spinner gives it away at every turn.
    Spin,
    /// Spin for a while and then sleep in the kernel.
    Park {
        /// How long to spin at the most; [`Duration::ZERO`]: sleep at once. About what a sleep and a wake cost
        /// is a good measure: then a wait costs at most twice what the better of the two would have. Waits
        /// learn: where spinning keeps failing they soon sleep at once, and only try again now and then. Where both
        /// sides share one processor they sleep at once, too.
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
const TRUST: u32 = 8;
/// What a spin that paid adds.
const REWARD: u32 = 2;
/// Without trust, one wait in so many spins all the same, to see whether times have changed.
const PROBE: u32 = 32;
/// Looks between two looks at the clock, which costs some 20 ns.
const TURNS: u32 = 64;

/// Learns from the waits seen whether spinning pays. Where several threads wait, they learn from one another; now and then what one has
/// seen is lost, which does no harm.
#[derive(Debug)]
pub(crate) struct Spinner {
    wait: Wait,
    trust: Flag,
    skipped: Flag,
}

impl Spinner {
    pub(crate) fn new(wait: Wait) -> Self {
        Self { wait, trust: Flag::new(TRUST), skipped: Flag::new(0) }
    }

    /// Whether waits end in sleep.
    pub(crate) fn parks(&self) -> bool {
        self.wait != Wait::Spin
    }

    /// Looks, again and again, for as long as it is worth it; `None` if that was not long enough.
    ///
    /// `go_on` is asked now and then whether to, and may give the processor away.
    #[inline]
    pub(crate) fn spin<R>(
        &self,
        deadline: Option<Instant>,
        mut go_on: impl FnMut() -> bool,
        mut look: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let wait = self.wait;
        let limit = match wait {
            Wait::Spin => None,
            Wait::Park { spin: most } if self.worth_it(most) => Some(most),
            Wait::Park { .. } => return look(),
        };
        // What is found at once costs no look at the clock, nor at anything else.
        let mut found = turns(&mut look);
        if found.is_some() {
            self.learn(true);
            return found;
        }
        let limit = limit.and_then(|spin| Instant::now().checked_add(spin));
        while [limit, deadline].into_iter().flatten().all(|limit| Instant::now() < limit) {
            if !go_on() {
                return None;
            }
            found = turns(&mut look);
            if found.is_some() {
                break;
            }
        }
        self.learn(found.is_some());
        found
    }

    // Relaxed, here and below: each word is a hint by itself.
    fn learn(&self, paid: bool) {
        let trust = self.trust.load(Ordering::Relaxed);
        let learned = if paid { (trust + REWARD).min(TRUST) } else { trust.saturating_sub(1) };
        if learned != trust {
            self.trust.store(learned, Ordering::Relaxed);
        }
    }

    fn worth_it(&self, spin: Duration) -> bool {
        if spin.is_zero() {
            return false;
        }
        if self.trust.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let skipped = self.skipped.load(Ordering::Relaxed);
        let probe = skipped >= PROBE;
        self.skipped.store(if probe { 0 } else { skipped + 1 }, Ordering::Relaxed);
        probe
    }
}

/// Looks a few times.
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
