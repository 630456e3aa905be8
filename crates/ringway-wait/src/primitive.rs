//! The one door to atomics, fences, spin hints and futex calls; under `--cfg ringway_loom` they are models.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

#[cfg(not(ringway_loom))]
use core::sync::atomic as imp;
#[cfg(ringway_loom)]
use loom::sync::atomic as imp;
use std::time::Instant;

pub use core::sync::atomic::Ordering;

/// A 32-bit word shared with the other side.
#[derive(Debug)]
#[repr(transparent)]
pub struct Flag(imp::AtomicU32);

impl Flag {
    /// A word of its own, for tests and models; in production words lie in lent memory.
    #[must_use]
    pub fn new(value: u32) -> Self {
        Self(imp::AtomicU32::new(value))
    }

    /// Loads the word.
    ///
    /// # Panics
    ///
    /// If `order` is not one for loads (`Release`, `AcqRel`).
    #[inline(always)]
    #[must_use]
    pub fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    /// Stores the word.
    ///
    /// # Panics
    ///
    /// If `order` is not one for stores (`Acquire`, `AcqRel`).
    #[inline(always)]
    pub fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
}

/// A 64-bit word shared with the other side.
#[derive(Debug)]
#[repr(transparent)]
pub struct Wide(imp::AtomicU64);

impl Wide {
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
    #[must_use]
    pub fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// Stores the word.
    ///
    /// # Panics
    ///
    /// If `order` is not one for stores (`Acquire`, `AcqRel`).
    pub fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }
}

/// A 32-bit word that threads of any process can sleep on.
#[derive(Debug)]
#[repr(transparent)]
#[cfg(not(ringway_loom))]
pub struct Futex(imp::AtomicU32);

#[cfg(not(ringway_loom))]
impl Futex {
    /// A word of its own, for tests; in production words lie in lent memory.
    #[must_use]
    pub fn new(value: u32) -> Self {
        Self(imp::AtomicU32::new(value))
    }

    /// Loads the word.
    ///
    /// # Panics
    ///
    /// If `order` is not one for loads (`Release`, `AcqRel`).
    #[inline(always)]
    #[must_use]
    pub fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    /// Stores the word.
    ///
    /// # Panics
    ///
    /// If `order` is not one for stores (`Acquire`, `AcqRel`).
    #[inline(always)]
    pub fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }

    /// Sleeps while the word holds `expected`, until woken or the deadline, or for no reason at all: look again, and
    /// at the clock. One system call.
    pub fn wait(&self, expected: u32, deadline: Option<Instant>) {
        crate::futex::wait(&self.0, expected, deadline);
    }

    /// The word, to sleep on together with others while it holds `expected`.
    #[must_use]
    pub fn awaited(&self, expected: u32) -> Awaited<'_> {
        Awaited::shared(&self.0, expected)
    }

    /// Wakes one sleeper, in whatever process. One system call.
    pub fn wake(&self) {
        crate::futex::wake(&self.0);
    }
}

#[cfg(not(ringway_loom))]
pub use crate::futex::{Awaited, wait_any};

/// A modelled futex. It takes no barrier from the kernel for granted.
#[derive(Debug)]
#[cfg(ringway_loom)]
pub struct Futex {
    word: imp::AtomicU32,
    queue: Option<std::sync::Arc<(loom::sync::Mutex<()>, loom::sync::Condvar)>>,
}

#[cfg(ringway_loom)]
impl Futex {
    /// One that only wakes when told: a lost wake is a deadlock, which loom reports.
    #[must_use]
    pub fn patient() -> Self {
        Self {
            word: imp::AtomicU32::new(0),
            queue: Some(std::sync::Arc::new((loom::sync::Mutex::new(()), loom::sync::Condvar::new()))),
        }
    }

    /// One that comes back at once: it has no lock whose edges could hide a missing order.
    #[must_use]
    pub fn restless() -> Self {
        Self { word: imp::AtomicU32::new(0), queue: None }
    }

    /// One of the same kind, that only one sleeps on who sleeps on this one, too: so they have one queue.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { word: imp::AtomicU32::new(0), queue: self.queue.clone() }
    }

    /// The word, to sleep on together with others while it holds `expected`.
    #[must_use]
    pub fn awaited(&self, expected: u32) -> Awaited<'_> {
        Awaited { word: self, expected }
    }

    /// Loads the word.
    #[must_use]
    pub fn load(&self, order: Ordering) -> u32 {
        self.word.load(order)
    }

    /// Stores the word.
    pub fn store(&self, value: u32, order: Ordering) {
        self.word.store(value, order);
    }

    /// Sleeps as the model has it.
    pub fn wait(&self, expected: u32, deadline: Option<Instant>) {
        wait_any([Some(self.awaited(expected))], deadline);
    }

    /// Wakes one sleeper, if the model has any.
    pub fn wake(&self) {
        if let Some((lock, told)) = self.queue.as_deref() {
            let _guard = lock.lock().unwrap();
            told.notify_one();
        }
    }
}

/// A word of a model to sleep on, while it holds what is expected, together with those [beside](Futex::beside) it.
#[derive(Debug, Clone, Copy)]
#[cfg(ringway_loom)]
pub struct Awaited<'a> {
    word: &'a Futex,
    expected: u32,
}

/// Sleeps as the model has it, on words of one queue; the first is there. No time passes in a model: with a deadline it comes
/// back at once.
#[cfg(ringway_loom)]
pub fn wait_any<const N: usize>(words: [Option<Awaited<'_>>; N], deadline: Option<Instant>) -> bool {
    match words[0].and_then(|first| first.word.queue.as_deref()) {
        Some((lock, told)) if deadline.is_none() => {
            let guard = lock.lock().unwrap();
            // The kernel compares under the lock of each word's queue, once; who changes a word afterwards finds the sleeper.
            if words.into_iter().flatten().all(|awaited| awaited.holds()) {
                drop(told.wait(guard).unwrap());
            }
        }
        _ => loom::thread::yield_now(),
    }
    true
}

#[cfg(ringway_loom)]
impl Awaited<'_> {
    fn holds(&self) -> bool {
        self.word.load(Ordering::Relaxed) == self.expected
    }
}

/// A full barrier: no memory access moves across it in either direction, stores before loads included.
#[inline(always)]
pub fn full_fence() {
    #[cfg(any(ringway_loom, not(target_arch = "x86_64")))]
    imp::fence(Ordering::SeqCst);
    #[cfg(all(not(ringway_loom), target_arch = "x86_64"))]
    crate::futex::locked_fence();
}

/// A turn of a spin loop.
#[inline(always)]
pub(crate) fn spin_hint() {
    #[cfg(not(ringway_loom))]
    core::hint::spin_loop();
    #[cfg(ringway_loom)]
    loom::thread::yield_now();
}

/// Stays away from shared memory for so many turns of a spin loop. No time passes in a model.
#[inline]
pub fn pause(turns: u32) {
    #[cfg(not(ringway_loom))]
    (0..turns).for_each(|_| core::hint::spin_loop());
    #[cfg(ringway_loom)]
    let _ = turns;
}

/// The processor this thread runs on, counted from 1; 0 if that cannot be told.
#[inline]
pub(crate) fn processor() -> u32 {
    #[cfg(not(ringway_loom))]
    return crate::futex::processor();
    #[cfg(ringway_loom)]
    return 0;
}
