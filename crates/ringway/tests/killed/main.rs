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
//! nothing else; a name is gone with the last to leave, and nothing lies beside it.
//!
//! # Files
//!
//! | file | what |
//! |---|---|
//! | `operation` | the operations, and in what state of the ring |
//! | `killing` | one operation, surveyed and cut short |
//! | `plan` | at which points |
//! | `stepper`, `child`, `map` | a child step by step; forked children; a ring's memory seen by a third party |
//! | `survivor`, `ledger`, `news` | what is promised to the other end; what it received, and what it is told |
//! | `ring`, `message` | rings of every kind; messages that show if they are torn |
//! | `report`, `watchdog` | the table; what ends a test that hangs |

mod child;
mod killing;
mod ledger;
mod map;
mod message;
mod news;
mod operation;
mod plan;
mod report;
mod ring;
mod stepper;
mod survivor;
mod watchdog;

use std::time::Duration;

use plan::Effort;

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
