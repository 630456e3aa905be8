use std::fmt;
use std::path::{Path, PathBuf};

/// Where a segment comes from, for messages and for removing its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Memory without a name: it exists as long as somebody holds a descriptor or a mapping of it.
    Memfd,
    /// A file: in a shared-memory mount, or at any other path.
    Named(PathBuf),
    /// Memory that the caller has mapped.
    Lent,
}

impl Origin {
    /// The path of a segment in a file, `None` for any other.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Origin::Memfd | Origin::Lent => None,
            Origin::Named(path) => Some(path),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Memfd => f.write_str("the memfd segment"),
            Origin::Lent => f.write_str("the segment in lent memory"),
            Origin::Named(path) => write!(f, "{}", path.display()),
        }
    }
}
