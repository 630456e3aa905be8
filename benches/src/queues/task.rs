//! What a member does in a slice.

use ringway_cli::bench::{Error, Message, Result};
use serde::{Deserialize, Serialize};

use super::ends::{Queue, Receiver, Sender};
use super::window::{Window, now};
use super::{SIZE, Shape};

/// What a member does with one contender in a slice, over and over until the window is over.
pub(super) type Task = Box<dyn FnMut(Window) -> Result<Tally> + Send>;

/// Messages between two looks at the clock, so that it does not show: a look takes as long as one or two of them.
const AT_ONCE: u64 = 256;

/// The number of a message that says that its sender sends no more.
const GOODBYE: u64 = 0;

/// What came of a slice, to one member.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) received: u64,
    /// The numbers of what was sent less the numbers of what was received: 0 for all members together if each message was
    /// received once.
    pub(super) balance: u64,
    /// When the member had done.
    pub(super) end: u64,
    goodbyes: u64,
    garbled: u64,
}

impl Tally {
    /// Takes in so many messages that one [`Message`] has composed from the first one on.
    fn sent(&mut self, count: u64) {
        self.balance = self.balance.wrapping_add(count * (count + 1) / 2);
    }

    /// Reads and takes in a message that was received.
    #[inline]
    fn read(&mut self, arrived: &[u8]) {
        match Message::<SIZE>::read(arrived) {
            Some(GOODBYE) => self.goodbyes += 1,
            Some(number) => {
                self.received += 1;
                self.balance = self.balance.wrapping_sub(number);
            }
            None => self.garbled += 1,
        }
    }

    fn done(self) -> Result<Self> {
        if self.garbled > 0 {
            return Err(Error::Garbled { number: self.received, size: SIZE });
        }
        Ok(Self { end: now(), ..self })
    }
}

/// The task of each member, all of one process.
pub(super) fn tasks<Q: Queue>(shape: Shape, open: impl Fn() -> Result<Q>) -> Result<Vec<Task>> {
    let queues = (0..shape.queues()).map(|_| open()).collect::<Result<Vec<_>>>()?;
    (0..shape.members()).map(|member| task(shape, member, &queues)).collect()
}

/// The task of the member of this number.
pub(super) fn task<Q: Queue>(shape: Shape, member: usize, queues: &[Q]) -> Result<Task> {
    let (there, back) = (&queues[0], &queues[queues.len() - 1]);
    Ok(match (shape, member) {
        (Shape::Alone, _) => alone(there.sender()?, there.receiver()?),
        (Shape::HandOver, 0) => ask(there.sender()?, back.receiver()?),
        (Shape::HandOver, _) => answer(there.receiver()?, back.sender()?),
        (Shape::Stream(each), _) if member < each => send(there.sender()?),
        (Shape::Stream(_), _) => receive(there.receiver()?),
    })
}

fn alone(mut to: impl Sender, mut from: impl Receiver) -> Task {
    Box::new(move |window| turns(window, &mut to, &mut from)?.done())
}

fn ask(mut to: impl Sender, mut from: impl Receiver) -> Task {
    Box::new(move |window| {
        let tally = turns(window, &mut to, &mut from)?;
        to.send(Message::new().number(GOODBYE))?;
        tally.done()
    })
}

/// Sends a message and waits for one, over and over.
fn turns(window: Window, to: &mut impl Sender, from: &mut impl Receiver) -> Result<Tally> {
    let (mut message, mut tally, mut sent) = (Message::new(), Tally::default(), 0);
    window.wait();
    // Once at least, however late the kernel lets it come.
    while sent == 0 || !window.over() {
        for _ in 0..AT_ONCE {
            to.send(message.compose())?;
            from.receive(|arrived| tally.read(arrived))?;
        }
        sent += AT_ONCE;
    }
    tally.sent(sent);
    Ok(tally)
}

fn answer(mut from: impl Receiver, mut to: impl Sender) -> Task {
    Box::new(move |window| {
        let (mut message, mut tally, mut sent) = (Message::new(), Tally::default(), 0);
        window.wait();
        loop {
            from.receive(|arrived| tally.read(arrived))?;
            if tally.goodbyes > 0 {
                break;
            }
            to.send(message.compose())?;
            sent += 1;
        }
        tally.sent(sent);
        tally.done()
    })
}

fn send(mut to: impl Sender) -> Task {
    Box::new(move |window| {
        let (mut message, mut tally, mut sent) = (Message::new(), Tally::default(), 0);
        window.wait();
        while sent == 0 || !window.over() {
            to.send_many(&mut message, AT_ONCE)?;
            sent += AT_ONCE;
        }
        to.send(message.number(GOODBYE))?;
        tally.sent(sent);
        tally.done()
    })
}

fn receive(mut from: impl Receiver) -> Task {
    Box::new(move |window| {
        let mut tally = Tally::default();
        window.wait();
        while tally.goodbyes == 0 {
            from.receive(|arrived| tally.read(arrived))?;
        }
        tally.done()
    })
}
