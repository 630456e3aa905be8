//! What the slow way of receiving has found.
//!
//! It is left here, and fetched from here. Were it written where the caller wants it, as results are, what the fast way finds would have
//! to be written there, too, word by word, and read back in larger pieces: a processor waits a dozen cycles for each such piece, as
//! long as for a read-modify-write. So it stays in registers.

use std::cell::Cell;

use super::received::What;
use crate::{RecvError, RecvTimeoutError, TryRecvError};

/// A message, or why there is none, in the words of each form.
pub(super) struct Answer {
    pub(super) message: Cell<Option<What>>,
    recv: Cell<RecvError>,
    try_recv: Cell<TryRecvError>,
    timeout: Cell<RecvTimeoutError>,
}

impl Answer {
    pub(super) fn new() -> Self {
        Self {
            message: Cell::new(None),
            recv: Cell::new(RecvError::Closed),
            try_recv: Cell::new(TryRecvError::Empty),
            timeout: Cell::new(RecvTimeoutError::Timeout),
        }
    }

    /// Leaves it; `true` if it is a message.
    pub(super) fn leave(&self, found: Result<What, TryRecvError>) -> bool {
        match found {
            Ok(message) => self.message.set(Some(message)),
            Err(error) => {
                self.recv.set(error.into());
                self.try_recv.set(error);
                self.timeout.set(error.into());
                return false;
            }
        }
        true
    }

    #[inline(always)]
    pub(super) fn recv(&self) -> RecvError {
        self.recv.get()
    }

    #[inline(always)]
    pub(super) fn try_recv(&self) -> TryRecvError {
        self.try_recv.get()
    }

    #[inline(always)]
    pub(super) fn timeout(&self) -> RecvTimeoutError {
        self.timeout.get()
    }
}
