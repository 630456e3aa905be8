//! The control area of a ring, layout version 3: declared here and nowhere else.
//!
//! A ring's segment has a header page, two control pages (one a side), and the data. Each word is written by
//! the side whose page it is on and lies on a pair of cache lines of its own. `docs/memory-layout.md` is this
//! page for people, and a test holds it to the code.

use core::mem::{offset_of, size_of};

use ringway_segment::{Role, Shape};

use crate::Side;

pub mod queue;

/// Kind of a segment that holds a single-producer, single-consumer byte ring.
pub const KIND_SPSC: u32 = 1;

/// Kind of a segment that holds a single-producer, single-consumer ring of slots of one size, which is its `detail`.
pub const KIND_SLOTS: u32 = 2;

/// Kind of a segment that holds a byte ring whose sender never waits, and whose messages have numbers.
pub const KIND_LOSSY: u32 = 3;

/// Flag of a segment: no side of this ring ever sleeps, so nobody looks for sleepers.
pub const FLAG_SLEEPLESS: u32 = 1;

/// Flag of a segment whose sender never waits: it overwrites what is oldest.
pub const FLAG_OVERWRITING: u32 = 2;

/// The flags that a segment of this kind may have.
#[must_use]
pub const fn flags(kind: u32) -> u32 {
    match kind {
        KIND_LOSSY => FLAG_SLEEPLESS | FLAG_OVERWRITING,
        queue::KIND_QUEUE => queue::QUEUE_FLAGS,
        _ => FLAG_SLEEPLESS,
    }
}

/// A word on a pair of cache lines of its own (processors fetch lines in pairs).
#[repr(C, align(128))]
struct Line<T>(T);

/// How far a side has come. The sender writes its words at the same times, which are few; the receiver has no claim, no
/// oldest and no count.
#[repr(C)]
struct Way {
    position: u64,
    claim: u64,
    oldest: u64,
    sent: u64,
    number: u64,
}

/// Who holds a side. Written when it is taken and left only.
#[repr(C)]
struct Holder {
    alive: u32,
    generation: u32,
    pid: u32,
    reserved: u32,
    namespace: u64,
}

/// The words of one side, on a page of its own.
#[repr(C, align(4096))]
struct SidePage {
    way: Line<Way>,
    asleep: Line<u32>,
    bell: Line<u32>,
    holder: Line<Holder>,
    processor: Line<u32>,
    taken: Line<u64>,
}

/// The control area.
#[repr(C)]
struct Control {
    producer: SidePage,
    consumer: SidePage,
}

/// Where a side's words lie, in bytes from the start of the control area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// `u64`: how far the side has come, in bytes since the ring's birth.
    pub position: usize,
    /// `u64`, of the sender: up to where it may be writing.
    pub claim: usize,
    /// `u64`, of a sender that never waits: where the oldest record begins.
    pub oldest: usize,
    /// `u64`, of the sender: how many records it has sent.
    pub sent: usize,
    /// `u64`, of a ring whose messages have numbers: how many the sender has given, the one that the receiver expects next.
    pub number: usize,
    /// `u32`: whether it sleeps or has retired.
    pub asleep: usize,
    /// `u32`: bumped when it has news for a sleeping peer, who sleeps on it.
    pub bell: usize,
    /// `u32`: held by the keeper of the process that holds the side, 0 if none; marked by the kernel when it dies.
    pub alive: usize,
    /// `u32`: how many have held the side.
    pub generation: usize,
    /// `u32`: the process that holds the side, for people.
    pub pid: usize,
    /// `u64`: the pid namespace that it is numbered in.
    pub namespace: usize,
    /// `u32`: the processor it ran on when it last began to wait or rang.
    pub processor: usize,
    /// `u64`, of the receiver: how far it has taken what it may not have released yet.
    pub taken: usize,
}

/// Bytes of control area.
pub const CONTROL_LEN: usize = size_of::<Control>();

const _: () = assert!(CONTROL_LEN == 8192);

impl Side {
    /// Where this side's words lie.
    #[must_use]
    pub const fn offsets(self) -> Offsets {
        let page = match self {
            Side::Sender => offset_of!(Control, producer),
            Side::Receiver => offset_of!(Control, consumer),
        };
        Offsets {
            position: page + offset_of!(SidePage, way) + offset_of!(Way, position),
            claim: page + offset_of!(SidePage, way) + offset_of!(Way, claim),
            oldest: page + offset_of!(SidePage, way) + offset_of!(Way, oldest),
            sent: page + offset_of!(SidePage, way) + offset_of!(Way, sent),
            number: page + offset_of!(SidePage, way) + offset_of!(Way, number),
            asleep: page + offset_of!(SidePage, asleep),
            bell: page + offset_of!(SidePage, bell),
            alive: page + offset_of!(SidePage, holder) + offset_of!(Holder, alive),
            generation: page + offset_of!(SidePage, holder) + offset_of!(Holder, generation),
            pid: page + offset_of!(SidePage, holder) + offset_of!(Holder, pid),
            namespace: page + offset_of!(SidePage, holder) + offset_of!(Holder, namespace),
            processor: page + offset_of!(SidePage, processor),
            taken: page + offset_of!(SidePage, taken),
        }
    }

    /// The byte of the segment's lock that is this side.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Side::Sender => Role::FIRST,
            Side::Receiver => Role::SECOND,
        }
    }
}

/// The shape of the segment of a ring with slots for messages of `size` bytes.
#[must_use]
pub fn slots(size: usize, capacity: usize, sleepless: bool) -> Shape {
    Shape { kind: KIND_SLOTS, detail: size as u64, ..shape(capacity, sleepless) }
}

/// The shape of a ring's segment.
#[must_use]
pub fn shape(capacity: usize, sleepless: bool) -> Shape {
    Shape {
        kind: KIND_SPSC,
        flags: if sleepless { FLAG_SLEEPLESS } else { 0 },
        control_len: CONTROL_LEN as u64,
        capacity: capacity as u64,
        detail: 0,
    }
}
