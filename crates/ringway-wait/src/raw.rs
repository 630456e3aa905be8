//! The words as they lie in shared memory: a room with unsafe code.
#![allow(unsafe_code)]

use core::{fmt, ptr::NonNull};

use crate::{
    Whose, Words,
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
        Self { mine, peers }
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
}
