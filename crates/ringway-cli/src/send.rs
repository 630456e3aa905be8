//! `ringway send NAME`: lines of standard input into a queue.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    time::Duration,
};

use clap::Args;
use ringway::{Error, mpmc::Sender};

use crate::{
    exit::{Exit, Failure},
    queue::{self, Queue},
    stream,
};

/// So many bytes are read at once, if so many are there.
const BYTES: usize = 64 << 10;

/// What was missing when a timeout passed.
const NOT_RECEIVED: &str = "the queue is full and nobody received; see that a `ringway recv` runs";

/// Which queue, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// Give up (exit code 3) when no line could be sent for so many seconds because the queue is full.
    #[arg(long, value_name = "SECONDS", value_parser = stream::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    #[command(flatten)]
    queue: Queue,
}

/// Sends each line of standard input, as soon as it was read.
///
/// # Errors
///
/// If the queue cannot be had, the input not be read, a line is too long, or nobody receives any more. What was sent
/// before stays sent, and the failure says which line was the first that was not.
pub fn run(options: &Options) -> Result<(), Failure> {
    let tx = options.queue.options().sender(options.queue.name()).map_err(Error::from)?;
    let input = stream::raw(io::stdin()).map_err(Failure::input)?;
    let mut lines = Lines { tx: &tx, options, sent: 0 };
    lines.send_all(BufReader::with_capacity(BYTES, input))?;
    Ok(tx.close()?)
}

/// Lines on their way into the queue.
struct Lines<'a> {
    tx: &'a Sender,
    options: &'a Options,
    sent: u64,
}

impl Lines<'_> {
    fn send_all(&mut self, mut input: BufReader<File>) -> Result<(), Failure> {
        // A line's beginning, of which the end was not read yet.
        let mut begun = Vec::new();
        loop {
            let read = match input.fill_buf() {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::input(error)),
            };
            if read.is_empty() {
                break;
            }
            for part in read.split_inclusive(|&byte| byte == b'\n') {
                match part.strip_suffix(b"\n") {
                    Some(line) if begun.is_empty() => self.send(line)?,
                    Some(end) => {
                        begun.extend_from_slice(end);
                        self.send(&begun)?;
                        begun.clear();
                    }
                    None => {
                        begun.extend_from_slice(part);
                        // However long it is going to be.
                        self.check(&begun)?;
                    }
                }
            }
            let read = read.len();
            input.consume(read);
        }
        if begun.is_empty() { Ok(()) } else { self.send(&begun) }
    }

    fn send(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.check(line)?;
        // No timeout is one longer than any clock can say.
        let patience = self.options.timeout.unwrap_or(Duration::MAX);
        self.tx.send_timeout(line, patience).map_err(|error| {
            let failure = match error.into() {
                Error::Timeout => Failure::timed_out(self.options.queue.name(), patience, NOT_RECEIVED),
                Error::Exhausted(exhausted) => Failure::new(Exit::TimedOut, exhausted.to_string()),
                error => queue::failure(error),
            };
            failure.adding(&format!("line {} and what follows it was not sent", self.number()))
        })?;
        self.sent += 1;
        Ok(())
    }

    fn check(&self, line: &[u8]) -> Result<(), Failure> {
        let most = self.tx.slot_size();
        if line.len() <= most {
            return Ok(());
        }
        let words = format!(
            "line {} is longer than the {most} bytes that the queue carries, and was not sent, nor what follows it; have \
             the queue made with a larger --slot-size (`ringway clean` removes the one that is there)",
            self.number(),
        );
        Err(Failure::new(Exit::Failed, words))
    }

    /// The number of the line that is being sent.
    fn number(&self) -> u64 {
        self.sent + 1
    }
}
