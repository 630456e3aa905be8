//! The words as they lie in shared memory: a room with unsafe code.
#![allow(unsafe_code)]

use core::{fmt, ptr::NonNull};
use std::time::Instant;

use crate::{
    Life, Whose, Words,
    primitive::{Flag, Futex},
};

/// Where the words of one side lie.
#[derive(Debug, Clone, Copy)]
pub struct SideWords {
    /// See [`Words::asleep`].
    pub asleep: NonNull<u32>,
    /// See [`Words::bell`].
    pub bell: NonNull<u32>,
    /// See [`Words::processor`].
    pub processor: NonNull<u32>,
}

/// The words of two sides, lent by whoever mapped them.
pub struct Lent {
    mine: SideWords,
    peers: SideWords,
    life: Option<Life>,
}

// SAFETY: addresses of words that are valid in the whole process and only ever accessed atomically.
unsafe impl Send for Lent {}

impl Lent {
    /// Borrows the words.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives: all are aligned, valid for reads and (`mine`)
    /// writes, and accessed by everyone as atomic `u32` only.
    #[must_use]
    pub unsafe fn new(mine: SideWords, peers: SideWords) -> Self {
        Self { mine, peers, life: None }
    }

    /// With what tells of the peer's death; without it nothing does.
    #[must_use]
    pub fn with_life(self, life: Life) -> Self {
        Self { life: Some(life), ..self }
    }

    #[inline(always)]
    fn of(&self, whose: Whose) -> &SideWords {
        match whose {
            Whose::Mine => &self.mine,
            Whose::Peers => &self.peers,
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl Words for Lent {
    #[inline(always)]
    fn asleep(&self, whose: Whose) -> &Flag {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Flag` is a transparent atomic u32.
        unsafe { self.of(whose).asleep.cast().as_ref() }
    }

    #[inline(always)]
    fn bell(&self, whose: Whose) -> &Futex {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Futex` is a transparent atomic u32.
        unsafe { self.of(whose).bell.cast().as_ref() }
    }

    fn processor(&self, whose: Whose) -> &Flag {
        // SAFETY: as in `asleep`.
        unsafe { self.of(whose).processor.cast().as_ref() }
    }

    fn died(&self) -> bool {
        self.life.as_ref().is_some_and(Life::died)
    }

    fn pid(&self) -> u32 {
        self.life.as_ref().map_or(0, Life::pid)
    }

    fn alive(&self) -> u32 {
        self.life.as_ref().map_or(0, Life::word)
    }

    fn watch(&self) {
        self.life.iter().for_each(Life::watch);
    }

    fn sleep(&self, bell: u32, alive: u32, deadline: Option<Instant>) {
        match &self.life {
            Some(life) => life.sleep(self.bell(Whose::Peers), bell, alive, deadline),
            None => self.bell(Whose::Peers).wait(bell, deadline),
        }
    }
}
