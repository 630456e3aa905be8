//! Rings that are used again and again: making one takes longer than most of what is done with it.

use std::time::Duration;

use ringway::{Offer, Wait, spsc::Options};

use crate::memory::{CAPACITY, Scribbler};

/// How long a call may wait.
pub(crate) const TICK: Duration = Duration::from_micros(10);

/// A ring, and a peer that reaches into it.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) offer: Offer,
    pub(crate) scribbler: Scribbler,
}

impl Ring {
    /// Works with a ring as it was born, with neither end taken: one whose ends sleep, or for odd `wait` one whose ends
    /// spin.
    pub(crate) fn with<R>(wait: u8, work: impl FnOnce(&Self) -> R) -> R {
        thread_local! {
            static RINGS: [Ring; 2] = [Wait::Park { spin: Duration::ZERO }, Wait::Spin].map(Ring::new);
        }
        RINGS.with(|rings| {
            let ring = &rings[usize::from(wait % 2)];
            ring.scribbler.heal();
            work(ring)
        })
    }

    fn new(wait: Wait) -> Self {
        let offer = Options::new().capacity(CAPACITY).wait(wait).offer().expect("memory has room for a ring");
        let scribbler = Scribbler::new(&offer);
        Self { offer, scribbler }
    }
}
