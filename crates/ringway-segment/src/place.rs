//! A segment in a file, be that a name or a path of its own.
//!
//! # Creating
//!
//! A new segment is a file without a name (`fresh.rs`), sized, reserved, its header written, mapped, filled by the
//! caller, its creator's presence lock taken — and only then linked under its path. So nobody ever sees a half-made
//! one, and a creator that is killed at any instruction leaves nothing or a whole segment. If the path exists by
//! then, ours is dropped and theirs is opened: of many that create at once, all end in the same one.
//!
//! # Opening
//!
//! Between opening a file and locking it somebody may have removed its name (`Segment::leave`). Therefore: open,
//! take the presence lock, and then ask whether the path still means this file. If so it will as long as we are
//! here, because who removes it must be alone. If not, begin again.
//!
//! # Trust
//!
//! Who may write the file can also truncate it, and then touching the memory raises SIGBUS: a file cannot be sealed,
//! a memfd can. Files are for peers of one user: they are made readable and writable by their owner only, and a file
//! of another user is not opened, unless that is root, or the caller says by a mode that it shares with others. Who
//! only looks (`observe`) writes nothing and trusts nothing, so there the owner does not matter; SIGBUS may end the
//! one who looks at a file that is being truncated all the same.

use std::ffi::CString;
use std::fs::{self, File, FileType, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::clean::{self, Cleaned};
use crate::descriptor::Descriptor;
use crate::error::{CleanError, CreateError, Error, OpenError, OsFault};
use crate::fresh::{self, Fresh};
use crate::inspect;
use crate::limits;
use crate::memory::{Memory, NoHugePages, Pages};
use crate::origin::Origin;
use crate::segment::Segment;
use crate::shape::{Geometry, Shape};
use crate::sys;
use crate::view::View;

/// How long to go on when others are in the way.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How often to go on at least, however long it takes.
const TRIES: u32 = 32;
/// Between two looks at a lock that is held only briefly.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// A path at which a segment lives, or will: a name ([`Names::at`](crate::Names::at)), or a file of the caller's
/// choice.
///
/// The file system may be any on which a file can be reserved, linked and mapped: tmpfs, ext4, xfs, btrfs. On a disk
/// the kernel writes back what is sent, in its own time, which costs; a segment is no way to keep data. A mount of
/// huge pages cannot hold one ([`Memory::huge_pages`] is how to have those). Whoever may write the file can truncate
/// it, and then touching the memory raises SIGBUS; memory without a name ([`Offer`](crate::Offer)) is sealed against
/// that.
///
/// ```
/// use ringway_segment::{Backend, Memory, Place, Shape};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ring");
/// let place = Place::file(&path);
/// let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 };
/// let (ours, created) = place.open_or_create(&shape, &Memory::new(), &mut |_| {})?;
/// assert!(created && path.exists());
/// ours.leave(|_| true);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// This very path. Nothing is asked of it but that its directory exists.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Place {
        let path = path.into();
        // Absolute, so that a later change of the working directory does not move it. Without a working directory the
        // path fails where it is used, and says so there.
        Place { path: std::path::absolute(&path).unwrap_or(path) }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the name of the segment here if nobody is attached to it and `unwanted` says that nobody will want what is
    /// in it. What is no segment, or another user's, or attached to, is left as it is.
    ///
    /// Any number of processes may do this at once, while others create, open, leave and die: who is attached never
    /// loses the name, and no name ever leads to two segments that live.
    ///
    /// `unwanted` is asked first of what nobody seems to be attached to and, if it says yes, once more when that is
    /// certain; whoever opens the segment waits meanwhile, so it must be short. It may be asked of another segment than
    /// the first time, if the name was given to one. Where an end that leaves would remove the name
    /// ([`Segment::leave`]), it must say yes.
    ///
    /// ```
    /// use ringway_segment::{Backend, Cleaned, CleanError, Memory, Place, Shape};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ring");
    /// let place = Place::file(&path);
    /// let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 };
    /// let (segment, _) = place.open_or_create(&shape, &Memory::new(), &mut |_| {})?;
    /// assert!(matches!(place.clean(|_| true)?, Cleaned::InUse(_)));
    /// drop(segment); // as if its process had been killed
    /// assert!(matches!(place.clean(|_| false)?, Cleaned::Kept(_)));
    /// assert!(matches!(place.clean(|_| true)?, Cleaned::Removed(_)));
    /// assert!(matches!(place.clean(|_| true), Err(CleanError::NotFound { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CleanError::NotFound`] if there is none; any other if what is there cannot be removed, or must not.
    pub fn clean(&self, unwanted: impl FnMut(&View) -> bool) -> Result<Cleaned, CleanError> {
        clean::clean(&Site::new(&self.path)?, unwanted)
    }

    /// What [`clean`](Place::clean) would do, without doing it. It takes no lock: nobody notices.
    ///
    /// # Errors
    /// As [`clean`](Place::clean), save [`CleanError::NotPermitted`], which only removing tells.
    pub fn would_clean(&self, unwanted: impl FnOnce(&View) -> bool) -> Result<Cleaned, CleanError> {
        clean::would_clean(&Site::new(&self.path)?, unwanted)
    }

    /// Looks at the segment here without taking part in it: whose it is does not matter, if it may be read.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is none; any other if what is there is not a segment that can be read.
    pub fn observe(&self) -> Result<View, OpenError> {
        Site::new(&self.path)?.observe()
    }
}

impl Backend for Place {
    fn open_or_create(
        &self,
        shape: &Shape,
        memory: &Memory,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<(Segment, bool), Error> {
        Site::new(&self.path)
            .map_err(CreateError::Os)?
            .open_or_create(shape, memory, fill, |site, _| fresh::file(site).map(Some))
    }

    fn open(&self, kind: Option<u32>, memory: &Memory) -> Result<Segment, OpenError> {
        Site::new(&self.path)?.open(kind, memory)
    }
}

/// Removes the name if it still means this file, `false` if not. The caller is alone with the file, so nobody who keeps
/// to the protocol gives the name to another between the look and the removal.
pub(crate) fn remove_if_same(path: &Path, file: &File) -> io::Result<bool> {
    if !means(path, file)? {
        return Ok(false);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    }
}

/// Whether a name means this file.
pub(crate) fn means(path: &Path, file: &File) -> io::Result<bool> {
    let named = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let ours = file.metadata()?;
    Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino()))
}

/// One path, in the forms that the calls want.
pub(crate) struct Site {
    pub(crate) path: PathBuf,
    c_path: CString,
    pub(crate) origin: Origin,
}

impl Site {
    pub(crate) fn new(path: &Path) -> Result<Site, OsFault> {
        let origin = Origin::Named(path.to_owned());
        let c_path = c_string(path).map_err(|source| OsFault::new(&origin, "use this path", source))?;
        Ok(Site { path: path.to_owned(), c_path, origin })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    pub(crate) fn fault(&self, step: &'static str) -> impl Fn(io::Error) -> OsFault {
        move |source| OsFault::new(&self.origin, step, source)
    }

    /// `make` gives the new file, of so many bytes, if one is needed; `None` if it was taken for a leftover.
    pub(crate) fn open_or_create(
        &self,
        shape: &Shape,
        memory: &Memory,
        fill: &mut dyn FnMut(&Segment),
        make: impl Fn(&Site, u64) -> Result<Option<Fresh>, CreateError>,
    ) -> Result<(Segment, bool), Error> {
        let geometry = Geometry::of(*shape).map_err(CreateError::InvalidShape)?;
        let mut patience = Patience::new();
        loop {
            match self.try_open(Some(shape.kind), memory) {
                Ok(Some(segment)) => return Ok((segment, false)),
                Ok(None) => {}
                Err(OpenError::NotFound { .. }) => {
                    if let Some(fresh) = make(self, geometry.total)? {
                        if let Some(segment) = self.create(fresh, geometry, memory, fill)? {
                            return Ok((segment, true));
                        }
                    }
                }
                Err(error) => return Err(error.into()),
            }
            patience.again(&self.path)?;
        }
    }

    pub(crate) fn open(&self, kind: Option<u32>, memory: &Memory) -> Result<Segment, OpenError> {
        let mut patience = Patience::new();
        loop {
            if let Some(segment) = self.try_open(kind, memory)? {
                return Ok(segment);
            }
            patience.again(&self.path)?;
        }
    }

    pub(crate) fn observe(&self) -> Result<View, OpenError> {
        let descriptor = self.open_file(libc::O_RDONLY)?;
        self.check_file(descriptor.file())?;
        let geometry = inspect::whole(descriptor.file(), &self.origin)?;
        Ok(View::map(descriptor, None, geometry, &self.origin)?)
    }

    /// `None` if the path has come to mean another file meanwhile.
    fn try_open(&self, kind: Option<u32>, memory: &Memory) -> Result<Option<Segment>, OpenError> {
        let descriptor = self.open_file(libc::O_RDWR)?;
        let found = self.check_file(descriptor.file())?;
        if !memory.is_for_others() {
            self.check_owner(&found)?;
        }
        self.join(&descriptor)?;
        if !means(&self.path, descriptor.file()).map_err(self.fault("look at its name"))? {
            return Ok(None);
        }
        let geometry = inspect::whole(descriptor.file(), &self.origin)?;
        if let Some(wanted) = kind {
            inspect::kind(&geometry, wanted, &self.origin)?;
        }
        Ok(Some(Segment::map(descriptor, None, geometry, &self.origin, memory, pages(memory))?))
    }

    pub(crate) fn open_file(&self, access: libc::c_int) -> Result<Descriptor, OpenError> {
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

    pub(crate) fn check_file(&self, file: &File) -> Result<Metadata, OpenError> {
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

    /// `None` if somebody else has given the path to another file first.
    fn create(
        &self,
        fresh: Fresh,
        geometry: Geometry,
        memory: &Memory,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<Option<Segment>, CreateError> {
        // `temporary` goes last: what still has only that name then loses it.
        let Fresh { temporary, descriptor } = fresh;
        // Nobody else can have it, unless it has a name: then somebody may just be taking it for a leftover.
        if !descriptor.try_join().map_err(self.fault("lock it"))? {
            return Ok(None);
        }
        // Once more: the umask may have taken rights away.
        let mode = descriptor.file().set_permissions(Permissions::from_mode(memory.mode));
        mode.map_err(self.fault("set its mode"))?;
        limits::provide(descriptor.file(), geometry.total, &self.origin)?;
        inspect::imprint(descriptor.file(), &geometry).map_err(self.fault("write its header"))?;
        let segment = Segment::map(descriptor, None, geometry, &self.origin, memory, pages(memory))?;
        fill(&segment);
        match segment.link(&self.c_path).map_err(|source| (source.raw_os_error(), source)) {
            Ok(()) => Ok(Some(segment)),
            Err((Some(libc::EEXIST), _)) => Ok(None),
            // It was taken for a leftover.
            Err((Some(libc::ENOENT), _)) if temporary.is_some() => Ok(None),
            Err((_, source)) => Err(self.barred("give it its name", source)),
        }
    }

    pub(crate) fn barred(&self, step: &'static str, source: io::Error) -> CreateError {
        match source.raw_os_error() {
            Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
                CreateError::NotPermitted { path: self.path.clone() }
            }
            _ => OsFault::new(&self.origin, step, source).into(),
        }
    }
}

/// A path as the kernel wants it.
pub(crate) fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn pages(memory: &Memory) -> Pages {
    if memory.huge_pages { Pages::Instead(NoHugePages::Backend) } else { Pages::Ordinary }
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
pub(crate) struct Patience {
    start: Instant,
    tries: u32,
}

impl Patience {
    pub(crate) fn new() -> Patience {
        Patience { start: Instant::now(), tries: 0 }
    }

    pub(crate) fn again(&mut self, path: &Path) -> Result<(), OpenError> {
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

    fn shape() -> Shape {
        Shape { kind: 7, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 }
    }

    #[test]
    fn a_relative_path_is_made_absolute() {
        assert!(Place::file("here").path().is_absolute());
    }

    #[test]
    fn a_path_that_no_file_can_have_is_refused() {
        let place = Place::file("/d/a\0b");
        assert!(matches!(place.open(None, &Memory::new()), Err(OpenError::Os(_))));
        assert!(matches!(
            place.open_or_create(&shape(), &Memory::new(), &mut |_| {}),
            Err(Error::Create(CreateError::Os(_)))
        ));
    }

    /// As on a file system without `O_TMPFILE`.
    fn with_temporary_name(path: &Path, fill: &mut dyn FnMut(&Segment)) -> Result<(Segment, bool), Error> {
        let site = Site::new(path).unwrap();
        site.open_or_create(&shape(), &Memory::new(), fill, |site, _| {
            fresh::with_temporary_name(site).map(Some)
        })
    }

    fn files(directory: &Path) -> Vec<PathBuf> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_temporary_name_is_gone_once_the_segment_has_its_own() {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = directory.path().join("x");
        let mut while_filled = Vec::new();
        let (segment, created) =
            with_temporary_name(&path, &mut |_| while_filled = files(directory.path())).unwrap();
        assert!(created && while_filled.len() == 1 && while_filled[0] != path);
        assert_eq!(files(directory.path()), std::slice::from_ref(&path));
        let (_second, created) = with_temporary_name(&path, &mut |_| {}).unwrap();
        assert!(!created);
        drop(segment);
    }

    #[test]
    fn who_comes_too_late_with_a_temporary_name_joins_and_leaves_none() {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = directory.path().join("x");
        let mut first = None;
        let (second, created) = with_temporary_name(&path, &mut |_| {
            first.get_or_insert_with(|| with_temporary_name(&path, &mut |_| {}).unwrap());
        })
        .unwrap();
        assert!(!created && first.unwrap().1);
        assert_eq!(files(directory.path()), [path]);
        second.leave(|_| true);
        assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_a_killed_creator_left_goes_with_the_next_creation_and_what_a_living_one_has_stays() {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let (path, other) = (directory.path().join("x"), directory.path().join("y"));
        // Nobody has it open: its creator is gone.
        fs::write(directory.path().join(".ringway-0123456789abcdef"), "").unwrap();
        let mut seen = Vec::new();
        with_temporary_name(&path, &mut |_| {
            with_temporary_name(&other, &mut |_| seen = files(directory.path())).unwrap();
        })
        .unwrap();
        assert_eq!(seen.len(), 2, "two that are being made: {seen:?}");
        assert_eq!(files(directory.path()).len(), 2);
        assert!(path.exists() && other.exists());
    }

    #[test]
    fn a_segment_taken_for_a_leftover_while_it_is_made_is_made_again() {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = directory.path().join("x");
        let mut times = 0;
        let (_segment, created) = with_temporary_name(&path, &mut |_| {
            times += 1;
            if times == 1 {
                fs::remove_file(&files(directory.path())[0]).unwrap();
            }
        })
        .unwrap();
        assert!(created && times == 2);
        assert_eq!(files(directory.path()), [path]);
    }
}
