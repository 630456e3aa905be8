//! What the models share: a ring's memory and words as loom sees them, kills, and the explorer.
#![cfg(ringway_loom)]

pub mod event;
pub mod kill;
pub mod life;
mod pool;
mod table;

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant},
};

use loom::{
    model::Builder,
    sync::atomic::{AtomicU32, Ordering},
};
use ringway_wait::{Wait, primitive::Futex};

pub use pool::{AGAIN, Notes, Pool};
pub use table::{Line, Table};

/// No spinning: loom has no use for it.
pub const PARK: Wait = Wait::Park { spin: Duration::ZERO };

/// Makes a modelled futex.
pub type NewFutex = fn() -> Futex;

/// The two models of a futex: one that only wakes when told (a lost wake is a deadlock), and one that comes back
/// at once (no lock hides a missing order).
pub const FUTEXES: [(&str, NewFutex); 2] = [("patient", Futex::patient), ("restless", Futex::restless)];

/// Explores all schedules of `life`, or those with at most LOOM_MAX_PREEMPTIONS preemptions if that is set.
pub fn model(name: &str, life: impl Fn() + Sync + Send + 'static) {
    explore(name, Builder::new(), life);
}

/// Explores the schedules of `life` with at most so many preemptions; LOOM_MAX_PREEMPTIONS takes precedence.
pub fn bounded(name: &str, preemptions: usize, life: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    explore(name, builder, life);
}

/// [`bounded`] with each of the [`FUTEXES`].
pub fn with_both_futexes(
    name: &str,
    preemptions: usize,
    life: impl Fn(NewFutex) + Clone + Sync + Send + 'static,
) {
    for (kind, futex) in FUTEXES {
        let life = life.clone();
        bounded(&format!("{name}, {kind} futex"), preemptions, move || life(futex));
    }
}

fn explore(name: &str, mut builder: Builder, life: impl Fn() + Sync + Send + 'static) {
    static LOOM_IS_MENDED: LazyLock<bool> = LazyLock::new(|| load_then_store().contains(&1));
    assert!(*LOOM_IS_MENDED, "this loom leaves schedules out: use loom-tests/run, which mends it");

    // Far more than any model needs; who never comes to an end is found out in seconds.
    builder.max_branches = 10_000;
    let schedules = Arc::new(Mutex::new(0u64));
    let start = Instant::now();
    builder.check({
        let schedules = schedules.clone();
        move || {
            *schedules.lock().unwrap() += 1;
            life();
        }
    });
    println!(
        "{name}: {} schedules, preemptions {}, {:.1?}",
        schedules.lock().unwrap(),
        builder.preemption_bound.map_or("unbounded".into(), |bound| format!("<= {bound}")),
        start.elapsed(),
    );
}

/// What a thread can load from a word while another one *loads it and then stores 1*. It can be 0 and it can be
/// 1; a loom that forgets a thread's load as soon as the thread stores never comes to try the second.
#[must_use]
pub fn load_then_store() -> BTreeSet<u32> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut builder = Builder::new();
    builder.preemption_bound = None;
    builder.check({
        let seen = seen.clone();
        move || {
            let word = Arc::new(AtomicU32::new(0));
            let thread = loom::thread::spawn({
                let word = word.clone();
                move || {
                    let _ = word.load(Ordering::SeqCst);
                    word.store(1, Ordering::SeqCst);
                }
            });
            let value = word.load(Ordering::SeqCst);
            thread.join().unwrap();
            seen.lock().unwrap().insert(value);
        }
    });
    Arc::try_unwrap(seen).expect("the exploration is over").into_inner().unwrap()
}
