//! New files, which nobody else has.
//!
//! Where the file system can (`O_TMPFILE`), such a file has no name: if its creator is killed it is gone. Elsewhere it
//! has a temporary one, which nobody else can have hit upon, and which it loses when it gets its own or is given up.
//! A creator that is killed meanwhile leaves it behind. So whoever makes a file with a temporary name first looks
//! through the directory: what has such a name and is nobody's is removed.
//!
//! "Nobody's" is the presence lock: its creator holds it. Between making the file and taking the lock the file looks
//! like a leftover too, and may be removed as one; then the creator cannot find it, or cannot take the lock, or cannot
//! link it any more, and begins again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::descriptor::Descriptor;
use crate::error::CreateError;
use crate::fork;
use crate::place::{self, Site};
use crate::sys;

/// What temporary names begin with. Hidden, and no prefix of what a segment is called.
const PREFIX: &str = ".ringway-";
/// Until the creator says otherwise.
const MODE: libc::mode_t = 0o600;

/// A new file.
pub(crate) struct Fresh {
    pub(crate) descriptor: Descriptor,
    /// If it has a name for the time being.
    pub(crate) temporary: Option<Temporary>,
}

/// A new file in the directory of a site.
pub(crate) fn file(site: &Site) -> Result<Fresh, CreateError> {
    let directory = place::c_string(site.directory()).map_err(site.fault("use this directory"))?;
    let flags = libc::O_RDWR | libc::O_TMPFILE;
    match Descriptor::open(|| sys::open(&directory, flags, MODE)) {
        Ok(descriptor) => Ok(Fresh { descriptor, temporary: None }),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {
            with_temporary_name(site)
        }
        Err(source) => Err(site.barred("create it", source)),
    }
}

/// The same where the file system has no files without a name.
pub(crate) fn with_temporary_name(site: &Site) -> Result<Fresh, CreateError> {
    sweep(site.directory());
    let path = temporary_path(site.directory()).map_err(site.fault("choose a temporary name for it"))?;
    let c_path = place::c_string(&path).map_err(site.fault("use this directory"))?;
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let descriptor = Descriptor::open(|| sys::open(&c_path, flags, MODE))
        .map_err(|source| site.barred("create it", source))?;
    Ok(Fresh { descriptor, temporary: Some(Temporary::new(path)) })
}

/// A path in this directory that nobody else uses.
pub(crate) fn temporary_path(directory: &Path) -> io::Result<PathBuf> {
    Ok(directory.join(format!("{PREFIX}{:016x}", sys::nonce()?)))
}

/// Removes the temporary names that killed creators have left here. What cannot be removed stays.
pub(crate) fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            let path = entry.path();
            let Ok(c_path) = place::c_string(&path) else { continue };
            let flags = libc::O_RDWR | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
            let Ok(descriptor) = Descriptor::open(|| sys::open(&c_path, flags, 0)) else { continue };
            if descriptor.try_be_alone().unwrap_or(false) {
                let _ = place::remove_if_same(&path, descriptor.file());
            }
        }
    }
}

/// A name for the time being, removed with this: but not by a forked child, whose parent may be about to link it.
pub(crate) struct Temporary {
    path: PathBuf,
    /// The process that has made it.
    generation: u64,
}

impl Temporary {
    pub(crate) fn new(path: PathBuf) -> Temporary {
        Temporary { path, generation: fork::generation() }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.generation == fork::generation() {
            // It is gone, or it stays for the next creator's sweep.
            let _ = fs::remove_file(&self.path);
        }
    }
}
