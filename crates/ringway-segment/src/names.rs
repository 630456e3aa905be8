//! Segments with a name, so that processes that know nothing of each other can meet.
//!
//! # Creating
//!
//! A new segment is a file without a name (`O_TMPFILE`), sized, reserved, its header written, mapped, filled by the
//! caller, its creator's presence lock taken — and only then linked under its name. So nobody ever sees a half-made
//! one, and a creator that is killed at any instruction leaves nothing or a whole segment. If the name exists by
//! then, ours is dropped and theirs is opened: of many that create at once, all end in the same one.
//!
//! # Opening
//!
//! Between opening a file and locking it somebody may have removed its name (`Segment::leave`). Therefore: open,
//! take the presence lock, and then ask whether the name still means this file. If so it will as long as we are
//! here, because who removes it must be alone. If not, begin again.
//!
//! # Trust
//!
//! Who may write the file can also truncate it, and then touching the memory raises SIGBUS: a file cannot be
//! sealed, a memfd can. Names are for peers of one user, files are made readable and writable by their owner only,
//! and a file of another user is not opened, unless that is root. Who only looks (`Names::observe`) writes nothing
//! and trusts nothing, so there the owner does not matter; SIGBUS may end the one who looks at a file that is being
//! truncated all the same.

use std::ffi::CString;
use std::fs::{self, File, FileType, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::descriptor::Descriptor;
use crate::error::{CreateError, Error, InvalidName, OpenError, OsFault};
use crate::inspect;
use crate::limits;
use crate::origin::Origin;
use crate::segment::Segment;
use crate::shape::{Geometry, Shape};
use crate::sys;
use crate::view::View;

/// What the files of segments begin with.
const PREFIX: &str = "ringway.";
/// Readable and writable by the owner.
const MODE: u32 = 0o600;
/// The longest name of a file.
const FILE_NAME_MAX: usize = 255;
/// How long to go on when others are in the way.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to go on at least, however long it takes.
const TRIES: u32 = 32;
/// Between two looks at a lock that is held only briefly.
const PAUSE: Duration = Duration::from_millis(1);

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
        let why = if name.is_empty() {
            "it is empty"
        } else if name.len() > FILE_NAME_MAX - PREFIX.len() {
            "it is longer than 247 bytes"
        } else if name.contains('/') {
            "it contains a slash"
        } else if name.chars().any(char::is_control) {
            "it contains a control character"
        } else {
            let file = format!("{PREFIX}{name}");
            // Absolute, so that a later change of the working directory does not move the name. Without a working
            // directory the path fails where it is used, and says so there.
            return Ok(std::path::absolute(self.dir.join(&file)).unwrap_or_else(|_| self.dir.join(&file)));
        };
        Err(InvalidName { name: name.to_owned(), why })
    }

    /// Opens the segment of this name, or creates one of this shape; `true` if it was created.
    ///
    /// `fill` is called with a new segment before anybody else can see it; more than once only if the one it had
    /// filled came too late. One that exists must be of the same kind; its other figures may differ from what was
    /// asked for: look at [`Segment::shape`].
    ///
    /// # Errors
    /// Any of [`CreateError`] and [`OpenError`], save [`OpenError::NotFound`].
    pub fn open_or_create(
        &self,
        name: &str,
        shape: &Shape,
        mut fill: impl FnMut(&Segment),
    ) -> Result<(Segment, bool), Error> {
        let path = self.path_of(name).map_err(CreateError::InvalidName)?;
        let place = Place::new(path).map_err(CreateError::Os)?;
        let geometry = Geometry::of(*shape).map_err(CreateError::InvalidShape)?;
        let mut patience = Patience::new();
        loop {
            match place.open(Some(shape.kind)) {
                Ok(Some(segment)) => return Ok((segment, false)),
                Ok(None) => {}
                Err(OpenError::NotFound { .. }) => {
                    if let Some(segment) = place.create(geometry, &mut fill)? {
                        return Ok((segment, true));
                    }
                }
                Err(error) => return Err(error.into()),
            }
            patience.again(&place.path)?;
        }
    }

    /// Opens the segment of this name; of this kind, if one is given.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is none; any other if what is there is not a segment that can be used.
    pub fn open(&self, name: &str, kind: Option<u32>) -> Result<Segment, OpenError> {
        let place = Place::new(self.path_of(name).map_err(OpenError::InvalidName)?)?;
        let mut patience = Patience::new();
        loop {
            if let Some(segment) = place.open(kind)? {
                return Ok(segment);
            }
            patience.again(&place.path)?;
        }
    }

    /// Looks at the segment of this name without taking part in it: whose it is does not matter, if it may be read.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is none; any other if what is there is not a segment that can be read.
    pub fn observe(&self, name: &str) -> Result<View, OpenError> {
        Place::new(self.path_of(name).map_err(OpenError::InvalidName)?)?.observe()
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

/// Removes the name if it still means this file. The caller is alone with the file, so nobody who keeps to the
/// protocol gives the name to another between the look and the removal.
pub(crate) fn remove_if_same(path: &Path, file: &File) {
    if means(path, file).unwrap_or(false) {
        // Not permitted, or on a mount that became read-only: the name stays, as `Segment::leave` says.
        let _ = fs::remove_file(path);
    }
}

/// Whether a name means this file.
fn means(path: &Path, file: &File) -> io::Result<bool> {
    let named = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let ours = file.metadata()?;
    Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino()))
}

/// One name, in the forms that the calls want.
struct Place {
    path: PathBuf,
    c_path: CString,
    c_dir: CString,
    origin: Origin,
}

impl Place {
    fn new(path: PathBuf) -> Result<Place, OsFault> {
        let origin = Origin::Named(path.clone());
        let c_string = |path: &Path| {
            CString::new(path.as_os_str().as_bytes())
                .map_err(|error| OsFault::new(&origin, "use this directory", error.into()))
        };
        let (c_path, c_dir) = (c_string(&path)?, c_string(path.parent().unwrap_or(&path))?);
        Ok(Place { path, c_path, c_dir, origin })
    }

    fn fault(&self, step: &'static str) -> impl Fn(io::Error) -> OsFault {
        move |source| OsFault::new(&self.origin, step, source)
    }

    /// `None` if the name has come to mean another file meanwhile.
    fn open(&self, kind: Option<u32>) -> Result<Option<Segment>, OpenError> {
        let descriptor = self.open_file(libc::O_RDWR)?;
        self.check_owner(&self.check_file(descriptor.file())?)?;
        self.join(&descriptor)?;
        if !means(&self.path, descriptor.file()).map_err(self.fault("look at its name"))? {
            return Ok(None);
        }
        let geometry = inspect::content(descriptor.file(), &self.origin)?;
        if let Some(wanted) = kind {
            inspect::kind(&geometry, wanted, &self.origin)?;
        }
        Ok(Some(Segment::map(descriptor, geometry, &self.origin)?))
    }

    fn observe(&self) -> Result<View, OpenError> {
        let descriptor = self.open_file(libc::O_RDONLY)?;
        self.check_file(descriptor.file())?;
        let geometry = inspect::content(descriptor.file(), &self.origin)?;
        Ok(View::map(descriptor, geometry, &self.origin)?)
    }

    fn open_file(&self, access: libc::c_int) -> Result<Descriptor, OpenError> {
        // Whatever it is: not through a link, without waiting, and not as a terminal of ours.
        let flags = access | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        Descriptor::open(|| sys::open(&self.c_path, flags, 0)).map_err(|source| {
            let path = self.path.clone();
            match source.raw_os_error() {
                Some(libc::ENOENT) => OpenError::NotFound { path },
                Some(libc::EACCES | libc::EPERM | libc::EROFS) => OpenError::NotPermitted { path },
                Some(libc::ELOOP) => OpenError::NotRegular { path, found: "a symbolic link" },
                Some(libc::EISDIR) => OpenError::NotRegular { path, found: "a directory" },
                Some(libc::ENXIO) => OpenError::NotRegular { path, found: "a socket or a device" },
                _ => OsFault::new(&self.origin, "open it", source).into(),
            }
        })
    }

    fn check_file(&self, file: &File) -> Result<Metadata, OpenError> {
        let found = file.metadata().map_err(self.fault("look at it"))?;
        if !found.is_file() {
            let (path, found) = (self.path.clone(), describe(found.file_type()));
            return Err(OpenError::NotRegular { path, found });
        }
        Ok(found)
    }

    fn check_owner(&self, found: &Metadata) -> Result<(), OpenError> {
        let path = self.path.clone();
        let ours = sys::effective_user();
        if found.uid() != ours && found.uid() != 0 {
            return Err(OpenError::Owner { path, found: found.uid(), ours });
        }
        Ok(())
    }

    /// Takes the presence lock. Who holds it alone lets go in a moment.
    fn join(&self, descriptor: &Descriptor) -> Result<(), OpenError> {
        let start = Instant::now();
        while !descriptor.try_join().map_err(self.fault("lock it"))? {
            let waited = start.elapsed();
            if waited > PATIENCE {
                return Err(OpenError::Busy { path: self.path.clone(), waited });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// `None` if somebody else has given the name to another file first.
    fn create(
        &self,
        geometry: Geometry,
        fill: &mut impl FnMut(&Segment),
    ) -> Result<Option<Segment>, CreateError> {
        let flags = libc::O_RDWR | libc::O_TMPFILE;
        let descriptor = Descriptor::open(|| sys::open(&self.c_dir, flags, MODE))
            .map_err(|source| self.barred("create it", source))?;
        // Once more: the umask may have taken rights away.
        let mode = descriptor.file().set_permissions(Permissions::from_mode(MODE));
        mode.map_err(self.fault("set its mode"))?;
        limits::provide(descriptor.file(), geometry.total, &self.origin)?;
        inspect::imprint(descriptor.file(), &geometry).map_err(self.fault("write its header"))?;
        // Nobody else can have it: the file is known to nobody.
        descriptor.try_join().map_err(self.fault("lock it"))?;
        let segment = Segment::map(descriptor, geometry, &self.origin)?;
        fill(&segment);
        match segment.link(&self.c_path) {
            Ok(()) => Ok(Some(segment)),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(None),
            Err(source) => Err(self.barred("give it its name", source)),
        }
    }

    fn barred(&self, step: &'static str, source: io::Error) -> CreateError {
        match source.raw_os_error() {
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
                CreateError::NotPermitted { path: self.path.clone() }
            }
            _ => OsFault::new(&self.origin, step, source).into(),
        }
    }
}

fn describe(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "a special file"
    }
}

/// Bounds the beginning-again: by tries, because creating may take long, and by time, because opening does not.
struct Patience {
    start: Instant,
    tries: u32,
}

impl Patience {
    fn new() -> Patience {
        Patience { start: Instant::now(), tries: 0 }
    }

    fn again(&mut self, path: &Path) -> Result<(), OpenError> {
        self.tries += 1;
        if self.tries >= TRIES && self.start.elapsed() > PATIENCE {
            return Err(OpenError::Unsettled { path: path.to_owned(), tries: self.tries });
        }
        std::thread::yield_now();
        Ok(())
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
