//! How the command ends.

use std::{fmt, io, process::ExitCode, time::Duration};

use crate::bench;
use ringway::{AttachError, CleanError, CreateError, Error, OpenError, Side, clean};

/// Exit codes; 0 is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything that has no code of its own.
    Failed = 1,
    /// The command line, a name or a size makes no sense.
    Usage = 2,
    /// A timeout passed.
    TimedOut = 3,
    /// The other side has died.
    PeerDied = 4,
    /// Shared memory holds what no correct program writes there.
    Corrupt = 5,
    /// The user may not do this.
    NotPermitted = 6,
    /// There is no such thing.
    NotFound = 7,
}

/// Why the command failed: a code for scripts, words for people.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    words: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, words: impl Into<String>) -> Self {
        Self { exit, words: words.into() }
    }

    /// With more words.
    pub(crate) fn adding(mut self, words: &str) -> Self {
        self.words += "; ";
        self.words += words;
        self
    }

    pub(crate) fn input(error: io::Error) -> Self {
        Self::stream("read standard input", error)
    }

    /// `from`: what was to be written, and stays.
    pub(crate) fn output(from: &str, error: io::Error) -> Self {
        Self::stream(&format!("write standard output (what was not written stays in the {from})"), error)
    }

    pub(crate) fn print(error: io::Error) -> Self {
        Self::stream("write standard output", error)
    }

    pub(crate) fn broken_off() -> Self {
        let words = "the other side could not read its input to the end; what came is all there is".into();
        Self { exit: Exit::Failed, words }
    }

    pub(crate) fn ended_early() -> Self {
        let words = "the other side gave up before its input had ended; what came is not whole".into();
        Self { exit: Exit::Failed, words }
    }

    pub(crate) fn headless() -> Self {
        let words = "the beginning went to another `ringway get`; what came is not whole".into();
        Self { exit: Exit::Failed, words }
    }

    pub(crate) fn forsaken() -> Self {
        let words =
            "the sender had been killed before its input had ended; what came through is not whole".into();
        Self { exit: Exit::PeerDied, words }
    }

    pub(crate) fn replaced() -> Self {
        let words =
            "the other side was killed before its input had ended, and another one took its place; what \
                     came is not whole"
                .into();
        Self { exit: Exit::Failed, words }
    }

    pub(crate) fn lacking(missing: &[&str]) -> Self {
        let words = format!("this host lacks what Ringway cannot do without: {}", missing.join("; "));
        Self { exit: Exit::Failed, words }
    }

    pub(crate) fn timed_out(name: &str, after: Duration, missing: &str) -> Self {
        let words = format!("{name}: the time was up after {after:?}: {missing}, or wait longer (--timeout)");
        Self { exit: Exit::TimedOut, words }
    }

    /// Several as one: the code of the first, the words of all.
    pub(crate) fn of_all(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|first, next| Self { words: format!("{first}\nringway: {next}"), ..first })
    }

    fn stream(what: &str, error: io::Error) -> Self {
        Self { exit: refused(&error), words: format!("cannot {what}: {error}") }
    }

    /// Whether it is that the other side has died.
    pub(crate) fn is_death(&self) -> bool {
        self.exit == Exit::PeerDied
    }

    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Failure {}

impl From<bench::Error> for Failure {
    fn from(error: bench::Error) -> Self {
        Self { exit: Exit::Failed, words: error.to_string() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let words = match &error {
            Error::Closed(Side::Receiver) => {
                "the other side stopped receiving; what it has not received stays in \
                 the ring, and another `ringway get` receives it"
                    .into()
            }
            Error::PeerDied(peer) => {
                let half = "what came through is not whole";
                match peer.side {
                    Side::Sender => format!("the {peer} was killed before its input had ended; {half}"),
                    Side::Receiver => {
                        format!("the {peer} was killed before it had received everything; {half}")
                    }
                }
            }
            other => other.to_string(),
        };
        Self { exit: exit(&error), words }
    }
}

impl From<clean::Error> for Failure {
    fn from(error: clean::Error) -> Self {
        match error {
            clean::Error::Ring(error) => Error::from(error).into(),
            clean::Error::Segment(error) => {
                let exit = match &error {
                    CleanError::NotFound { .. } => Exit::NotFound,
                    CleanError::Open(error) => not_opened(error),
                    CleanError::Owner { .. } | CleanError::NotPermitted { .. } => Exit::NotPermitted,
                    CleanError::Os(fault) => refused(&fault.source),
                    _ => Exit::Failed,
                };
                Self { exit, words: error.to_string() }
            }
            other => Self { exit: Exit::Failed, words: other.to_string() },
        }
    }
}

/// What the operating system's answer means.
fn refused(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::NotPermitted,
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Failed,
    }
}

fn exit(error: &Error) -> Exit {
    match error {
        Error::Timeout => Exit::TimedOut,
        Error::PeerDied(_) => Exit::PeerDied,
        Error::Corrupt(_) => Exit::Corrupt,
        Error::Attach(error) => match error {
            AttachError::Corrupt { .. } | AttachError::ControlArea { .. } => Exit::Corrupt,
            AttachError::Create(error) => match error {
                CreateError::InvalidName(_) | CreateError::InvalidShape(_) => Exit::Usage,
                CreateError::NotPermitted { .. } => Exit::NotPermitted,
                CreateError::Os(fault) => refused(&fault.source),
                _ => Exit::Failed,
            },
            AttachError::Open(error) => not_opened(error),
            AttachError::Slots { .. } => Exit::Usage,
            _ => Exit::Failed,
        },
        _ => Exit::Failed,
    }
}

fn not_opened(error: &OpenError) -> Exit {
    match error {
        OpenError::InvalidName(_) => Exit::Usage,
        OpenError::NotFound { .. } => Exit::NotFound,
        OpenError::NotPermitted { .. } | OpenError::Owner { .. } => Exit::NotPermitted,
        OpenError::NotRingway { .. }
        | OpenError::ByteOrder { .. }
        | OpenError::LayoutVersion { .. }
        | OpenError::Geometry { .. }
        | OpenError::Truncated { .. }
        | OpenError::Oversized { .. } => Exit::Corrupt,
        OpenError::Os(fault) => refused(&fault.source),
        _ => Exit::Failed,
    }
}
