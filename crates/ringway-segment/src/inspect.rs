use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::error::{OpenError, OsFault};
use crate::header::{self, HEADER_LEN};
use crate::origin::Origin;
use crate::shape::{Geometry, HEADER_PAGE};
use crate::sys;

/// Finds out what an open file holds: its size, its header, and whether they agree.
pub(crate) fn content(file: &File, at: &Origin) -> Result<Geometry, OpenError> {
    let len = file.metadata().map_err(|source| OsFault::new(at, "look at it", source))?.len();
    if len < HEADER_PAGE {
        return Err(OpenError::NotRingway { at: at.clone(), why: "it is shorter than a segment's header" });
    }
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, 0).map_err(|source| OsFault::new(at, "read its header", source))?;
    let geometry = header::decode(&bytes).map_err(|fault| fault.at(at))?;
    size(len, geometry.total, at)?;
    Ok(geometry)
}

/// The same for a file that must hold all of a segment.
pub(crate) fn whole(file: &File, at: &Origin) -> Result<Geometry, OpenError> {
    let geometry = content(file, at)?;
    if geometry.apart { Err(OpenError::DataMissing { at: at.clone() }) } else { Ok(geometry) }
}

/// Checks the size of what was found.
pub(crate) fn size(found: u64, expected: u64, at: &Origin) -> Result<(), OpenError> {
    match found.cmp(&expected) {
        Ordering::Less => Err(OpenError::Truncated { at: at.clone(), expected, found }),
        Ordering::Greater => Err(OpenError::Oversized { at: at.clone(), expected, found }),
        Ordering::Equal => Ok(()),
    }
}

/// Finds out whether a file is memory whose size is fixed for good and which can be written.
pub(crate) fn seals(file: &File) -> Result<(), OpenError> {
    let seals = sys::seals(file).map_err(|source| OpenError::NotMemfd { source })?;
    let fixed = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    let why = if seals & fixed != fixed {
        "its size is not sealed, so it could be cut off under its users"
    } else if seals & (libc::F_SEAL_WRITE | libc::F_SEAL_FUTURE_WRITE) != 0 {
        "it is sealed against writing, so nobody can attach to it"
    } else {
        return Ok(());
    };
    Err(OpenError::Seals { found: u32::try_from(seals).unwrap_or_default(), why })
}

/// Checks the kind of what was found.
pub(crate) fn kind(geometry: &Geometry, wanted: u32, at: &Origin) -> Result<(), OpenError> {
    match geometry.shape.kind {
        found if found == wanted => Ok(()),
        found => Err(OpenError::Kind { at: at.clone(), found, wanted }),
    }
}

/// Writes the header of a file that nobody else has seen.
pub(crate) fn imprint(file: &File, geometry: &Geometry) -> io::Result<()> {
    file.write_all_at(&header::encode(geometry), 0)
}
