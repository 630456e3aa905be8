//! What is left of rings whose ends have died, removed.
//!
//! Memory without a name goes with its last user, however that one ends. A name goes with the last end to leave in good
//! order, if nothing is left to receive. What remains is removed here: names of rings that *nobody is attached to*,
//! by the word of the kernel. A ring that somebody is attached to never loses its name, however many processes clean
//! while others create, join, leave, and are killed.
//!
//! # Messages that nobody has received
//!
//! A name that is removed takes them along. Which rings keep their names for their sake is said by [`Undelivered`]. By
//! default the word of the sender counts: one that left in good order has handed over something whole, which waits for a
//! receiver; what one that died had sent breaks off somewhere, and goes. Whoever means to succeed to ends that
//! have died, and to go on, keeps all of it.
//!
//! # What is left alone
//!
//! Files that are no rings, or damaged, or made by a program with another memory layout, or of a kind that this program
//! does not know; and files of other users.
//!
//! # Example
//!
//! ```
//! use ringway::{Names, clean, spsc};
//! # let dir = tempfile::tempdir()?;
//! # let names = Names::in_dir(dir.path());
//!
//! let tx = spsc::Options::new()
//! #   .names(names.clone())
//!     .sender("prices")?;
//! # let names = &names;
//! let outcome = clean::Options::new().name(names, "prices")?;
//! assert!(matches!(outcome, clean::Outcome::InUse(_)));
//!
//! tx.close()?;
//! for ring in clean::Options::new().all(names)? {
//!     match ring.outcome? {
//!         clean::Outcome::Removed(_) => println!("{}: removed", ring.name),
//!         clean::Outcome::InUse(it) => println!("{}: process {:?} sends", ring.name, it.sender.pid),
//!         clean::Outcome::Kept(it) => println!("{}: {:?} messages wait", ring.name, it.pending_messages),
//!         _ => {}
//!     }
//! }
//! # assert!(names.list()?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{error, fmt, path::PathBuf};

use ringway_segment::{CleanError, Cleaned, OpenError, View};

use crate::{
    AttachError, Names,
    inspect::{self, State, Status},
};

/// What becomes of messages that nobody has received, in a ring that nobody is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Undelivered {
    /// Those of a sender that left in good order are kept, and with them the name. Those of one that died are lost.
    #[default]
    KeepIfSenderLeft,
    /// They are kept, whatever became of the sender.
    Keep,
    /// They are lost, whatever became of the sender.
    Lose,
}

impl Undelivered {
    /// Whether a ring that nobody is attached to keeps its name.
    fn keeps(self, status: &Status) -> bool {
        match self {
            // One that is just leaving still holds its end.
            Self::KeepIfSenderLeft => {
                !matches!(status.sender.state, State::Dead | State::NeverCame) && may_hold_messages(status)
            }
            Self::Keep => may_hold_messages(status),
            Self::Lose => false,
        }
    }
}

/// Whether there are messages that nobody has received, for all that can be told.
fn may_hold_messages(status: &Status) -> bool {
    match status.pending {
        // What is there may have been received: it stays until it is overwritten.
        Some(_) if status.overwrites() && status.queue.is_none() => {
            status.sender.position != status.receiver.position
        }
        pending => pending != Some(0),
    }
}

/// How to clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    undelivered: Undelivered,
    dry_run: bool,
}

/// What becomes of a name, and how its ring did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nobody was attached: the name is gone, and with it what was pending. In a dry run: it would be.
    Removed(Status),
    /// Somebody is attached. If neither end is held, somebody is about to take one, or has just left it.
    InUse(Status),
    /// Nobody is attached, but there are messages that are to be kept, or may be.
    Kept(Status),
}

/// What became of one name of several.
#[derive(Debug)]
#[non_exhaustive]
pub struct Named {
    /// The name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What became of it, or why nothing could be done.
    pub outcome: Result<Outcome, Error>,
}

/// A name was not cleaned, and left as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no segment, none that is ours, or its name cannot be removed.
    Segment(CleanError),
    /// It is a segment, but no ring that this program knows.
    Ring(AttachError),
}

impl Options {
    /// Messages of a sender that left in good order are kept, and what is to be removed is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of messages that nobody has received.
    #[must_use]
    pub fn undelivered(mut self, undelivered: Undelivered) -> Self {
        self.undelivered = undelivered;
        self
    }

    /// Whether only to say what would be done. Nobody notices that.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Cleans one name.
    ///
    /// # Errors
    ///
    /// [`CleanError::NotFound`] if there is no such ring; any other if what is there must not be removed, or cannot.
    ///
    /// ```
    /// use ringway::{CleanError, Names, clean, spsc};
    /// # let dir = tempfile::tempdir()?;
    /// # let names = Names::in_dir(dir.path());
    ///
    /// let mut tx = spsc::Options::new()
    /// #   .names(names.clone())
    ///     .sender("prices")?;
    /// tx.send(b"for whoever comes")?;
    /// tx.close()?;
    ///
    /// let clean = clean::Options::new();
    /// assert!(matches!(clean.name(&names, "prices")?, clean::Outcome::Kept(_)));
    /// let all = clean.undelivered(clean::Undelivered::Lose);
    /// assert!(matches!(all.name(&names, "prices")?, clean::Outcome::Removed(_)));
    /// let nothing = all.name(&names, "prices");
    /// assert!(matches!(nothing, Err(clean::Error::Segment(CleanError::NotFound { .. }))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self, names: &Names, name: &str) -> Result<Outcome, Error> {
        let unwanted = |view: &View| inspect::look(view).is_ok_and(|status| !self.undelivered.keeps(&status));
        let place = names.at(name).map_err(OpenError::from)?;
        let cleaned = if self.dry_run { place.would_clean(unwanted) } else { place.clean(unwanted) };
        Ok(match cleaned? {
            // Nobody can change it any more.
            Cleaned::Removed(view) => Outcome::Removed(inspect::look(&view)?),
            Cleaned::InUse(view) => Outcome::InUse(inspect::look(&view)?),
            Cleaned::Kept(view) => Outcome::Kept(inspect::look(&view)?),
        })
    }

    /// Cleans all that has a ring's name here, in order of the names. Whatever cannot be cleaned does not keep the others
    /// from it.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    ///
    /// ```
    /// use ringway::{Names, clean};
    /// # let dir = tempfile::tempdir()?;
    /// # let names = Names::in_dir(dir.path());
    ///
    /// for ring in clean::Options::new().dry_run(true).all(&names)? {
    ///     println!("{}: {:?}", ring.name, ring.outcome);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self, names: &Names) -> Result<Vec<Named>, Error> {
        let all = names.list().map_err(CleanError::from)?;
        let all = all.into_iter().map(|(name, path)| Named { outcome: self.name(names, &name), name, path });
        // One that others have removed since is not there.
        Ok(all.filter(|it| !matches!(it.outcome, Err(Error::Segment(CleanError::NotFound { .. })))).collect())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(error) => error.fmt(f),
            Self::Ring(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Segment(error) => error.source(),
            Self::Ring(error) => error.source(),
        }
    }
}

impl From<CleanError> for Error {
    fn from(error: CleanError) -> Self {
        Self::Segment(error)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::Segment(error.into())
    }
}

impl From<AttachError> for Error {
    fn from(error: AttachError) -> Self {
        Self::Ring(error)
    }
}
