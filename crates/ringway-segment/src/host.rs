//! What this host gives for segments and what it lacks: for people who set one up, and for tools that tell them.
//!
//! A kernel's version says little: a sandbox may forbid what the kernel has, and a distribution may have what the
//! version does not promise. So each [`Feature`] is tried, on memory of its own, and nothing of it is left. What is
//! limited is looked up ([`Limits`], [`Mount`], [`Budget`], [`Pool`]), without taking any of it.
//!
//! ```
//! use ringway_segment::host::{Feature, Limits, Mount};
//!
//! for feature in Feature::ALL {
//!     match feature.try_out() {
//!         Ok(()) => println!("{feature}: works"),
//!         Err(error) => println!("{feature}: {error}"),
//!     }
//! }
//! println!("{:?} {:?}", Limits::here(), Mount::of("/dev/shm".as_ref())?);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use memmap2::{Advice, MmapOptions, MmapRaw};

pub use crate::cgroup::{Budget, Hierarchy, Version, hierarchies};
use crate::error::CreateError;
use crate::fresh::{self, Temporary};
pub use crate::huge::Pool;
use crate::limits;
pub use crate::mounts::Mounted;
use crate::offer::proc_path;
use crate::place::{self, Site};
use crate::sys::{self, Hold};

/// Something of the kernel's that segments use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Memory without a name.
    Memfd,
    /// Seals that keep its size.
    SizeSeals,
    /// The seal that leaves writing to who has it mapped already (5.1).
    FutureWriteSeal,
    /// Memory that can never be executed (6.3).
    NoexecSeal,
    /// Opening a file anew by its descriptor's path in `/proc`.
    DescriptorPaths,
    /// Locks that belong to an open file.
    OpenFileLocks,
    /// Memory that a forked child does not have.
    NotForked,
    /// Memory that a core dump leaves out.
    NotDumped,
    /// Page tables made at once, with an answer (5.14).
    Populate,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 9] = [
        Feature::Memfd,
        Feature::SizeSeals,
        Feature::FutureWriteSeal,
        Feature::NoexecSeal,
        Feature::DescriptorPaths,
        Feature::OpenFileLocks,
        Feature::NotForked,
        Feature::NotDumped,
        Feature::Populate,
    ];

    /// Tries it.
    ///
    /// # Errors
    /// What the kernel, or a sandbox in its place, answers. What rests on a memfd fails with it.
    pub fn try_out(self) -> io::Result<()> {
        let memfd = || sys::memfd(c"ringway-host", false);
        match self {
            Feature::Memfd => memfd().map(drop),
            Feature::SizeSeals => sys::seal_size(memfd()?),
            Feature::FutureWriteSeal => sys::add_seals(memfd()?, libc::F_SEAL_FUTURE_WRITE),
            Feature::NoexecSeal => sys::memfd_with(c"ringway-host", libc::MFD_NOEXEC_SEAL).map(drop),
            Feature::DescriptorPaths => {
                let memfd = memfd()?;
                sys::open(&proc_path(&memfd), libc::O_RDWR, 0).map(drop)
            }
            Feature::OpenFileLocks => sys::try_lock(memfd()?, 0, Hold::Alone).map(drop),
            Feature::NotForked => page()?.advise(Advice::DontFork),
            Feature::NotDumped => page()?.advise(Advice::DontDump),
            Feature::Populate => page()?.advise(Advice::PopulateWrite),
        }
    }
}

/// By the name that the kernel's manual has it under.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feature::Memfd => "memfd_create",
            Feature::SizeSeals => "F_SEAL_SHRINK, GROW",
            Feature::FutureWriteSeal => "F_SEAL_FUTURE_WRITE",
            Feature::NoexecSeal => "MFD_NOEXEC_SEAL",
            Feature::DescriptorPaths => "/proc/self/fd",
            Feature::OpenFileLocks => "F_OFD_SETLK",
            Feature::NotForked => "MADV_DONTFORK",
            Feature::NotDumped => "MADV_DONTDUMP",
            Feature::Populate => "MADV_POPULATE_WRITE",
        })
    }
}

/// A page of memory. Of no file: to size one may raise a signal (`RLIMIT_FSIZE`).
fn page() -> io::Result<MmapRaw> {
    let size = usize::try_from(sys::page_size()).unwrap_or(4096);
    MmapOptions::new().len(size).map_anon().map(MmapRaw::from)
}

/// The limits of this process. `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the largest file it may make (`RLIMIT_FSIZE`); beyond it comes a signal.
    pub file_size: Option<u64>,
    /// Bytes of address space (`RLIMIT_AS`), and those not in use.
    pub address_space: Option<(u64, u64)>,
    /// Bytes that it may still lock (`RLIMIT_MEMLOCK`).
    pub lockable: Option<u64>,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
}

impl Limits {
    /// Looks them up.
    #[must_use]
    pub fn here() -> Limits {
        Limits {
            file_size: sys::file_size_limit(),
            address_space: sys::address_space_limit()
                .map(|limit| (limit, limit.saturating_sub(limits::address_space_in_use()))),
            lockable: limits::unlocked(),
            open_files: sys::descriptor_limit(),
        }
    }
}

/// The mount that a directory is on. `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// Bytes in all.
    pub size: Option<u64>,
    /// Bytes that this user may still take.
    pub free: Option<u64>,
    /// How many files it can have, and how many more.
    pub files: Option<(u64, u64)>,
    /// Whether its files are memory (tmpfs), and no disk is behind them.
    pub in_memory: bool,
    /// Whether its pages are huge ones: then it can hold no segment.
    pub huge_pages: bool,
}

impl Mount {
    /// Looks it up.
    ///
    /// # Errors
    /// There is no such directory, or this user may not get there.
    pub fn of(directory: &Path) -> io::Result<Mount> {
        let directory =
            OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(directory)?;
        let sys::Mount { size, free, files, in_memory, huge_page } = sys::mount(&directory)?;
        Ok(Mount { size, free, files, in_memory, huge_pages: huge_page.is_some() })
    }
}

/// How a new segment comes by its name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// It has none until it is whole.
    Whole,
    /// It has a temporary one first, which stays if its creator is killed, until the next one comes.
    Temporary,
}

impl Naming {
    /// Makes an empty file there in the way of a segment, gives it a name that nobody uses, and takes it away again.
    ///
    /// # Errors
    /// What a segment would meet that is created there.
    pub fn try_out(directory: &Path) -> Result<Naming, CreateError> {
        let site = Site::new(&directory.join("new"))?;
        let made = fresh::file(&site)?;
        let path = fresh::temporary_path(directory).map_err(site.fault("choose a name for it"))?;
        let c_path = place::c_string(&path).map_err(site.fault("use this directory"))?;
        // Held as a creator holds it, so that nobody takes it for a leftover.
        made.descriptor.try_join().map_err(site.fault("lock it"))?;
        sys::link(&proc_path(made.descriptor.file()), &c_path)
            .map_err(|source| site.barred("give it its name", source))?;
        drop(Temporary::new(path));
        Ok(if made.temporary.is_none() { Naming::Whole } else { Naming::Temporary })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trying_a_name_leaves_nothing_behind() {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        assert_eq!(Naming::try_out(directory.path()).unwrap(), Naming::Whole);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let nowhere = directory.path().join("nowhere");
        assert!(matches!(Naming::try_out(&nowhere), Err(CreateError::Os(_))));
        assert!(Mount::of(&nowhere).is_err());
    }

    #[test]
    fn what_every_segment_needs_can_be_had_here() {
        for feature in [
            Feature::Memfd,
            Feature::SizeSeals,
            Feature::DescriptorPaths,
            Feature::OpenFileLocks,
            Feature::NotForked,
        ] {
            feature.try_out().unwrap();
        }
        assert!(Mount::of("/dev/shm".as_ref()).unwrap().in_memory);
    }
}
