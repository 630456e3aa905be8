//! Receiving in a loop.

use std::{fmt, iter::FusedIterator};

use ringway_ring::mpmc::{Access, Many};

use super::{Received, Receiver};
use crate::RecvError;

/// Messages, waiting for each: see [`Receiver::iter`].
#[must_use = "an iterator that is not iterated over receives nothing"]
pub struct Iter<'a, A: Access = Many> {
    rx: &'a Receiver<A>,
    over: bool,
}

/// Messages that are there: see [`Receiver::try_iter`].
#[must_use = "an iterator that is not iterated over receives nothing"]
pub struct TryIter<'a, A: Access = Many> {
    rx: &'a Receiver<A>,
    over: bool,
}

impl<A: Access> Receiver<A> {
    /// The messages, waiting for each. `for message in &rx` is the same.
    ///
    /// It ends once everything was received and all senders have left. Anything else that [`recv`](Self::recv) fails with it gives as
    /// its last item: one that cannot be overlooked. A new iterator goes on, when a sender has come.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// for n in 1..=3u8 {
    ///     tx.send(&[n])?;
    /// }
    /// tx.close()?;
    ///
    /// let mut sum = 0;
    /// for message in &rx {
    ///     sum += message?[0];
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, A> {
        Iter { rx: self, over: false }
    }

    /// The messages that are there, without waiting; as [`iter`](Self::iter) otherwise. Lock-free.
    ///
    /// It also takes what arrives meanwhile: from senders that are fast enough it does not end.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// tx.send(&[1])?;
    /// tx.send(&[2])?;
    /// assert_eq!(rx.try_iter().count(), 2);
    /// # Ok::<(), ringway::Error>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, A> {
        TryIter { rx: self, over: false }
    }
}

/// What a receive gave, as an item; *closed* and nothing are none. Whatever was no message ends the iteration.
fn item<'a>(
    received: Result<Received<'a>, RecvError>,
    over: &mut bool,
) -> Option<Result<Received<'a>, RecvError>> {
    *over = received.is_err();
    match received {
        Err(RecvError::Closed) => None,
        other => Some(other),
    }
}

impl<'a, A: Access> Iterator for Iter<'a, A> {
    type Item = Result<Received<'a>, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over { None } else { item(self.rx.recv(), &mut self.over) }
    }
}

impl<'a, A: Access> Iterator for TryIter<'a, A> {
    type Item = Result<Received<'a>, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Made a `RecvError`, *empty* is *closed*: either is the end here.
        if self.over { None } else { item(self.rx.try_recv().map_err(Into::into), &mut self.over) }
    }
}

impl<A: Access> FusedIterator for Iter<'_, A> {}

impl<A: Access> FusedIterator for TryIter<'_, A> {}

impl<'a, A: Access> IntoIterator for &'a Receiver<A> {
    type Item = Result<Received<'a>, RecvError>;
    type IntoIter = Iter<'a, A>;

    fn into_iter(self) -> Iter<'a, A> {
        self.iter()
    }
}

impl<A: Access> fmt::Debug for Iter<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("rx", &self.rx).field("over", &self.over).finish()
    }
}

impl<A: Access> fmt::Debug for TryIter<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryIter").field("rx", &self.rx).field("over", &self.over).finish()
    }
}
