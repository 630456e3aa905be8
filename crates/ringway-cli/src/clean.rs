//! `ringway clean`: names of rings that nobody is attached to, removed.

use std::{
    fmt,
    io::{self, Write},
};

use clap::Args;
use ringway::{
    CleanError, OpenError,
    clean::{self, Outcome, Undelivered},
};
use serde::Serialize;

use crate::{exit::Failure, place::Place, ring::Ring};

/// Which rings, and how far to go.
#[derive(Debug, Args)]
pub struct Options {
    /// Names of the rings; all that are there if none is said.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Say what would be done, and do nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Keep every ring that holds messages nobody has received, also if its sender has died.
    #[arg(long, conflicts_with = "all")]
    keep_messages: bool,
    /// Remove every ring that nobody is attached to, whatever it holds.
    #[arg(long)]
    all: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What became of the names, for programs.
#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    names: Vec<Line>,
}

/// What became of one name.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    outcome: Became,
    /// How the ring did when it was last looked at, if it was one.
    ring: Option<Ring>,
    /// Why it was left alone, or could not be cleaned.
    why: Option<String>,
    #[serde(skip)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Became {
    Removed,
    InUse,
    Kept,
    LeftAlone,
    Failed,
}

/// Cleans, and prints a line for each name.
///
/// # Errors
///
/// If a name that was said is not there or cannot be cleaned, the directory cannot be read, or the output not be
/// written. Among all that is there, what is no ring, or another user's, is no error.
pub fn run(options: &Options) -> Result<(), Failure> {
    let undelivered = match (options.keep_messages, options.all) {
        (true, _) => Undelivered::Keep,
        (_, true) => Undelivered::Lose,
        _ => Undelivered::default(),
    };
    let clean = clean::Options::new().undelivered(undelivered).dry_run(options.dry_run);
    let names = options.place.names();
    let (mut lines, mut failures) = (Vec::new(), Vec::new());
    let mut add = |name: String, outcome: Result<Outcome, clean::Error>, excuses: bool| {
        let (outcome, ring, error) = match outcome {
            Ok(Outcome::InUse(status)) => (Became::InUse, Some(status), None),
            Ok(Outcome::Kept(status)) => (Became::Kept, Some(status), None),
            Ok(Outcome::Removed(status)) => (Became::Removed, Some(status), None),
            Ok(_) => (Became::LeftAlone, None, None),
            Err(error) if excuses && is_not_ours(&error) => (Became::LeftAlone, None, Some(error)),
            Err(error) => (Became::Failed, None, Some(error)),
        };
        let ring = ring.map(|status| Ring::new(name.clone(), status));
        let why = error.as_ref().map(ToString::to_string);
        lines.push(Line { name, outcome, ring, why, dry_run: options.dry_run });
        failures.extend(error.filter(|_| outcome == Became::Failed));
    };
    if options.names.is_empty() {
        clean.all(&names)?.into_iter().for_each(|it| add(it.name, it.outcome, true));
    } else {
        options.names.iter().for_each(|name| add(name.clone(), clean.name(&names, name), false));
    }
    print(&Report { dry_run: options.dry_run, names: lines }, options.json).map_err(Failure::print)?;
    Failure::of_all(failures.into_iter().map(Failure::from)).map_or(Ok(()), Err)
}

/// Whether what has a ring's name is something that is not to be cleaned.
fn is_not_ours(error: &clean::Error) -> bool {
    match error {
        clean::Error::Ring(_) | clean::Error::Segment(CleanError::Owner { .. }) => true,
        clean::Error::Segment(CleanError::Open(error)) => {
            !matches!(error, OpenError::Busy { .. } | OpenError::Unsettled { .. } | OpenError::OutOfMemory(_))
        }
        _ => false,
    }
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
        return out.flush();
    }
    let width = report.names.iter().map(|line| line.name.chars().count()).max().unwrap_or_default();
    // What failed is said on standard error.
    for line in report.names.iter().filter(|line| line.outcome != Became::Failed) {
        writeln!(out, "{:<width$}  {line}", line.name)?;
    }
    out.flush()
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.outcome, &self.ring) {
            (Became::Removed, Some(ring)) => {
                f.write_str(if self.dry_run { "would be removed" } else { "removed" })?;
                match ring.pending_bytes {
                    Some(0) => Ok(()),
                    _ => write!(f, ", and with it what was pending: {}", ring.pending()),
                }
            }
            (Became::InUse, Some(Ring { queue: Some(queue), .. })) => write!(f, "in use: {}", queue.users()),
            (Became::InUse, Some(ring)) => match (ring.sender.holder(), ring.receiver.holder()) {
                (None, None) => f.write_str("in use: somebody is just coming or going"),
                (Some(sender), None) => write!(f, "in use: sender {sender}"),
                (None, Some(receiver)) => write!(f, "in use: receiver {receiver}"),
                (Some(sender), Some(receiver)) => write!(f, "in use: sender {sender}, receiver {receiver}"),
            },
            (Became::Kept, Some(ring)) => {
                write!(f, "kept: nobody is attached, but pending {}; --all removes it", ring.pending())
            }
            _ => write!(f, "left alone: {}", self.why.as_deref().unwrap_or_default()),
        }
    }
}
