//! Killed at every instruction.
//!
//! # One operation
//!
//! A child, the *victim*, does one operation on a ring whose other end, the *survivor*, is in this process. It is run once
//! instruction by instruction, and the ring's memory is compared after each: that gives the instructions that change
//! it, and those that are system calls. Then, for one point after the other, a new victim is brought there by as many
//! steps, and SIGKILLed. Of what is done most (send, receive, release) every instruction is such a point; of the rest those
//! before and after which something shows, and a sample.
//!
//! After each kill all that was promised is checked: the kernel says that the end is free; what is said to be pending is
//! what comes; the survivor has every message that was committed, whole, in order, once; it gets on within a second, with
//! the successor, once around the ring and to a good end; what a dead receiver had not released comes again, and
//! nothing else, and says so exactly if it was had; or, where it is to come once at most, what was had does not, and is counted;
//! a name is gone with the last to leave, and nothing lies beside it. Who is killed while it cleans leaves what lives as it is,
//! what is dead as it was or gone, and the rest to the next who cleans.
//!
//! # Two under load
//!
//! Both ends are children and busy, and one or the other, or both, are killed at random moments, thousands of times, each
//! succeeded by the next. What they did they write down in memory that outlives them; so each message that was sent, and each that
//! was released, is accounted for. In the same way one is stopped for longer than anybody spins, and goes on.
//!
//! # The commands
//!
//! `cargo test` does a part of it in seconds. The whole, with a table of the points for each operation:
//!
//! ```text
//! cargo test -p ringway --test killed -- --ignored --nocapture
//! ```
//!
//! # Files
//!
//! | file | what |
//! |---|---|
//! | `operation` | the operations, and in what state of the ring |
//! | `killing` | one operation, surveyed and cut short |
//! | `plan` | at which points |
//! | `stepper`, `child`, `map` | a child step by step; forked children; a ring's memory seen by a third party |
//! | `survivor`, `sleeper` | the other end, which may sleep |
//! | `ledger`, `news` | what is promised to it: what it receives, and what it is told |
//! | `load`, `log`, `random` | two under load; what they write down; chance that can be had again |
//! | `ring`, `message` | rings of every kind; messages that show if they are torn |
//! | `report`, `watchdog` | the table; what ends a test that hangs |

mod child;
mod killing;
mod ledger;
mod load;
mod log;
mod map;
mod message;
mod news;
mod operation;
mod plan;
mod random;
mod report;
mod ring;
mod sleeper;
#[allow(dead_code, reason = "nobody is left stopped here")]
mod stepper;
mod survivor;
mod watchdog;

use std::time::{Duration, Instant};

use load::Load;
use plan::Effort;
use ring::{Kind, Ring};
use ringway::Wait;
use watchdog::Turn;

/// How soon survivors get on.
const PROGRESS: Duration = Duration::from_secs(1);

#[test]
fn killed_in_the_midst_of_any_operation_a_process_takes_nobody_and_nothing_with_it() {
    report::kill_everywhere(Effort::Quick);
}

#[test]
#[ignore = "takes minutes"]
fn killed_at_every_instruction_a_process_takes_nobody_and_nothing_with_it() {
    report::kill_everywhere(Effort::Whole);
}

/// Kills so many under load, of each kind of ring, whose ends sleep at once, or spin first.
fn kill_at_random(kills: u64) {
    const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };
    let _turn = Turn::take();
    let loads = [
        (Kind::Records, false, SLEEP),
        (Kind::Records, true, Wait::default()),
        (Kind::Slots, false, Wait::default()),
        (Kind::Slots, true, SLEEP),
    ];
    for (seed, (kind, named, wait)) in (1..).zip(loads) {
        let start = Instant::now();
        let mut load = Load::start(kind, named, wait, seed).unwrap();
        load.kill(kills / 4).unwrap();
        let received = load.end().unwrap();
        let rate = (kills / 4) as f64 / start.elapsed().as_secs_f64();
        eprintln!("{kind:?}: {} kills, {rate:.0} a second, {received} messages", kills / 4);
    }
}

#[test]
fn killed_at_random_under_load_senders_and_receivers_lose_nothing_that_was_sent() {
    kill_at_random(400);
}

#[test]
#[ignore = "takes minutes"]
fn killed_20_000_times_under_load_senders_and_receivers_lose_nothing_that_was_sent() {
    kill_at_random(20_000);
}

#[test]
fn who_is_stopped_for_a_while_is_not_taken_for_dead_and_goes_on_as_if_nothing_had_been() {
    let _turn = Turn::take();
    for (seed, kind) in (1..).zip([Kind::Records, Kind::Slots]) {
        let mut load = Load::start(kind, false, Wait::default(), seed).unwrap();
        load.stop(50).unwrap();
        load.end().unwrap();
    }
}
