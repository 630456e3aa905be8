//! `ringway put NAME`: standard input into a ring.

use std::io::{self, Read};

use ringway::Error;

use crate::{
    exit::Failure,
    stream::{self, BROKEN_OFF, Options},
};

/// The ring holds this many parts of what is read at once, so that both sides work at the same time.
const PARTS: usize = 8;

/// Copies standard input into the ring until its end; then closes the ring. If the input cannot be read to its end,
/// the other side is told.
///
/// # Errors
///
/// If the ring cannot be had, the input not be read, or the receiver leaves.
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut tx = options.ring().sender(options.name()).map_err(Error::from)?;
    let mut input = stream::raw(io::stdin()).map_err(Failure::input)?;
    let total = input.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let progress = options.progress(total);
    let part = tx.capacity() / PARTS;
    loop {
        let mut loan = tx.loan_timeout(part, options.patience()).map_err(Error::from)?;
        let read = match input.read(&mut loan) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                loan.truncate(0);
                loan.set_kind(BROKEN_OFF);
                loan.send();
                return Err(Failure::input(error));
            }
        };
        loan.truncate(read);
        loan.send();
        progress.inc(read as u64);
    }
    progress.finish();
    Ok(tx.close()?)
}
