//! Rings whose sender never waits: when they are full, messages are lost, and the receiver is told exactly how many.
//!
//! | [`Lose`] | when there is no room | good for |
//! |---|---|---|
//! | [`Newest`](Lose::Newest) | the message that is being sent is dropped | logs, traces: what came first explains the rest |
//! | [`Oldest`](Lose::Oldest) | the oldest messages are overwritten, received or not | state, quotes, video: what is new counts |
//!
//! To wait for room, to fail at once or at a deadline, take [`spsc`](crate::spsc) itself: `send`, `try_send`, `send_deadline`.
//!
//! # How the receiver knows
//!
//! Every message has a number, lost or not, and carries it in its first 8 bytes. The receiver sees a gap when it takes the
//! message behind it: [`Received::lost`]. What was lost behind the last message it learns with *closed*:
//! [`Receiver::lost`] counts them all. A new holder of either end goes on with the numbers, also after a kill.
//!
//! A message that a killed receiver had taken and not given back comes again to its successor, if it is still there, and says so
//! ([`Received::redelivered`]); or, to one that chose [`Redelivery::AtMostOnce`] in the ring's options, it is lost, and counted
//! with what was lost in front of the next message.
//!
//! [`Redelivery::AtMostOnce`]: crate::spsc::Redelivery::AtMostOnce
//!
//! # What lies behind it
//!
//! A ring that loses its newest messages is an ordinary one, read in place. In one that loses its oldest a message may be
//! overwritten while it is read: there the receiver *copies* it, word by word, and then looks whether the sender has
//! claimed the place meanwhile (a seqlock; see *Followers* in [`ringway_ring::spsc`]). The sender claims a sixteenth of the
//! ring at a time; up to so much less than the whole ring is kept.
//!
//! # Example
//!
//! ```
//! use ringway::spsc::{self, lossy::{Lose, Options}};
//!
//! let ring = spsc::Options::new().capacity(4096);
//! let (mut tx, mut rx) = Options::new(ring, Lose::Oldest).pair()?;
//! for n in 0..1000u64 {
//!     tx.send(&n.to_le_bytes())?;
//! }
//! let first = rx.recv()?;
//! assert_eq!(first.lost(), u64::from_le_bytes(first[..].try_into().unwrap()));
//! # Ok::<(), ringway::Error>(())
//! ```

mod options;
mod reader;
mod receiver;
mod sender;

pub use options::{Lose, Options};
pub use receiver::{Received, Receiver};
pub use sender::{Fate, Sender};

/// Bytes of a message's number, in front of its payload.
const NUMBER: usize = 8;
