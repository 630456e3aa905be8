//! The words as they lie in shared memory: a room with unsafe code.
#![allow(unsafe_code)]

use core::{fmt, ptr::NonNull};

use crate::{
    Whose, Words,
    primitive::{Flag, Futex},
};

/// The four words of two sides, lent by whoever mapped them.
pub struct Lent {
    my_asleep: NonNull<u32>,
    my_bell: NonNull<u32>,
    peers_asleep: NonNull<u32>,
    peers_bell: NonNull<u32>,
}

// SAFETY: addresses of words that are valid in the whole process and only ever accessed atomically.
unsafe impl Send for Lent {}

impl Lent {
    /// Borrows the words.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives: all four are aligned, valid for reads and
    /// (the first two) writes, and accessed by everyone as atomic `u32` only.
    #[must_use]
    pub unsafe fn new(
        my_asleep: NonNull<u32>,
        my_bell: NonNull<u32>,
        peers_asleep: NonNull<u32>,
        peers_bell: NonNull<u32>,
    ) -> Self {
        Self { my_asleep, my_bell, peers_asleep, peers_bell }
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
        let word = match whose {
            Whose::Mine => self.my_asleep,
            Whose::Peers => self.peers_asleep,
        };
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Flag` is a transparent atomic u32.
        unsafe { word.cast().as_ref() }
    }

    #[inline(always)]
    fn bell(&self, whose: Whose) -> &Futex {
        let word = match whose {
            Whose::Mine => self.my_bell,
            Whose::Peers => self.peers_bell,
        };
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Futex` is a transparent atomic u32.
        unsafe { word.cast().as_ref() }
    }
}
