use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::header::LAYOUT_VERSION;
use crate::limits::Shortage;
use crate::origin::Origin;
use crate::role::Role;
use crate::shape::Misfit;
use crate::size::Size;

/// A segment could not be created.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateError {
    /// The shape asked for is none.
    InvalidShape(Misfit),
    /// The name asked for is none.
    InvalidName(InvalidName),
    /// There is not enough of something; nothing was taken.
    OutOfMemory(Shortage),
    /// The directory for names does not admit this user.
    NotPermitted {
        /// The file that was to be.
        path: PathBuf,
    },
    /// A call to the operating system failed.
    Os(OsFault),
}

/// A segment could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The name asked for is none.
    InvalidName(InvalidName),
    /// There is no segment of this name.
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file's permissions do not admit this user.
    NotPermitted {
        /// The file.
        path: PathBuf,
    },
    /// What has the name is not a regular file.
    NotRegular {
        /// Where it was found.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The file belongs to a user who is neither this one nor root, so it may be a trap.
    Owner {
        /// The file.
        path: PathBuf,
        /// Its user id.
        found: u32,
        /// The user id of this process.
        ours: u32,
    },
    /// Somebody holds the segment alone, as if about to remove it, and does not let go.
    Busy {
        /// The file.
        path: PathBuf,
        /// For how long it was tried.
        waited: Duration,
    },
    /// The name was given to another file again and again while it was being opened.
    Unsettled {
        /// The file.
        path: PathBuf,
        /// How many times it was tried.
        tries: u32,
    },
    /// The descriptor is not memory that can be sealed.
    NotMemfd {
        /// What the kernel answered when asked for the seals.
        source: io::Error,
    },
    /// The memory is not sealed as a segment is: its size could change, or it cannot be written.
    Seals {
        /// The seals found, in the kernel's numbering.
        found: u32,
        /// What is wrong with them.
        why: &'static str,
    },
    /// The segment's data is in a second descriptor, and that is not here.
    DataMissing {
        /// What was opened.
        at: Origin,
    },
    /// The content is not a segment.
    NotRingway {
        /// What was opened.
        at: Origin,
        /// What it lacks.
        why: &'static str,
    },
    /// The segment was written by a machine of the other byte order.
    ByteOrder {
        /// What was opened.
        at: Origin,
    },
    /// The segment has another layout.
    LayoutVersion {
        /// What was opened.
        at: Origin,
        /// Its layout version.
        found: u32,
        /// The one this program knows.
        known: u32,
    },
    /// The numbers in the header do not agree.
    Geometry {
        /// What was opened.
        at: Origin,
        /// Which number, what it is and what it must be.
        misfit: Misfit,
    },
    /// The segment is shorter than its header says.
    Truncated {
        /// What was opened.
        at: Origin,
        /// Bytes according to the header.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// The segment is longer than its header says.
    Oversized {
        /// What was opened.
        at: Origin,
        /// Bytes according to the header.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// The segment is for something else.
    Kind {
        /// What was opened.
        at: Origin,
        /// The kind it has.
        found: u32,
        /// The kind the caller wants.
        wanted: u32,
    },
    /// There is not enough of something.
    OutOfMemory(Shortage),
    /// No offer reached this process in its environment under this key.
    NotOffered {
        /// The environment variable.
        variable: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A call to the operating system failed.
    Os(OsFault),
}

/// A name could not be removed, or must not be.
#[derive(Debug)]
#[non_exhaustive]
pub enum CleanError {
    /// There is no segment of this name.
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// What is there is not a segment that this program knows, or cannot be looked at. It was left as it is.
    Open(OpenError),
    /// The segment is another user's. It was left as it is.
    Owner {
        /// The file.
        path: PathBuf,
        /// Its user id.
        found: u32,
        /// The user id of this process.
        ours: u32,
    },
    /// Nobody is attached to the segment, but the directory does not admit this user.
    NotPermitted {
        /// The file.
        path: PathBuf,
    },
    /// A call to the operating system failed.
    Os(OsFault),
}

/// A role could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClaimError {
    /// Somebody who lives has it, in this process or another.
    Held {
        /// The segment.
        at: Origin,
        /// The role.
        role: Role,
    },
    /// The handle was made before this process was forked: it is the parent's.
    NotOurs {
        /// The segment.
        at: Origin,
    },
    /// A call to the operating system failed.
    Os(OsFault),
}

/// A segment could be neither opened nor created.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There was none of this name, and none could be created.
    Create(CreateError),
    /// There is one of this name, and it could not be opened.
    Open(OpenError),
}

/// A name that no segment can have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidName {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A call to the operating system that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct OsFault {
    /// The segment it was for.
    pub at: Origin,
    /// What was being done.
    pub step: &'static str,
    /// What the kernel answered.
    pub source: io::Error,
}

impl OsFault {
    pub(crate) fn new(at: &Origin, step: &'static str, source: io::Error) -> OsFault {
        OsFault { at: at.clone(), step, source }
    }

    /// What a person can do about it, where the cause is known.
    fn advice(&self) -> &'static str {
        match self.source.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => {
                "; raise the limit on open files (`ulimit -n`) or close some"
            }
            Some(libc::EOPNOTSUPP | libc::EISDIR) => {
                "; this file system cannot hold segments: use a directory on tmpfs, such as /dev/shm"
            }
            Some(libc::ENOENT) if self.at.path().is_none() => "; make sure that /proc is mounted",
            Some(libc::ENOENT) => {
                "; create the directory, or name another one; if it is there, it cannot hold segments, or /proc is \
                 not mounted"
            }
            Some(libc::ENOTDIR) => "; there is a file in the place of a directory: name another one",
            Some(libc::ENOSPC) => {
                "; the mount has no room for one more file: remove some, or remount it larger"
            }
            Some(libc::ENOSYS) => "; this kernel or a sandbox lacks the call: Linux 5.10 or later is needed",
            Some(libc::EPERM | libc::EACCES) => "; look at permissions and at the sandbox of this process",
            _ => "",
        }
    }
}

impl fmt::Display for OsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot {}: {}{}", self.at, self.step, self.source, self.advice())
    }
}

impl StdError for OsFault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot name a segment: {}; choose another name", self.name, self.why)
    }
}

impl StdError for InvalidName {}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::InvalidShape(misfit) => write!(f, "no segment can have this shape: {misfit}"),
            CreateError::InvalidName(name) => name.fmt(f),
            CreateError::OutOfMemory(shortage) => shortage.fmt(f),
            CreateError::NotPermitted { path } => {
                write!(
                    f,
                    "{}: not permitted to create it; use a directory that this user may write",
                    path.display()
                )
            }
            CreateError::Os(fault) => fault.fmt(f),
        }
    }
}

impl StdError for CreateError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            CreateError::Os(fault) => Some(&fault.source),
            _ => None,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::InvalidName(name) => name.fmt(f),
            OpenError::NotFound { path } => {
                write!(
                    f,
                    "{}: no such segment; start the side that creates it first, or look in another directory",
                    path.display()
                )
            }
            OpenError::NotPermitted { path } => write!(
                f,
                "{}: not permitted to open it; run as its owner or have its mode changed",
                path.display()
            ),
            OpenError::NotRegular { path, found } => {
                write!(
                    f,
                    "{}: this is {found}, not a segment; remove it or choose another name",
                    path.display()
                )
            }
            OpenError::Owner { path, found, ours } => write!(
                f,
                "{}: belongs to user {found}, neither to this one ({ours}) nor to root; run as its owner or choose \
                 another name",
                path.display()
            ),
            OpenError::Busy { path, waited } => write!(
                f,
                "{}: another process has held it alone for {} ms, as one does that is about to remove it; see who \
                 has it open (`fuser`) and whether that process is stopped",
                path.display(),
                waited.as_millis()
            ),
            OpenError::Unsettled { path, tries } => write!(
                f,
                "{}: was removed and created anew {tries} times while it was being opened; look for a program that \
                 restarts all the time, or try again",
                path.display()
            ),
            OpenError::NotMemfd { source } => {
                write!(
                    f,
                    "the descriptor is not a memfd ({source}); pass the one that the offer was created with"
                )
            }
            OpenError::Seals { found, why } => {
                write!(f, "the memfd has seals {found:#x}: {why}; do not accept memory from this sender")
            }
            OpenError::DataMissing { at } => write!(
                f,
                "{at}: its data is in huge pages, in a second descriptor, which is not here; pass \
                 `Offer::data_fd` beside the offer, and take both with `Offer::from_fds`"
            ),
            OpenError::NotRingway { at, why } => {
                write!(f, "{at}: not a Ringway segment: {why}; remove it or choose another name")
            }
            OpenError::ByteOrder { at } => {
                write!(
                    f,
                    "{at}: written in the other byte order; only programs of one architecture can share it"
                )
            }
            OpenError::LayoutVersion { at, found, known } => write!(
                f,
                "{at}: has layout version {found}, this program knows {known}; build both sides with versions that \
                 share a layout, or stop both and remove the segment"
            ),
            OpenError::Geometry { at, misfit } => {
                write!(f, "{at}: damaged header: {misfit}; stop all who use the segment and remove it")
            }
            OpenError::Truncated { at, expected, found } => write!(
                f,
                "{at}: has {}, but its header says {}: somebody truncated it; stop all who use the segment and \
                 remove it",
                Size(*found),
                Size(*expected)
            ),
            OpenError::Oversized { at, expected, found } => write!(
                f,
                "{at}: has {}, but its header says {}: somebody appended to it; stop all who use the segment and \
                 remove it",
                Size(*found),
                Size(*expected)
            ),
            OpenError::Kind { at, found, wanted } => write!(
                f,
                "{at}: is of kind {found}, not of kind {wanted}; use another name, or the same kind on both sides"
            ),
            OpenError::OutOfMemory(shortage) => shortage.fmt(f),
            OpenError::NotOffered { variable, why } => write!(
                f,
                "no segment offered in the environment variable {variable}: {why}; let the parent pass it with \
                 `Offer::give_to` under the same key"
            ),
            OpenError::Os(fault) => fault.fmt(f),
        }
    }
}

impl StdError for OpenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            OpenError::Os(fault) => Some(&fault.source),
            OpenError::NotMemfd { source } => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for CleanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CleanError::NotFound { path } => {
                write!(f, "{}: no such segment; there is nothing to remove", path.display())
            }
            CleanError::Open(error) => error.fmt(f),
            CleanError::Owner { path, found, ours } => write!(
                f,
                "{}: belongs to user {found}, not to this one ({ours}), so it is left alone; run as its owner",
                path.display()
            ),
            CleanError::NotPermitted { path } => write!(
                f,
                "{}: nobody is attached to it, but removing it is not permitted; have its directory's mode changed, \
                 or run as the directory's owner",
                path.display()
            ),
            CleanError::Os(fault) => fault.fmt(f),
        }
    }
}

impl StdError for CleanError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            CleanError::Open(error) => error.source(),
            CleanError::Os(fault) => Some(&fault.source),
            _ => None,
        }
    }
}

impl From<OpenError> for CleanError {
    fn from(error: OpenError) -> CleanError {
        match error {
            OpenError::NotFound { path } => CleanError::NotFound { path },
            OpenError::Os(fault) => CleanError::Os(fault),
            other => CleanError::Open(other),
        }
    }
}

impl From<OsFault> for CleanError {
    fn from(fault: OsFault) -> CleanError {
        CleanError::Os(fault)
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClaimError::Held { at, role } => {
                write!(f, "{at}: {role} is held by somebody who lives; wait until that one ends, or stop it")
            }
            ClaimError::NotOurs { at } => {
                write!(f, "{at}: this handle was made before the process was forked; open the segment anew")
            }
            ClaimError::Os(fault) => fault.fmt(f),
        }
    }
}

impl StdError for ClaimError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ClaimError::Os(fault) => Some(&fault.source),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Create(error) => error.fmt(f),
            Error::Open(error) => error.fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Create(error) => error.source(),
            Error::Open(error) => error.source(),
        }
    }
}

impl From<CreateError> for Error {
    fn from(error: CreateError) -> Error {
        Error::Create(error)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Error {
        Error::Open(error)
    }
}

/// What is wrong with a header, before it is known whose.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Magic,
    ByteOrder,
    LayoutVersion(u32),
    Geometry(Misfit),
}

impl HeaderFault {
    pub(crate) fn inconsistent(field: &'static str, found: u64, follows: u64) -> HeaderFault {
        HeaderFault::Geometry(Misfit {
            field,
            found,
            rule: format!("{}, which follows from the rest", Size(follows)),
        })
    }

    pub(crate) fn at(self, at: &Origin) -> OpenError {
        let at = at.clone();
        match self {
            HeaderFault::Magic => {
                OpenError::NotRingway { at, why: "it does not begin with a segment's header" }
            }
            HeaderFault::ByteOrder => OpenError::ByteOrder { at },
            HeaderFault::LayoutVersion(found) => {
                OpenError::LayoutVersion { at, found, known: LAYOUT_VERSION }
            }
            HeaderFault::Geometry(misfit) => OpenError::Geometry { at, misfit },
        }
    }
}

/// What can go wrong in steps that creating and opening share.
#[derive(Debug)]
pub(crate) enum Refusal {
    Short(Shortage),
    Os(OsFault),
}

impl From<Refusal> for CreateError {
    fn from(refusal: Refusal) -> CreateError {
        match refusal {
            Refusal::Short(shortage) => CreateError::OutOfMemory(shortage),
            Refusal::Os(fault) => CreateError::Os(fault),
        }
    }
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> OpenError {
        match refusal {
            Refusal::Short(shortage) => OpenError::OutOfMemory(shortage),
            Refusal::Os(fault) => OpenError::Os(fault),
        }
    }
}

impl From<OsFault> for CreateError {
    fn from(fault: OsFault) -> CreateError {
        CreateError::Os(fault)
    }
}

impl From<InvalidName> for OpenError {
    fn from(name: InvalidName) -> OpenError {
        OpenError::InvalidName(name)
    }
}

impl From<OsFault> for OpenError {
    fn from(fault: OsFault) -> OpenError {
        OpenError::Os(fault)
    }
}
