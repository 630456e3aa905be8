//! What a message costs once everything is set up: nothing of the allocator's, and (with `steady.sh`) nothing of
//! the kernel's. See README.md.

mod counting;

use std::process::ExitCode;

use counting::{Counting, allocations};
use ringway_benches::{arguments, finish, two_cpus};
use ringway_cli::bench::{Contender, Pair, Subject, serve_if_child};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RINGS: [Contender; 3] = [Contender::RingSpin, Contender::RingPark, Contender::RingBatch];
const SIZE: usize = 64;
const MESSAGES: u64 = 100_000;

fn main() -> ExitCode {
    serve_if_child();
    let mut arguments = arguments();
    finish(match arguments.next() {
        None => count_allocations(),
        Some(ring) => run_once(&ring, arguments.next().as_deref()),
    })
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Compares the allocations of a short run with those of a long one.
fn count_allocations() -> Result<()> {
    let mut pair = Pair::start(&RINGS)?;
    two_cpus(&pair)?;
    let mut any = false;
    for ring in RINGS {
        for (shape, subject) in
            [("there and back", Subject::hand_over(ring, SIZE)), ("one way", Subject::stream(ring, SIZE))]
        {
            let mut count = |messages| {
                let before = allocations();
                subject.run(&mut pair, messages).map(|_| allocations() - before)
            };
            let (few, many) = (count(MESSAGES)?, count(10 * MESSAGES)?);
            println!(
                "{:<22}{shape:<16}{few} allocations around {MESSAGES} messages, {many} around {}",
                ring.name(),
                10 * MESSAGES
            );
            any |= few != many;
        }
    }
    if any { Err("messages allocate".into()) } else { Ok(()) }
}

/// Only runs, for a tracer to count what it does.
fn run_once(ring: &str, messages: Option<&str>) -> Result<()> {
    let contender = match ring {
        "spin" => Contender::RingSpin,
        "park" => Contender::RingPark,
        "batch" => Contender::RingBatch,
        _ => return Err("steady [spin|park|batch MESSAGES]".into()),
    };
    let messages = messages.map_or(Ok(MESSAGES), str::parse)?;
    let mut pair = Pair::start(&[contender])?;
    Subject::hand_over(contender, SIZE).run(&mut pair, messages)?;
    Subject::stream(contender, SIZE).run(&mut pair, messages)?;
    Ok(())
}
