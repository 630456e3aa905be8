//! The crate's only door to atomics: a lock that may be held across `fork`, a generation, a set of bits,
//! words of memory that is lent, and the one load that touches a page.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A lock without an owner: whoever runs may open it, also the child of a fork that its parent closed it for.
///
/// Taken only around making and ending what is listed and around forking, so there is nothing to gain from a fair or a sleeping one;
/// a waiter gives its processor away instead of burning it, because closing the last descriptor of a large
/// segment makes the kernel free all of it.
#[derive(Debug)]
pub(crate) struct Latch(AtomicBool);

impl Latch {
    pub(crate) const fn new() -> Latch {
        Latch(AtomicBool::new(false))
    }

    pub(crate) fn close(&self) {
        // Acquire: pairs with the Release in `open`; what the last holder wrote is seen by this one.
        while self.0.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
    }

    pub(crate) fn open(&self) {
        // Release: pairs with the Acquire in `close`.
        self.0.store(false, Ordering::Release);
    }
}

/// Counts the forks between the first process and this one.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    pub(crate) fn get(&self) -> u64 {
        // Relaxed: it changes only in a child's only thread, before any other thread of it exists.
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn bump(&self) {
        // Relaxed: as in `get`.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Up to 64 bits that threads of one process take and give back.
#[derive(Debug)]
pub(crate) struct Bits(AtomicU64);

impl Bits {
    pub(crate) const fn new() -> Bits {
        Bits(AtomicU64::new(0))
    }

    /// Takes bit `n`; `false` if it is taken already.
    pub(crate) fn take(&self, n: u8) -> bool {
        let bit = 1u64 << n;
        // Acquire: pairs with the Release in `give_back`: the lock call that was refused comes before ours.
        self.0.fetch_or(bit, Ordering::Acquire) & bit == 0
    }

    /// Whether bit `n` is taken.
    pub(crate) fn has(&self, n: u8) -> bool {
        // Relaxed: who asks for its own bit has taken it.
        self.0.load(Ordering::Relaxed) & 1 << n != 0
    }

    pub(crate) fn give_back(&self, n: u8) {
        // Release: pairs with the Acquire in `take`.
        self.0.fetch_and(!(1u64 << n), Ordering::Release);
    }
}

/// The value of a word.
///
/// # Safety
/// `word` is aligned to 8 and readable, and is accessed through atomics only.
pub(crate) unsafe fn load(word: *mut u64) -> u64 {
    // SAFETY: the caller vouches for it; the reference does not outlive this call.
    let word = unsafe { AtomicU64::from_ptr(word) };
    // Acquire: pairs with the Release in `store`.
    word.load(Ordering::Acquire)
}

/// Gives a word a value.
///
/// # Safety
/// `word` is aligned to 8 and writable, and is accessed through atomics only.
pub(crate) unsafe fn store(word: *mut u64, value: u64) {
    // SAFETY: as in `load`.
    let word = unsafe { AtomicU64::from_ptr(word) };
    // Release: pairs with the Acquire in `load`.
    word.store(value, Ordering::Release);
}

/// Loads one word, so that the kernel brings its page in.
///
/// A load, never a store: the page may already be in use by others.
///
/// # Safety
/// `word` is aligned to 8 and readable.
pub(crate) unsafe fn touch(word: *mut u64) {
    // SAFETY: the caller vouches for alignment and readability; the reference does not outlive this call, and
    // every process accesses shared words through atomics only, so there is no data race.
    let word = unsafe { AtomicU64::from_ptr(word) };
    // Relaxed: the value is not used. A load with an unused result could be optimised away, hence the black box.
    std::hint::black_box(word.load(Ordering::Relaxed));
}
