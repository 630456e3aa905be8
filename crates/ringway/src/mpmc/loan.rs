//! A slot that is lent.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use ringway_ring::mpmc::{self, Access, Many};

use super::Sender;

/// A slot, to be filled and sent; dropping it gives it back.
///
/// It may be held for as long as it takes, and sent from another thread, unless it is a [`SoleSender`](super::SoleSender)'s.
#[must_use = "a loan that is not sent is given back"]
pub struct Loan<'a, A: Access = Many> {
    sender: &'a Sender<A>,
    /// `None` only once it has gone.
    slot: Option<mpmc::Loan>,
    len: usize,
    kind: u16,
}

impl<'a, A: Access> Loan<'a, A> {
    #[inline(always)]
    pub(super) fn new(sender: &'a Sender<A>, slot: mpmc::Loan, len: usize) -> Self {
        Self { sender, slot: Some(slot), len, kind: 0 }
    }

    /// Gives the message a number of the user's own, 0 unless set; see [`Received::kind`](super::Received::kind).
    #[inline]
    pub fn set_kind(&mut self, kind: u16) {
        self.kind = kind;
    }

    /// Makes the message shorter; nothing happens if it is no longer than that.
    ///
    /// ```
    /// # let (tx, rx) = ringway::mpmc::Options::new().pair()?;
    /// let mut loan = tx.loan(tx.slot_size())?;
    /// loan[..2].copy_from_slice(b"hi");
    /// loan.truncate(2);
    /// loan.send();
    /// assert_eq!(&rx.recv()?[..], b"hi");
    /// # Ok::<(), ringway::Error>(())
    /// ```
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Sends the message. Lock-free, but for one system call if a receiver sleeps. It cannot meet a full queue.
    ///
    /// If the queue holds what no correct peer writes, the message is not sent and this process's ends are poisoned: the next call says
    /// so.
    #[inline]
    pub fn send(mut self) {
        if let Some(slot) = self.slot.take() {
            // The next call tells.
            self.sender.commit(slot, self.len, self.kind);
        }
    }

    fn slot(&self) -> &mpmc::Loan {
        self.slot.as_ref().expect("who has gone is not asked")
    }
}

impl<A: Access> Deref for Loan<'_, A> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.sender.queue.payload(self.slot())[..self.len]
    }
}

impl<A: Access> DerefMut for Loan<'_, A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let slot = self.slot.as_mut().expect("who has gone is not asked");
        &mut self.sender.queue.payload_mut(slot)[..self.len]
    }
}

impl<A: Access> Drop for Loan<'_, A> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.sender.give_back(slot);
        }
    }
}

impl<A: Access> fmt::Debug for Loan<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len).field("kind", &self.kind).finish_non_exhaustive()
    }
}
