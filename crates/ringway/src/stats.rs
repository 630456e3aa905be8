//! What an end has done.

/// What an end of a ring has done since it was taken. Counted by the end itself, in its own memory: it costs next to nothing
/// and needs no look at the ring.
///
/// ```
/// let (mut tx, mut rx) = ringway::spsc::Options::new().pair()?;
/// tx.send(b"hello")?;
/// drop(rx.recv()?);
/// let (sent, received) = (tx.stats(), rx.stats());
/// assert_eq!((sent.messages, sent.bytes), (1, 16));
/// assert_eq!((received.messages, received.bytes), (1, 16));
/// # Ok::<(), ringway::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages sent, or received; those that were put back are not among them.
    pub messages: u64,
    /// Bytes that they took of the ring: 8 a message, and its payload rounded up to 8.
    pub bytes: u64,
    /// How often a call found the ring full, or empty, and had to wait.
    pub waits: u64,
    /// How often it went to sleep.
    pub sleeps: u64,
    /// How often it woke the other end.
    pub wakes: u64,
}
