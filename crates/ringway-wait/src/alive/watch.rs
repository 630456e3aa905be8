//! A watched process.
#![allow(clippy::disallowed_types)]

use core::sync::atomic::{AtomicU32, Ordering};
use std::{fmt, io, sync::Arc};

use super::{
    process::{Process, Seat},
    watches::{self, Told},
};

/// Another process that this one watches, until this is dropped.
///
/// A copy in a forked child says what was known at the fork.
pub struct Watch {
    told: Told,
    /// None if there was no such process.
    seat: Option<Seat>,
}

impl Watch {
    /// Watches the process `pid`, in the sense of this process's pid namespace. If there is none it has ended.
    ///
    /// An id is used again: whether the one now so called is the one that was meant is the caller's to know, by a word
    /// that it holds, say, looked at after this.
    ///
    /// # Errors
    /// What the kernel answers to opening a pidfd (`EINVAL`: `pid` is 0, or a thread that is not the first of its
    /// process), or to making a thread.
    pub fn new(pid: u32) -> io::Result<Watch> {
        let told = Arc::new(AtomicU32::new(0));
        let Some(process) = watches::open(pid)? else {
            // Relaxed: nobody else has seen it.
            told.store(1, Ordering::Relaxed);
            return Ok(Watch { told, seat: None });
        };
        let heard = told.clone();
        let seat = Process::current()?.enter(None, |keeper| keeper.watch(process, heard))?;
        Ok(Watch { told, seat: Some(seat) })
    }

    /// Whether the process has ended: every thread of it.
    #[inline]
    #[must_use]
    pub fn ended(&self) -> bool {
        // Acquire: pairs with the Release of the keeper that tells.
        self.told.load(Ordering::Acquire) != 0
    }

    /// A word that is 0, and 1 when the process has ended. Then all are woken that sleep on it as a private one
    /// (`FUTEX_PRIVATE_FLAG`), which only threads of this process can.
    #[must_use]
    pub fn word(&self) -> &AtomicU32 {
        &self.told
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take_if(|seat| seat.is_ours()) {
            // If its keeper is gone nothing is watched.
            let _ = seat.leave(|keeper| keeper.forget(self.told.clone()));
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("ended", &self.ended()).finish_non_exhaustive()
    }
}
