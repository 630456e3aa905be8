//! An allocator that counts what it is asked for.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "counts across threads, and no model runs it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

static ASKED: AtomicU64 = AtomicU64::new(0);

/// How often memory was asked for so far.
pub(crate) fn allocations() -> u64 {
    ASKED.load(Ordering::Relaxed)
}

/// The system's allocator, counted.
pub(crate) struct Counting;

// SAFETY: every call is passed on unchanged to `System`, which keeps the contract; counting neither allocates
// nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on; all memory comes from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on; all memory comes from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }
}
