//! The two public ends of a ring whose peers are correct, and a tap, beside a queue in a vector.
//!
//! Input: how the ends wait and where positions begin, and calls.
//!
//! Claims:
//! - every call gives what a first-in, first-out queue would give that has as much room, byte for byte, also when guards are
//!   forgotten and when ends leave and others come;
//! - who looks on sees, message by message, what was sent since it came, received or not; if the sender may have gone over
//!   what was next, it is told exactly how much it missed, and goes on at what is not released; the ends notice nothing;
//! - who looks from outside sees exactly what waits, and how much was sent.

use std::mem;

use arbitrary::Unstructured;
use ringway::{
    Offer, inspect,
    spsc::{Receiver, Seen, Sender, Tap},
};

use crate::{
    STEPS, Seed, Target,
    call::{Call, Fate, ways},
    memory::CAPACITY,
    queue::{Queue, Refusal},
    ring::{Kind, Ring, TICK},
};

/// The target.
pub const TARGET: Target = Target { name: "oracle", run, seeds };

fn run(input: &[u8]) -> usize {
    let Some((&born, rest)) = input.split_first() else { return 0 };
    let mut from = Unstructured::new(rest);
    Ring::with(Kind::Records, born, |ring| {
        let mut ends = Ends {
            offer: &ring.offer,
            tx: None,
            rx: None,
            tap: None,
            queue: Queue::default(),
            all: Vec::new(),
            birth: Ring::birth(born),
            reach: 0,
            sent: 0,
            done: 0,
        };
        for _ in 0..STEPS {
            if from.is_empty() {
                break;
            }
            ends.call(from.arbitrary().expect("no input is refused"));
        }
        ends.assert_status(&inspect::offered(ends.offer).expect("a good ring"));
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

/// Where these messages end, in bytes since the birth.
fn end(all: &[(Message, usize)]) -> usize {
    all.last().map_or(0, |&(_, end)| end)
}

/// What an attempt to send `len` bytes gives while `staged` bytes are on their way.
fn room(queue: &Queue<Message>, len: usize, staged: usize) -> Result<(), Refusal> {
    let used = queue.messages.iter().map(Message::size).sum::<usize>() + staged;
    if queue.deserted {
        Err(Refusal::Closed)
    } else if len > CAPACITY - 16 {
        Err(Refusal::TooLong)
    } else if used + size(len) + 8 > CAPACITY {
        Err(Refusal::Full)
    } else {
        Ok(())
    }
}

/// The ring and its oracle.
struct Ends<'a> {
    offer: &'a Offer,
    tx: Option<Sender>,
    rx: Option<Receiver>,
    /// Who looks on, and which of `all` messages is its next.
    tap: Option<(Tap, usize)>,
    queue: Queue<Message>,
    /// What was ever sent, and where it ends, in bytes since the birth.
    all: Vec<(Message, usize)>,
    /// Where positions began.
    birth: u64,
    /// No claim of the sender has gone beyond that, in bytes since the birth.
    reach: usize,
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
                    self.queue.receiver_leaves(self.tx.is_some());
                }
            }
            Call::Send { .. } | Call::Loan { .. } | Call::SendBatch { .. } => {
                if self.tx.is_none() {
                    self.tx = Some(Sender::attach(self.offer).expect("there is no other sender"));
                    self.queue.sender_comes();
                }
                let before = self.queue.messages.len();
                self.send(call);
                for message in self.queue.messages.iter().skip(before) {
                    let end = end(&self.all) + message.size();
                    self.all.push((message.clone(), end));
                }
            }
            Call::Receive { .. } | Call::ReceiveBatch { .. } => {
                if self.rx.is_none() {
                    self.rx = Some(Receiver::attach(self.offer).expect("there is no other receiver"));
                    self.queue.deserted = false;
                }
                self.receive(call);
            }
            Call::Tap => {
                let tap = Tap::of(self.offer).expect("a good ring can be looked at");
                self.assert_status(&tap.status().expect("a good ring"));
                self.tap = Some((tap, self.all.len() - self.queue.messages.len()));
            }
            Call::Look { timed } => self.look(timed),
        }
        if let Some(tx) = &self.tx {
            assert_eq!(tx.pending(), self.waiting(0));
        }
        if let Some(rx) = &self.rx {
            assert_eq!(rx.pending(), self.waiting(self.queue.taken));
            assert_eq!(rx.is_empty(), self.queue.waiting() == 0);
        }
    }

    /// Bytes of what was sent and not given back, without the first messages.
    fn waiting(&self, without: usize) -> usize {
        self.queue.messages.iter().skip(without).map(Message::size).sum()
    }

    fn assert_status(&self, status: &inspect::Status) {
        assert_eq!(status.pending, Some(self.waiting(0) as u64));
        assert_eq!(status.pending_messages, Some(self.queue.messages.len() as u64));
        assert_eq!(status.sent, Some(self.all.len() as u64));
        assert_eq!(status.closed, self.queue.closed);
    }

    fn look(&mut self, timed: bool) {
        let released = end(&self.all) - self.waiting(0);
        let Self { tap: Some((tap, next)), all, .. } = self else { return };
        let at = end(&all[..*next]);
        assert_eq!(tap.position(), self.birth.wrapping_add(at as u64));
        let seen = if timed {
            tap.look_timeout(TICK).map_err(Refusal::from)
        } else {
            tap.try_look().map_err(Refusal::from)
        };
        match seen {
            Ok(Seen::Message(message)) => {
                let (expected, _) = all.get(*next).expect("no more than was sent");
                assert_eq!((message.kind(), message.bytes()), (expected.kind, &expected.bytes[..]));
                *next += 1;
                self.done += 1;
            }
            Ok(Seen::Missed { bytes }) => {
                assert!(self.reach > at + CAPACITY, "what was next was there still");
                assert_eq!((bytes, bytes > 0), ((released - at) as u64, true));
                *next = all.len() - self.queue.messages.len();
            }
            Err(why) => {
                let expected = if self.queue.closed { Refusal::Closed } else { Refusal::Empty };
                assert_eq!((why, *next), (expected, all.len()));
            }
        }
    }

    fn send(&mut self, call: Call) {
        let end = end(&self.all);
        let Self { tx: Some(tx), queue, reach, .. } = self else { return };
        // A claim goes a sixteenth of the ring beyond what it is made for, and the header behind that.
        let mut reaches = |staged: usize, len: usize| {
            let claim = end + staged + size(len) + 8 + CAPACITY / 16;
            *reach = if len > CAPACITY - 16 { *reach } else { claim.max(*reach) };
        };
        self.sent += 1;
        match call {
            Call::Send { timed, len } => {
                reaches(0, len.into());
                let message = Message::new(self.sent, len.into(), 0);
                let given = if timed {
                    tx.send_timeout(&message.bytes, TICK).map_err(Refusal::from)
                } else {
                    tx.try_send(&message.bytes).map_err(Refusal::from)
                };
                assert_eq!(given, room(queue, len.into(), 0));
                if given.is_ok() {
                    queue.messages.push_back(message);
                }
            }
            Call::Loan { timed, fate, len, cut } => {
                let (len, cut) = (usize::from(len), usize::from(cut.min(len)));
                reaches(0, len);
                let given = if timed {
                    tx.loan_timeout(len, TICK).map_err(Refusal::from)
                } else {
                    tx.try_loan(len).map_err(Refusal::from)
                };
                assert_eq!(given.as_ref().map(|_| ()).map_err(|why| *why), room(queue, len, 0));
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
                    reaches(staged.len() * size(len), len);
                    let message = Message::new(self.sent + n, len, 0);
                    let given = batch.push(&message.bytes).map_err(Refusal::from);
                    assert_eq!(given, room(queue, len, staged.len() * size(len)));
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
