//! What can go wrong while measuring.

use std::process::ExitStatus;
use std::{fmt, io};

/// A measurement, or what it returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a measurement did not come to an end.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused something.
    System(io::Error),
    /// A ring, a foreign contender or a histogram refused something.
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// A message is not the one that was due.
    Garbled {
        /// The number it should have.
        number: u64,
        /// The bytes it should have.
        size: usize,
    },
    /// The two processes would share one CPU.
    OneCpu,
    /// The other side had not been told to carry messages this way.
    NotStarted(String),
    /// Messages of this many bytes are not carried.
    Size(usize),
    /// The other side ended while this one waited for it.
    Gone,
    /// The other process ended, and how.
    Died(ExitStatus),
    /// The other side failed and said why.
    Failed(String),
}

impl Error {
    /// An error of a ring, of a foreign contender, or of a histogram.
    #[cold]
    #[must_use]
    pub fn other(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
            Self::Garbled { number, size } => {
                write!(f, "message {number} of {size} bytes did not arrive as it was sent")
            }
            Self::OneCpu => f.write_str("there is but one CPU to run on; this measurement needs two"),
            Self::NotStarted(contender) => write!(f, "not set up: {contender}"),
            Self::Size(size) => write!(f, "not set up for messages of {size} bytes"),
            Self::Gone => f.write_str("the other side ended during the measurement"),
            Self::Died(status) => write!(f, "the other process ended during the measurement: {status}"),
            Self::Failed(why) => write!(f, "the other side failed: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => error.source(),
            Self::Other(error) => error.source(),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
