//! Where the suite runs: a place of each kind, as the processes of a test find it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::NonNull;

use memmap2::MmapRaw;
use ringway_segment::{
    Backend, Error, Lent, Memory, Names, Offer, OpenError, Place, Segment, Shape, SharedMemory,
};
use tempfile::TempDir;

use crate::common;

/// A place of one kind, with nothing in it at first.
pub(crate) trait Ground: Sized + Sync {
    /// Whether `open_or_create` makes a segment where there is none.
    const CREATES: bool = true;
    /// Whether what forked children find in the place of the memory is up to the backend.
    const KEEPS_CHILDREN_OUT: bool = true;

    fn new() -> Self;

    /// The backend.
    fn backend(&self) -> &dyn Backend;

    /// Lets the process that `command` starts find this place by [`found`](Ground::found).
    fn pass(&self, command: &mut Command);

    /// The place that was passed to this process.
    fn found() -> Self;

    /// Opens what is here as somebody would who has just come.
    fn open(&self, kind: Option<u32>) -> Result<Segment, OpenError> {
        self.backend().open(kind, &Memory::new())
    }

    /// The file that the memory is of.
    fn file(&self) -> File;

    /// Opens what is here after it has become a page shorter.
    fn open_cut_off(&self) -> OpenError {
        let file = self.file();
        file.set_len(file.metadata().unwrap().len() - 4096).unwrap();
        self.open(None).unwrap_err()
    }

    /// Asks for a new one that is larger than anything.
    fn create_too_large(shape: &Shape) -> Error {
        Self::new().backend().open_or_create(shape, &Memory::new(), &mut |_| {}).unwrap_err()
    }

    /// The files that are left.
    fn files(&self) -> Vec<PathBuf>;
}

const PLACE: &str = "RINGWAY_TEST_PLACE";

fn place() -> OsString {
    std::env::var_os(PLACE).expect("the parent passes it")
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn read_and_write(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// An offer.
pub(crate) struct Memfd(Offer);

impl Ground for Memfd {
    const CREATES: bool = false;

    fn new() -> Memfd {
        Memfd(Offer::create(&common::shape()).unwrap())
    }

    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn pass(&self, command: &mut Command) {
        self.0.give_to(command, "PLACE").unwrap();
    }

    fn found() -> Memfd {
        Memfd(Offer::from_env("PLACE").unwrap())
    }

    fn open(&self, kind: Option<u32>) -> Result<Segment, OpenError> {
        Offer::from_fd(self.0.as_fd().try_clone_to_owned().unwrap())?.open(kind, &Memory::new())
    }

    fn file(&self) -> File {
        self.0.as_fd().try_clone_to_owned().unwrap().into()
    }

    /// Its own size is sealed: so a forged one.
    fn open_cut_off(&self) -> OpenError {
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        let len = self.file().metadata().unwrap().len() - 4096;
        Offer::from_fd(common::memory(len, seals, &common::header_of(&self.0))).unwrap_err()
    }

    fn create_too_large(shape: &Shape) -> Error {
        Offer::create(shape).unwrap_err().into()
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// A file, however its path came about.
pub(crate) struct InDirectory {
    /// In the process that has made it.
    _directory: Option<TempDir>,
    place: Place,
}

impl InDirectory {
    fn new(base: &str) -> InDirectory {
        let directory = tempfile::tempdir_in(base).unwrap();
        let place = Place::file(directory.path().join("segment"));
        InDirectory { _directory: Some(directory), place }
    }
}

/// A name.
pub(crate) struct Named(InDirectory);

impl Ground for Named {
    fn new() -> Named {
        let (directory, names) = common::names();
        Named(InDirectory { _directory: Some(directory), place: names.at("x").unwrap() })
    }

    fn backend(&self) -> &dyn Backend {
        &self.0.place
    }

    fn pass(&self, command: &mut Command) {
        command.env(PLACE, self.0.place.path().parent().unwrap());
    }

    fn found() -> Named {
        Named(InDirectory { _directory: None, place: Names::in_dir(place()).at("x").unwrap() })
    }

    fn file(&self) -> File {
        read_and_write(self.0.place.path())
    }

    fn files(&self) -> Vec<PathBuf> {
        files_in(self.0.place.path().parent().unwrap())
    }
}

/// A file where the build's files are: on most hosts on a disk.
pub(crate) struct OnDisk(InDirectory);

impl Ground for OnDisk {
    fn new() -> OnDisk {
        OnDisk(InDirectory::new(env!("CARGO_TARGET_TMPDIR")))
    }

    fn backend(&self) -> &dyn Backend {
        &self.0.place
    }

    fn pass(&self, command: &mut Command) {
        command.env(PLACE, self.0.place.path());
    }

    fn found() -> OnDisk {
        OnDisk(InDirectory { _directory: None, place: Place::file(place()) })
    }

    fn file(&self) -> File {
        read_and_write(self.0.place.path())
    }

    fn files(&self) -> Vec<PathBuf> {
        files_in(self.0.place.path().parent().unwrap())
    }
}

/// Memory that this program maps itself.
pub(crate) struct Borrowed {
    /// Before the memory: segments must go first, and they do, being the tests' own.
    lent: Lent,
    memory: MmapRaw,
    path: PathBuf,
    directory: Option<TempDir>,
}

impl Borrowed {
    fn map(path: PathBuf, directory: Option<TempDir>) -> Borrowed {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let memory = common::mapped_twice(&file, &common::shape());
        let base = NonNull::new(memory.as_mut_ptr()).unwrap();
        // SAFETY: laid out as demanded for this shape, mapped until this is dropped, which the tests do last, and
        // used through Ringway and by atomics only; forked children of the tests do not touch it.
        let lent = unsafe { Lent::new(base, memory.len(), file.into()) };
        Borrowed { lent, memory, path, directory }
    }
}

impl Ground for Borrowed {
    const KEEPS_CHILDREN_OUT: bool = false;

    fn new() -> Borrowed {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        Borrowed::map(directory.path().join("memory"), Some(directory))
    }

    fn backend(&self) -> &dyn Backend {
        &self.lent
    }

    fn pass(&self, command: &mut Command) {
        command.env(PLACE, &self.path);
    }

    fn found() -> Borrowed {
        Borrowed::map(place().into(), None)
    }

    fn file(&self) -> File {
        read_and_write(&self.path)
    }

    /// The memory cannot become shorter under its owner: so less of it is lent.
    fn open_cut_off(&self) -> OpenError {
        let base = NonNull::new(self.memory.as_mut_ptr()).unwrap();
        // SAFETY: as in `map`; it is refused before anything behind the header is touched.
        let less = unsafe { Lent::new(base, self.memory.len() - 4096, self.file().into()) };
        less.open(None, &Memory::new()).unwrap_err()
    }

    /// But for the memory itself, which is the test's.
    fn files(&self) -> Vec<PathBuf> {
        let files = self.directory.as_ref().map(|directory| files_in(directory.path()));
        files.unwrap_or_default().into_iter().filter(|path| *path != self.path).collect()
    }
}

/// An object of the crate `sharedmemory`.
pub(crate) struct Object {
    object: SharedMemory,
    owned: bool,
}

impl Ground for Object {
    fn new() -> Object {
        // The name of a file that was there and is gone is nobody else's.
        let unique = tempfile::Builder::new().prefix("ringway-test-").tempfile_in("/dev/shm").unwrap();
        let id = unique.path().file_name().unwrap().to_str().unwrap().to_owned();
        drop(unique);
        Object { object: SharedMemory::new(&id).unwrap(), owned: true }
    }

    fn backend(&self) -> &dyn Backend {
        &self.object
    }

    fn pass(&self, command: &mut Command) {
        command.env(PLACE, self.object.path().file_name().unwrap());
    }

    fn found() -> Object {
        Object { object: SharedMemory::new(place().to_str().unwrap()).unwrap(), owned: false }
    }

    fn file(&self) -> File {
        read_and_write(self.object.path())
    }

    fn files(&self) -> Vec<PathBuf> {
        Some(self.object.path().to_owned()).into_iter().filter(|path| path.exists()).collect()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if self.owned {
            let _ = fs::remove_file(self.object.path());
            // What killed creators have left goes with the next creation.
            let segment = self.object.open_or_create(&common::shape(), &Memory::new(), &mut |_| {});
            segment.map(|(segment, _)| segment.leave(|_| true)).ok();
        }
    }
}
