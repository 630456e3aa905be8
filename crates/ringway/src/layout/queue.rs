//! The control area of a queue: declared here and nowhere else.
//!
//! A page of words that all share, two pages of lines, one a participant; behind them, as long as the queue is large: two words a
//! slot, one more a slot, and the cells. `docs/memory-layout.md` is this page for people, and a test holds it to the code.

use core::mem::{offset_of, size_of};

use ringway_ring::{Extent, mpmc::MOST_SLOTS};
use ringway_segment::{Role, Shape};

use super::{FLAG_SLEEPLESS, Line};

/// Kind of a segment that holds a queue: many senders, many receivers. Its `detail` is the longest message's bytes, and in the upper
/// half how many slots there are.
pub const KIND_QUEUE: u32 = 4;

/// Flag of a queue: what a dead receiver had taken is lost, and counted, instead of coming again.
pub const FLAG_AT_MOST_ONCE: u32 = 4;

/// Flag of a queue: a sender that finds no slot takes that of the oldest message.
pub const FLAG_OVERWRITES: u32 = 8;

/// Flag of a queue: it has one sending end at a time.
pub const FLAG_SOLE_SENDER: u32 = 16;

/// Flag of a queue: it has one receiving end at a time.
pub const FLAG_SOLE_RECEIVER: u32 = 32;

/// All flags that a queue may have.
pub const QUEUE_FLAGS: u32 =
    FLAG_SLEEPLESS | FLAG_AT_MOST_ONCE | FLAG_OVERWRITES | FLAG_SOLE_SENDER | FLAG_SOLE_RECEIVER;

/// How many participants a queue has at most. Each has a role's lock, and two more are for ends that are the only ones.
pub const LINES: u16 = 62;

/// The longest message that a slot can be made for, in bytes.
pub const MOST_SIZE: usize = 1 << 30;

/// Bytes of a slot are a multiple of this.
const LINE: usize = 64;

/// What a sender looks at with each message: who receives, and whether one of them sleeps.
#[repr(C)]
struct ForSenders {
    receivers: u64,
    items: u64,
    came: u64,
    dead: u64,
}

/// What a receiver looks at.
#[repr(C)]
struct ForReceivers {
    senders: u64,
    room: u64,
    dead: u64,
}

/// What all share.
#[repr(C, align(4096))]
struct Shared {
    tail: Line<u64>,
    head: Line<u64>,
    for_senders: Line<ForSenders>,
    for_receivers: Line<ForReceivers>,
    attached: Line<u64>,
}

/// A participant's words. Those of its life are written when it comes and goes, the others around sleeps.
#[repr(C, align(128))]
struct Participant {
    alive: u32,
    generation: u32,
    pid: u32,
    reserved: u32,
    namespace: u64,
    lease: u64,
    items: Sleep,
    room: Sleep,
}

/// What a participant's threads sleep on, for one event.
#[repr(C)]
struct Sleep {
    bell: u32,
    reserved: u32,
    sleeps: u64,
    rung: u64,
}

/// The part of the control area that all queues have.
#[repr(C)]
struct Control {
    shared: Shared,
    lines: Lines,
}

#[repr(C, align(4096))]
struct Lines([Participant; LINES as usize]);

const _: () = assert!(size_of::<Control>() == 12288);
const _: () = assert!(LINES as usize == ringway_wait::LINES);

/// A queue's words that all share, in bytes from the start of the control area.
pub mod shared {
    use super::{Control, ForReceivers, ForSenders, Shared, offset_of};

    /// `u64`: where the first cell lies that is not filled, or a little before.
    pub const TAIL: usize = offset_of!(Control, shared) + offset_of!(Shared, tail);
    /// `u64`: where the first cell lies whose message is not taken, or a little before.
    pub const HEAD: usize = offset_of!(Control, shared) + offset_of!(Shared, head);
    /// `u64`: a bit for each line with receiving ends; see `mpmc::census`.
    pub const RECEIVERS: usize =
        offset_of!(Control, shared) + offset_of!(Shared, for_senders) + offset_of!(ForSenders, receivers);
    /// `u64`: a bit for each line that may sleep until there is a message.
    pub const ITEMS: usize =
        offset_of!(Control, shared) + offset_of!(Shared, for_senders) + offset_of!(ForSenders, items);
    /// `u64`: how often a line began to have receiving ends.
    pub const CAME: usize =
        offset_of!(Control, shared) + offset_of!(Shared, for_senders) + offset_of!(ForSenders, came);
    /// `u64`: the process that was the last receiver to die, as it said itself.
    pub const DEAD_RECEIVER: usize =
        offset_of!(Control, shared) + offset_of!(Shared, for_senders) + offset_of!(ForSenders, dead);
    /// `u64`: a bit for each line with sending ends; see `mpmc::census`.
    pub const SENDERS: usize =
        offset_of!(Control, shared) + offset_of!(Shared, for_receivers) + offset_of!(ForReceivers, senders);
    /// `u64`: a bit for each line that may sleep until there is a free slot.
    pub const ROOM: usize =
        offset_of!(Control, shared) + offset_of!(Shared, for_receivers) + offset_of!(ForReceivers, room);
    /// `u64`: the process that was the last sender to die, as it said itself.
    pub const DEAD_SENDER: usize =
        offset_of!(Control, shared) + offset_of!(Shared, for_receivers) + offset_of!(ForReceivers, dead);
    /// `u64`: a bit for each line that is taken.
    pub const ATTACHED: usize = offset_of!(Control, shared) + offset_of!(Shared, attached);
}

/// Where a participant's words lie, in bytes from the start of the control area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineOffsets {
    /// `u32`: held by the keeper of its process; marked by the kernel when it dies.
    pub alive: usize,
    /// `u32`: how many have held the line.
    pub generation: usize,
    /// `u32`: the process.
    pub pid: usize,
    /// `u64`: the pid namespace that it is numbered in.
    pub namespace: usize,
    /// `u64`: `generation:63 unswept:1`.
    pub lease: usize,
    /// For its sleeps until there is a message.
    pub items: SleepOffsets,
    /// For its sleeps until there is a free slot.
    pub room: SleepOffsets,
}

/// Where the words lie that a participant's threads sleep by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SleepOffsets {
    /// `u32`: bumped by whoever wakes one.
    pub bell: usize,
    /// `u64`: counts what is to be rung for.
    pub sleeps: usize,
    /// `u64`: what was last rung for.
    pub rung: usize,
}

impl SleepOffsets {
    const fn at(at: usize) -> Self {
        Self {
            bell: at + offset_of!(Sleep, bell),
            sleeps: at + offset_of!(Sleep, sleeps),
            rung: at + offset_of!(Sleep, rung),
        }
    }
}

/// Bytes from one participant's words to the next one's.
pub const LINE_STRIDE: usize = size_of::<Participant>();

/// Where the words of line number `line` lie.
///
/// # Panics
///
/// If there are not so many.
#[must_use]
pub fn line(line: u16) -> LineOffsets {
    assert!(line < LINES, "a queue has {LINES} lines");
    let at = offset_of!(Control, lines) + usize::from(line) * LINE_STRIDE;
    LineOffsets {
        alive: at + offset_of!(Participant, alive),
        generation: at + offset_of!(Participant, generation),
        pid: at + offset_of!(Participant, pid),
        namespace: at + offset_of!(Participant, namespace),
        lease: at + offset_of!(Participant, lease),
        items: SleepOffsets::at(at + offset_of!(Participant, items)),
        room: SleepOffsets::at(at + offset_of!(Participant, room)),
    }
}

/// The lock of a line.
#[must_use]
pub fn role(line: u16) -> Role {
    Role::new(line as u8).expect("there are fewer lines than roles")
}

/// The lock of who is the only sender.
pub const SOLE_SENDER: Role = Role::new(62).expect("there are 64");
/// The lock of who is the only receiver.
pub const SOLE_RECEIVER: Role = Role::new(63).expect("there are 64");

/// Where a queue's parts lie that grow with it, in bytes from the start of the control area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Two words a slot: state and note.
    pub slots: usize,
    /// A word a slot: what was lost of it.
    pub losses: usize,
    /// A word a cell.
    pub cells: usize,
    /// Bytes of control area.
    pub len: usize,
}

impl Parts {
    /// Of a queue with so many slots.
    #[must_use]
    pub fn of(slots: u32) -> Self {
        let count = slots as usize;
        let apart = |at: usize| at.next_multiple_of(128);
        let slots = size_of::<Control>();
        let losses = apart(slots + 16 * count);
        let cells = apart(losses + 8 * count);
        Self { slots, losses, cells, len: (cells + 8 * count.next_power_of_two()).next_multiple_of(4096) }
    }
}

/// The shape of a queue's segment: at least so many slots, for messages of up to `size` bytes. What cannot be had makes a shape that
/// the segment refuses, with the figures.
#[must_use]
pub fn queue(slots: usize, size: usize, flags: u32) -> Shape {
    let stride = size.max(1).next_multiple_of(LINE);
    let bytes = slots.saturating_mul(stride).checked_next_power_of_two().unwrap_or(1 << (usize::BITS - 1));
    let shape = |bytes: usize| {
        let slots = (bytes / stride).min(MOST_SLOTS as usize);
        Shape {
            kind: KIND_QUEUE,
            flags,
            control_len: Parts::of(slots as u32).len as u64,
            capacity: bytes as u64,
            detail: (slots as u64) << 32 | size as u64,
        }
    };
    // One page at least, whatever a page is here.
    let pages = (12..=16).map(|bits| shape(bytes.max(1 << bits)));
    pages.into_iter().find(|shape| shape.total().is_ok()).unwrap_or(shape(bytes))
}

/// The sizes of a queue's segment; `None` if they do not fit each other.
#[must_use]
pub fn extent(shape: &Shape) -> Option<Extent> {
    let (slots, size) = ((shape.detail >> 32) as u32, shape.detail as u32);
    let stride = u64::from(size.max(1)).next_multiple_of(LINE as u64);
    let fits = (1..=MOST_SLOTS).contains(&slots)
        && size as usize <= MOST_SIZE
        && u64::from(slots) * stride <= shape.capacity
        && shape.control_len == Parts::of(slots).len as u64;
    fits.then_some(Extent { slots, size, stride: stride as u32 })
}
