//! Kills: a participant stops for good before one of its accesses to shared memory.
//!
//! Every access goes through [`Table`](crate::Table) or [`Line`](crate::Line), which count them here; so all
//! places are reached at which another participant could tell the difference, save one: between the store and
//! the system call of a ring, for which there is [`now`].

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

struct Killed;

loom::thread_local! {
    static LEFT: Cell<Option<u32>> = Cell::new(None);
}

std::thread_local! {
    /// How many were killed in the models of this test.
    static KILLS: Cell<u64> = const { Cell::new(0) };
}

/// Calls `explore` with 0, 1, 2 … accesses until its models kill nobody any more, or with `most` at the most.
pub fn everywhere(most: u32, explore: impl Fn(u32)) {
    for accesses in 0..=most {
        let before = KILLS.get();
        explore(accesses);
        if KILLS.get() == before {
            break;
        }
    }
}

/// Runs `life` and stops it before the shared access that follows the first `accesses`. Says whether it came to
/// its end.
pub fn after(accesses: u32, life: impl FnOnce()) -> bool {
    LEFT.with(|left| left.set(Some(accesses)));
    let end = catch_unwind(AssertUnwindSafe(life));
    LEFT.with(|left| left.set(None));
    match end {
        Ok(()) => true,
        Err(cause) if cause.is::<Killed>() => {
            KILLS.set(KILLS.get() + 1);
            false
        }
        Err(cause) => resume_unwind(cause),
    }
}

/// Runs `life`, which may end by [`now`].
pub fn somewhere(life: impl FnOnce()) -> bool {
    after(u32::MAX, life)
}

/// Stops the participant here.
pub fn now() -> ! {
    resume_unwind(Box::new(Killed))
}

/// One more access.
pub(crate) fn count() {
    match LEFT.with(Cell::get) {
        None => {}
        Some(0) => now(),
        Some(left) => LEFT.with(|cell| cell.set(Some(left - 1))),
    }
}
