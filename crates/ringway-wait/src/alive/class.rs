//! What words of one list have in common.

use super::pair;

/// A class of words: one list, so one keeper, holds those of one class only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// Whether the file cannot be truncated. One that was ends the kernel's walk of the list.
    pub(super) sealed: bool,
    /// Bytes from a word's node to the word.
    pub(super) distance: usize,
}

impl Class {
    /// That of most words.
    pub(super) fn usual() -> Class {
        Class { sealed: true, distance: pair::distance(0) }
    }
}
