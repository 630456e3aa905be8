//! The one door to atomics.
//!
//! A [`Word`] can be loaded and stored, nothing else: that no shared word of the SPSC ring ever sees a
//! read-modify-write is a fact of its type. What several write is a [`Common`]. Under `--cfg ringway_loom` the same names are
//! loom's.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

#[cfg(not(ringway_loom))]
use core::sync::atomic as imp;
#[cfg(ringway_loom)]
use loom::sync::atomic as imp;

use core::num::NonZeroU32;
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

/// A 64-bit word that several write.
#[derive(Debug)]
#[repr(transparent)]
pub struct Common(imp::AtomicU64);

impl Common {
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

    /// Stores the word: for whom the protocol says that nobody else does.
    ///
    /// # Panics
    ///
    /// If `order` is not one for stores (`Acquire`, `AcqRel`).
    #[inline(always)]
    pub fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    /// Stores `to` if the word holds `from`.
    ///
    /// # Errors
    ///
    /// What it holds instead.
    ///
    /// # Panics
    ///
    /// If `failed` is not an order for loads.
    #[inline(always)]
    pub fn compare_exchange(&self, from: u64, to: u64, done: Ordering, failed: Ordering) -> Result<u64, u64> {
        self.0.compare_exchange(from, to, done, failed)
    }
}

/// Numbers of which no two are the same in a process. Not shared with others; the same in models.
#[derive(Debug)]
pub struct Counter(core::sync::atomic::AtomicU32);

impl Counter {
    /// One that begins at 1.
    #[expect(clippy::new_without_default, reason = "it is for statics")]
    #[must_use]
    pub const fn new() -> Self {
        Self(core::sync::atomic::AtomicU32::new(0))
    }

    /// The next number.
    ///
    /// # Panics
    ///
    /// After 2³² − 1 of them.
    #[must_use]
    pub fn next(&self) -> NonZeroU32 {
        // Relaxed, both: only that they differ counts. One that has come to its end stays there.
        let next = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| last.checked_add(1));
        NonZeroU32::new(next.expect("fewer than 2³² are made") + 1).expect("one more than another number")
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
