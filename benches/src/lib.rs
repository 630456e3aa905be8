//! What the benchmarks have in common: how they start, and how they print what they have seen.
//!
//! The measuring itself is [`ringway_cli::bench`], the harness behind `ringway bench`.

mod array_queue;
pub mod queues;
mod rtrb;
mod table;
mod value;

use std::env;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use ringway_cli::bench::{Error, Opener, Pair, Result, Slice, Spread, Time, serve_if_child_with};

pub use array_queue::ARRAY_QUEUE;
pub use rtrb::{RTRB, RTRB_CHUNKS, RTRB_FIXED, RTRB_IN_PLACE};
pub use table::{Bar, Table, measure};

/// Queues between threads that the benchmarks bring along.
pub const THREADS: [Opener; 5] =
    [rtrb::ONE_BY_ONE, rtrb::IN_PLACE, rtrb::CHUNKS, rtrb::FIXED, array_queue::OPENER];

/// Runs a benchmark for as many seconds as the command line says, or for `seconds`.
pub fn run(seconds: u64, benchmark: impl FnOnce(Duration) -> Result<()>) -> ExitCode {
    run_with(&[], seconds, benchmark)
}

/// [`run`], where the benchmark brings these along.
pub fn run_with(
    openers: &[Opener],
    seconds: u64,
    benchmark: impl FnOnce(Duration) -> Result<()>,
) -> ExitCode {
    serve_if_child_with(openers);
    let seconds = arguments().find_map(|argument| argument.parse().ok()).unwrap_or(seconds);
    finish(benchmark(Duration::from_secs(seconds)))
}

/// What the user has written behind `--`; `cargo bench` adds an option of its own.
pub fn arguments() -> impl Iterator<Item = String> {
    env::args().skip(1).filter(|argument| !argument.starts_with("--"))
}

/// Says what failed, if something did.
pub fn finish(done: std::result::Result<(), impl Display>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Says where the two processes of `pair` run.
///
/// # Errors
/// They share one CPU.
pub fn two_cpus(pair: &Pair) -> Result<()> {
    match pair.cpus() {
        Some([ours, other]) => {
            println!("two processes pinned to CPU {ours} and CPU {other}");
            Ok(())
        }
        None => Err(Error::OneCpu),
    }
}

/// The median time of some slices and their ratio to the floor, for a table; nothing if there are none.
pub fn beside_floor<'a>(slices: impl Iterator<Item = &'a Slice> + Clone) -> String {
    let times = Spread::of(slices.clone().map(|slice| slice.ns));
    let ratios = Spread::of(slices.clone().map(Slice::ratio));
    times.zip(ratios).map_or_else(String::new, |(time, ratio)| {
        format!(
            "{:>9}   {:>5.2} x floor (p10 {:.2}, p90 {:.2}) in {} slices",
            Time(time.median),
            ratio.median,
            ratio.p10,
            ratio.p90,
            slices.count()
        )
    })
}
