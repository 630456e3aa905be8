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

/// A 64-bit word that several write.
#[derive(Debug)]
#[repr(transparent)]
pub struct Common(imp::AtomicU64);

impl Common {
    /// A word of its own; where it is shared between processes, words lie in lent memory.
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
    pub fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    /// Adds, and says what was there.
    pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    /// Subtracts, and says what was there.
    pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_sub(value, order)
    }

    /// Sets bits, and says what was there.
    pub fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.0.fetch_or(bits, order)
    }

    /// Leaves only these bits, and says what was there.
    pub fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        self.0.fetch_and(bits, order)
    }
}

/// Counts what threads of this process do. Nothing hangs on it, so it is no part of a model.
#[derive(Debug, Default)]
pub(crate) struct Count(core::sync::atomic::AtomicU64);

impl Count {
    pub(crate) fn add_one(&self) {
        // Relaxed: nothing hangs on it.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // Relaxed: as above.
        self.0.load(Ordering::Relaxed)
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

    /// Adds 1, where several may.
    pub fn bump(&self, order: Ordering) {
        self.0.fetch_add(1, order);
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

    /// Wakes one sleeper, in whatever process, and says how many that were: 0 or 1. One system call.
    pub fn wake(&self) -> u32 {
        crate::futex::wake(&self.0, 1)
    }

    /// Wakes all sleepers, in whatever process, and says how many that were. One system call.
    pub fn wake_all(&self) -> u32 {
        crate::futex::wake(&self.0, i32::MAX)
    }
}

#[cfg(not(ringway_loom))]
pub use crate::futex::{Awaited, wait_any};

#[cfg(ringway_loom)]
pub(crate) use loom::sync::Mutex;
#[cfg(not(ringway_loom))]
pub(crate) use std::sync::Mutex;

/// A modelled futex. It takes no barrier from the kernel for granted.
#[derive(Debug)]
#[cfg(ringway_loom)]
pub struct Futex {
    word: imp::AtomicU32,
    queue: Option<std::sync::Arc<Queue>>,
}

/// Who sleeps, in the order in which they fell asleep.
#[cfg(ringway_loom)]
type Queue = loom::sync::Mutex<Vec<Sleeper>>;

/// One who sleeps on words of a queue.
#[derive(Debug)]
#[cfg(ringway_loom)]
struct Sleeper {
    /// Where the words are: they stay there as long as somebody sleeps on them.
    words: Vec<*const Futex>,
    told: std::sync::Arc<loom::sync::Condvar>,
}

#[cfg(ringway_loom)]
impl Futex {
    /// One that only wakes when told: a lost wake is a deadlock, which loom reports.
    #[must_use]
    pub fn patient() -> Self {
        Self { word: imp::AtomicU32::new(0), queue: Some(std::sync::Arc::new(Queue::new(Vec::new()))) }
    }

    /// One that comes back at once: it has no lock whose edges could hide a missing order.
    #[must_use]
    pub fn restless() -> Self {
        Self { word: imp::AtomicU32::new(0), queue: None }
    }

    /// One of the same kind, that somebody may sleep on who sleeps on this one, too: so they have one queue.
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

    /// Adds 1, where several may.
    pub fn bump(&self, order: Ordering) {
        self.word.fetch_add(1, order);
    }

    /// Sleeps as the model has it.
    pub fn wait(&self, expected: u32, deadline: Option<Instant>) {
        wait_any::<1>([self.awaited(expected)], deadline);
    }

    /// Wakes one sleeper, if the model has any, and says how many that were.
    pub fn wake(&self) -> u32 {
        self.wake_some(1)
    }

    /// Wakes all sleepers that the model has, and says how many that were.
    pub fn wake_all(&self) -> u32 {
        self.wake_some(u32::MAX)
    }

    fn wake_some(&self, most: u32) -> u32 {
        let Some(queue) = self.queue.as_deref() else { return 0 };
        let mut sleepers = queue.lock().unwrap();
        let mut woken = 0;
        sleepers.retain(|sleeper| {
            let sleeps_on = woken == most || !sleeper.words.contains(&std::ptr::from_ref(self));
            if !sleeps_on {
                woken += 1;
                sleeper.told.notify_one();
            }
            sleeps_on
        });
        woken
    }
}

/// A word of a model to sleep on, while it holds what is expected, together with those [beside](Futex::beside) it.
#[derive(Debug, Clone, Copy)]
#[cfg(ringway_loom)]
pub struct Awaited<'a> {
    word: &'a Futex,
    expected: u32,
}

/// Sleeps as the model has it, on words of one queue. No time passes in a model: with a deadline it comes back when others have run,
/// woken by them or not.
#[cfg(ringway_loom)]
pub fn wait_any<'a, const N: usize>(
    words: impl IntoIterator<Item = Awaited<'a>>,
    deadline: Option<Instant>,
) -> bool {
    let words: Vec<_> = words.into_iter().take(N).collect();
    match words.first().and_then(|first| first.word.queue.as_deref()) {
        Some(queue) => {
            let mut sleepers = queue.lock().unwrap();
            // The kernel compares under the lock of each word's queue, once; who changes a word afterwards finds the sleeper.
            if words.iter().all(Awaited::holds) {
                let told = std::sync::Arc::new(loom::sync::Condvar::new());
                let words = words.iter().map(|awaited| std::ptr::from_ref(awaited.word)).collect();
                sleepers.push(Sleeper { words, told: told.clone() });
                if deadline.is_none() {
                    drop(told.wait(sleepers).unwrap());
                } else {
                    drop(sleepers);
                    loom::thread::yield_now();
                    let mut sleepers = queue.lock().unwrap();
                    sleepers.retain(|sleeper| !std::sync::Arc::ptr_eq(&sleeper.told, &told));
                }
            }
        }
        None => loom::thread::yield_now(),
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

/// [`full_fence`] right behind a read-modify-write of the same thread, which on x86-64 is one itself: there nothing is
/// left to do but to keep the compiler's order.
#[inline(always)]
pub(crate) fn fence_after_rmw() {
    #[cfg(any(ringway_loom, not(target_arch = "x86_64")))]
    full_fence();
    #[cfg(all(not(ringway_loom), target_arch = "x86_64"))]
    imp::compiler_fence(Ordering::SeqCst);
}

/// Whether the deadline has passed. In a model it has at each third look of a thread at the clock: after it has slept once.
pub(crate) fn passed(deadline: Option<Instant>) -> bool {
    #[cfg(not(ringway_loom))]
    return deadline.is_some_and(|deadline| Instant::now() >= deadline);
    #[cfg(ringway_loom)]
    return deadline.is_some() && LOOKS.with(|looks| looks.replace(looks.get() + 1) % 3 == 2);
}

#[cfg(ringway_loom)]
loom::thread_local! {
    static LOOKS: std::cell::Cell<u32> = std::cell::Cell::new(0);
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

/// Whether this thread has but one processor that it may run on.
pub(crate) fn one_processor() -> bool {
    #[cfg(not(ringway_loom))]
    return crate::futex::processors() == 1;
    #[cfg(ringway_loom)]
    return false;
}

/// The processor this thread runs on, counted from 1; 0 if that cannot be told.
#[inline]
pub(crate) fn processor() -> u32 {
    #[cfg(not(ringway_loom))]
    return crate::futex::processor();
    #[cfg(ringway_loom)]
    return 0;
}
