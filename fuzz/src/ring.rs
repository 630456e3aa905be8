//! Rings that are used again and again: making one takes longer than most of what is done with it.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use ringway::{
    Offer, Wait, layout,
    spsc::{self, lossy::Lose},
};

use crate::memory::{CAPACITY, Scribbler};

/// How long a call may wait.
pub(crate) const TICK: Duration = Duration::from_micros(10);

/// What a ring is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Records,
    Lossy(Lose),
    /// Slots of so many bytes.
    Slots(usize),
}

/// A ring, and a peer that reaches into it.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) offer: Offer,
    pub(crate) scribbler: Scribbler,
}

impl Ring {
    /// Works with a ring as it was born, with neither end taken. `born`: its lowest bit says how the ends wait, 0 for
    /// sleeping, 1 for spinning; the rest, a signed number of granules, where its positions begin, so that they soon wrap.
    pub(crate) fn with<R>(kind: Kind, born: u8, work: impl FnOnce(&Self) -> R) -> R {
        thread_local!(static RINGS: RefCell<HashMap<(Kind, bool), Rc<Ring>>> = RefCell::default());
        let spins = born % 2 != 0;
        let ring = RINGS.with_borrow_mut(|rings| {
            Rc::clone(rings.entry((kind, spins)).or_insert_with(|| Rc::new(Self::new(kind, spins))))
        });
        ring.scribbler.heal(Self::birth(born));
        work(&ring)
    }

    /// Where the positions of a ring begin that was `born` so.
    pub(crate) fn birth(born: u8) -> u64 {
        (i64::from(born as i8 >> 1) * 8) as u64
    }

    fn new(kind: Kind, spins: bool) -> Self {
        let wait = if spins { Wait::Spin } else { Wait::Park { spin: Duration::ZERO } };
        let options = spsc::Options::new().capacity(CAPACITY).wait(wait);
        let offer = match kind {
            Kind::Records => options.offer(),
            Kind::Lossy(lose) => spsc::lossy::Options::new(options, lose).offer(),
            Kind::Slots(size) => Offer::create(&layout::slots(size, CAPACITY, spins)),
        };
        let offer = offer.expect("memory has room for a ring");
        let scribbler = Scribbler::new(&offer);
        Self { offer, scribbler }
    }
}
