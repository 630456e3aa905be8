//! `ringway ls`: the rings that are there.

use std::io::{self, Write};

use clap::Args;
use ringway::{Error, inspect};
use serde::Serialize;

use crate::{
    exit::Failure,
    place::Place,
    ring::{Bytes, Ring},
};

/// Where, and how to say it.
#[derive(Debug, Args)]
pub struct Options {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Serialize)]
struct List {
    rings: Vec<Ring>,
}

/// Looks at all rings and prints a line for each; what only looks like one by its name gets a word on standard error.
///
/// # Errors
///
/// If the directory cannot be read, or the output not be written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut list = List { rings: Vec::new() };
    for inspect::Named { name, status, .. } in inspect::list(&options.place.names()).map_err(Error::from)? {
        match status {
            Ok(status) => list.rings.push(Ring::new(name, status)),
            Err(error) => {
                let _ = writeln!(io::stderr(), "ringway: passed over: {error}");
            }
        }
    }
    print(&list, options.json).map_err(Failure::print)
}

fn print(list: &List, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, list)?;
        writeln!(out)?;
        return out.flush();
    }
    let lines = list.rings.iter().map(|ring| {
        [
            ring.name.clone(),
            Bytes(ring.capacity_bytes).to_string(),
            format!("pending {}", ring.pending()),
            format!("sender {}", ring.sender),
            format!("receiver {}", ring.receiver),
            if ring.attached { "" } else { "nobody attached" }.to_owned(),
        ]
    });
    let lines: Vec<_> = lines.collect();
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for [name, capacity, pending, sender, receiver, attached] in lines {
        let [first, second, third, fourth, fifth, _] = widths;
        let line = format!(
            "{name:<first$}  {capacity:>second$}  {pending:<third$}  {sender:<fourth$}  {receiver:<fifth$}  {attached}"
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}
