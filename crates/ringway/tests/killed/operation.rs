//! The operations in the midst of which a victim is killed.

use std::{ops::Range, time::Duration};

use ringway::{Side, Wait};

use crate::{
    child::{self, Child, Event},
    killing::{Reached, Verdict},
    message::Message,
    ring::{Kind, Ring, Rx, Tx},
};

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Loans room and writes to it.
    Loan,
    Send,
    Batch(u64),
    /// Receives, and still has the message at the end.
    Receive,
    Release,
    /// Receives so many at once and releases them.
    ReceiveBatch(u64),
    Attach(Side),
    Drop(Side),
    Close,
    /// Removes what is dead among the names, beside this ring, which lives, one whose sender was killed.
    Clean,
}

/// What the other side does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It is there and does nothing, unless the victim falls asleep: then it wakes it.
    Awake,
    /// It sleeps, waiting for the victim.
    Asleep,
    /// It comes afterwards.
    Absent,
}

/// An operation, and in what state of the ring.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) act: Act,
    pub(crate) peer: Peer,
    pub(crate) named: bool,
    capacity: usize,
    /// Bytes of each message.
    pub(crate) len: usize,
    /// Messages that were sent and received before the victim came.
    pub(crate) before: [u64; 2],
    /// Messages that the victim has sent or received since.
    warm: u64,
    /// Whether the victim's predecessor was killed, too: with messages staged that nobody will see, or one held.
    heir: bool,
    /// Whether what a killed receiver held does not come again.
    pub(crate) once: bool,
}

/// Messages that a sender that is to be killed sends first.
pub(crate) const LEGACY: u64 = 2;

impl Operation {
    fn new(name: &'static str, kind: Kind, act: Act) -> Self {
        let len = 64;
        let (before, warm) = ([0; 2], 0);
        Self {
            name,
            kind,
            act,
            peer: Peer::Awake,
            named: false,
            capacity: 4096,
            len,
            before,
            warm,
            heir: false,
            once: false,
        }
    }

    fn len(self, len: usize) -> Self {
        Self { len, ..self }
    }

    fn capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    fn after(self, sent: u64, received: u64) -> Self {
        Self { before: [sent, received], ..self }
    }

    fn warm(self, warm: u64) -> Self {
        Self { warm, ..self }
    }

    fn peer(self, peer: Peer) -> Self {
        Self { peer, ..self }
    }

    fn named(self) -> Self {
        Self { named: true, ..self }
    }

    fn heir(self) -> Self {
        Self { heir: true, ..self }
    }

    fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Whose end dies; who has none is nobody's sender.
    pub(crate) fn victim(&self) -> Side {
        match self.act {
            Act::Loan | Act::Send | Act::Batch(_) | Act::Close | Act::Clean => Side::Sender,
            Act::Receive | Act::Release | Act::ReceiveBatch(_) => Side::Receiver,
            Act::Attach(side) | Act::Drop(side) => side,
        }
    }

    /// Whether to kill at every single instruction, whether it shows or not.
    pub(crate) fn is_hot(&self) -> bool {
        matches!(self.act, Act::Send | Act::Receive | Act::Release)
    }

    /// Whether the ring may be closed when the victim is dead: it leaves, or comes after one that has left.
    pub(crate) fn may_be_closed(&self) -> bool {
        match self.act {
            Act::Drop(_) | Act::Close | Act::Clean => true,
            Act::Attach(_) => !self.heir && self.before != [0, 0],
            _ => false,
        }
    }

    /// Whether the survivor may know of nobody who could have died: the victim is killed while it comes or goes, or the survivor
    /// comes afterwards.
    pub(crate) fn may_be_unseen(&self) -> bool {
        matches!(self.act, Act::Attach(_)) && !self.heir
            || matches!(self.act, Act::Drop(_) | Act::Close | Act::Clean)
            || self.peer == Peer::Absent
    }

    /// Whether the victim may have to be woken.
    pub(crate) fn may_sleep(&self) -> bool {
        self.is_hot() && self.peer == Peer::Awake
    }

    /// Whether it is so long that to look at each of its steps takes seconds: it makes a segment, which includes reading what
    /// limits there are, or looks at all names.
    pub(crate) fn is_long(&self) -> bool {
        self.named && self.before == [0, 0] || self.act == Act::Clean
    }

    /// The messages that the operation sends.
    pub(crate) fn sends(&self) -> Range<u64> {
        let heir = self.heir && self.act != Act::Clean;
        let sent = match (self.victim(), heir) {
            (Side::Sender, true) => self.before[0] + self.warm + LEGACY,
            (Side::Sender, false) => self.before[0] + self.warm,
            (Side::Receiver, _) => self.before[0],
        };
        let more = match self.act {
            Act::Send => 1,
            Act::Batch(more) => more,
            _ => 0,
        };
        sent..sent + more
    }

    /// The messages that the operation releases: it had them, or passes over them.
    pub(crate) fn releases(&self) -> Range<u64> {
        let warm = if self.victim() == Side::Receiver { self.warm } else { 0 };
        let received = self.before[1] + warm;
        let more = match self.act {
            Act::Release => 1,
            Act::ReceiveBatch(more) => more,
            Act::Attach(Side::Receiver) if self.heir && self.once && self.kind.is_lossless() => 1,
            _ => 0,
        };
        received..received + more
    }

    /// What was taken of the messages when the operation had come so far: all before the first of these numbers, and none from
    /// the last on.
    pub(crate) fn taken(&self, reached: Reached) -> Range<u64> {
        let begin = self.releases().start;
        let before = match self.act {
            Act::Release => 1,
            Act::Attach(Side::Receiver) if self.heir => 1,
            _ => 0,
        };
        let after = match self.act {
            Act::Receive => 1,
            Act::ReceiveBatch(more) => more,
            _ => before,
        };
        let (sure, most) = match reached {
            Reached::Beginning => (before, before),
            Reached::Midst => (before, after),
            Reached::End => (after, after),
        };
        begin + sure..begin + most
    }

    pub(crate) fn message(&self, number: u64) -> Message {
        Message::new(number, self.len)
    }

    /// A ring for it.
    pub(crate) fn ring(&self) -> Verdict<Ring> {
        let ring = Ring::new(self.kind, self.capacity, self.named, Wait::Park { spin: Duration::ZERO })?;
        Ok(if self.once { ring.at_most_once() } else { ring })
    }

    /// Has a predecessor killed, if the victim is to have one.
    pub(crate) fn precede(&self, ring: &Ring) -> Verdict {
        if self.heir {
            let mut predecessor = Child::start(|| self.come_to_grief(ring).is_ok());
            let end = predecessor.wait();
            if end != Event::Killed(libc::SIGKILL) {
                return Err(format!("the predecessor was not killed: {end:?}").into());
            }
        }
        Ok(())
    }

    /// In a child: what the predecessor does that is killed before the victim comes.
    fn come_to_grief(&self, ring: &Ring) -> Verdict {
        if self.act == Act::Clean {
            let mut tx = ring.neighbour()?;
            (0..LEGACY).try_for_each(|number| tx.send(&self.message(number)))?;
            child::die()
        }
        match self.victim() {
            Side::Sender => {
                let mut tx = ring.sender()?;
                let first = self.before[0];
                (first..first + LEGACY).try_for_each(|number| tx.send(&self.message(number)))?;
                tx.stage_and_forget(&[1, 2, 3].map(|more| self.message(first + LEGACY + more)));
                child::die()
            }
            Side::Receiver => ring.receiver()?.hold(|| child::die()),
        }
    }

    /// In a child: the operation, with a stop at its beginning and at its end.
    pub(crate) fn perform(&self, ring: &Ring) -> Verdict {
        match self.act {
            Act::Attach(Side::Sender) => {
                child::stop();
                let tx = ring.sender();
                child::stop();
                tx.map(drop)?;
            }
            Act::Attach(Side::Receiver) => {
                child::stop();
                let rx = ring.receiver();
                child::stop();
                rx.map(drop)?;
            }
            Act::Clean => {
                child::stop();
                let cleaned = ring.clean();
                child::stop();
                cleaned?;
            }
            _ if self.victim() == Side::Sender => self.perform_as_sender(ring.sender()?)?,
            _ => self.perform_as_receiver(ring.receiver()?)?,
        }
        Ok(())
    }

    fn perform_as_sender(&self, mut tx: Tx) -> Verdict {
        let first = self.before[0];
        (first..first + self.warm).try_for_each(|number| tx.send(&self.message(number)))?;
        let messages: Vec<_> = self.sends().map(|number| self.message(number)).collect();
        match self.act {
            Act::Loan => {
                let message = self.message(self.sends().start);
                child::stop();
                tx.loan(&message, child::stop)?;
            }
            Act::Send => {
                child::stop();
                let sent = tx.send(&messages[0]);
                child::stop();
                sent?;
            }
            Act::Batch(_) => {
                child::stop();
                let sent = tx.batch(&messages);
                child::stop();
                sent?;
            }
            Act::Close => {
                child::stop();
                let closed = tx.close();
                child::stop();
                closed?;
            }
            _ => {
                child::stop();
                drop(tx);
                child::stop();
            }
        }
        Ok(())
    }

    fn perform_as_receiver(&self, mut rx: Rx) -> Verdict {
        (0..self.warm).try_for_each(|_| rx.hold(|| {}))?;
        match self.act {
            Act::Receive => {
                child::stop();
                rx.hold(child::stop)?;
            }
            Act::Release => {
                rx.hold(child::stop)?;
                child::stop();
            }
            Act::ReceiveBatch(max) => {
                child::stop();
                let passed = rx.pass(max as usize);
                child::stop();
                passed?;
            }
            _ => {
                child::stop();
                drop(rx);
                child::stop();
            }
        }
        Ok(())
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Operation> {
    use {Act::*, Kind::*, Side::*};
    let records = |name, act| Operation::new(name, Records, act);
    let slots = |name, act| Operation::new(name, Slots, act);
    let newest = |name, act| Operation::new(name, Newest, act);
    let oldest = |name, act| Operation::new(name, Oldest, act);
    // 56 records of 64 bytes fill a ring; 64 slots do. One of 5008 bytes ends within a line, where a lap ago there was payload.
    vec![
        records("loan 64 B", Loan).warm(2),
        records("send 8 B", Send).len(8).warm(2),
        records("send 64 B", Send).warm(2),
        records("send 64 B, the first of an end", Send).after(2, 1),
        records("send 5008 B, around the end", Send).len(5008).capacity(1 << 14).after(2, 2).warm(1),
        records("send 64 B, the last that fits", Send).warm(55),
        records("send 64 B, asleep until there is room", Send).warm(56),
        records("send 64 B, to a sleeping receiver", Send).after(2, 2).peer(Peer::Asleep),
        records("batch of 5", Batch(5)).warm(2),
        records("batch of 5, around the end", Batch(5)).after(54, 54).warm(1),
        records("receive 64 B", Receive).after(5, 1).warm(1),
        records("receive 5008 B, around the end", Receive).len(5008).capacity(1 << 14).after(4, 2).warm(1),
        records("receive, asleep until there is a message", Receive).after(3, 1).warm(2),
        records("release 64 B", Release).after(5, 1).warm(1),
        records("release 64 B, to a sleeping sender", Release).after(56, 0).peer(Peer::Asleep),
        records("receive a batch of 4", ReceiveBatch(4)).after(6, 1),
        records("receive a batch of 9, to a sleeping sender", ReceiveBatch(9))
            .after(56, 0)
            .peer(Peer::Asleep),
        records("attach a sender", Attach(Sender)).after(3, 1),
        records("attach a receiver", Attach(Receiver)).after(3, 1),
        records("attach a sender, making the name", Attach(Sender)).named().peer(Peer::Absent),
        records("attach a receiver, making the name", Attach(Receiver)).named().peer(Peer::Absent),
        records("attach a sender, by name", Attach(Sender)).named().after(3, 1),
        records("attach a receiver, by name", Attach(Receiver)).named().after(3, 1),
        records("resume a killed sender", Attach(Sender)).after(3, 1).heir(),
        records("resume a killed receiver", Attach(Receiver)).after(3, 1).heir(),
        records("drop the sender", Drop(Sender)).warm(2),
        records("drop the receiver", Drop(Receiver)).after(3, 1).warm(1),
        records("drop the sender, by name", Drop(Sender)).named().after(2, 2),
        records("drop the receiver, by name", Drop(Receiver)).named().after(3, 1).warm(1),
        records("drop the sender, the last by name", Drop(Sender)).named().after(2, 2).peer(Peer::Absent),
        records("drop the receiver, the last by name", Drop(Receiver))
            .named()
            .after(2, 1)
            .warm(1)
            .peer(Peer::Absent),
        records("drop the sender, the last, with messages pending", Drop(Sender))
            .named()
            .after(3, 1)
            .peer(Peer::Absent),
        records("drop the receiver, the last, with one pending", Drop(Receiver))
            .named()
            .after(3, 1)
            .warm(1)
            .peer(Peer::Absent),
        records("close", Close).warm(2),
        records("clean, beside a ring that lives", Clean).named().after(3, 1).heir(),
        slots("slots: loan", Loan).warm(2),
        slots("slots: send", Send).warm(2),
        slots("slots: send, asleep until there is room", Send).warm(64),
        slots("slots: send, to a sleeping receiver", Send).after(2, 2).peer(Peer::Asleep),
        slots("slots: batch of 5, around the end", Batch(5)).after(60, 60).warm(1),
        slots("slots: receive", Receive).after(5, 1).warm(1),
        slots("slots: receive, asleep until there is a message", Receive).after(3, 1).warm(2),
        slots("slots: release", Release).after(5, 1).warm(1),
        slots("slots: release, to a sleeping sender", Release).after(64, 0).peer(Peer::Asleep),
        slots("slots: receive a batch of 4", ReceiveBatch(4)).after(6, 1),
        slots("slots: resume a killed sender", Attach(Sender)).after(3, 1).heir(),
        slots("slots: resume a killed receiver", Attach(Receiver)).after(3, 1).heir(),
        slots("slots: drop the sender", Drop(Sender)).warm(2),
        slots("slots: drop the receiver", Drop(Receiver)).after(3, 1).warm(1),
        newest("lossy, newest: send", Send).warm(2),
        newest("lossy, newest: send in vain", Send).warm(60),
        newest("lossy, newest: receive", Receive).after(5, 1).warm(1),
        newest("lossy, newest: release", Release).after(5, 1).warm(1),
        newest("lossy, newest: resume a killed sender", Attach(Sender)).after(60, 1).heir(),
        newest("lossy, newest: resume a killed receiver", Attach(Receiver)).after(60, 1).heir(),
        newest("lossy, newest: drop the sender", Drop(Sender)).warm(60),
        oldest("lossy, oldest: send", Send).warm(2),
        oldest("lossy, oldest: send over the oldest", Send).warm(150),
        oldest("lossy, oldest: receive", Receive).after(5, 1).warm(1),
        oldest("lossy, oldest: release", Release).after(5, 1).warm(1),
        oldest("lossy, oldest: resume a killed sender", Attach(Sender)).after(150, 1).heir(),
        oldest("lossy, oldest: resume a killed receiver", Attach(Receiver)).after(150, 1).heir(),
        oldest("lossy, oldest: drop the sender", Drop(Sender)).warm(150),
        records("at most once: receive", Receive).after(5, 1).warm(1).once(),
        records("at most once: release", Release).after(5, 1).warm(1).once(),
        records("at most once: receive a batch of 4", ReceiveBatch(4)).after(6, 1).once(),
        records("at most once: resume a killed receiver", Attach(Receiver)).after(3, 1).heir().once(),
        slots("at most once, slots: receive", Receive).after(5, 1).warm(1).once(),
        slots("at most once, slots: release", Release).after(5, 1).warm(1).once(),
        slots("at most once, slots: receive a batch of 4", ReceiveBatch(4)).after(6, 1).once(),
        slots("at most once, slots: resume a killed receiver", Attach(Receiver)).after(3, 1).heir().once(),
        newest("at most once, lossy, newest: receive", Receive).after(5, 1).warm(1).once(),
        newest("at most once, lossy, newest: release", Release).after(5, 1).warm(1).once(),
        newest("at most once, lossy, newest: resume", Attach(Receiver)).after(5, 1).heir().once(),
        oldest("at most once, lossy, oldest: receive", Receive).after(5, 1).warm(1).once(),
        oldest("at most once, lossy, oldest: release", Release).after(5, 1).warm(1).once(),
        oldest("at most once, lossy, oldest: resume", Attach(Receiver)).after(5, 1).heir().once(),
    ]
}
