//! The one door to atomics.
//!
//! A [`Word`] can be loaded and stored, nothing else: that no shared word of the SPSC ring ever sees a
//! read-modify-write is a fact of its type. Under `--cfg ringway_loom` the same names are loom's.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

#[cfg(not(ringway_loom))]
use core::sync::atomic as imp;
#[cfg(ringway_loom)]
use loom::sync::atomic as imp;

pub use core::sync::atomic::Ordering;

/// A 64-bit word shared with the other side.
#[derive(Debug)]
#[repr(transparent)]
pub struct Word(imp::AtomicU64);

impl Word {
    /// A word of its own, for tests and models; in production words lie in lent memory.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self(imp::AtomicU64::new(value))
    }

    /// Loads the word.
    ///
    /// # Panics
    ///
    /// If `order` is not one for loads (`Release`, `AcqRel`).
    #[inline(always)]
    #[must_use]
    pub fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// Stores the word.
    ///
    /// # Panics
    ///
    /// If `order` is not one for stores (`Acquire`, `AcqRel`).
    #[inline(always)]
    pub fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }
}

/// A fence: orders loads before it (`Acquire`) or stores after it (`Release`) as if the Relaxed accesses on its other side
/// had that order.
///
/// # Panics
///
/// If `order` is `Relaxed`.
#[inline(always)]
pub fn fence(order: Ordering) {
    imp::fence(order);
}

/// Keeps the compiler from moving memory accesses across this point; the processor may.
///
/// loom has no compiler fence; it does not reorder program order at compile time either.
#[inline(always)]
pub fn compiler_fence() {
    #[cfg(not(ringway_loom))]
    imp::compiler_fence(Ordering::SeqCst);
}
