//! `ringway bench`.

use std::io::{self, Write};
use std::time::Duration;

use super::Result;
use super::report::Report;

/// Measures the ring beside a pipe and a Unix socket on this host.
///
/// Two processes take turns at everything, in slices of a few milliseconds, each beside the least that
/// the hardware or the kernel could do for the same job: "x floor" is the ratio. They run on the two
/// lowest CPUs allowed; choose others with `taskset -c 2,5 ringway bench`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Take two seconds instead of ten; the figures scatter more.
    #[arg(long)]
    quick: bool,
}

/// Runs the command: what it is at on standard error, what it found on standard output.
///
/// # Errors
/// As for [`Pair::start`](super::Pair::start) and [`Pair::round_trips`](super::Pair::round_trips), or
/// standard output cannot be written.
pub fn run(options: Options) -> Result<()> {
    let time = Duration::from_millis(if options.quick { 1_000 } else { 9_000 });
    let report = Report::measure(time, |what| {
        // Whether anybody reads this changes nothing.
        let _ = writeln!(io::stderr(), "ringway bench: {what} ...");
    })?;
    let mut out = io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(out.flush()?)
}
