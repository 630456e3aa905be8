//! One producer, one consumer: a byte ring with readiness in band.
//!
//! # The protocol
//!
//! Positions count bytes since the ring's birth and are multiples of 8. The data is `capacity` bytes (a power
//! of two), seen twice back to back so that every record is contiguous. A record is an 8-byte *header*, one
//! atomic word, followed by the payload rounded up to 8:
//!
//! ```text
//! header   0                     nothing here (yet): the consumer waits at this place
//!          len:32 kind:16 1:16   a committed record of `len` bytes; `kind` is the user's
//!          0:48           2:16   closed: the producer left in good order, here
//! ```
//!
//! **One writer per word.** The producer alone writes the data and its position; the consumer alone writes its
//! own position (and stores, in long messages that it holds, what is there already: *taking over*, below). There is no read-modify-write on any shared word. Each side keeps, privately, how far it is
//! itself and what it last saw of the other.
//!
//! *The invariant*: from the consumer's position on there is a chain of committed records, and at its end a
//! header that is 0 or *closed*. Of the free space, the producer always keeps 8 bytes for that end.
//!
//! **Producer**, at position `p` (the end of the chain):
//! 1. *loan*: `8 + round_up(len) + 8` bytes from `p` on must be free, that is lie before the consumer's
//!    position + capacity. It looks at the consumer's word only when its private copy says full (Acquire: the
//!    consumer's reads of what it released come before our overwriting).
//! 2. store 0 into the header place after the loan (Relaxed).
//! 3. write the payload. The header at `p` is still 0: whatever is in the payload is invisible.
//!    *Send*: store the record's header (Release). The header is the commit. Whoever loads it with Acquire sees the
//!    payload, and sees the 0 after it rather than stale bytes, so nobody has to clear consumed memory.
//! 4. *reach ahead*, once what is cleared does not suffice for one more record like the last: store 0 to the lines
//!    where the next records will go, several at once, as far as they are free. The consumer's core still holds copies of
//!    them and must give them up before anything can be stored there. Now nobody waits for that, and the transfers of
//!    several lines overlap; at the next record each would cost one by itself. Zeros that are there already serve as
//!    those of step 2.
//!
//! What bounds a stream is the sender's store queue: it commits in order, and a store to a line that is still under way
//! holds up all behind it. Hence a record costs two shared stores and the payload, in ascending order but for the header;
//! and all that is for others to look at (how far the producer has come, how many records) is written a sixteenth of the ring
//! apart, with the claim (below), and at closing. It is a hint and may lag.
//!
//! *Batch*: stage record after record, header and all, but hold back the header of the first; to publish, store 0 behind the
//! last and then that one, Release. The consumer sees none or all.
//!
//! *Long records* are not reached ahead for: the consumer has taken their lines over (below), so that they come quickly and many
//! at a time. The longest, which it does not take over, are written past the caches, and the consumer fetches them from memory
//! ([`Stores`]).
//!
//! *Close*: store *closed* at `p`. There is always room: it is the reserved end.
//!
//! **Consumer**, at position `c`: load the header at `c` (Acquire). 0: empty. Closed: closed. A record: check
//! it, store `c + size` as what is *taken* (Relaxed), and only then read the payload in place; go on to `c + size`. *Release*:
//! store the own position (Release) when nothing before it is being read any more. *Put back*: store as taken where the
//! record begins.
//!
//! *Taking over*: before it gives out a long record, it stores one word in each of its lines, with the value that is there
//! ([`Mem::own`](crate::Mem::own)). The lines are then its core's alone. A line that was only read stays the
//! producer's, shared with the reader, and the machine takes as long to end that as to move several lines that nobody
//! shares; so the producer would wait for each of them a lap later. A follower may read a word that the consumer has stored: the
//! consumer passes a Release fence before it stores, so such a follower sees the producer's claim as well.
//!
//! # Followers
//!
//! A [`Follower`] reads a ring without taking part: it writes nothing, and nobody waits for it. So what it reads may be
//! written over while it reads. It copies by atomic words and then asks whether the copy is good. For that the producer
//! *claims*: before it stores anything at a position that it has not claimed, it
//!
//! 1. stores the *claim*, a position up to which it may be writing, a sixteenth of the ring ahead (Release),
//! 2. passes a Release fence, and stores there.
//!
//! The follower copies the record at `p`, passes an Acquire fence, and loads the claim. If any of what it copied is
//! from after a claim, it sees that claim (fence to fence). Position `p` is written over by what goes to `p + capacity`;
//! so if the claim is no more than that, the copy is whole. If not, the follower is *behind*: what it holds may be anything.
//! It goes on where the ring begins: at the consumer's position, before which the producer's claim cannot have reached.
//!
//! *A producer that never waits* has no consumer to look at. It keeps in mind where some of its records begin, one for each
//! claim, and before each claim it stores the *oldest* of these that the claim leaves whole (Release). A follower that is
//! behind loads the claim first and then the oldest, so it finds one that is not before that claim. Its messages can be read
//! by followers only.
//!
//! # The races, and why they are safe
//!
//! - *Consumer loads the header while the producer stores it*: one aligned 64-bit word, old or new.
//! - *Consumer loads a header place that is still payload of an older lap*: impossible. It gets to a place only
//!   through a committed header before it, whose Release comes after the 0 there (steps 2, 3); the first place of
//!   all is 0 from birth.
//! - *Producer overwrites what is being read*: impossible; it reuses bytes only before consumer position +
//!   capacity as loaded with Acquire from the Release at release.
//! - *Plain stores and header stores to the same byte*: the two addresses of a byte are different bytes to the
//!   compiler, which might swap such stores. They meet where a loan (or a batch) is given up or cut short and the
//!   next header goes where its payload was, where a payload goes where zeros were reached ahead, and where it goes
//!   where a header was a lap ago. A compiler fence stands at each: abort, trim, discard; reach ahead; and after the
//!   look at the consumer's position, which lies between any two laps. The processor keeps such stores in order by
//!   itself: coherence goes by physical address.
//!
//! # What a kill leaves
//!
//! - Producer before the header store: header 0, the chain ends where it did; payload or staged records beyond
//!   are invisible. After it: committed. There is nothing in between. Zeros reached ahead lie in free space.
//! - Producer after a claim: it is higher than need be. The next one begins with it; followers see that they are behind
//!   earlier than they are. Between *oldest* and claim: the oldest record is a later one than need be.
//! - Consumer before release: its position says what was released, and *taken* what it may have read beyond that: the
//!   records between the two are those that a successor gets again, marked, or passes over. The word is stored before the
//!   payload is read and after it is no longer read if it is put back; both in program order, which is all that a kill keeps to:
//!   of what a stopped process has executed, its successor sees everything. So a record is marked exactly if it was had.
//! - Successor while records come again: it stores nothing as taken before it is beyond those that are; the word never says
//!   less than what any predecessor has had. Passing over is one release, of all of them.
//!
//! **Resume.** A new consumer starts at the consumer's position. A new producer walks the chain from there to
//! its end, at most `capacity` bytes, and takes a *closed* back by storing 0. The producer's position word is
//! not needed (it may lag). One that never waits walks from the oldest record.
//!
//! # A hostile peer
//!
//! Every header is loaded once and checked (flags known, record not larger than the ring); positions are
//! reduced by the mask; the consumer's position must lie between what was last seen of it and what was
//! published. What is taken must lie ahead of the consumer's position by less than the capacity, where records lead to; a new
//! consumer walks there. Anything else is [`Corrupt`](crate::Corrupt) and poisons the endpoint. A walk is bounded by the
//! capacity. In no case does an access leave the lent memory. A follower checks a record's length before it copies; a claim
//! that makes no sense leaves it behind, and one that leaves it behind where the ring begins poisons it: nothing would end that.
//!
//! # Progress
//!
//! Every call here is wait-free: a bounded number of steps whatever the other side does. (`resume` and `skip` walk at
//! most capacity / 8 records.)
//!
//! # Sources
//!
//! Readiness in band: FastForward (Giacomoni, Moseley, Vachharajani, PPoPP 2008) and the Linux BPF ring buffer
//! (`kernel/bpf/ringbuf.c`), which also maps its data twice. Private copies of the other's position: MCRingBuffer
//! (Lee, Bu, Chandranmenon, IPDPS 2010). Followers: Boehm, *Can Seqlocks Get Along With Programming Language Memory
//! Models?* (MSPC 2012).

mod consumer;
mod follower;
mod keep;
mod producer;
mod record;

pub use consumer::{Consumer, Next};
pub use follower::{Follower, Look, Start};
pub use producer::{LoanError, Producer, Stores};
pub use record::Record;

use keep::Keep;
use record::{GRANULE, Header};

/// The largest payload that a ring of this capacity (in bytes) can carry, in bytes.
///
/// A record needs its header, its payload, and the reserved end after it; a length has 32 bits.
#[must_use]
pub const fn max_payload(capacity: u64) -> u64 {
    let most = capacity.saturating_sub(2 * GRANULE);
    if most > u32::MAX as u64 { u32::MAX as u64 } else { most }
}
