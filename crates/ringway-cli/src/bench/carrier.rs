//! A side of a contender as the harness knows it: whatever the size of the messages.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::thread;
use std::time::{Duration, Instant};

use super::{Channel, Error, Message, Result};

/// Round trips in front of every measured part: the other side has left the control socket by then.
const WARM_UP: u64 = 8;

/// What one side does in a job. Each of the first four has its other half in one of the last two.
pub enum Half<'a> {
    /// Sends a message and waits for the answer, so many times.
    Ask(u64),
    /// The same, and tells the time of each.
    AskClocked(u64, &'a mut dyn FnMut(Duration)),
    /// Does nothing for so long, then asks once.
    Idle(Duration),
    /// Sends so many messages one behind the other and waits for one back.
    Stream(u64),
    /// Answers so many messages.
    Answer(u64),
    /// Receives so many messages one behind the other, then sends one.
    Drain(u64),
}

/// One side of a contender, for all sizes that it can carry.
pub trait Carrier: Debug {
    /// Does its half of a job with messages of `size` bytes. Returns the time that the measured part took.
    ///
    /// # Errors
    /// The channel broke, or carries no messages of this size.
    fn run(&mut self, size: usize, half: Half<'_>) -> Result<Duration>;
}

fn run<const N: usize>(channel: &mut (impl Channel<N> + ?Sized), half: Half<'_>) -> Result<Duration> {
    let mut message = Message::new();
    match half {
        Half::Ask(rounds) => {
            channel.ask(&mut message, WARM_UP)?;
            let start = Instant::now();
            channel.ask(&mut message, rounds)?;
            Ok(start.elapsed())
        }
        Half::AskClocked(rounds, seen) => {
            channel.ask(&mut message, WARM_UP)?;
            let start = Instant::now();
            channel.ask_clocked(&mut message, rounds, seen)?;
            Ok(start.elapsed())
        }
        Half::Idle(time) => {
            channel.ask(&mut message, WARM_UP)?;
            let start = Instant::now();
            thread::sleep(time);
            channel.ask(&mut message, 1)?;
            Ok(start.elapsed())
        }
        Half::Stream(count) => {
            channel.ask(&mut message, WARM_UP)?;
            channel.stream(&mut message, count)
        }
        Half::Answer(rounds) => {
            let start = Instant::now();
            channel.answer(&mut message, WARM_UP + rounds)?;
            Ok(start.elapsed())
        }
        Half::Drain(count) => {
            let start = Instant::now();
            channel.answer(&mut message, WARM_UP)?;
            channel.drain(&mut message, count)?;
            Ok(start.elapsed())
        }
    }
}

/// A channel that carries messages of every size that is measured.
#[derive(Debug)]
pub struct AnySize<C>(pub C);

impl<C> Carrier for AnySize<C>
where
    C: Channel<8> + Channel<48> + Channel<64> + Channel<256> + Channel<1024> + Channel<4096> + Channel<65536>,
{
    fn run(&mut self, size: usize, half: Half<'_>) -> Result<Duration> {
        match size {
            8 => run::<8>(&mut self.0, half),
            48 => run::<48>(&mut self.0, half),
            64 => run::<64>(&mut self.0, half),
            256 => run::<256>(&mut self.0, half),
            1024 => run::<1024>(&mut self.0, half),
            4096 => run::<4096>(&mut self.0, half),
            65536 => run::<65536>(&mut self.0, half),
            _ => Err(Error::Size(size)),
        }
    }
}

/// A channel that carries messages of one size.
#[derive(Debug)]
pub struct OneSize<C, const N: usize>(pub C);

impl<C: Channel<N>, const N: usize> Carrier for OneSize<C, N> {
    fn run(&mut self, size: usize, half: Half<'_>) -> Result<Duration> {
        if size == N { run(&mut self.0, half) } else { Err(Error::Size(size)) }
    }
}

/// How channels of each size come to be, `K` sides at once: one in a process, both between threads.
pub trait Sizes<const K: usize> {
    /// A side that carries messages of one size: `dyn Carrier`, between threads `dyn Carrier + Send`.
    type Side: Carrier + ?Sized;

    /// Opens a channel for messages of `N` bytes: [`OneSize`] of it, boxed.
    ///
    /// # Errors
    /// Something was refused.
    fn open<const N: usize>(&mut self) -> Result<[Box<Self::Side>; K]>;
}

/// Channels that carry messages of one size each, for every size that is measured.
#[derive(Debug)]
pub struct BySize<C: ?Sized>(BTreeMap<usize, Box<C>>);

impl<C: Carrier + ?Sized> BySize<C> {
    /// Opens a channel for every size.
    ///
    /// # Errors
    /// As for [`Sizes::open`].
    pub fn open<const K: usize>(mut sizes: impl Sizes<K, Side = C>) -> Result<[Self; K]> {
        let mut all = [const { Self(BTreeMap::new()) }; K];
        let mut add = |size, sides: [Box<C>; K]| {
            for (each, side) in all.iter_mut().zip(sides) {
                each.0.insert(size, side);
            }
        };
        add(8, sizes.open::<8>()?);
        add(48, sizes.open::<48>()?);
        add(64, sizes.open::<64>()?);
        add(256, sizes.open::<256>()?);
        add(1024, sizes.open::<1024>()?);
        add(4096, sizes.open::<4096>()?);
        add(65536, sizes.open::<65536>()?);
        Ok(all)
    }
}

impl<C: Carrier + ?Sized> Carrier for BySize<C> {
    fn run(&mut self, size: usize, half: Half<'_>) -> Result<Duration> {
        self.0.get_mut(&size).ok_or(Error::Size(size))?.run(size, half)
    }
}

impl Debug for Half<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(rounds) => f.debug_tuple("Ask").field(rounds).finish(),
            Self::AskClocked(rounds, _) => f.debug_tuple("AskClocked").field(rounds).finish_non_exhaustive(),
            Self::Idle(time) => f.debug_tuple("Idle").field(time).finish(),
            Self::Stream(count) => f.debug_tuple("Stream").field(count).finish(),
            Self::Answer(rounds) => f.debug_tuple("Answer").field(rounds).finish(),
            Self::Drain(count) => f.debug_tuple("Drain").field(count).finish(),
        }
    }
}
