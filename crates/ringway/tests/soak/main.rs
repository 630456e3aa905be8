//! Four processes share a queue for long, and are killed and stopped all the while.
//!
//! One only sends, one only receives, two do both: one by one and in batches, by copies and loans, messages of any size. At random
//! moments one is SIGKILLed and succeeded at once, or stopped for a while. Every message says who sent it, as which, and how
//! long it is, and every word of it says that again, so that one that is torn shows.
//!
//! What they do they write down, in memory that outlives them ([`log`]), before or after they do it, so that a kill leaves doubt about
//! what was being done at that moment, and nothing else:
//!
//! | killed | what may be |
//! |---|---|
//! | while it sent | the messages of that call, or the first so many of them, were sent |
//! | after a message was taken, before that was written down | it comes again, marked |
//! | with a message in hand | it comes again, marked |
//! | while it released | it comes again, marked, or does not |
//! | while it put back | it comes again, and may be marked |
//!
//! Where what a dead one had is to be lost, it does not come again, and is counted; what it was putting back comes. Everything else is a fault: a message that is
//! missing, comes twice, comes again and does not say so, was never sent, or is torn. Rounds last some seconds, each
//! with a queue of its own, of other slots, waits and policies. At the end of a round all leave; nothing may be left in the queue, all
//! slots are free, and a name is gone.
//!
//! # The command
//!
//! `cargo test` does this for some seconds. For longer:
//!
//! ```text
//! RINGWAY_SOAK_SECONDS=1800 cargo test --release -p ringway --test soak -- --ignored --nocapture --exact soaked
//! ```

mod log;
#[path = "../killed/message.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod message;
mod player;
#[path = "../killed/random.rs"]
mod random;
mod round;
#[path = "../support/mod.rs"]
mod support;

use std::{
    env,
    time::{Duration, Instant},
};

use round::{KINDS, Round, Summary};

/// The longest that a round lasts.
const ROUND: Duration = Duration::from_secs(10);

/// Soaks for so long.
fn soak(whole: Duration) {
    let start = Instant::now();
    let lasts = ROUND.min(whole / KINDS.len() as u32);
    let mut all = Summary::default();
    for (seed, kind) in (1..).zip(KINDS.iter().cycle()) {
        let summary = Round::begin(kind, seed).play(lasts);
        eprintln!("{kind:?}: {summary}");
        all.add(&summary);
        // Each kind as often.
        if start.elapsed() >= whole && seed % KINDS.len() as u64 == 0 {
            break;
        }
    }
    eprintln!("{:.0?}: {all}", start.elapsed());
    assert!(all.is_telling(), "{all}");
}

#[test]
fn killed_and_stopped_for_some_seconds_four_processes_lose_nothing_and_leave_nothing() {
    soak(Duration::from_secs(4));
}

#[test]
#[ignore = "takes RINGWAY_SOAK_SECONDS, 1800 if that is not set"]
fn soaked() {
    let seconds = env::var("RINGWAY_SOAK_SECONDS").map_or(1800, |seconds| seconds.parse().unwrap());
    soak(Duration::from_secs(seconds));
}
