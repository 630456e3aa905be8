//! One sender, one receiver, messages of any length: the fastest channel there is.
//!
//! A ring has two ends. [`Options`] makes it, or joins the one that is there, and gives one end; a process takes
//! an end by *name*, or by an [`Offer`](crate::Offer) that it was handed; [`Options::pair`] gives both, for two
//! threads. Each end is held by one process at a time, by a lock that the kernel releases when the process is
//! gone; then the next one is admitted and goes on where the last one stopped.
//!
//! Sending writes in place: [`Sender::loan`] lends room in the ring, [`Loan::send`] makes it visible.
//! [`Sender::send`] copies. Receiving reads in place: a [`Received`] is the message where it lies, and dropping
//! it gives the room back. Batches do either for many messages with one update of the shared words.
//!
//! Every blocking call has four forms: plain, `try_`, `_timeout`, `_deadline`. How to wait is [`Wait`].
//!
//! [`Wait`]: crate::Wait
//!
//! Where all messages have one size, [`slots`] does without their headers, and gives them a type.
//!
//! # In a loop
//!
//! A message that is read in place borrows its receiver, so there is no iterator over them: `while let Ok(message) = rx.recv()` is
//! as short. It ends for whatever reason; who has to know it writes `loop` and `match`, as in the example [below](#dying). A batch
//! is iterated over, [`ReceivedBatch::iter`], and so are receivers of [`slots`], whose messages are values:
//! [`slots::Receiver::iter`].
//!
//! # Leaving
//!
//! Dropping an end, or [`Sender::close`], closes it: the receiver gets `Closed` after the last message, the
//! sender at its next loan. An end that has not been there *yet* is not closed; messages wait for it. A new
//! holder of the end opens it again.
//!
//! The last one to leave a *named* ring takes the name with it, if the receiver has left too and has received
//! everything. Otherwise the ring stays, and what is in it, until somebody receives it (or removes the file
//! `ringway.NAME` from `/dev/shm`). To an end, another one that had left before it came is one that has not come yet.
//!
//! # Dying
//!
//! A process that is killed does not close. The other end is told by the kernel, at once and also while it sleeps: the receiver
//! gets `PeerDied` after the last message, the sender when there is no room any more. Until a successor takes the dead one's
//! end, each call that would have to wait says so again; then all goes on. To an end, another one that had died before it came
//! is one that has not come yet. What a dead receiver had not released comes again to its successor.
//!
//! ```
//! use ringway::{RecvError, spsc::Receiver};
//!
//! fn receive(rx: &mut Receiver) -> ringway::Result<()> {
//!     loop {
//!         match rx.recv() {
//!             Ok(message) => println!("{} bytes", message.len()),
//!             Err(RecvError::PeerDied(peer)) => {
//!                 eprintln!("{peer} has died; waiting for its successor");
//!                 std::thread::sleep(std::time::Duration::from_millis(100));
//!             }
//!             Err(RecvError::Closed) => return Ok(()),
//!             Err(error) => return Err(error.into()),
//!         }
//!     }
//! }
//! ```
//!
//! # What a killed receiver held
//!
//! A message that a killed receiver had taken and not given back comes again to its successor, *marked*
//! ([`Received::redelivered`]), or does not and is *counted* ([`Receiver::skipped`]): as the successor chooses, by [`Redelivery`].
//! One who leaves in good order gives back all that it has taken, also what a guard held that was forgotten.
//!
//! # When the ring is full
//!
//! `send` waits, `try_send` fails, `send_timeout` and `send_deadline` wait for so long. Rings that lose messages instead, and tell
//! their receiver how many, are in [`lossy`].
//!
//! # Looking on
//!
//! A [`Tap`] follows a ring without taking part, read-only; [`inspect`](crate::inspect) tells how a ring does.
//!
//! # Forks
//!
//! An end belongs to the process that took it. In a forked child its copy is of no use: nothing that is done with it
//! reaches anybody, and dropping it does nothing. The child takes ends of its own.
//!
//! # Trust
//!
//! Both sides map the ring read-write. Whatever the other side writes into the shared words, calls here return
//! `Ok` or `Err` and stay inside the memory. But a message read *in place* may change under the reader if the
//! other process rewrites what it has sent; processes that cannot be trusted not to do that must not be given
//! the ring.
//!
//! # Example
//!
//! ```
//! use ringway::spsc;
//!
//! let (mut tx, mut rx) = spsc::Options::new().capacity(1 << 16).pair()?;
//!
//! let mut loan = tx.loan(5)?;
//! loan.copy_from_slice(b"hello");
//! loan.send();
//! tx.close()?;
//!
//! assert_eq!(&rx.recv()?[..], b"hello");
//! assert_eq!(rx.recv().unwrap_err(), ringway::RecvError::Closed);
//! # Ok::<(), ringway::Error>(())
//! ```

mod end;
pub mod lossy;
mod options;
mod receiver;
mod redelivery;
mod sender;
pub mod slots;
mod tap;

pub use options::{DEFAULT_CAPACITY, Options};
pub use receiver::{Message, Received, ReceivedBatch, Receiver};
pub use redelivery::Redelivery;
pub use sender::{Loan, SendBatch, Sender};
pub use tap::{Seen, Tap};
