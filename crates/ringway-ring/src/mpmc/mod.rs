//! Many producers, many consumers: a queue that nobody can stop.
//!
//! A participant that is stopped or killed at any instruction neither keeps the others waiting nor loses what was committed.
//! In the queues that everyone uses (Vyukov's, `ArrayQueue`, Disruptor) a participant claims a place first and fills it then:
//! who stops in between blocks all that come behind. Here a message is complete before it has a place.
//!
//! # The words
//!
//! Messages are written to *slots*, taken from a pool; what is queued are their numbers, in *cells*, a power of two of them and no
//! fewer than slots. A *participant* is what dies as one, a process, and has a *line*.
//!
//! ```text
//! state[slot]    use:44 owner:16 tag:4          tag: free, writing, reading, returning
//! cell[i]        use:44 slot:16 lap:3 filled:1  i = position mod cells; lap = position / cells mod 8
//! tail, head     position:64                    hints: no more than true, and lag a little
//! note[slot]     64                             what is in the slot, in its sender's words
//! losses[slot]   use:32 count:32                what was lost, see `losses.rs`
//! lease[line]    generation:63 unswept:1
//! ```
//!
//! All are 0 at birth: slots are free, cells are of the lap before the first.
//!
//! # The protocol
//!
//! Every word says at every instant whose the slot is:
//!
//! ```text
//!           loan: CAS              commit: CAS of a cell          take: CAS
//! free(u) ───────────▶ writing(me,u) ───────────▶ writing(me,u), in a cell ───────────▶ reading(you,u+1)
//!    ▲                     │                                  ▲                              │
//!    └── given back: store ┘                                  │ commit                       │
//!    ├──────────────────────────────────────── release: store ┼──────────────────────────────┤
//!    └──────── overwritten: store, writing(you,u+1)           └── returning(you,u+1) ◀── put back: CAS
//! ```
//!
//! - **Loan**: from a private rotor on, the first slot that is free: `free(u)` → `writing(me, u)`. It is the owner's alone, for as long as
//!   it likes; others lack one slot, no more.
//! - **Commit**: write the payload and the note; walk from the tail to the first cell that is not filled for its position, and
//!   CAS it from what it held to `(u, slot, lap)`. That one CAS is the commit: before it nothing was sent, after it everything. It cannot
//!   meet a full queue: the own slot is in no cell, so others are in no more than cells − 1.
//! - **Take**: walk from the head along cells that are filled; where the slot is still `writing(anyone, u)`, or `returning`, with the cell's
//!   use count, CAS it to `reading(me, u + 1)`. That is the take. Where it is not, somebody has taken it: walk on. A cell that is not
//!   filled: there was nothing at that instant.
//! - **Release**: `reading(me, u)` → `free(u)`, a store.
//! - **Put back**: `reading(me, u)` → `returning(me, u)`, then a commit as above. What is put back goes behind all others.
//! - **Overwrite**: take the oldest, note it as lost, `reading(me, u)` → `writing(me, u)`.
//!
//! *The hints* are moved on (CAS) when a walk crosses a multiple of the stride, 8 cells or fewer; who stops before that leaves it
//! to the next one who walks by. Each end remembers how far it has come itself, and walks from there.
//!
//! # Invariants, and why they hold
//!
//! - *Prefix*: a position is filled only after all before it were seen filled: the CAS hits the first one that is not.
//!   Commits are in the order of positions; so are takes: **FIFO by commit**.
//! - *A use is queued once*: `(slot, u)` enters a cell once ever: a commit keeps the owner's u, which changes with the take, or with
//!   the sweep of the owner, before anybody can send the slot again. So a cell that matches its slot's state is the message's own.
//! - *Nothing is overwritten that was not taken*: of cells that are filled and not taken there are no more than slots − 1 ≤ cells − 1
//!   while somebody commits.
//! - *Laps*: a walk loads the hint, a cell, and the hint again. If that has not moved, the cell is of the lap before, this one, or
//!   the next: of three laps, which 3 bits tell apart. A participant that sleeps for a thousand laps finds the hint moved and
//!   begins anew.
//! - *Nothing to take is exact*: who walks past a message that was taken has seen, by a fence, all that was queued when it was
//!   taken; so a cell that is not filled behind it was not then.
//!
//! # Death
//!
//! A participant that has died leaves slots that say so: their owner is its line. On *proof* that every thread of it has
//! stopped, any other, and any number of them, *sweep*:
//!
//! | found | and | becomes |
//! |---|---|---|
//! | writing(dead, u) | a cell has it | left: it was sent |
//! | writing(dead, u) | no cell has it | free(u + 1) |
//! | reading(dead, u) | messages come again | returning(sweeper, u), then committed, marked |
//! | reading(dead, u) | messages are lost, or all were received | noted as lost, then free(u) |
//! | returning(dead, u) | a cell has it | left: it is back |
//! | returning(dead, u) | no cell has it | returning(sweeper, u + 1), then committed |
//!
//! Whether a cell has it is found by one look at each cell, *after* the proof: the dead one fills no more, and a cell stays as it is
//! until its message is taken, which changes the state. Each row ends in a CAS from the state that was found, which decides
//! every race: with takers, with other sweeps. A sweep that frees uses the count up, so that another one that found the same state
//! does not free what was lent anew since.
//!
//! A **late sweeper** must not touch what a newcomer on the same line owns. It has the line's lease from before the proof; it loads a
//! slot's state (Acquire) and *then* the lease again; a newcomer raises the lease, fences (Release), and only then touches
//! slots. So a state of the newcomer's comes with a lease that ends the sweep. A newcomer that finds its line unswept sweeps it, after
//! it has raised the lease: before, a late sweeper could take what it has just put back for the dead one's.
//!
//! # What a kill leaves
//!
//! | killed after | leaves |
//! |---|---|
//! | loan | one slot, until the sweep |
//! | the commit's CAS | a message that was sent; a hint that lags by one walk |
//! | take | one message, which comes again, marked, or is counted as lost |
//! | release | nothing |
//! | a put back's first CAS | a message that the sweep puts back |
//! | overwriting: the note | a message that is lost and counted, once |
//! | any step of a sweep | the line unswept, for the next one; a returning slot of the sweeper's, for the sweep of that one |
//!
//! A *stopped* participant keeps the slots that it has, no more. One that is stopped within a sweep, between the two CASes of a put
//! back, keeps that message.
//!
//! # Progress
//!
//! Of others that are stopped or killed at any point no call takes notice. `loan`, `give_back`, `release`, `reuse`: wait-free, a
//! bounded number of steps. `commit`, `take`, `put_back`, `is_empty`: lock-free; begun anew only because another one got further. `sweep`,
//! `attach`, `detach`: lock-free, O(slots + cells). *Nothing to take* is exact, at the instant of the look. *No slot is free* is weak: each
//! one was in use when it was looked at, not all of them at one instant.
//!
//! # Numbers
//!
//! A use count has 44 bits: to be taken for another one a slot must be used 2⁴⁴ times, exactly, while a participant sits between
//! two instructions: at ten million uses *of that slot* a second, 20 days. Positions and lease generations do not wrap (2⁶³). Of the use
//! count that losses are noted with 32 bits are kept: a killed participant's note is missed if the slot's last loss is exactly
//! 2³² of its uses ago.
//!
//! Memory: 24 bytes and the payload a slot, 8 bytes a cell, 8 bytes a line, two hints.
//!
//! # One alone
//!
//! An end that is the only one of its kind ([`Sole`]) does with stores what nobody else does: a sole producer lends itself slots (nobody else
//! changes one that is free), a sole consumer takes (nobody else changes one that was sent) and moves the head. A
//! successor comes after the proof, and after the sweep.
//!
//! | read-modify-writes on shared words | many | sole |
//! |---|---|---|
//! | loan, commit | 2 + 1/8 | 1 + 1/8 |
//! | take, release | 1 + 1/8 | 0 |
//!
//! # Bad memory
//!
//! Slot numbers are checked, laps that cannot be are [`Corrupt`](crate::Corrupt), walks end after at most two laps, and who is overtaken a
//! million times in one call gives up. A participant whose slot's state was changed by somebody who must not finds out before it sends.
//! But *whose* a slot is is said by shared words alone: who scribbles on them can have two participants lent one slot, as who
//! scribbles on payloads can change what is being read.
//!
//! # Example
//!
//! ```
//! use ringway_ring::{Extent, LentPool, Places, mpmc::{self, Consumer, Fate, Line, Note, Producer}};
//! # use core::ptr::NonNull;
//! # // A queue of four slots over private memory: words, then the payloads.
//! # #[derive(Clone, Copy)]
//! # #[repr(align(64))]
//! # struct Part([u8; 64]);
//! # let (mut words, mut data) = ([0u64; 20], [Part([0; 64]); 4]);
//! # let words = NonNull::from(&mut words).cast::<u64>();
//! # let at = |n| unsafe { words.add(n) };
//! # let (tail, head, leases, slots, losses, cells) = (at(0), at(1), at(2), at(4), at(12), at(16));
//! # let data = NonNull::from(&mut data).cast();
//! # let places = Places { tail, head, leases, lease_stride: 8, lines: 2, slots, losses, cells, data };
//! # let extent = Extent { slots: 4, size: 64, stride: 64 };
//! # let pool = unsafe { LentPool::new(places, extent) };
//! // A process takes part on a line of its own.
//! let (sends, receives) = (Line(0), Line(1));
//! let mut bits = [0; mpmc::scratch(4)];
//! for line in [sends, receives] {
//!     mpmc::attach(&pool, line, Fate::Again, &pool, &mut bits)?;
//! }
//! let producer = Producer::<_>::new(&pool, sends, 0);
//! let consumer = Consumer::<_>::new(&pool, receives);
//!
//! let mut loan = producer.loan().expect("a slot is free");
//! producer.write(&mut loan, b"hello");
//! producer.commit(loan, Note::message(5, 7).0)?;
//!
//! let taken = consumer.take()?.expect("it was sent");
//! let note = Note(consumer.note(&taken));
//! assert_eq!((consumer.payload(&taken, note)?, note.kind()), (&b"hello"[..], 7));
//!
//! // It dies here, with the message. Whoever has the proof sweeps its line; the message comes again.
//! drop((consumer, taken));
//! let is_gone = || true;
//! assert!(mpmc::sweep(&pool, sends, receives, Fate::Again, &pool, &mut bits, is_gone)?);
//!
//! let consumer = Consumer::<_>::new(&pool, sends);
//! let taken = consumer.take()?.expect("it is back");
//! assert!(Note(consumer.note(&taken)).comes_again());
//! consumer.release(taken);
//! # Ok::<(), ringway_ring::Corrupt>(())
//! ```
//!
//! # Sources
//!
//! Queues of indices over slots that are complete before they are visible: Nikolaev, *A Scalable, Portable, and Memory-Efficient
//! Lock-Free FIFO Queue* (DISC 2019). Filling the first empty cell, and hints that anyone helps on: Michael and Scott (PODC 1996), Tsigas and Zhang
//! (SPAA 2001). That memory must grow with the participants: Aksenov et al., *Memory Bounds for Concurrent Bounded Queues* (2021).

mod access;
mod consumer;
mod lease;
mod losses;
mod note;
mod pool;
mod producer;
mod survey;
mod ticket;
mod walk;
mod word;

pub use access::{Access, Many, Sole};
pub use consumer::{Consumer, Taken};
pub use lease::{Fate, Notes, attach, detach, is_unswept, scratch, sweep};
pub use losses::lost;
pub(crate) use note::HEADER;
pub use note::{Note, Packed};
pub use pool::{Hint, MOST_SLOTS, Pool};
pub use producer::{Loan, Producer};
pub use survey::{queued, sent, survey};
pub use word::{Cell, Line, State, Tag};
