//! `rtrb`, a ring between two threads of one process: what is known to be quick where nothing has to be crossed.
//!
//! It hands over values of one type. There is a pair of rings for each size, and each holds as many bytes as everything
//! else here.

use std::iter;

use ::rtrb::{Consumer, Producer, RingBuffer};
use ringway_cli::bench::{
    BothSides, BySize, CAPACITY, Carrier, Channel, Contender, Foreign, Message, OneSize, Open, Opener,
    Result, Sizes, Waiting, Watch,
};

use crate::value::{Exactly, UpTo, Value};

/// Values with a length, pushed and popped one by one.
pub const RTRB: Contender = Contender::Foreign(ONE_BY_ONE.foreign);
/// The same, written and read where they lie, which saves copies of large ones.
pub const RTRB_IN_PLACE: Contender = Contender::Foreign(IN_PLACE.foreign);
/// The same, up to 16 at once where they come one behind the other.
pub const RTRB_CHUNKS: Contender = Contender::Foreign(CHUNKS.foreign);
/// Values without a length, pushed and popped one by one.
pub const RTRB_FIXED: Contender = Contender::Foreign(FIXED.foreign);

pub(crate) const ONE_BY_ONE: Opener = opener("rtrb", |watch| open(OneByOnes(watch)));
pub(crate) const IN_PLACE: Opener = opener("rtrb, in place", |watch| open(Chunks::<1>(watch)));
pub(crate) const CHUNKS: Opener = opener("rtrb, chunks of 16", |watch| open(Chunks::<16>(watch)));
pub(crate) const FIXED: Opener = opener("rtrb, fixed size", |watch| open(Fixed(watch)));

const fn opener(name: &'static str, open: fn(&Watch) -> Result<BothSides>) -> Opener {
    Opener { foreign: Foreign { name, waiting: Waiting::Spins }, open: Open::Threads(open) }
}

fn open(sizes: impl Sizes<2, Side = dyn Carrier + Send>) -> Result<BothSides> {
    let [ours, theirs] = BySize::open(sizes)?;
    Ok([Box::new(ours), Box::new(theirs)])
}

struct OneByOnes<'a>(&'a Watch);
struct Fixed<'a>(&'a Watch);
struct Chunks<'a, const M: usize>(&'a Watch);

impl Sizes<2> for OneByOnes<'_> {
    type Side = dyn Carrier + Send;

    fn open<const N: usize>(&mut self) -> Result<[Box<Self::Side>; 2]> {
        Ok(Ends::<UpTo<N>>::both(self.0).map(|ends| Box::new(OneSize::<_, N>(OneByOne(ends))) as _))
    }
}

impl Sizes<2> for Fixed<'_> {
    type Side = dyn Carrier + Send;

    fn open<const N: usize>(&mut self) -> Result<[Box<Self::Side>; 2]> {
        Ok(Ends::<Exactly<N>>::both(self.0).map(|ends| Box::new(OneSize::<_, N>(OneByOne(ends))) as _))
    }
}

impl<const M: usize> Sizes<2> for Chunks<'_, M> {
    type Side = dyn Carrier + Send;

    fn open<const N: usize>(&mut self) -> Result<[Box<Self::Side>; 2]> {
        let sides = Ends::<UpTo<N>>::both(self.0).map(Chunked::<_, M>);
        Ok(sides.map(|side| Box::new(OneSize::<_, N>(side)) as _))
    }
}

/// One side of two rings.
#[derive(Debug)]
struct Ends<V> {
    to: Producer<V>,
    from: Consumer<V>,
    watch: Watch,
}

impl<V> Ends<V> {
    fn both(watch: &Watch) -> [Self; 2] {
        let ring = || RingBuffer::new(CAPACITY / size_of::<V>());
        let [(down, at_theirs), (up, at_ours)] = [ring(), ring()];
        let side = |to, from| Self { to, from, watch: watch.clone() };
        [side(down, at_ours), side(up, at_theirs)]
    }
}

/// Pushes and pops.
#[derive(Debug)]
struct OneByOne<V>(Ends<V>);

impl<V: Value<N>, const N: usize> Channel<N> for OneByOne<V> {
    #[inline]
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        let Ends { to, watch, .. } = &mut self.0;
        let message = message.compose();
        watch.until(|| to.push(V::of(message)).ok())
    }

    #[inline]
    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        let Ends { from, watch, .. } = &mut self.0;
        message.check(watch.until(|| from.pop().ok())?.message())
    }
}

/// Writes and reads up to `M` values where they lie.
#[derive(Debug)]
struct Chunked<V, const M: usize>(Ends<V>);

impl<V, const M: usize> Chunked<V, M> {
    /// Sends up to `M` of `count` messages, and says how many.
    #[inline]
    fn send_some<const N: usize>(&mut self, message: &mut Message<N>, count: u64) -> Result<u64>
    where
        V: Value<N>,
    {
        let Ends { to, watch, .. } = &mut self.0;
        let most = usize::try_from(count).map_or(M, |count| count.min(M));
        // As many as there is room for: who waits for more has the other side wait meanwhile.
        let room = watch.until(|| some(most, to.cached_slots(), || to.slots()))?;
        let values = iter::repeat_with(|| V::of(message.compose())).take(room);
        Ok(to.write_chunk_uninit(room).map_or(0, |chunk| chunk.fill_from_iter(values)) as u64)
    }

    /// Receives up to `M` of `count` messages, and says how many.
    #[inline]
    fn receive_some<const N: usize>(&mut self, message: &mut Message<N>, count: u64) -> Result<u64>
    where
        V: Value<N>,
    {
        let Ends { from, watch, .. } = &mut self.0;
        let most = usize::try_from(count).map_or(M, |count| count.min(M));
        let there = watch.until(|| some(most, from.cached_slots(), || from.slots()))?;
        let Ok(chunk) = from.read_chunk(there) else { return Ok(0) };
        let (values, wrapped) = chunk.as_slices();
        for value in values.iter().chain(wrapped) {
            message.check(value.message())?;
        }
        chunk.commit_all();
        Ok(there as u64)
    }
}

impl<V: Value<N>, const N: usize, const M: usize> Channel<N> for Chunked<V, M> {
    #[inline]
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.send_some(message, 1).map(drop)
    }

    #[inline]
    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        self.receive_some(message, 1).map(drop)
    }

    fn send_all(&mut self, message: &mut Message<N>, mut count: u64) -> Result<()> {
        while count > 0 {
            count -= self.send_some(message, count)?;
        }
        Ok(())
    }

    fn receive_all(&mut self, message: &mut Message<N>, mut count: u64) -> Result<()> {
        while count > 0 {
            count -= self.receive_some(message, count)?;
        }
        Ok(())
    }
}

/// Up to `most` of the slots known of, or of the slots there are if those are too few; `None` if there is none.
#[inline]
fn some(most: usize, known: usize, look: impl FnOnce() -> usize) -> Option<usize> {
    let some = if known < most { look().min(most) } else { most };
    (some > 0).then_some(some)
}
