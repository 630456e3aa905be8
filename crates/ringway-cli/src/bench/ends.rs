//! Everything one process holds of what connects the two.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block::Block;
use super::futex::Futex;
use super::launch::{Side, inherited};
use super::line::Line;
use super::shared::Shared;
use super::{Channel, Contender, Error, Result, kernel, ring};

const SHARED: &str = "RINGWAY_BENCH_SHARED";

/// One side of every channel.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) shared: Arc<Shared>,
    channels: BTreeMap<Contender, Box<dyn Channel>>,
}

impl Ends {
    /// Sets up this process's side of a channel for each of `contenders`: the same ones in both.
    pub(super) fn open(mut side: Side<'_>, contenders: &[Contender]) -> Result<Self> {
        let shared = Arc::new(match &mut side {
            Side::Parent(launch) => {
                let (shared, file) = Shared::create()?;
                launch.pass(SHARED, file.into())?;
                shared
            }
            Side::Child => Shared::open(&inherited(SHARED)?.into())?,
        });
        let mut channels = BTreeMap::new();
        for contender in contenders {
            channels.insert(*contender, open(&mut side, &shared, *contender)?);
        }
        Ok(Self { shared, channels })
    }

    /// This side of a channel.
    pub(super) fn channel(&mut self, contender: Contender) -> Result<&mut dyn Channel> {
        match self.channels.get_mut(&contender) {
            Some(channel) => Ok(channel.as_mut()),
            None => Err(Error::NotStarted(contender)),
        }
    }
}

fn open(side: &mut Side<'_>, shared: &Arc<Shared>, contender: Contender) -> Result<Box<dyn Channel>> {
    let shared = Arc::clone(shared);
    Ok(match contender {
        Contender::Line => Box::new(Line::new(shared, 0, false)),
        Contender::LinePaused => Box::new(Line::new(shared, 1, true)),
        Contender::TwoLines => {
            let lines = [3, 4];
            Box::new(Line::two(shared, lines[side.number()], lines[1 - side.number()]))
        }
        Contender::Futex => Box::new(Futex::new(shared, side.number())),
        Contender::Memcpy => Box::new(Block::new(shared, 2)),
        Contender::RingSpin => Box::new(ring::spinning(side)?),
        Contender::RingPark => Box::new(ring::parking(side)?),
        Contender::RingSleep => Box::new(ring::sleeping(side)?),
        Contender::RingBatch => Box::new(ring::batching(side)?),
        Contender::Pipe => Box::new(kernel::pipe(side)?),
        Contender::Socket => Box::new(kernel::socket(side)?),
    })
}
