//! Receiving by value, in a loop.
//!
//! A message that is read in place borrows the receiver, so no iterator can give it. A value can be copied out.

use std::{fmt, iter::FusedIterator};

use super::{Received, Receiver, Value};
use crate::RecvError;

/// Messages by value, waiting for each: see [`Receiver::iter`].
#[must_use = "an iterator that is not iterated over receives nothing"]
pub struct Iter<'a, T> {
    rx: &'a mut Receiver<T>,
    over: bool,
}

/// Messages by value, those that are there: see [`Receiver::try_iter`].
#[must_use = "an iterator that is not iterated over receives nothing"]
pub struct TryIter<'a, T> {
    rx: &'a mut Receiver<T>,
    over: bool,
}

/// Messages by value, waiting for each, from a receiver that leaves with it: see [`Receiver::iter`].
#[must_use = "an iterator that is not iterated over receives nothing"]
pub struct IntoIter<T> {
    rx: Receiver<T>,
    over: bool,
}

impl<T: Value> Receiver<T> {
    /// The messages, by value, waiting for each. `for message in &mut rx` is the same, and `for message in rx` leaves at the end.
    ///
    /// It ends once everything was received and the sender has left. Anything else that [`recv`](Self::recv) fails with, a
    /// death above all, it gives as its last item: one that cannot be overlooked. A new iterator goes on, when a successor has
    /// come.
    ///
    /// Each message is copied out of the ring, and its slot given back, before it is given. A process that dies while it works
    /// on it has had it; `recv` leaves it in the ring meanwhile, for a successor. What a killed predecessor had taken is not marked
    /// here: receive that by `recv`, or choose [`Redelivery::AtMostOnce`](crate::spsc::Redelivery::AtMostOnce).
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// for n in 1..=3 {
    ///     tx.send(&n)?;
    /// }
    /// tx.close()?;
    ///
    /// let mut sum = 0;
    /// for n in &mut rx {
    ///     sum += n?;
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter { rx: self, over: false }
    }

    /// The messages that are there, by value, without waiting; as [`iter`](Self::iter) otherwise. Wait-free, but for one system
    /// call if the sender sleeps.
    ///
    /// It also takes what arrives meanwhile: from a sender that is fast enough it does not end.
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::slots::Options::new().pair::<u64>()?;
    /// tx.send(&1)?;
    /// tx.send(&2)?;
    /// let all: Vec<u64> = rx.try_iter().collect::<Result<_, _>>()?;
    /// assert_eq!(all, [1, 2]);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { rx: self, over: false }
    }
}

/// What a receive gave, as an item; *closed* and nothing are none. Whatever was no message ends the iteration.
fn item<T: Value>(
    received: Result<Received<'_, T>, RecvError>,
    over: &mut bool,
) -> Option<Result<T, RecvError>> {
    *over = received.is_err();
    match received {
        Ok(message) => Some(Ok(message.into_inner())),
        Err(RecvError::Closed) => None,
        Err(why) => Some(Err(why)),
    }
}

impl<T: Value> Iterator for Iter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over { None } else { item(self.rx.recv(), &mut self.over) }
    }
}

impl<T: Value> Iterator for TryIter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Made a `RecvError`, *empty* is *closed*: either is the end here.
        if self.over { None } else { item(self.rx.try_recv().map_err(Into::into), &mut self.over) }
    }
}

impl<T: Value> Iterator for IntoIter<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over { None } else { item(self.rx.recv(), &mut self.over) }
    }
}

impl<T: Value> FusedIterator for Iter<'_, T> {}

impl<T: Value> FusedIterator for TryIter<'_, T> {}

impl<T: Value> FusedIterator for IntoIter<T> {}

impl<'a, T: Value> IntoIterator for &'a mut Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Value> IntoIterator for Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { rx: self, over: false }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("rx", &self.rx).field("over", &self.over).finish()
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryIter").field("rx", &self.rx).field("over", &self.over).finish()
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("rx", &self.rx).field("over", &self.over).finish()
    }
}
