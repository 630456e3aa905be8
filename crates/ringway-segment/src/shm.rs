//! Objects of the crate `shared_memory`, shielded.
//!
//! What that crate (0.12.4) does by itself, and what is done about it here:
//!
//! | it | here |
//! |---|---|
//! | gives the object its name before its size, so that whoever opens it meets one of 0 bytes | the object is made under a temporary name, and gets its own when it is whole (`place.rs`) |
//! | sizes without looking at limits, and reserves nothing: SIGXFSZ at once, SIGBUS later | limits are looked up before, all is reserved after |
//! | removes the *name* when its owner is dropped, whosever object that means by then, also in a forked child | it owns nothing from the first moment on; the last one out removes the name after comparing inodes |
//! | leaves the object if its owner is killed | with its own name it is whole, and resumed; with a temporary one it goes with the next creation (`fresh.rs`) |
//! | has no descriptor to lock, and maps what it finds, once | the object is opened once more, by itself: for the locks, the size, and the mapping with two images; the crate's mapping ends before anybody has a pointer into it |
//!
//! On Linux such an object is a file in `/dev/shm`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use shared_memory::{ShmemConf, ShmemError};

use crate::backend::Backend;
use crate::descriptor::Descriptor;
use crate::error::{CreateError, Error, InvalidName, OpenError};
use crate::fresh::{self, Fresh, Temporary};
use crate::limits;
use crate::memory::Memory;
use crate::names;
use crate::place::{self, Site};
use crate::segment::Segment;
use crate::shape::Shape;
use crate::sys;

/// Where such objects are on Linux.
const DIRECTORY: &str = "/dev/shm";

/// A shared-memory object as the crate [`shared_memory`] makes them, by its `os_id`.
///
/// For programs that have such objects already. Others are better served by a name ([`Names`](crate::Names)), which
/// needs no further crate and leaves nothing behind if its creator is killed.
///
/// ```
/// use ringway_segment::{Backend, Memory, Shape, SharedMemory};
///
/// let object = SharedMemory::new(&format!("prices-{}", std::process::id()))?;
/// let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 };
/// let (segment, created) = object.open_or_create(&shape, &Memory::new(), &mut |_| {})?;
/// assert!(created);
/// segment.leave(|_| true);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    path: PathBuf,
}

impl SharedMemory {
    /// The object of this id, whether or not it is there. A slash at the beginning may be left out.
    ///
    /// # Errors
    /// The id is empty, longer than 255 bytes, or has another slash or a control character in it.
    pub fn new(os_id: &str) -> Result<SharedMemory, InvalidName> {
        let name = os_id.strip_prefix('/').unwrap_or(os_id);
        let why = match name {
            "." | ".." => Some("it is a directory"),
            _ => names::fault(name, 255, "it is longer than 255 bytes"),
        };
        match why {
            Some(why) => Err(InvalidName { name: os_id.to_owned(), why }),
            None => Ok(SharedMemory { path: Path::new(DIRECTORY).join(name) }),
        }
    }

    /// The file that the object is. To look at it without taking part: [`Place::observe`](crate::Place::observe).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Backend for SharedMemory {
    fn open_or_create(
        &self,
        shape: &Shape,
        memory: &Memory,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<(Segment, bool), Error> {
        Site::new(&self.path).map_err(CreateError::Os)?.open_or_create(shape, memory, fill, object)
    }

    fn open(&self, kind: Option<u32>, memory: &Memory) -> Result<Segment, OpenError> {
        Site::new(&self.path)?.open(kind, memory)
    }
}

/// A new object of so many bytes, under a temporary name; `None` if it was taken for a leftover.
fn object(site: &Site, total: u64) -> Result<Option<Fresh>, CreateError> {
    let directory = File::open(site.directory()).map_err(site.fault("look at its mount"))?;
    limits::foresee(&directory, total, &site.origin)?;
    fresh::sweep(site.directory());
    let path =
        fresh::temporary_path(site.directory()).map_err(site.fault("choose a temporary name for it"))?;
    let name = path.file_name().and_then(|name| name.to_str()).expect("a temporary name is text");
    let size = usize::try_from(total).expect("addresses have 64 bits");
    let made = ShmemConf::new().os_id(format!("/{name}")).size(size).create();
    let mut theirs = made.map_err(|error| site.barred("create it by `shared_memory`", cause(error)))?;
    theirs.set_owner(false);
    let temporary = Some(Temporary::new(path.clone()));
    let c_path = place::c_string(&path).map_err(site.fault("use this directory"))?;
    let flags = libc::O_RDWR | libc::O_NOFOLLOW;
    match Descriptor::open(|| sys::open(&c_path, flags, 0)) {
        Ok(descriptor) => Ok(Some(Fresh { descriptor, temporary })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(site.fault("open it once more")(source).into()),
    }
}

fn cause(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MapCreateFailed(errno) | ShmemError::UnknownOsError(errno) => {
            io::Error::from_raw_os_error(errno as i32)
        }
        other => io::Error::other(other.to_string()),
    }
}
