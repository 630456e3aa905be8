//! How thoroughly one looks who waits.

use core::cell::Cell;

use ringway_wait::{Event, LentEvent};

use super::participant::Participant;

/// Looks of one that spins, between two at the clock, and at who has died.
const SOME: u32 = 64;

/// One who waits: while it spins most looks are cheap ones; once it is about to sleep each look is a thorough one.
#[derive(Debug)]
pub(super) struct Turns {
    turn: Cell<u32>,
    sleeps: Cell<bool>,
    parks: bool,
}

impl Turns {
    pub(super) fn new(event: &Event<LentEvent>) -> Self {
        Self { turn: Cell::new(0), sleeps: Cell::new(false), parks: event.parks() }
    }

    /// Who is there, for one that is about to sleep.
    pub(super) fn present(&self, part: &Participant) -> u64 {
        self.sleeps.set(true);
        part.present()
    }

    /// Whether this look is to be a thorough one.
    #[inline(always)]
    pub(super) fn thorough(&self, part: &Participant) -> bool {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        // Who sleeps watches the others anyway.
        if !self.parks && turn == SOME - 1 {
            part.crowd.watch(part.present());
        }
        self.sleeps.get() || turn % SOME == SOME - 1
    }
}
