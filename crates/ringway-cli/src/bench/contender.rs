//! Who is measured.

use serde::Serialize;

use super::foreign::{Foreign, Open, Opener};

/// A way to hand messages over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// Floor: one cache line written in turn, the waiting side loads as fast as it can.
    Line,
    /// Floor: the same with a spin hint between two loads.
    LinePaused,
    /// Bare: two cache lines, each written by one side only and watched by the other, without anything else. What
    /// any one-way channel costs at the least whose words have one writer each.
    TwoLines,
    /// Floor: a futex wake and a futex wait a hand-over.
    Futex,
    /// Floor of streams: memcpy of [`BLOCK`](super::BLOCK) bytes that the other process has just written.
    Memcpy,
    /// Bare: memcpy of as many bytes over what the other process has just read: the sender's half of a stream through
    /// memory that is used again.
    Overwrite,
    /// A ring whose sides never sleep.
    RingSpin,
    /// [`RingSpin`](Self::RingSpin) with 4 MiB in each direction: many messages of 64 KiB, and a last-level cache still holds it.
    RingRoomy,
    /// [`RingSpin`](Self::RingSpin) with 32 MiB in each direction: memory comes round so late that the other core has
    /// long lost it from its caches.
    RingLarge,
    /// A ring whose sides spin first and then sleep.
    RingPark,
    /// A ring whose sides sleep at once.
    RingSleep,
    /// [`RingSpin`](Self::RingSpin), 16 messages a publication where they come one behind the other.
    RingBatch,
    /// A ring of slots that all have the message's size, whose sides never sleep.
    Slots,
    /// Two pipes.
    Pipe,
    /// A pair of Unix stream sockets.
    Socket,
    /// One that was brought along.
    #[serde(untagged)]
    Foreign(Foreign),
}

/// What a side does while it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// It uses a whole CPU.
    Spins,
    /// It spins for a while, then sleeps in the kernel.
    SpinsThenSleeps,
    /// It sleeps in the kernel.
    Sleeps,
}

impl Contender {
    /// All that nobody has to bring along.
    const OWN: [Self; 15] = [
        Self::Line,
        Self::LinePaused,
        Self::TwoLines,
        Self::Futex,
        Self::Memcpy,
        Self::Overwrite,
        Self::RingSpin,
        Self::RingRoomy,
        Self::RingLarge,
        Self::RingPark,
        Self::RingSleep,
        Self::RingBatch,
        Self::Slots,
        Self::Pipe,
        Self::Socket,
    ];

    /// The contender of this name, be it one of ours or one of `openers`.
    pub(super) fn find(name: &str, openers: &[Opener]) -> Option<Self> {
        let foreign = openers.iter().map(|opener| Self::Foreign(opener.foreign));
        Self::OWN.into_iter().chain(foreign).find(|contender| contender.name() == name)
    }

    /// How one of `openers` is opened; `None` if it is none of them.
    pub(super) fn open(self, openers: &[Opener]) -> Option<Open> {
        openers.iter().find(|opener| self == Self::Foreign(opener.foreign)).map(|opener| opener.open)
    }

    /// What tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "floor: one cache line",
            Self::LinePaused => "floor: one cache line, paused",
            Self::TwoLines => "bare: a line a writer",
            Self::Futex => "floor: futex ping-pong",
            Self::Memcpy => "floor: memcpy",
            Self::Overwrite => "bare: memcpy over it",
            Self::RingSpin => "ring, spinning",
            Self::RingRoomy => "ring of 4 MiB",
            Self::RingLarge => "ring of 32 MiB",
            Self::RingPark => "ring, able to sleep",
            Self::RingSleep => "ring, sleeping at once",
            Self::RingBatch => "ring, batches of 16",
            Self::Slots => "ring of slots",
            Self::Pipe => "pipe",
            Self::Socket => "Unix stream socket",
            Self::Foreign(foreign) => foreign.name,
        }
    }

    /// What its sides do while they wait.
    #[must_use]
    pub fn waiting(self) -> Waiting {
        match self {
            Self::Line
            | Self::LinePaused
            | Self::TwoLines
            | Self::Memcpy
            | Self::Overwrite
            | Self::RingSpin
            | Self::RingRoomy
            | Self::RingLarge
            | Self::RingBatch
            | Self::Slots => Waiting::Spins,
            Self::RingPark => Waiting::SpinsThenSleeps,
            Self::Futex | Self::RingSleep | Self::Pipe | Self::Socket => Waiting::Sleeps,
            Self::Foreign(foreign) => foreign.waiting,
        }
    }

    /// Whether it makes sense where both processes share one CPU.
    #[must_use]
    pub fn can_share_a_cpu(self) -> bool {
        self.waiting() != Waiting::Spins
    }
}

impl Waiting {
    /// What tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spins => "spins",
            Self::SpinsThenSleeps => "spins, then sleeps",
            Self::Sleeps => "sleeps",
        }
    }
}
