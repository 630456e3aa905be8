//! crossbeam's `ArrayQueue`: many may push to it and many pop, and here one does each.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use ringway_cli::bench::{
    BySize, CAPACITY, Carrier, Channel, Contender, Foreign, Message, OneSize, Open, Opener, Result, Sizes,
    Waiting, Watch,
};

use crate::value::{UpTo, Value};

/// Values with a length, pushed and popped one by one.
pub const ARRAY_QUEUE: Contender = Contender::Foreign(OPENER.foreign);

pub(crate) const OPENER: Opener = Opener {
    foreign: Foreign { name: "ArrayQueue", waiting: Waiting::Spins },
    open: Open::Threads(|watch| {
        let [ours, theirs] = BySize::open(Queues(watch))?;
        Ok([Box::new(ours), Box::new(theirs)])
    }),
};

struct Queues<'a>(&'a Watch);

impl Sizes<2> for Queues<'_> {
    type Side = dyn Carrier + Send;

    fn open<const N: usize>(&mut self) -> Result<[Box<Self::Side>; 2]> {
        let queue = || Arc::new(ArrayQueue::new(CAPACITY / size_of::<UpTo<N>>()));
        let [down, up] = [queue(), queue()];
        let side = |to: &Queue<N>, from: &Queue<N>| Side {
            to: Arc::clone(to),
            from: Arc::clone(from),
            watch: self.0.clone(),
        };
        Ok([side(&down, &up), side(&up, &down)].map(|side| Box::new(OneSize::<_, N>(side)) as _))
    }
}

type Queue<const N: usize> = Arc<ArrayQueue<UpTo<N>>>;

/// One side of two queues.
#[derive(Debug)]
struct Side<const N: usize> {
    to: Queue<N>,
    from: Queue<N>,
    watch: Watch,
}

impl<const N: usize> Channel<N> for Side<N> {
    #[inline]
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        let message = message.compose();
        self.watch.until(|| self.to.push(UpTo::of(message)).ok())
    }

    #[inline]
    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        message.check(self.watch.until(|| self.from.pop())?.message())
    }
}
