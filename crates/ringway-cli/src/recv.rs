//! `ringway recv NAME`: messages of a queue, as lines, to standard output.

use std::{
    fs::File,
    io::{self, IoSlice},
    time::Duration,
};

use clap::Args;
use ringway::{
    Error, RecvTimeoutError,
    mpmc::{Received, Receiver},
};

use crate::{
    exit::Failure,
    queue::{self, Queue},
    stream,
};

/// Messages are written together up to so many,
const MESSAGES: usize = 256;
/// or so many bytes,
const BYTES: usize = 64 << 10;
/// or one in so many of the queue's slots: what is being written is what others cannot have.
const SHARE: usize = 4;

/// What was missing when a timeout passed.
const NOT_SENT: &str = "the queue is empty and nobody sent; see that a `ringway send` runs";

/// Which queue, and how much of it.
#[derive(Debug, Args)]
pub struct Options {
    /// End after so many messages.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds without a message: with 0 if any came before, with exit code 3 if none did.
    #[arg(long, value_name = "SECONDS", value_parser = stream::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    #[command(flatten)]
    queue: Queue,
}

/// Writes each message and a newline, until all senders have left, or as many as were asked for have come.
///
/// What could not be written entirely stays in the queue.
///
/// # Errors
///
/// If the queue cannot be had, the output not be written, nothing came in time, or the last sender was killed.
pub fn run(options: &Options) -> Result<(), Failure> {
    let rx = options.queue.options().receiver(options.queue.name()).map_err(Error::from)?;
    let mut output = stream::raw(io::stdout()).map_err(Failure::print)?;
    let most = (rx.capacity() / SHARE).clamp(1, MESSAGES);
    // No timeout is one longer than any clock can say.
    let patience = options.timeout.unwrap_or(Duration::MAX);
    let mut came = 0;
    while options.count.is_none_or(|count| came < count) {
        let first = match rx.recv_timeout(patience) {
            Ok(first) => first,
            Err(RecvTimeoutError::Closed) => break,
            Err(RecvTimeoutError::Timeout) if came > 0 => break,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure::timed_out(options.queue.name(), patience, NOT_SENT));
            }
            Err(error) => return Err(queue::failure(error)),
        };
        let wanted =
            options.count.map_or(most, |count| most.min(usize::try_from(count - came).unwrap_or(most)));
        let taken = with_what_is_there(first, &rx, wanted);
        came += taken.len() as u64;
        write(&mut output, taken)?;
    }
    Ok(())
}

/// A message, and those behind it that are there, up to so many.
fn with_what_is_there<'a>(first: Received<'a>, rx: &'a Receiver, wanted: usize) -> Vec<Received<'a>> {
    let mut bytes = first.len();
    let mut taken = vec![first];
    while taken.len() < wanted && bytes < BYTES {
        // Why there is none, the next one that waits is told.
        let Ok(next) = rx.try_recv() else { break };
        bytes += next.len();
        taken.push(next);
    }
    taken
}

/// Writes messages, each with a newline; gives back what was not written.
fn write(output: &mut File, taken: Vec<Received<'_>>) -> Result<(), Failure> {
    let mut slices: Vec<_> =
        taken.iter().flat_map(|message| [IoSlice::new(message), IoSlice::new(b"\n")]).collect();
    let (mut written, done) = stream::write_all(output, &mut slices);
    drop(slices);
    let Err(error) = done else { return Ok(()) };
    for message in taken {
        match written.checked_sub(message.len() + 1) {
            Some(rest) => written = rest,
            None => {
                written = 0;
                message.put_back();
            }
        }
    }
    Err(Failure::output("queue", error))
}
