//! Names, so that processes that know nothing of each other can meet: a name is a file, with a rule for its path.
//!
//! What happens at the path is in `place.rs`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::backend::Backend;
use crate::clean::Cleaned;
use crate::error::{CleanError, CreateError, Error, InvalidName, OpenError, OsFault};
use crate::memory::Memory;
use crate::origin::Origin;
use crate::place::Place;
use crate::segment::Segment;
use crate::shape::Shape;
use crate::view::View;

/// What the files of segments begin with.
const PREFIX: &str = "ringway.";
/// The longest name of a file.
const FILE_NAME_MAX: usize = 255;

/// A directory in which segments have names.
///
/// ```
/// use ringway_segment::{Names, Shape};
///
/// let names = Names::new();
/// let name = format!("prices-{}", std::process::id());
/// let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 };
/// let (ours, created) = names.open_or_create(&name, &shape, |_| {})?;
/// let (theirs, created_again) = names.open_or_create(&name, &shape, |_| {})?;
/// assert!(created && !created_again);
/// assert_eq!(ours.path(), theirs.path());
/// theirs.leave(|_| true); // somebody is still there: the name stays
/// ours.leave(|_| true);
/// assert!(names.open(&name, None).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    dir: PathBuf,
}

impl Default for Names {
    fn default() -> Names {
        Names::new()
    }
}

impl Names {
    /// The names in the shared-memory mount of this host, `/dev/shm`.
    #[must_use]
    pub fn new() -> Names {
        Names::in_dir("/dev/shm")
    }

    /// The names in another directory, which should be on tmpfs.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Names {
        Names { dir: dir.into() }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that a segment of this name is, or would be.
    ///
    /// # Errors
    /// The name is empty, longer than 247 bytes, or has a slash or a control character in it.
    pub fn path_of(&self, name: &str) -> Result<PathBuf, InvalidName> {
        Ok(self.at(name)?.path().to_owned())
    }

    /// The place of this name, whether or not a segment lives there.
    ///
    /// # Errors
    /// As [`path_of`](Names::path_of).
    pub fn at(&self, name: &str) -> Result<Place, InvalidName> {
        match fault(name, FILE_NAME_MAX - PREFIX.len(), "it is longer than 247 bytes") {
            Some(why) => Err(InvalidName { name: name.to_owned(), why }),
            None => Ok(Place::file(self.dir.join(format!("{PREFIX}{name}")))),
        }
    }

    /// Opens the segment of this name, or creates one of this shape; `true` if it was created. It is
    /// [`Backend::open_or_create`] of the [place](Names::at) of this name, with its memory held as usual.
    ///
    /// # Errors
    /// Any of [`CreateError`] and [`OpenError`], save [`OpenError::NotFound`].
    pub fn open_or_create(
        &self,
        name: &str,
        shape: &Shape,
        mut fill: impl FnMut(&Segment),
    ) -> Result<(Segment, bool), Error> {
        let place = self.at(name).map_err(CreateError::InvalidName)?;
        place.open_or_create(shape, &Memory::new(), &mut fill)
    }

    /// Opens the segment of this name; of this kind, if one is given.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is none; any other if what is there is not a segment that can be used.
    pub fn open(&self, name: &str, kind: Option<u32>) -> Result<Segment, OpenError> {
        self.at(name).map_err(OpenError::InvalidName)?.open(kind, &Memory::new())
    }

    /// Looks at the segment of this name without taking part in it: whose it is does not matter, if it may be read.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is none; any other if what is there is not a segment that can be read.
    pub fn observe(&self, name: &str) -> Result<View, OpenError> {
        self.at(name).map_err(OpenError::InvalidName)?.observe()
    }

    /// Removes this name if nobody is attached to its segment and `unwanted` says that nobody will want what is in it.
    /// It is [`Place::clean`] of the [place](Names::at) of this name.
    ///
    /// # Errors
    /// [`CleanError::NotFound`] if there is none; any other if what is there cannot be removed, or must not.
    pub fn clean(&self, name: &str, unwanted: impl FnMut(&View) -> bool) -> Result<Cleaned, CleanError> {
        self.at(name).map_err(OpenError::InvalidName)?.clean(unwanted)
    }

    /// The names that segments have here, each with its file, in order. What else is in the directory is passed
    /// over; whether a file holds a segment is not asked.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<(String, PathBuf)>, OsFault> {
        let at = Origin::Named(self.dir.clone());
        let fault = |source| OsFault::new(&at, "list the names in it", source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let file = entry.file_name();
            let Some(name) = file.to_str().and_then(|file| file.strip_prefix(PREFIX)) else { continue };
            match entry.file_type() {
                Ok(kind) if kind.is_file() => {
                    names.extend(self.path_of(name).ok().map(|path| (name.to_owned(), path)))
                }
                Ok(_) => {}
                // Removed since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(fault(error)),
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Why a text is no name, `None` if it is one of up to `most` bytes.
pub(crate) fn fault(name: &str, most: usize, too_long: &'static str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > most {
        Some(too_long)
    } else if name.contains('/') {
        Some("it contains a slash")
    } else if name.chars().any(char::is_control) {
        Some("it contains a control character")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_file_can_have_are_refused_and_the_reason_said() {
        let names = Names::in_dir("/d");
        let why = |name: &str| names.path_of(name).unwrap_err().why;
        assert_eq!(why(""), "it is empty");
        assert_eq!(why("a/b"), "it contains a slash");
        assert_eq!(why("a\0b"), "it contains a control character");
        assert_eq!(why("a\nb"), "it contains a control character");
        assert_eq!(why(&"x".repeat(248)), "it is longer than 247 bytes");
        assert_eq!(why(&"ü".repeat(124)), "it is longer than 247 bytes");
    }

    #[test]
    fn every_other_name_is_a_file_in_the_directory() {
        let names = Names::in_dir("/d");
        for name in ["a", "..", ".", "a b", "ü", &"x".repeat(247)] {
            let path = names.path_of(name).unwrap();
            assert_eq!(path.parent(), Some(Path::new("/d")));
            assert_eq!(path.file_name().unwrap().to_str(), Some(format!("ringway.{name}").as_str()));
        }
    }

    #[test]
    fn a_relative_directory_is_made_absolute() {
        assert!(Names::in_dir("here").path_of("x").unwrap().is_absolute());
    }
}
