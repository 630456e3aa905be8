//! `ringway doctor`: what this host gives for rings and what it lacks.
//!
//! What can be tried is tried, and what is limited is looked up; nothing is changed. Whatever cannot be read, or makes
//! no sense, is a finding too: *unknown*.
//!
//! Each module looks at one part of the host, by its files ([`host::Host`]) or by what the library has tried, and says
//! what it has found ([`finding::Finding`]).

mod finding;
mod host;
mod kernel;
mod limits;
mod names;
mod pages;
mod processors;
mod surroundings;

use std::io::{self, Write};

use clap::Args;
use ringway::host::memory::Limits;

use self::{finding::Report, host::Host};
use crate::{exit::Failure, place::Place};

/// What a ring of the usual size takes, and a little.
const ROOM: u64 = 2 << 20;

/// Where names would be, and how to say it.
#[derive(Debug, Args)]
pub struct Options {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Looks at the host and prints what was found.
///
/// # Errors
///
/// If Ringway cannot do without something that is missing, or the output cannot be written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let report = examine(options);
    print(&report, options.json).map_err(Failure::print)?;
    match report.missing().as_slice() {
        [] => Ok(()),
        missing => Err(Failure::lacking(missing)),
    }
}

fn examine(options: &Options) -> Report {
    let (host, names) = (Host::here(), options.place.names());
    let mut found = kernel::findings(&host);
    found.extend(names::findings(&host, names.dir()));
    found.extend(limits::findings(&host, &Limits::here()));
    found.extend(pages::findings(&host));
    found.extend(processors::findings(&host));
    found.extend(surroundings::findings(&host, names.dir()));
    Report::new(found)
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    out.flush()
}
