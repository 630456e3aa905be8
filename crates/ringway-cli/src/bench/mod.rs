//! The harness: two pinned processes that take turns, in short slices, at everything that is compared.
//!
//! Cores, and on virtual machines their distance, change under a benchmark. So a figure of its own says
//! little; what is reported is the ratio of each slice to the slices of the *floor* right before and right
//! after it, between the same two processes, and its median, tenth and ninetieth percentile over many
//! slices. The floor is the least that the hardware or the kernel can do for the job:
//!
//! | for what | floor |
//! |---|---|
//! | spins | one cache line that two cores write in turn ([`Contender::Line`]) |
//! | sleeps | a futex wake and a futex wait a hand-over ([`Contender::Futex`]) |
//! | carries bulk | memcpy of memory that the other core has just written ([`Contender::Memcpy`]) |
//!
//! What is measured beside these and Ringway comes from whoever wants to see it there ([`Opener`]): between the two
//! processes or, where it reaches no further, between two threads of the measuring one, on the same two CPUs, in the same
//! turns.
//!
//! Messages are written and read in full and checked. Within a slice no clock is read; percentiles come
//! from slices of their own, with one clock read a round trip.

mod block;
mod carrier;
mod channel;
mod command;
mod contender;
mod ends;
mod error;
mod foreign;
mod futex;
mod heir;
mod job;
mod kernel;
mod launch;
mod line;
mod message;
mod pair;
mod peer;
mod placement;
mod report;
mod ring;
mod shared;
mod slices;
mod spread;
mod subject;
mod sys;
mod table;
mod thread;
mod units;

pub use carrier::{AnySize, BySize, Carrier, Half, OneSize, Sizes};
pub use channel::Channel;
pub use command::{Options, run};
pub use contender::{Contender, Waiting};
pub use error::{Error, Result};
pub use foreign::{BothSides, Foreign, Open, Opener, Place, Watch};
pub use job::Control;
pub use message::Message;
pub use pair::Pair;
pub use peer::{serve_if_child, serve_if_child_with};
pub use placement::Placement;
pub use shared::BLOCK;
pub use slices::{Comparison, Series, Slice, best_line, compare, compare_placed};
pub use spread::Spread;
pub use subject::{Shape, Subject};
pub use units::{Bytes, Count, Size, Time};

/// Bytes that every ring, and as far as the host allows every pipe and socket, holds in one direction.
pub const CAPACITY: usize = 256 << 10;

/// The number of each side, where something is numbered by side.
const PARENT: usize = 0;
const CHILD: usize = 1;
