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
        #[cfg(ringway_loom)]
        mortal::spend();
        self.0.store(value, order);
    }
}

/// Keeps the compiler from moving memory accesses across this point; the processor may.
///
/// loom has no compiler fence; it does not reorder program order at compile time either.
#[inline(always)]
pub fn compiler_fence() {
    #[cfg(not(ringway_loom))]
    imp::compiler_fence(Ordering::SeqCst);
}

/// Kills in the model: a participant is stopped before one of its shared stores.
#[cfg(ringway_loom)]
pub mod mortal {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    };

    struct Killed;

    loom::thread_local! {
        static LEFT: Cell<Option<u32>> = Cell::new(None);
    }

    /// Runs `life`, stopping it before the shared store that follows the first `stores`. Says whether it came
    /// to its end.
    pub fn until(stores: u32, life: impl FnOnce()) -> bool {
        LEFT.with(|left| left.set(Some(stores)));
        let end = catch_unwind(AssertUnwindSafe(life));
        LEFT.with(|left| left.set(None));
        match end {
            Ok(()) => true,
            Err(cause) if cause.is::<Killed>() => false,
            Err(cause) => resume_unwind(cause),
        }
    }

    pub(super) fn spend() {
        let left = LEFT.with(Cell::get);
        match left {
            None => {}
            Some(0) => resume_unwind(Box::new(Killed)),
            Some(left) => LEFT.with(|cell| cell.set(Some(left - 1))),
        }
    }
}
