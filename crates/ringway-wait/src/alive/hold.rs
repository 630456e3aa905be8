//! A held word.

use std::{fmt, io, mem, os::fd::BorrowedFd};

use super::{
    class::Class,
    pair::{self, Pair},
    process::{Process, Seat},
};

/// A liveness word that this process holds until this is dropped or the process dies.
///
/// Dropping it stores 0 into the word and wakes one who sleeps on it. In a forked child a copy does nothing: the word
/// is its parent's.
///
/// How it works, and what the word says, is at the top of [`mod@super`].
pub struct Hold {
    seat: Seat,
    /// Until it is dropped.
    pair: Option<Pair>,
}

impl Hold {
    /// Takes the word at `offset`, whatever is in it: that no other process holds it is the caller's to know.
    ///
    /// `file` is open for reading and writing, can be mapped, and may be closed afterwards. `sealed` says that it
    /// cannot be truncated (`F_SEAL_SHRINK`). That is believed: if it is not so, a truncated file hides this process's
    /// death from words in others.
    ///
    /// # Errors
    /// `InvalidInput` if `offset` is not a multiple of 4, or the word is not inside the file; else what the kernel
    /// answers to mapping the word, to making a thread, or to giving it a robust list.
    pub fn new(file: BorrowedFd<'_>, offset: u64, sealed: bool) -> io::Result<Hold> {
        let process = Process::current()?;
        let pair = Pair::map(file, offset)?;
        let class = Class { sealed, distance: pair::distance(offset) };
        let seat = process.enter(Some(class), |keeper| keeper.take(pair.entry()))?;
        Ok(Hold { seat, pair: Some(pair) })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(pair) = self.pair.take() else { return };
        // A copy has nothing mapped. And if a keeper is gone without a word, the kernel may know the node still.
        if !self.seat.is_ours() || self.seat.leave(|keeper| keeper.give_back(pair.entry())).is_err() {
            mem::forget(pair);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}
