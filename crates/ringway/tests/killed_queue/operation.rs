//! The operations in the midst of which a victim is killed.

use std::{ops::Range, time::Duration};

use ringway::{Side, Wait};

use crate::{
    child::{self, Child, Event},
    killing::{Reached, Verdict},
    ledger::Fate,
    message::Message,
    queue::{Kind, Queue, Rx, SLOTS, Tx},
};

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Borrows a slot and writes to it.
    Loan,
    /// Gives it back.
    Return,
    Send,
    Batch(u64),
    /// Receives, and still has the message at the end.
    Receive,
    Release,
    PutBack,
    /// Receives so many at once and releases them,
    ReceiveBatch(u64),
    /// or lets them go back.
    ReturnBatch(u64),
    Attach(Side),
    Drop(Side),
    Close,
}

/// What the others do meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// They are there and do nothing, unless the victim falls asleep: then they wake it.
    Awake,
    /// One sleeps until there is a message,
    AwaitMessage,
    /// or until there is a slot.
    AwaitSlot,
    /// They come afterwards.
    Absent,
}

/// What somebody had who died before the victim began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Legacy {
    /// A slot that was lent to it.
    Lent,
    /// The first message.
    Taken,
    /// The second message of the first slot; the one before it was released.
    Packed,
}

/// When it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the victim came, which takes its line.
    Before,
    /// Before the victim came, which takes another line.
    Elsewhere,
    /// When the victim is there already.
    Beside,
}

/// An operation, and in what state of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) act: Act,
    pub(crate) others: Others,
    pub(crate) legacy: Option<(Legacy, Death)>,
    /// Whether somebody new comes, and takes the dead one's line, before anybody looks.
    pub(crate) newcomer_first: bool,
    named: bool,
    /// Messages that were sent and received before the victim came,
    pub(crate) before: [u64; 2],
    /// and then sent in one slot.
    pub(crate) packed: u64,
    /// Messages that the victim has sent or received since.
    warm: u64,
}

const LEN: usize = 64;

impl Operation {
    fn new(name: &'static str, act: Act) -> Self {
        Self {
            name,
            kind: Kind::default(),
            act,
            others: Others::Awake,
            legacy: None,
            newcomer_first: false,
            named: false,
            before: [0; 2],
            packed: 0,
            warm: 0,
        }
    }

    fn after(self, sent: u64, received: u64) -> Self {
        Self { before: [sent, received], ..self }
    }

    fn packed(self, packed: u64) -> Self {
        Self { packed, ..self }
    }

    fn warm(self, warm: u64) -> Self {
        Self { warm, ..self }
    }

    fn others(self, others: Others) -> Self {
        Self { others, ..self }
    }

    fn named(self) -> Self {
        Self { named: true, ..self }
    }

    fn newcomer_first(self) -> Self {
        Self { newcomer_first: true, ..self }
    }

    fn legacy(self, legacy: Legacy, death: Death) -> Self {
        Self { legacy: Some((legacy, death)), ..self }
    }

    fn once(mut self) -> Self {
        self.kind.once = true;
        self
    }

    fn overwrites(mut self) -> Self {
        self.kind.overwrites = true;
        self
    }

    /// The victim is the only one of its side.
    fn sole(mut self) -> Self {
        self.kind.sole = Some(self.victim());
        self
    }

    /// Whose end dies.
    pub(crate) fn victim(&self) -> Side {
        match self.act {
            Act::Loan | Act::Return | Act::Send | Act::Batch(_) | Act::Close => Side::Sender,
            Act::Receive | Act::Release | Act::PutBack | Act::ReceiveBatch(_) | Act::ReturnBatch(_) => {
                Side::Receiver
            }
            Act::Attach(side) | Act::Drop(side) => side,
        }
    }

    /// Whether to kill at every single instruction, whether it shows or not.
    pub(crate) fn is_hot(&self) -> bool {
        let sends_or_receives = matches!(self.act, Act::Send | Act::Receive | Act::Release);
        sends_or_receives && self.legacy.is_none() && !self.waits()
    }

    /// Whether the victim may have to be woken.
    pub(crate) fn may_sleep(&self) -> bool {
        self.waits() || self.legacy.is_some()
    }

    /// Whether there is nothing for it to receive, or no slot.
    fn waits(&self) -> bool {
        let pending = self.sent() - self.before[1] - self.received();
        match self.act {
            Act::Send => pending == SLOTS && !self.kind.overwrites,
            Act::Receive => pending == 0,
            _ => false,
        }
    }

    /// Whether it is so long that to look at each of its steps takes seconds.
    pub(crate) fn is_long(&self) -> bool {
        matches!(self.act, Act::Attach(_))
    }

    /// Whether the victim makes the queue.
    pub(crate) fn is_first(&self) -> bool {
        self.named && self.before == [0, 0]
    }

    /// Whether a receiver may know of no sender that could have died: the victim is killed while it comes or goes.
    pub(crate) fn may_be_unseen(&self) -> bool {
        matches!(self.act, Act::Attach(_) | Act::Drop(_) | Act::Close)
    }

    /// Messages that were sent before the operation begins, if nobody falls asleep.
    pub(crate) fn sent(&self) -> u64 {
        let warm = if self.victim() == Side::Sender { self.warm } else { 0 };
        self.before[0] + self.packed + warm
    }

    /// The messages that the operation sends.
    pub(crate) fn sends(&self) -> Range<u64> {
        let more = match self.act {
            Act::Send => 1,
            Act::Batch(more) => more,
            _ => 0,
        };
        self.sent()..self.sent() + more
    }

    /// Messages that the victim has received and released before the operation begins.
    pub(crate) fn received(&self) -> u64 {
        if self.victim() == Side::Receiver { self.warm } else { 0 }
    }

    fn overwrites_the_oldest(&self) -> bool {
        self.kind.overwrites && self.sent() - self.before[1] == SLOTS
    }

    /// The messages of the slot of several, which go one way.
    pub(crate) fn together(&self) -> Range<u64> {
        self.before[0]..self.before[0] + self.packed
    }

    /// What can become of a message that the victim does not send, by its number.
    pub(crate) fn fates(&self, number: u64, reached: Reached) -> Vec<Fate> {
        let had = self.before[1];
        let again = if self.kind.once { Fate::Lost } else { Fate::Again };
        if number < had {
            return vec![Fate::Gone];
        }
        match self.legacy {
            Some((Legacy::Taken, _)) if number == had => return vec![again],
            Some((Legacy::Packed, _)) if number == had => return vec![Fate::Gone],
            Some((Legacy::Packed, _)) if self.together().contains(&number) => return vec![again],
            _ => {}
        }
        let had = had + self.received();
        if number < had {
            return vec![Fate::Gone];
        }
        // Whatever the victim touches of a slot of several, it has all of that.
        let shares = |first| self.together().contains(&first) && self.together().contains(&number);
        let is_first = number == had || self.act != Act::Release && shares(had);
        let held = shares(had.wrapping_sub(1));
        let [before, after] = match self.act {
            Act::Receive if held => [again; 2],
            Act::Receive if is_first => [Fate::Fresh, again],
            Act::Release if is_first => [again, Fate::Gone],
            Act::Release if shares(had) => [again; 2],
            Act::PutBack if is_first => [again, Fate::Back],
            Act::ReceiveBatch(most) if number < had + most => [Fate::Fresh, Fate::Gone],
            Act::ReceiveBatch(most) if shares(had + most - 1) => [Fate::Fresh, again],
            Act::ReturnBatch(most) if number < had + most => [Fate::Fresh, Fate::Back],
            Act::Drop(Side::Receiver) if held => [again, Fate::Back],
            Act::Send if self.overwrites_the_oldest() && number == had => [Fate::Fresh, Fate::Lost],
            _ => [Fate::Fresh; 2],
        };
        match reached {
            Reached::Beginning => vec![before],
            Reached::End => vec![after],
            Reached::Midst if before == after => vec![before],
            // Between the two it is in the victim's hand; what it was putting back comes marked, whatever else is lost.
            Reached::Midst if after == Fate::Back => vec![before, again, Fate::Again, after],
            Reached::Midst => vec![before, again, after],
        }
    }

    /// The message of this number.
    pub(crate) fn message(number: u64) -> Message {
        Message::new(number, LEN)
    }

    /// A queue for it.
    pub(crate) fn ring(&self) -> Verdict<Queue> {
        Queue::new(self.kind, self.named, Wait::Park { spin: Duration::ZERO })
    }

    /// The one who will die before the victim, stopped with what it has.
    pub(crate) fn predecessor(&self, legacy: Legacy, queue: &Queue) -> Verdict<Child> {
        let mut child = Child::start(|| self.hold(legacy, queue).is_ok());
        match child.wait() {
            Event::Stopped(libc::SIGSTOP) => Ok(child),
            event => Err(format!("the predecessor came to grief: {event:?}").into()),
        }
    }

    fn hold(&self, legacy: Legacy, queue: &Queue) -> Verdict {
        match legacy {
            Legacy::Lent => queue.sender()?.loan(&Self::message(0), child::stop),
            Legacy::Taken => queue.receiver()?.hold(false, child::stop),
            Legacy::Packed => {
                let rx = queue.receiver()?;
                rx.hold(false, || {})?;
                rx.hold(false, child::stop)
            }
        }
    }

    /// In a child: the operation, with a stop at its beginning and at its end.
    pub(crate) fn perform(&self, queue: &Queue) -> Verdict {
        match self.act {
            Act::Attach(Side::Sender) => {
                child::stop();
                let tx = queue.sender();
                child::stop();
                tx.map(drop)?;
            }
            Act::Attach(Side::Receiver) => {
                child::stop();
                let rx = queue.receiver();
                child::stop();
                rx.map(drop)?;
            }
            _ if self.victim() == Side::Sender => self.perform_as_sender(queue.sender()?)?,
            _ => self.perform_as_receiver(queue.receiver()?)?,
        }
        Ok(())
    }

    fn perform_as_sender(&self, tx: Tx) -> Verdict {
        let first = self.before[0] + self.packed;
        (first..first + self.warm).try_for_each(|number| tx.send(&Self::message(number)))?;
        let messages: Vec<_> = self.sends().map(Self::message).collect();
        match self.act {
            Act::Loan => {
                let message = Self::message(0);
                child::stop();
                tx.loan(&message, child::stop)?;
            }
            Act::Return => {
                tx.loan(&Self::message(0), child::stop)?;
                child::stop();
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

    fn perform_as_receiver(&self, rx: Rx) -> Verdict {
        (0..self.warm).try_for_each(|_| rx.hold(false, || {}))?;
        match self.act {
            Act::Receive => {
                child::stop();
                rx.hold(false, child::stop)?;
            }
            Act::Release | Act::PutBack => {
                rx.hold(self.act == Act::PutBack, child::stop)?;
                child::stop();
            }
            Act::ReceiveBatch(max) | Act::ReturnBatch(max) => {
                let go_back = matches!(self.act, Act::ReturnBatch(_));
                child::stop();
                let passed = rx.pass(max as usize, go_back);
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
    use {Act::*, Death::*, Legacy::*, Others::*, Side::*};
    let op = Operation::new;
    // There are 8 slots, and 7 messages of 64 bytes go in one.
    vec![
        op("loan", Loan).after(2, 1).warm(1),
        op("loan, then somebody on its line", Loan).after(2, 1).warm(1).newcomer_first(),
        op("return", Return).after(2, 1).warm(1),
        op("return, one waits for it", Return).after(7, 0).others(AwaitSlot),
        op("send", Send).after(2, 1).warm(2),
        op("send, the first of an end", Send).after(11, 9),
        op("send, then somebody on its line", Send).after(2, 1).warm(2).newcomer_first(),
        op("send, the last that fits", Send).warm(7),
        op("send, asleep until there is a slot", Send).after(8, 0),
        op("send, to one who sleeps", Send).after(2, 2).others(AwaitMessage),
        op("send, with the slot that a dead one had", Send).after(7, 0).legacy(Lent, Beside),
        op("batch in one slot", Batch(5)).after(2, 1).warm(2),
        op("batch in three slots", Batch(16)).after(3, 2).warm(1),
        op("batch in three slots, to one who sleeps", Batch(16)).after(2, 2).others(AwaitMessage),
        op("receive", Receive).after(5, 1).warm(1),
        op("receive, then somebody on its line", Receive).after(5, 1).warm(1).newcomer_first(),
        op("receive, asleep until there is a message", Receive).after(3, 1).warm(2),
        op("receive the first of a slot", Receive).packed(5),
        op("receive in the midst of a slot", Receive).packed(5).warm(2),
        op("receive what a dead one had", Receive).after(1, 0).legacy(Taken, Beside),
        op("receive what a dead one had of a slot", Receive).packed(4).legacy(Packed, Beside),
        op("release", Release).after(5, 1).warm(1),
        op("release, then somebody on its line", Release).after(5, 1).warm(1).newcomer_first(),
        op("release, one waits for a slot", Release).after(8, 0).others(AwaitSlot),
        op("release in the midst of a slot", Release).packed(5).warm(2),
        op("release the last of a slot", Release).packed(3).warm(2),
        op("put back", PutBack).after(5, 1).warm(1),
        op("put back, then somebody on its line", PutBack).after(5, 1).warm(1).newcomer_first(),
        op("put back, one waits for a message", PutBack).after(2, 1).others(AwaitMessage),
        op("receive a batch of 4", ReceiveBatch(4)).after(6, 1),
        op("receive a batch of 4, of a slot of 6", ReceiveBatch(4)).packed(6),
        op("receive a batch of 4, one waits for a slot", ReceiveBatch(4)).after(8, 0).others(AwaitSlot),
        op("return a batch of 3", ReturnBatch(3)).after(5, 1),
        op("attach a sender", Attach(Sender)).after(3, 1),
        op("attach a receiver", Attach(Receiver)).after(3, 1),
        op("attach a sender, making the name", Attach(Sender)).named().others(Absent),
        op("attach a receiver, making the name", Attach(Receiver)).named().others(Absent),
        op("attach a sender, by name", Attach(Sender)).named().after(3, 1),
        op("attach a receiver, by name", Attach(Receiver)).named().after(3, 1),
        op("attach on a dead one's line, with a loan", Attach(Sender)).after(3, 1).legacy(Lent, Before),
        op("attach on a dead one's line, with a message", Attach(Receiver)).after(3, 1).legacy(Taken, Before),
        op("attach on a dead one's line, with a slot", Attach(Receiver)).packed(4).legacy(Packed, Before),
        op("attach and sweep, a loan", Attach(Sender)).after(3, 1).legacy(Lent, Elsewhere),
        op("attach and sweep, a message", Attach(Receiver)).after(3, 1).legacy(Taken, Elsewhere),
        op("attach and sweep, a slot", Attach(Sender)).packed(4).legacy(Packed, Elsewhere),
        op("drop a sender", Drop(Sender)).after(3, 1).warm(2),
        op("drop a receiver", Drop(Receiver)).after(3, 1).warm(1),
        op("drop a receiver, in the midst of a slot", Drop(Receiver)).packed(5).warm(2),
        op("drop a sender, the last by name", Drop(Sender)).named().after(2, 2).others(Absent),
        op("drop a receiver, the last by name", Drop(Receiver)).named().after(2, 1).warm(1).others(Absent),
        op("drop a receiver, the last, with one pending", Drop(Receiver))
            .named()
            .after(3, 1)
            .warm(1)
            .others(Absent),
        op("close", Close).after(2, 1).warm(2),
        op("at most once: receive", Receive).after(5, 1).warm(1).once(),
        op("at most once: receive the first of a slot", Receive).packed(5).once(),
        op("at most once: release", Release).after(5, 1).warm(1).once(),
        op("at most once: release in the midst of a slot", Release).packed(5).warm(2).once(),
        op("at most once: put back", PutBack).after(5, 1).warm(1).once(),
        op("at most once: receive a batch of 4", ReceiveBatch(4)).after(6, 1).once(),
        op("at most once: attach and sweep, a message", Attach(Receiver))
            .after(3, 1)
            .legacy(Taken, Elsewhere)
            .once(),
        op("at most once: attach and sweep, a slot", Attach(Sender))
            .packed(4)
            .legacy(Packed, Elsewhere)
            .once(),
        op("overwriting: send", Send).after(2, 1).warm(2).overwrites(),
        op("overwriting: send over the oldest", Send).after(9, 1).overwrites(),
        op("overwriting, at most once: send over the oldest", Send).after(9, 1).overwrites().once(),
        op("sole sender: send", Send).after(2, 1).warm(2).sole(),
        op("sole sender: batch in three slots", Batch(16)).after(3, 2).warm(1).sole(),
        op("sole sender: attach on a dead one's line", Attach(Sender))
            .after(3, 1)
            .legacy(Lent, Before)
            .sole(),
        op("sole receiver: receive", Receive).after(5, 1).warm(1).sole(),
        op("sole receiver: receive the first of a slot", Receive).packed(5).sole(),
        op("sole receiver: release", Release).after(5, 1).warm(1).sole(),
        op("sole receiver: attach on a dead one's line", Attach(Receiver))
            .after(3, 1)
            .legacy(Taken, Before)
            .sole(),
        op("sole receiver, at most once: receive", Receive).after(5, 1).warm(1).sole().once(),
    ]
}

/// Those of them in which to be stopped: that send or receive.
pub(crate) fn to_be_stopped_in() -> Vec<Operation> {
    let names = [
        "loan",
        "return",
        "send",
        "send, the first of an end",
        "batch in one slot",
        "batch in three slots",
        "receive",
        "receive the first of a slot",
        "release",
        "release in the midst of a slot",
        "release the last of a slot",
        "put back",
    ];
    all().into_iter().filter(|operation| names.contains(&operation.name)).collect()
}

const _: () = assert!(SLOTS == 8);
