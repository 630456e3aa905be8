//! Ringway itself: one ring in each direction.

use std::os::fd::AsFd;
use std::time::Duration;

use ringway::spsc::{Options, Receiver, Sender, slots};
use ringway::{CreateError, Offer, Wait};

use super::heir::Close;
use super::launch::Side;
use super::{BySize, CAPACITY, Carrier, Channel, Error, Message, OneSize, Result, Sizes};

/// Messages a publication, where they come in batches.
const BATCH: usize = 16;

/// Bytes of a ring that a last-level cache holds, and no second-level one.
const ROOMY: usize = 4 << 20;

/// Bytes of a ring that no second-level cache holds.
const LARGE: usize = 32 << 20;

/// One side of two rings. It copies messages in and reads them in place.
#[derive(Debug)]
pub(super) struct Ring {
    to: Sender,
    from: Receiver,
}

impl Ring {
    /// Opens this side of two rings that wait in this way; `name` tells them from others.
    fn open(side: &mut Side<'_>, name: &str, wait: Wait) -> Result<Self> {
        Self::open_with(side, name, &Options::new().capacity(CAPACITY).wait(wait))
    }

    fn open_with(side: &mut Side<'_>, name: &str, options: &Options) -> Result<Self> {
        let offer = || options.offer();
        let closes: [Close; 2] =
            [|ring| Sender::attach(ring).map(drop), |ring| Receiver::attach(ring).map(drop)];
        let (to, from) = two(side, name, offer, closes)?;
        Self::attach(options, &to, &from)
    }

    fn attach(options: &Options, to: &Offer, from: &Offer) -> Result<Self> {
        let to = options.sender_of(to).map_err(Error::other)?;
        let from = options.receiver_of(from).map_err(Error::other)?;
        Ok(Self { to, from })
    }
}

/// Two rings, to send to and to receive from. `closes`: how the sending and the receiving end are closed that a dead child
/// has left.
fn two(
    side: &mut Side<'_>,
    name: &str,
    offer: impl Fn() -> std::result::Result<Offer, CreateError>,
    closes: [Close; 2],
) -> Result<(Offer, Offer)> {
    let [down, up] = ["DOWN", "UP"].map(|direction| format!("RINGWAY_BENCH_{name}_{direction}"));
    match side {
        Side::Parent(launch) => {
            let ours = || offer().map_err(Error::other);
            let (to, from) = (ours()?, ours()?);
            let theirs =
                |ring: &Offer| Offer::from_fd(ring.as_fd().try_clone_to_owned()?).map_err(Error::other);
            launch.pass_ring(&up, theirs(&from)?, closes[0])?;
            launch.pass_ring(&down, theirs(&to)?, closes[1])?;
            Ok((to, from))
        }
        Side::Child => {
            let offer = |key: &str| Offer::from_env(key).map_err(Error::other);
            Ok((offer(&up)?, offer(&down)?))
        }
    }
}

/// Rings that never sleep.
pub(super) fn spinning(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open(side, "SPIN", Wait::Spin)
}

/// Rings that never sleep, of [`ROOMY`] each.
pub(super) fn roomy(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open_with(side, "ROOMY", &Options::new().capacity(ROOMY).wait(Wait::Spin))
}

/// Rings that never sleep, of [`LARGE`] each.
pub(super) fn large(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open_with(side, "LARGE", &Options::new().capacity(LARGE).wait(Wait::Spin))
}

/// Rings that spin before they sleep.
pub(super) fn parking(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open(side, "PARK", Wait::default())
}

/// Rings that sleep at once.
pub(super) fn sleeping(side: &mut Side<'_>) -> Result<Ring> {
    Ring::open(side, "SLEEP", Wait::Park { spin: Duration::ZERO })
}

/// Rings that never sleep and publish several messages at once.
pub(super) fn batching(side: &mut Side<'_>) -> Result<Batches> {
    Ring::open(side, "BATCH", Wait::Spin).map(Batches)
}

impl<const N: usize> Channel<N> for Ring {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.to.send(message.compose()).map_err(Error::other)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        message.check(&self.from.recv().map_err(Error::other)?)
    }
}

/// One side of two rings of slots of one size. It copies messages in and reads them in place.
#[derive(Debug)]
struct Slots<const N: usize> {
    to: slots::Sender<[u8; N]>,
    from: slots::Receiver<[u8; N]>,
}

impl<const N: usize> Slots<N> {
    fn open(side: &mut Side<'_>) -> Result<Self> {
        let options = slots::Options::new().capacity(CAPACITY / N).wait(Wait::Spin);
        let offer = || options.offer::<[u8; N]>();
        let closes: [Close; 2] = [
            |ring| slots::Sender::<[u8; N]>::attach(ring).map(drop),
            |ring| slots::Receiver::<[u8; N]>::attach(ring).map(drop),
        ];
        let (to, from) = two(side, &format!("SLOTS_{N}"), offer, closes)?;
        let to = options.sender_of(&to).map_err(Error::other)?;
        let from = options.receiver_of(&from).map_err(Error::other)?;
        Ok(Self { to, from })
    }
}

impl<const N: usize> Channel<N> for Slots<N> {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.to.send(message.compose()).map_err(Error::other)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        message.check(&*self.from.recv().map_err(Error::other)?)
    }
}

/// Opens rings of slots that never sleep, of every size.
#[derive(Debug)]
struct EverySize<'a, 'b>(&'a mut Side<'b>);

impl Sizes<1> for EverySize<'_, '_> {
    type Side = dyn Carrier;

    fn open<const N: usize>(&mut self) -> Result<[Box<dyn Carrier>; 1]> {
        Ok([Box::new(OneSize(Slots::<N>::open(self.0)?))])
    }
}

/// Rings of slots that never sleep.
pub(super) fn slots(side: &mut Side<'_>) -> Result<BySize<dyn Carrier>> {
    let [all] = BySize::open(EverySize(side))?;
    Ok(all)
}

/// A [`Ring`] whose messages go out and come in several at once where they can.
#[derive(Debug)]
pub(super) struct Batches(Ring);

impl<const N: usize> Channel<N> for Batches {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.0.send(message)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        self.0.receive(message)
    }

    fn send_all(&mut self, message: &mut Message<N>, mut count: u64) -> Result<()> {
        while count > 0 {
            let mut batch = self.0.to.batch();
            let mut fits = true;
            while fits && count > 0 && batch.len() < BATCH {
                fits = batch.push(message.compose()).is_ok();
                count -= 1;
            }
            batch.send();
            if !fits {
                // A batch does not wait for room. If it was something else, this says so.
                self.0.to.send(message.composed()).map_err(Error::other)?;
            }
        }
        Ok(())
    }

    fn receive_all(&mut self, message: &mut Message<N>, mut count: u64) -> Result<()> {
        while count > 0 {
            let batch = self.0.from.recv_batch(BATCH).map_err(Error::other)?;
            for arrived in batch.iter() {
                message.check(arrived.bytes())?;
                count -= 1;
            }
        }
        Ok(())
    }
}
