//! The two public ends of a ring whose peers are correct, beside a queue in a vector.
//!
//! Input: how the ends wait, and calls.
//!
//! Claim: every call gives what a first-in, first-out queue would give that has as much room, byte for byte, also when
//! guards are forgotten and when ends leave and others come.

use std::{collections::VecDeque, mem};

use arbitrary::Unstructured;
use ringway::{
    Offer, RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError,
    spsc::{Receiver, Sender},
};

use crate::{
    STEPS, Seed, Target,
    call::{Call, Fate, ways},
    memory::CAPACITY,
    ring::{Ring, TICK},
};

/// The target.
pub const TARGET: Target = Target { name: "oracle", run, seeds };

fn run(input: &[u8]) -> usize {
    let Some((&wait, rest)) = input.split_first() else { return 0 };
    let mut from = Unstructured::new(rest);
    Ring::with(wait, |ring| {
        let mut ends =
            Ends { offer: &ring.offer, tx: None, rx: None, queue: Queue::default(), sent: 0, done: 0 };
        for _ in 0..STEPS {
            if from.is_empty() {
                break;
            }
            ends.call(from.arbitrary().expect("no input is refused"));
        }
        ends.done
    })
}

/// What a message must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    kind: u16,
    bytes: Vec<u8>,
}

impl Message {
    /// The message number `n`.
    fn new(n: u64, len: usize, kind: u16) -> Self {
        Self { kind, bytes: (0..len as u64).map(|at| (n * 31 + at) as u8).collect() }
    }

    /// Bytes of the ring that it takes.
    fn size(&self) -> usize {
        size(self.bytes.len())
    }
}

fn size(len: usize) -> usize {
    8 + len.next_multiple_of(8)
}

/// The oracle.
#[derive(Debug, Default)]
struct Queue {
    /// What was sent and not given back, oldest first.
    messages: VecDeque<Message>,
    /// How many of them were taken, by guards that are forgotten.
    taken: usize,
    /// The last sender has left, and no other has come.
    closed: bool,
    /// The receiver has left since the sender came, and no other has come.
    deserted: bool,
}

impl Queue {
    /// What an attempt to send `len` bytes gives while `staged` bytes are on their way.
    fn room(&self, len: usize, staged: usize) -> Result<(), Refusal> {
        let used = self.messages.iter().map(Message::size).sum::<usize>() + staged;
        if self.deserted {
            Err(Refusal::Closed)
        } else if len > CAPACITY - 16 {
            Err(Refusal::TooLong)
        } else if used + size(len) + 8 > CAPACITY {
            Err(Refusal::Full)
        } else {
            Ok(())
        }
    }

    /// What an attempt to receive gives.
    fn take(&mut self) -> Result<Message, Refusal> {
        if let Some(message) = self.messages.get(self.taken) {
            self.taken += 1;
            return Ok(message.clone());
        }
        if self.closed {
            return Err(Refusal::Closed);
        }
        // Who finds the ring empty gives everything back.
        self.give_back();
        Err(Refusal::Empty)
    }

    fn give_back(&mut self) {
        self.messages.drain(..self.taken);
        self.taken = 0;
    }
}

/// Why a call gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Full,
    Empty,
    Closed,
    TooLong,
    Corrupt,
}

impl From<TrySendError> for Refusal {
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => Self::Full,
            TrySendError::Closed => Self::Closed,
            TrySendError::TooLong(_) => Self::TooLong,
            _ => Self::Corrupt,
        }
    }
}

impl From<SendTimeoutError> for Refusal {
    fn from(error: SendTimeoutError) -> Self {
        match error {
            SendTimeoutError::Timeout => Self::Full,
            SendTimeoutError::Closed => Self::Closed,
            SendTimeoutError::TooLong(_) => Self::TooLong,
            _ => Self::Corrupt,
        }
    }
}

impl From<TryRecvError> for Refusal {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Self::Empty,
            TryRecvError::Closed => Self::Closed,
            _ => Self::Corrupt,
        }
    }
}

impl From<RecvTimeoutError> for Refusal {
    fn from(error: RecvTimeoutError) -> Self {
        match error {
            RecvTimeoutError::Timeout => Self::Empty,
            RecvTimeoutError::Closed => Self::Closed,
            _ => Self::Corrupt,
        }
    }
}

/// The ring and its oracle.
struct Ends<'a> {
    offer: &'a Offer,
    tx: Option<Sender>,
    rx: Option<Receiver>,
    queue: Queue,
    /// How many messages were made.
    sent: u64,
    /// Messages that went through.
    done: usize,
}

impl Ends<'_> {
    fn call(&mut self, call: Call) {
        match call {
            Call::SenderLeaves { closes } => {
                if let Some(tx) = self.tx.take() {
                    self.queue.closed = true;
                    if closes {
                        tx.close().expect("a good ring can be closed");
                    }
                }
            }
            Call::ReceiverLeaves => {
                if self.rx.take().is_some() {
                    self.queue.taken = 0;
                    self.queue.deserted = self.tx.is_some();
                }
            }
            Call::Send { .. } | Call::Loan { .. } | Call::SendBatch { .. } => {
                if self.tx.is_none() {
                    self.tx = Some(Sender::attach(self.offer).expect("there is no other sender"));
                    (self.queue.closed, self.queue.deserted) = (false, false);
                }
                self.send(call);
            }
            Call::Receive { .. } | Call::ReceiveBatch { .. } => {
                if self.rx.is_none() {
                    self.rx = Some(Receiver::attach(self.offer).expect("there is no other receiver"));
                    self.queue.deserted = false;
                }
                self.receive(call);
            }
        }
        let waiting = |from: usize| self.queue.messages.iter().skip(from).map(Message::size).sum::<usize>();
        if let Some(tx) = &self.tx {
            assert_eq!(tx.pending(), waiting(0));
        }
        if let Some(rx) = &self.rx {
            assert_eq!(rx.pending(), waiting(self.queue.taken));
            assert_eq!(rx.is_empty(), self.queue.messages.len() == self.queue.taken);
        }
    }

    fn send(&mut self, call: Call) {
        let Self { tx: Some(tx), queue, .. } = self else { return };
        self.sent += 1;
        match call {
            Call::Send { timed, len } => {
                let message = Message::new(self.sent, len.into(), 0);
                let given = if timed {
                    tx.send_timeout(&message.bytes, TICK).map_err(Refusal::from)
                } else {
                    tx.try_send(&message.bytes).map_err(Refusal::from)
                };
                assert_eq!(given, queue.room(len.into(), 0));
                if given.is_ok() {
                    queue.messages.push_back(message);
                }
            }
            Call::Loan { timed, fate, len, cut } => {
                let (len, cut) = (usize::from(len), usize::from(cut.min(len)));
                let given = if timed {
                    tx.loan_timeout(len, TICK).map_err(Refusal::from)
                } else {
                    tx.try_loan(len).map_err(Refusal::from)
                };
                assert_eq!(given.as_ref().map(|_| ()).map_err(|why| *why), queue.room(len, 0));
                let Ok(mut loan) = given else { return };
                let kind = self.sent as u16;
                loan.copy_from_slice(&Message::new(self.sent, len, kind).bytes);
                loan.truncate(cut);
                loan.set_kind(kind);
                match fate {
                    Fate::Done => {
                        loan.send();
                        queue.messages.push_back(Message::new(self.sent, cut, kind));
                    }
                    Fate::Undone => drop(loan),
                    Fate::Forgotten => mem::forget(loan),
                }
            }
            Call::SendBatch { fate, len, count } => {
                let len = usize::from(len);
                let mut batch = tx.batch();
                let mut staged = Vec::new();
                for n in 0..u64::from(count) {
                    let message = Message::new(self.sent + n, len, 0);
                    let given = batch.push(&message.bytes).map_err(Refusal::from);
                    assert_eq!(given, queue.room(len, staged.len() * size(len)));
                    if given.is_err() {
                        break;
                    }
                    staged.push(message);
                }
                assert_eq!(batch.len(), staged.len());
                match fate {
                    Fate::Done => {
                        batch.send();
                        queue.messages.extend(staged);
                    }
                    Fate::Undone => drop(batch),
                    Fate::Forgotten => mem::forget(batch),
                }
            }
            _ => unreachable!("not a sender's"),
        }
    }

    fn receive(&mut self, call: Call) {
        let Self { rx: Some(rx), queue, .. } = self else { return };
        match call {
            Call::Receive { timed, fate } => {
                let given = if timed {
                    rx.recv_timeout(TICK).map_err(Refusal::from)
                } else {
                    rx.try_recv().map_err(Refusal::from)
                };
                let message = match (given, queue.take()) {
                    (Ok(message), Ok(expected)) => {
                        assert_eq!((message.kind(), &message[..]), (expected.kind, &expected.bytes[..]));
                        message
                    }
                    (given, expected) => {
                        assert_eq!(
                            given.map(|message| message.len()),
                            expected.map(|message| message.bytes.len())
                        );
                        return;
                    }
                };
                match fate {
                    Fate::Done => {
                        drop(message);
                        self.done += 1;
                        queue.give_back();
                    }
                    Fate::Undone => {
                        message.put_back();
                        queue.taken -= 1;
                        queue.give_back();
                    }
                    Fate::Forgotten => mem::forget(message),
                }
            }
            Call::ReceiveBatch { timed, fate, max, iterated } => {
                let max = usize::from(max);
                let given = if timed {
                    rx.recv_batch_timeout(max, TICK).map_err(Refusal::from)
                } else {
                    rx.try_recv_batch(max).map_err(Refusal::from)
                };
                let first = queue.take();
                let batch = match (given, first) {
                    (Ok(batch), Ok(_)) => batch,
                    (given, expected) => {
                        assert_eq!(given.map(|_| ()), expected.map(|_| ()));
                        return;
                    }
                };
                queue.taken -= 1;
                let before = queue.taken;
                let there = (queue.messages.len() - before).min(max).min(iterated.into());
                let found: Vec<_> = batch
                    .iter()
                    .take(iterated.into())
                    .map(|message| Message { kind: message.kind(), bytes: message.bytes().to_vec() })
                    .collect();
                assert!(queue.messages.iter().skip(before).take(there).eq(&found), "other messages");
                match fate {
                    Fate::Done => {
                        drop(batch);
                        self.done += there;
                        queue.taken = before + there;
                        queue.give_back();
                    }
                    Fate::Undone => {
                        batch.put_back();
                        queue.give_back();
                    }
                    Fate::Forgotten => {
                        mem::forget(batch);
                        queue.taken = before + there;
                    }
                }
            }
            _ => unreachable!("not a receiver's"),
        }
    }
}

fn seeds() -> Vec<Seed> {
    let seed = |(name, way): (&'static str, Vec<Call>)| {
        let mut input = vec![0];
        way.into_iter().for_each(|call| call.encode(&mut input));
        Seed { name, input }
    };
    ways().into_iter().map(seed).collect()
}
