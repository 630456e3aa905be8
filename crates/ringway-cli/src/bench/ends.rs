//! Everything one side holds of what connects the two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::block::{Block, Timed};
use super::carrier::Half;
use super::foreign::{Open, Opener, Place, Watch};
use super::futex::Futex;
use super::launch::{Side, inherited};
use super::line::Line;
use super::shared::Shared;
use super::{AnySize, Carrier, Contender, Error, Result, kernel, ring};

const SHARED: &str = "RINGWAY_BENCH_SHARED";

/// One side of every contender, by name.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) shared: Arc<Shared>,
    carriers: BTreeMap<&'static str, Box<dyn Carrier>>,
}

impl Ends {
    /// Sets up this process's side of each of `contenders`: the same ones in both.
    pub(super) fn open(mut side: Side<'_>, contenders: &[Contender], openers: &[Opener]) -> Result<Self> {
        let shared = Arc::new(match &mut side {
            Side::Parent(launch) => {
                let (shared, file) = Shared::create()?;
                launch.pass(SHARED, file.into())?;
                shared
            }
            Side::Child => Shared::open(&inherited(SHARED)?.into())?,
        });
        let mut ends = Self { shared, carriers: BTreeMap::new() };
        for contender in contenders {
            let carrier = open(&mut side, &ends.shared, *contender, openers)?;
            ends.carriers.insert(contender.name(), carrier);
        }
        Ok(ends)
    }

    /// Sets up both sides of each of `contenders` between threads. Returns those for the other thread.
    pub(super) fn open_threads(
        &mut self,
        contenders: &[Contender],
        openers: &[Opener],
    ) -> Result<Vec<(&'static str, Box<dyn Carrier + Send>)>> {
        let watch = Watch(Arc::clone(&self.shared));
        let mut theirs = Vec::new();
        for contender in contenders {
            let Some(Open::Threads(open)) = contender.open(openers) else {
                return Err(Error::NotStarted(contender.name().to_owned()));
            };
            let [our, their] = open(&watch)?;
            self.carriers.insert(contender.name(), our);
            theirs.push((contender.name(), their));
        }
        Ok(theirs)
    }

    /// What another thread of this process holds.
    pub(super) fn of_thread(
        shared: Arc<Shared>,
        carriers: impl IntoIterator<Item = (&'static str, Box<dyn Carrier>)>,
    ) -> Self {
        Self { shared, carriers: carriers.into_iter().collect() }
    }

    /// Does this side's half of a job.
    pub(super) fn run(&mut self, contender: &str, size: usize, half: Half<'_>) -> Result<Duration> {
        match self.carriers.get_mut(contender) {
            Some(carrier) => carrier.run(size, half),
            None => Err(Error::NotStarted(contender.to_owned())),
        }
    }
}

fn open(
    side: &mut Side<'_>,
    shared: &Arc<Shared>,
    contender: Contender,
    openers: &[Opener],
) -> Result<Box<dyn Carrier>> {
    let shared = Arc::clone(shared);
    Ok(match contender {
        Contender::Line => Box::new(AnySize(Line::new(shared, 0, false))),
        Contender::LinePaused => Box::new(AnySize(Line::new(shared, 1, true))),
        Contender::TwoLines => {
            let lines = [3, 4];
            Box::new(AnySize(Line::two(shared, lines[side.number()], lines[1 - side.number()])))
        }
        Contender::Futex => Box::new(AnySize(Futex::new(shared, side.number()))),
        Contender::Memcpy => Box::new(AnySize(Block::new(shared, 2, Timed::Copying))),
        Contender::Overwrite => Box::new(AnySize(Block::new(shared, 5, Timed::Writing))),
        Contender::RingSpin => Box::new(AnySize(ring::spinning(side)?)),
        Contender::RingRoomy => Box::new(AnySize(ring::roomy(side)?)),
        Contender::RingLarge => Box::new(AnySize(ring::large(side)?)),
        Contender::RingPark => Box::new(AnySize(ring::parking(side)?)),
        Contender::RingSleep => Box::new(AnySize(ring::sleeping(side)?)),
        Contender::RingBatch => Box::new(AnySize(ring::batching(side)?)),
        Contender::Slots => Box::new(ring::slots(side)?),
        Contender::Pipe => Box::new(AnySize(kernel::pipe(side)?)),
        Contender::Socket => Box::new(AnySize(kernel::socket(side)?)),
        Contender::Foreign(_) => match contender.open(openers) {
            Some(Open::Processes(open)) => open(&mut Place { side: side.reborrow(), watch: Watch(shared) })?,
            _ => return Err(Error::NotStarted(contender.name().to_owned())),
        },
    })
}
