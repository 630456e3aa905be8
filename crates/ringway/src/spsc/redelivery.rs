//! What becomes of messages that a dead receiver held.

/// What a receiver does with messages that its predecessor had taken and not given back when it was killed.
///
/// The predecessor may have acted on them or not: that is not for the ring to know. So each receiver chooses when it takes its
/// end. While nobody dies every message is received exactly once, either way.
///
/// ```
/// use ringway::spsc::{Options, Receiver, Redelivery};
///
/// let offer = Options::new().offer()?;
/// let mut rx = Options::new().redelivery(Redelivery::AtMostOnce).receiver_of(&offer)?;
/// assert_eq!(rx.skipped(), 0);
/// # Ok::<(), ringway::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Redelivery {
    /// They come again, first of all, and say so: `Received::redelivered`.
    #[default]
    AtLeastOnce,
    /// They do not come again, and are counted: `Receiver::skipped`.
    AtMostOnce,
}
