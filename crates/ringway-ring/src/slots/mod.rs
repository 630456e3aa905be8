//! One producer, one consumer: messages of one fixed size, published by index.
//!
//! Where every message has the same size, none needs a header to say where it ends, and none needs a place where
//! "nothing yet" can be read. What is left of a ring is slots of one size and two positions.
//!
//! # The protocol
//!
//! Positions count bytes since the ring's birth. The data is `capacity` bytes (a power of two), seen twice back to back.
//! A *slot* takes `stride` bytes, the message's size rounded up to 8; it begins at its position modulo the capacity and is
//! contiguous whatever the stride, so no position is ever divided, and from lap to lap the slots move. The ring lends
//! `room` bytes at the most: the largest multiple of the stride that the capacity holds.
//!
//! ```text
//! producer's position   tail:63 0:1   all messages before `tail` are published
//!                       tail:63 1:1   and no more will come: the producer left in good order
//! consumer's position   head:64       all messages before `head` are released
//! taken                 word:64       all messages that the consumer has read lie before this
//! ```
//!
//! **One writer per word.** The producer alone writes the data and its position; the consumer alone writes its own. There
//! is no read-modify-write on any shared word. Each side keeps, privately, how far it is itself and what it last saw of
//! the other, and looks at the other's word only when its private copy says full, or empty.
//!
//! *The invariant*: `head <= tail <= head + room`, all of them apart by multiples of the stride; the slots between `head`
//! and `tail` hold messages.
//!
//! **Producer**, at `next`, the tail and what is staged behind it:
//! 1. *loan*: the slot at `next` must be free, that is end no later than the consumer's position + room (Acquire: the
//!    consumer's reads of what it released come before our overwriting).
//! 2. write the message.
//! 3. *publish*: store the position behind it (Release). This is the commit. Whoever loads it with Acquire sees the
//!    message.
//! 4. *reach ahead*: some free slots are taken at once, and each of their lines is stored to (a 0, Relaxed). The consumer's
//!    core still holds copies of them and must give them up before anything can be stored there; for several lines
//!    these transfers overlap, and after a publication nobody waits for them.
//!
//! *Batch*: write message after message and publish the last one's end. The consumer sees none or all.
//!
//! *Close*: store the position with its lowest bit set (Release). A successor stores it without.
//!
//! **Consumer**, at `next`: if that is the tail as last seen, load the producer's position (Acquire). The same, and bit 0
//! clear: empty; set: closed. Otherwise the message at `next` is there; store `next + stride` as what is *taken* (Relaxed), and
//! only then read it in place; go on to `next + stride`. *Release*: store the own position (Release) when nothing before it is
//! being read any more. *Put back*: store as taken where the message begins.
//!
//! # The races, and why they are safe
//!
//! - *Consumer loads a position while the producer stores it, or the other way round*: one aligned 64-bit word, old or new;
//!   an old one says less, never more, than is true.
//! - *Consumer reads a slot that is not whole*: impossible; it reads only before a tail that it loaded with Acquire from the
//!   Release that follows the payload. That holds for what a predecessor of the producer published, too: the
//!   successor's first store is a Release after the proof that the predecessor has stopped.
//! - *Producer overwrites what is being read*: impossible; it writes only before head + room, as loaded with Acquire from the
//!   Release at release.
//! - *Plain stores to the same byte through the two images of the data*: they are different bytes to the compiler, which
//!   might swap such stores. They meet where a message goes where another was a lap ago (a slot that was in one image may
//!   be in the other now), and where it goes over a line that was reached ahead. Between the two, each time, slots are
//!   taken, and a compiler fence stands before and behind the stores that this makes. A loan that is given up and a batch
//!   that is discarded are written again at the same addresses, in program order. The processor goes by physical
//!   address. The consumer only reads; between its reads of two laps lie its own Release and Acquire.
//!
//! # What a kill leaves
//!
//! - Producer before the store of its position: the tail is where it was; slots written or reached ahead lie in free space.
//!   After it: committed. There is nothing in between; *closed* is the same single store.
//! - Consumer before release: its position says what was released, and *taken* what it may have read beyond that; a
//!   successor gets that again, marked, or passes over it: as in [`spsc`](crate::spsc).
//!
//! **Resume.** Either end goes on at its own position word, which never lags. A new producer takes *closed* back.
//!
//! # A hostile peer
//!
//! Each look loads the other's word once and checks it against private copies: it must not go back, must be no more than
//! `room` ahead of the consumer (no more than was published, for the consumer's and for what is taken), and be a multiple of
//! the stride away, which is found without a division. Anything else is [`Corrupt`](crate::Corrupt) and poisons the endpoint. In no case does
//! an access leave the lent memory.
//!
//! # Progress
//!
//! Every call here, `resume` included, is wait-free: a bounded number of steps whatever the other side does.
//!
//! # Sources
//!
//! The ring of two positions: Lamport, *Proving the Correctness of Multiprocess Programs* (1977). Private copies of the
//! other's position: MCRingBuffer (Lee, Bu, Chandranmenon, IPDPS 2010), and in Rust `rtrb`.

mod consumer;
mod producer;
mod slot;

pub use consumer::{Consumer, Next};
pub use producer::{LoanError, Producer};
pub use slot::{Seen, Slot, look, slots};

use slot::{GRANULE, Slots};

/// Bit of the producer's position: it left in good order.
const CLOSED: u64 = 1;
