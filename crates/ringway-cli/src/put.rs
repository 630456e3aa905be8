//! `ringway put NAME`: standard input into a ring.

use std::io::{self, Read};

use ringway::{Error, spsc::Sender};

use crate::{
    exit::Failure,
    stream::{self, Options, mark},
};

/// The ring holds this many parts of what is read at once, so that both sides work at the same time.
const PARTS: usize = 8;

/// What was missing when a timeout passed.
const NOT_RECEIVED: &str = "the ring is full and nobody received; see that its `ringway get` runs";

/// Copies standard input into the ring until its end; then closes the ring. If the input cannot be read to its end,
/// the other side is told.
///
/// # Errors
///
/// If the ring cannot be had, the input not be read, or the receiver leaves.
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut tx = options.ring().sender(options.name()).map_err(Error::from)?;
    let done = copy(&mut tx, options);
    match &done {
        Ok(()) => tx.close()?,
        // Of no use to another receiver: it would begin in the middle.
        Err(failure) if failure.is_death() => tx.abandon(),
        Err(_) => {}
    }
    done
}

/// Copies all of it.
fn copy(tx: &mut Sender, options: &Options) -> Result<(), Failure> {
    let mut input = stream::raw(io::stdin()).map_err(Failure::input)?;
    let total = input.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let progress = options.progress(total);
    let part = tx.capacity() / PARTS;
    say(tx, mark::BEGINS, options)?;
    loop {
        let mut loan = tx
            .loan_timeout(part, options.patience())
            .map_err(|error| options.failure(error, NOT_RECEIVED))?;
        let read = match input.read(&mut loan) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                drop(loan);
                say(tx, mark::BROKEN_OFF, options)?;
                return Err(Failure::input(error));
            }
        };
        loan.truncate(read);
        loan.send();
        progress.inc(read as u64);
    }
    say(tx, mark::ENDS, options)?;
    progress.finish();
    Ok(())
}

/// Sends a mark.
fn say(tx: &mut Sender, mark: u16, options: &Options) -> Result<(), Failure> {
    let mut loan =
        tx.loan_timeout(0, options.patience()).map_err(|error| options.failure(error, NOT_RECEIVED))?;
    loan.set_kind(mark);
    loan.send();
    Ok(())
}
