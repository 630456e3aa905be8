//! Kills: a participant stops for good before one of its accesses to shared memory.
//!
//! Every access goes through [`Table`](crate::Table) or [`Line`](crate::Line), which count them here; so all
//! places are reached at which another participant could tell the difference, save one: between the store and
//! the system call of a ring, for which there is [`now`].

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

struct Killed;

loom::thread_local! {
    static LEFT: Cell<Option<u32>> = Cell::new(None);
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = RefCell::new(None);
}

std::thread_local! {
    /// How many were killed, or slept, in the models of this test.
    static KILLS: Cell<u64> = const { Cell::new(0) };
}

/// Calls `explore` with 0, 1, 2 … accesses until in its models nobody is killed any more, or sleeps, or with `most` at the most.
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
    let ended = beforehand(accesses, life);
    if !ended {
        KILLS.set(KILLS.get() + 1);
    }
    ended
}

/// The same for one that is killed before a model begins: [`everywhere`] does not count it.
pub fn beforehand(accesses: u32, life: impl FnOnce()) -> bool {
    LEFT.with(|left| left.set(Some(accesses)));
    let end = catch_unwind(AssertUnwindSafe(life));
    LEFT.with(|left| left.set(None));
    match end {
        Ok(()) => true,
        Err(cause) if cause.is::<Killed>() => false,
        Err(cause) => resume_unwind(cause),
    }
}

/// Runs `life`, which may end by [`now`].
pub fn somewhere(life: impl FnOnce()) -> bool {
    after(u32::MAX, life)
}

/// Runs `life`, and before the shared access that follows the first `accesses` all of `meanwhile`: it sleeps there for so long.
pub fn asleep_after<T>(accesses: u32, meanwhile: impl FnOnce() + 'static, life: impl FnOnce() -> T) -> T {
    MEANWHILE.with(|cell| *cell.borrow_mut() = Some(Box::new(meanwhile)));
    LEFT.with(|left| left.set(Some(accesses)));
    let value = life();
    LEFT.with(|left| left.set(None));
    if MEANWHILE.with(|cell| cell.borrow_mut().take()).is_none() {
        KILLS.set(KILLS.get() + 1);
    }
    value
}

/// Stops the participant here.
pub fn now() -> ! {
    resume_unwind(Box::new(Killed))
}

/// One more access.
pub(crate) fn count() {
    match LEFT.with(Cell::get) {
        None => {}
        Some(0) => match MEANWHILE.with(|cell| cell.borrow_mut().take()) {
            None => now(),
            Some(meanwhile) => {
                LEFT.with(|cell| cell.set(None));
                meanwhile();
            }
        },
        Some(left) => LEFT.with(|cell| cell.set(Some(left - 1))),
    }
}
