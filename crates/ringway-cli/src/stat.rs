//! `ringway stat NAME`: how a ring does.

use std::io::{self, Write};

use clap::Args;
use ringway::{Error, inspect};

use crate::{exit::Failure, place::Place, ring::Ring};

/// Which ring, and how to say it.
#[derive(Debug, Args)]
pub struct Options {
    /// Name of the ring.
    name: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Looks at the ring and prints what is seen.
///
/// # Errors
///
/// If there is no such ring, it may not be read or is damaged, or the output cannot be written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let status = inspect::named(&options.place.names(), &options.name).map_err(Error::from)?;
    let ring = Ring::new(options.name.clone(), status);
    print(&ring, options.json).map_err(Failure::print)
}

fn print(ring: &Ring, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, ring)?;
        writeln!(out)?;
    } else {
        write!(out, "{ring}")?;
    }
    out.flush()
}
