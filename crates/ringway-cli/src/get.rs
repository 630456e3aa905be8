//! `ringway get NAME`: a ring to standard output.

use std::{
    io::{self, IoSlice},
    time::Duration,
};

use ringway::{Error, RecvTimeoutError};

use crate::{
    exit::Failure,
    stream::{self, Options, mark},
};

/// Messages are written together up to so many,
const MESSAGES: usize = 64;
/// or so many bytes: what is being written is room that the sender lacks.
const BYTES: usize = 64 << 10;

/// What was missing when a timeout passed.
const NOT_SENT: &str = "the ring is empty and nobody sent; see that its `ringway put` runs";

/// Copies the ring to standard output until the sender has closed it.
///
/// What could not be written entirely stays in the ring.
///
/// # Errors
///
/// If the ring cannot be had, the output not be written, or what came is not all of an input, or of several.
pub fn run(options: &Options) -> Result<(), Failure> {
    // Nobody will be told of that death.
    let mut orphaned = options.sender_is_dead();
    let mut rx = options.ring().receiver(options.name()).map_err(Error::from)?;
    let mut output = stream::raw(io::stdout()).map_err(Failure::print)?;
    let progress = options.progress(None);
    let (mut begun, mut headless) = (false, false);
    loop {
        let forsaken = begun && orphaned;
        let patience = if forsaken { Duration::ZERO } else { options.patience() };
        let batch = match rx.recv_batch_timeout(MESSAGES, patience) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) if forsaken => {
                // A successor may have come, whose death would be told.
                orphaned = options.sender_is_dead();
                if orphaned {
                    return Err(Failure::forsaken());
                }
                continue;
            }
            Err(RecvTimeoutError::Closed) if begun => return Err(Failure::ended_early()),
            Err(RecvTimeoutError::Closed) if headless => return Err(Failure::headless()),
            Err(RecvTimeoutError::Closed) => break,
            Err(error) => return Err(options.failure(error, NOT_SENT)),
        };
        let mut bytes = 0;
        let mut broken = None;
        let mut slices = Vec::with_capacity(MESSAGES);
        for message in batch.iter() {
            match message.kind() {
                mark::BEGINS if message.is_empty() => {
                    // One that was killed did not say that it ended, and its successor says that it begins.
                    broken = begun.then(Failure::replaced);
                    begun = true;
                }
                mark::ENDS if message.is_empty() => begun = false,
                mark::BROKEN_OFF if message.is_empty() => broken = Some(Failure::broken_off()),
                _ => {
                    headless |= !begun;
                    bytes += message.len();
                    slices.push(IoSlice::new(message.bytes()));
                }
            }
            if broken.is_some() || bytes >= BYTES {
                break;
            }
        }
        if let (_, Err(error)) = stream::write_all(&mut output, &mut slices) {
            drop(slices);
            batch.put_back();
            return Err(Failure::output("ring", error));
        }
        progress.inc(bytes as u64);
        if let Some(failure) = broken {
            return Err(failure);
        }
    }
    progress.finish();
    Ok(())
}
