//! How words are changed: by one of many, or by the only one.

use core::{cell::Cell, marker::PhantomData};

use crate::primitive::{Common, Ordering};

mod sealed {
    pub trait Sealed {}
}

/// How many there may be at an end of the queue.
pub trait Access: sealed::Sealed + 'static {
    /// Whether there is one only.
    const SOLE: bool;

    /// Changes a word from what was seen in it, if nobody else has.
    #[doc(hidden)]
    fn change(word: &Common, from: u64, to: u64, order: Ordering) -> bool;
}

/// One of many: words are changed by compare-and-exchange.
#[derive(Debug, Clone, Copy)]
pub enum Many {}

/// The only one: what nobody else changes is changed by a store.
///
/// Such an end may go to another thread, but two threads that shared it would be two, so it is not `Sync`.
#[derive(Debug)]
pub struct Sole(PhantomData<Cell<()>>);

impl sealed::Sealed for Many {}
impl sealed::Sealed for Sole {}

impl Access for Many {
    const SOLE: bool = false;

    #[inline(always)]
    fn change(word: &Common, from: u64, to: u64, order: Ordering) -> bool {
        word.compare_exchange(from, to, order, Ordering::Relaxed).is_ok()
    }
}

impl Access for Sole {
    const SOLE: bool = true;

    #[inline(always)]
    fn change(word: &Common, _: u64, to: u64, order: Ordering) -> bool {
        // What it loaded with Relaxed may have to come first: Acquire has no meaning for a store.
        let order = if order == Ordering::Acquire { Ordering::Relaxed } else { order };
        word.store(to, order);
        true
    }
}
