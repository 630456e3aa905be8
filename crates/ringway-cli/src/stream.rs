//! What `put` and `get` have in common: options, the ends of the ring, raw standard streams, progress. `send` and `recv` use the
//! streams, too.

use std::{
    fs::File,
    io::{self, IoSlice, IsTerminal, Write},
    os::fd::AsFd,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringway::{
    Error,
    inspect::{self, State},
    spsc,
};

use crate::{exit::Failure, place::Place, size};

/// What an empty message of the stream says by its kind. All other messages are bytes of the stream.
pub(crate) mod mark {
    /// The input could not be read to its end.
    pub(crate) const BROKEN_OFF: u16 = 1;
    /// An input begins.
    pub(crate) const BEGINS: u16 = 2;
    /// An input has come to its end.
    pub(crate) const ENDS: u16 = 3;
}

/// Which ring, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// Name of the ring; whichever side starts first makes it.
    name: String,
    /// Bytes of data the ring shall have, a power of two: 65536, 64K, 1M ...
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    capacity: Option<usize>,
    /// Give up (exit code 3) after waiting so many seconds for the other side.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    #[command(flatten)]
    place: Place,
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
}

impl Options {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn ring(&self) -> spsc::Options {
        let options = spsc::Options::new().names(self.place.names());
        match self.capacity {
            Some(bytes) => options.capacity(bytes),
            None => options,
        }
    }

    /// Whether there is such a ring, and its sender died without closing it.
    pub(crate) fn sender_is_dead(&self) -> bool {
        inspect::named(&self.place.names(), &self.name).is_ok_and(|ring| ring.sender.state == State::Dead)
    }

    /// How long to wait for the other side. No timeout is one longer than any clock can say.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(Duration::MAX)
    }

    /// What an end's error means to whoever typed the command. `missing`: what a timeout waited for in vain.
    pub(crate) fn failure(&self, error: impl Into<Error>, missing: &str) -> Failure {
        match error.into() {
            Error::Timeout => Failure::timed_out(&self.name, self.patience(), missing),
            error => error.into(),
        }
    }

    /// Counts bytes on a terminal; says nothing anywhere else. `total`: how many there will be, if that is known.
    pub(crate) fn progress(&self, total: Option<u64>) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left")
            }
            None => (ProgressBar::no_length(), "{bytes}, {binary_bytes_per_sec}, {elapsed}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
    }
}

/// A number of seconds, as of a timeout.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "not a number of seconds from 0 up".into())
}

/// A standard stream without a buffer between: bytes go straight from and to the ring.
pub(crate) fn raw(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Writes all of it, and says how many bytes were written.
pub(crate) fn write_all(output: &mut File, mut slices: &mut [IoSlice<'_>]) -> (usize, io::Result<()>) {
    let mut all = 0;
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match output.write_vectored(slices) {
            Ok(0) => return (all, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => {
                all += written;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (all, Err(error)),
        }
    }
    (all, Ok(()))
}
