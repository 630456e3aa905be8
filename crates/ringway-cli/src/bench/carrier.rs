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

/// How channels of each size come to be, `K` sides at once: one in a process, both between threads.
pub trait Sizes<const K: usize> {
    /// A side that carries messages of `N` bytes.
    type Side<const N: usize>: Channel<N> + Send + 'static;

    /// Opens a channel for messages of `N` bytes.
    ///
    /// # Errors
    /// Something was refused.
    fn open<const N: usize>(&mut self) -> Result<[Self::Side<N>; K]>;
}

/// Channels that carry messages of one size each.
#[derive(Debug)]
pub struct BySize(BTreeMap<usize, Box<dyn Carrier + Send>>);

impl BySize {
    /// Opens a channel for every size that is measured.
    ///
    /// # Errors
    /// As for [`Sizes::open`].
    pub fn open<const K: usize>(mut sizes: impl Sizes<K>) -> Result<[Self; K]> {
        let mut all = [const { Self(BTreeMap::new()) }; K];
        Self::add::<8, K>(&mut all, &mut sizes)?;
        Self::add::<48, K>(&mut all, &mut sizes)?;
        Self::add::<64, K>(&mut all, &mut sizes)?;
        Self::add::<256, K>(&mut all, &mut sizes)?;
        Self::add::<1024, K>(&mut all, &mut sizes)?;
        Self::add::<4096, K>(&mut all, &mut sizes)?;
        Self::add::<65536, K>(&mut all, &mut sizes)?;
        Ok(all)
    }

    fn add<const N: usize, const K: usize>(all: &mut [Self; K], sizes: &mut impl Sizes<K>) -> Result<()> {
        for (each, side) in all.iter_mut().zip(sizes.open::<N>()?) {
            each.0.insert(N, Box::new(OneSize::<_, N>(side)));
        }
        Ok(())
    }
}

impl Carrier for BySize {
    fn run(&mut self, size: usize, half: Half<'_>) -> Result<Duration> {
        self.0.get_mut(&size).ok_or(Error::Size(size))?.run(size, half)
    }
}

#[derive(Debug)]
struct OneSize<C, const N: usize>(C);

impl<C: Channel<N>, const N: usize> Carrier for OneSize<C, N> {
    fn run(&mut self, _: usize, half: Half<'_>) -> Result<Duration> {
        run(&mut self.0, half)
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
