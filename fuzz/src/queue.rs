//! What a ring is held to: a first-in, first-out queue in a vector.

use std::collections::VecDeque;

use ringway::{Corrupt, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};

/// The oracle. How much room there is, its target knows.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// What was sent and not given back, oldest first.
    pub(crate) messages: VecDeque<T>,
    /// How many of them were taken, by guards that are forgotten.
    pub(crate) taken: usize,
    /// The last sender has left, and no other has come.
    pub(crate) closed: bool,
    /// The receiver has left since the sender came, and no other has come.
    pub(crate) deserted: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { messages: VecDeque::new(), taken: 0, closed: false, deserted: false }
    }
}

impl<T: Clone> Queue<T> {
    pub(crate) fn sender_comes(&mut self) {
        (self.closed, self.deserted) = (false, false);
    }

    pub(crate) fn receiver_leaves(&mut self, sender_is_there: bool) {
        // Who leaves gives everything back.
        self.give_back();
        self.deserted = sender_is_there;
    }

    /// What an attempt to receive gives.
    pub(crate) fn take(&mut self) -> Result<T, Refusal> {
        if let Some(message) = self.messages.get(self.taken) {
            self.taken += 1;
            return Ok(message.clone());
        }
        if self.closed {
            return Err(Refusal::Closed);
        }
        // Who finds the ring empty gives everything back.
        self.give_back();
        Err(Refusal::Empty)
    }

    pub(crate) fn give_back(&mut self) {
        self.messages.drain(..self.taken);
        self.taken = 0;
    }

    /// How many wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.messages.len() - self.taken
    }
}

/// Why a call gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Empty,
    Closed,
    TooLong,
    /// A word says that the other end has died: while nobody is hostile, no call gives this.
    Died,
    Corrupt(Corrupt),
}

impl Refusal {
    /// Sees to it that an end that has met something impossible says the same from then on, and gives nothing any more.
    pub(crate) fn poisons<T>(given: &Result<T, Self>, poison: &mut Option<Corrupt>) {
        let met = match given {
            Err(Self::Corrupt(corrupt)) => Some(*corrupt),
            _ => None,
        };
        if let Some(poison) = poison {
            assert!(given.is_err(), "poisoned is poisoned");
            assert!(met.is_none_or(|met| met == *poison), "the same error from then on");
        }
        *poison = poison.or(met);
    }
}

impl From<TrySendError> for Refusal {
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => Self::Full,
            TrySendError::Closed => Self::Closed,
            TrySendError::TooLong(_) => Self::TooLong,
            TrySendError::PeerDied(_) => Self::Died,
            TrySendError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            other => unreachable!("{other}"),
        }
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Closed,
            SendError::TooLong(_) => Self::TooLong,
            SendError::PeerDied(_) => Self::Died,
            SendError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            other => unreachable!("{other}"),
        }
    }
}

impl From<SendTimeoutError> for Refusal {
    fn from(error: SendTimeoutError) -> Self {
        match error {
            SendTimeoutError::Timeout => Self::Full,
            SendTimeoutError::Closed => Self::Closed,
            SendTimeoutError::TooLong(_) => Self::TooLong,
            SendTimeoutError::PeerDied(_) => Self::Died,
            SendTimeoutError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            other => unreachable!("{other}"),
        }
    }
}

impl From<TryRecvError> for Refusal {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Self::Empty,
            TryRecvError::Closed => Self::Closed,
            TryRecvError::PeerDied(_) => Self::Died,
            TryRecvError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            other => unreachable!("{other}"),
        }
    }
}

impl From<RecvTimeoutError> for Refusal {
    fn from(error: RecvTimeoutError) -> Self {
        match error {
            RecvTimeoutError::Timeout => Self::Empty,
            RecvTimeoutError::Closed => Self::Closed,
            RecvTimeoutError::PeerDied(_) => Self::Died,
            RecvTimeoutError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            other => unreachable!("{other}"),
        }
    }
}
