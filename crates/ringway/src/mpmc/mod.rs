//! Many senders, many receivers: a queue that nobody can stop.
//!
//! Any number of processes (62 at a time) and of threads of theirs send and receive; each message goes to one receiver, in the order
//! in which they were sent. A participant that is stopped, slow or killed, at any instruction, keeps nobody waiting, and what was
//! sent is received: a message is written to a *slot*, for as long as that takes, and queued by one instruction; it is read
//! where it lies, for as long as that takes. Others lack one slot meanwhile, no more. How that is done, and why it is so, is
//! written down in [`ringway_ring::mpmc`], with the progress guarantee of each step.
//!
//! [`Options`] makes a queue or joins one, by name, by an [`Offer`](crate::Offer), or between threads
//! ([`pair`](Options::pair)); [`Sender`] and [`Receiver`] are cloned for more threads. Each call has four forms: plain, `try_`,
//! `_timeout`, `_deadline`. How to wait is [`Wait`](crate::Wait).
//!
//! # Slots
//!
//! How many there are, and of what size, is said when the queue is made; a message uses as much of its slot as it is long. Messages that
//! are sent as a [batch](Sender::batch) share slots, and are several times as fast. A loan and a received message may be held for
//! seconds; if all slots are in somebody's hands, the error says whose ([`Exhausted`]), as does [`Sender::slots`].
//!
//! # When there is no slot
//!
//! `send` waits, `try_send` fails, `send_timeout` and `send_deadline` wait for so long. A queue that was made with
//! [`Options::overwrite`] loses its oldest message instead, and counts it.
//!
//! # Leaving
//!
//! When the last sender has left, everywhere, receivers get `Closed` after the last message; so do senders when the last
//! receiver has left. Either goes away when another one comes. A side where nobody has been *yet* is not closed; messages wait for it. To
//! a sender, receivers that had left before it came are ones that have not come yet. Ends that [stay](Options::stay) wait for others instead.
//!
//! `Closed` says that nothing is queued, not that all is done: what another receiver still has in hand (of a [batch](Sender::batch) also what it has
//! not come to yet) is queued again if that one is killed, or puts it back, and waits for whoever receives then.
//!
//! The last one to leave a *named* queue takes the name with it, if everything was received.
//!
//! # Dying
//!
//! A process that is killed does not leave. Others are told by the kernel, also while they sleep, and once all of its threads have stopped,
//! they take back what it had: loans become free slots, and what it had received and not released goes back to the queue, behind
//! all others, [marked](Received::redelivered), or is [counted](Receiver::lost) as lost; which one is
//! [`Options::redelivery`]. Of a batch that includes what it had not come to yet of the slot that it was receiving from.
//! Work goes on meanwhile. Only if the dead one was the last of its side does anybody hear of it: receivers get
//! `PeerDied` after the last message, senders when there is no slot.
//!
//! If a process writes to a slot by direct input or output (`O_DIRECT`), a device may go on after it has been killed: end that before a
//! slot is lent, or do not do it.
//!
//! # Sole ends
//!
//! A queue that has one sender, or one receiver, at a time can be made so ([`Options::sole_sender`], [`Options::sole_receiver`]): that
//! end does with plain stores what others need read-modify-writes for.
//!
//! # Forks, trust
//!
//! As for the [rings](crate::spsc#forks). All map the queue read-write: whoever scribbles over its words can lose messages, and have two
//! processes lent one slot, but no call here leaves the memory.
//!
//! # Example
//!
//! ```
//! use ringway::mpmc;
//!
//! let (tx, rx) = mpmc::Options::new().slots(64).pair()?;
//!
//! let mut loan = tx.loan(5)?;
//! loan.copy_from_slice(b"hello");
//! loan.send();
//!
//! let worker = std::thread::spawn({
//!     let rx = rx.clone();
//!     move || rx.recv().map(|message| message.to_vec())
//! });
//! assert_eq!(worker.join().unwrap()?, b"hello");
//!
//! drop(tx);
//! assert_eq!(rx.recv().unwrap_err(), ringway::RecvError::Closed);
//! # Ok::<(), ringway::Error>(())
//! ```

mod answer;
pub(crate) mod census;
mod counts;
mod ends;
mod iter;
mod loan;
mod options;
mod packed;
mod participant;
mod received;
mod received_batch;
mod receiver;
mod send_batch;
mod sender;
mod slots;
mod turns;

pub use iter::{Iter, TryIter};
pub use loan::Loan;
pub use options::{DEFAULT_SLOT_SIZE, DEFAULT_SLOTS, Options};
pub use received::Received;
pub use received_batch::ReceivedBatch;
pub use receiver::{Receiver, SoleReceiver};
pub use ringway_ring::mpmc::{Access, Many, Sole};
pub use send_batch::SendBatch;
pub use sender::{Sender, SoleSender};
pub use slots::{Exhausted, Holder, Slots};

pub use crate::spsc::{Message, Redelivery};
