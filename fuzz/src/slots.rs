//! The two public ends of a ring of slots, and a peer that is correct or overwrites any of its words.
//!
//! Input: how the ends wait and where positions begin; how large the messages are, and whether words are overwritten; and
//! steps: calls, and such words. What a call says of lengths plays no part.
//!
//! Claims, if nothing is overwritten:
//! - every call gives what a first-in, first-out queue would give that has as many places, byte for byte, also when guards are
//!   forgotten and when ends leave and others come;
//! - who looks from outside sees exactly what waits.
//!
//! And whatever is overwritten:
//! - every call gives `Ok` or `Err`, in time; no more messages are lent, taken or waiting than there are slots; poisoned is
//!   poisoned;
//! - whoever leaves, and whoever comes after, can do so; who takes messages for larger or smaller than they are, cannot.

use std::mem;

use arbitrary::Unstructured;
use ringway::{
    AttachError, Corrupt, inspect,
    spsc::{
        Tap,
        slots::{Receiver, Sender, Value},
    },
};

use crate::{
    STEPS, Seed, Target,
    call::{Call, Fate, ways},
    memory::{CAPACITY, CONTROL_WORDS, GRANULES},
    queue::{Queue, Refusal},
    ring::{Kind, Ring, TICK},
    scribble::{Scribble, Value as Written},
    step::{Step, input},
};

/// The target.
pub const TARGET: Target = Target { name: "slots", run, seeds };

/// What is done with how the ring was born, whether words are overwritten, and the steps.
type Play = fn(u8, bool, &[u8]) -> usize;

/// The second byte: the number of one of these, and a bit.
const SIZES: [Play; 7] = [
    play::<u8>,
    play::<u64>,
    play::<[u8; 9]>,
    play::<[u32; 11]>,
    play::<[u64; 37]>,
    play::<[u8; 2049]>,
    play::<[u8; CAPACITY]>,
];
const HOSTILE: u8 = 8;

fn run(input: &[u8]) -> usize {
    let &[born, mode, ref rest @ ..] = input else { return 0 };
    SIZES[usize::from(mode % HOSTILE) % SIZES.len()](born, mode & HOSTILE != 0, rest)
}

fn play<T: Value>(born: u8, hostile: bool, steps: &[u8]) -> usize {
    let mut from = Unstructured::new(steps);
    Ring::with(Kind::Slots(size_of::<T>()), born, |ring| {
        let mut ends = Ends::<T> {
            ring,
            tx: None,
            rx: None,
            tx_poison: None,
            rx_poison: None,
            oracle: (!hostile).then(Queue::default),
            sent: 0,
            done: 0,
        };
        for _ in 0..STEPS {
            if from.is_empty() {
                break;
            }
            match from.arbitrary().expect("no input is refused") {
                Step::Call(call) => ends.call(call),
                Step::Scribble(Scribble { place, value }) if hostile => {
                    let place = u64::from(place) % (CONTROL_WORDS + GRANULES);
                    ring.scribbler.change(place, |found| value.of(found));
                }
                Step::Scribble(_) => {}
            }
            ends.check();
        }
        ends.look();
        ends.done
    })
}

/// The ends, as far as they are there, and what is known of them.
struct Ends<'a, T> {
    ring: &'a Ring,
    tx: Option<Sender<T>>,
    rx: Option<Receiver<T>>,
    tx_poison: Option<Corrupt>,
    rx_poison: Option<Corrupt>,
    /// While nobody is hostile: the numbers of the messages.
    oracle: Option<Queue<u64>>,
    /// How many messages were made.
    sent: u64,
    /// Messages that went through.
    done: usize,
}

/// The message number `n`.
fn message<T: Value>(n: u64) -> T {
    let mut value = T::new_zeroed();
    let bytes = value.as_mut_bytes();
    bytes.iter_mut().zip(0..).for_each(|(byte, at)| *byte = (n * 31 + at) as u8);
    value
}

impl<T: Value> Ends<'_, T> {
    /// How many slots there are.
    const SLOTS: usize = CAPACITY / size_of::<T>().next_multiple_of(8);

    fn call(&mut self, call: Call) {
        match call {
            Call::SenderLeaves { closes } => {
                let Some(tx) = self.tx.take() else { return };
                let poison = self.tx_poison.take();
                if closes {
                    let closed = tx.close();
                    assert!(poison.is_none() || closed.is_err(), "poisoned is poisoned");
                    assert!(self.oracle.is_none() || closed.is_ok(), "a good ring can be closed");
                }
                if let Some(queue) = &mut self.oracle {
                    queue.closed = true;
                }
            }
            Call::ReceiverLeaves => {
                if self.rx.take().is_some() {
                    self.rx_poison = None;
                    if let Some(queue) = &mut self.oracle {
                        queue.receiver_leaves(self.tx.is_some());
                    }
                }
            }
            Call::Send { .. } | Call::Loan { .. } | Call::SendBatch { .. } => {
                if self.tx.is_none() {
                    self.tx = Sender::attach(&self.ring.offer).ok();
                    if let Some(queue) = &mut self.oracle {
                        assert!(self.tx.is_some(), "there is no other sender");
                        queue.sender_comes();
                    }
                }
                self.send(call);
            }
            Call::Receive { timed, fate } => {
                self.receiver_comes();
                self.receive(timed, fate);
            }
            Call::ReceiveBatch { timed, fate, max, iterated } => {
                self.receiver_comes();
                self.receive_batch(timed, fate, max.into(), iterated.into());
            }
            Call::Tap | Call::Look { .. } => {
                assert!(Tap::of(&self.ring.offer).is_err(), "there are no records");
                let other = Receiver::<[u8; 7]>::attach(&self.ring.offer);
                assert!(matches!(other, Err(AttachError::SlotSize { .. })), "another size");
                self.look();
            }
        }
    }

    /// What holds after each step.
    fn check(&self) {
        if let Some(tx) = &self.tx {
            assert_eq!(tx.capacity(), Self::SLOTS);
            assert!(tx.len() <= Self::SLOTS);
        }
        if let Some(rx) = &self.rx {
            assert_eq!(rx.capacity(), Self::SLOTS);
            assert!(rx.len() <= Self::SLOTS);
            let _ = rx.is_empty();
        }
        let Some(queue) = &self.oracle else { return };
        if let Some(tx) = &self.tx {
            assert_eq!(tx.len(), queue.messages.len());
        }
        if let Some(rx) = &self.rx {
            assert_eq!((rx.len(), rx.is_empty()), (queue.waiting(), queue.waiting() == 0));
        }
    }

    /// Looks at the ring from outside.
    fn look(&self) {
        let status = inspect::offered(&self.ring.offer).expect("the header is good");
        assert!(status.pending.is_none_or(|pending| pending <= CAPACITY as u64));
        assert!(status.pending_messages.is_none_or(|pending| pending <= Self::SLOTS as u64));
        assert_eq!(status.sender.state.is_held(), self.tx.is_some(), "the kernel says who is there");
        assert_eq!(status.receiver.state.is_held(), self.rx.is_some(), "the kernel says who is there");
        if let Some(queue) = &self.oracle {
            assert_eq!(status.pending_messages, Some(queue.messages.len() as u64));
            assert_eq!(status.closed, queue.closed);
        }
    }

    fn send(&mut self, call: Call) {
        let Self { tx: Some(tx), tx_poison, oracle, sent, .. } = self else { return };
        let first = *sent;
        *sent += 1;
        let room = |queue: &Queue<u64>, staged: usize| match queue.deserted {
            true => Err(Refusal::Closed),
            false if queue.messages.len() + staged == Self::SLOTS => Err(Refusal::Full),
            false => Ok(()),
        };
        let expected = oracle.as_ref().map(|queue| room(queue, 0));
        match call {
            Call::Send { timed, len } => {
                let message = message(first);
                let given = match (timed, expected) {
                    (true, _) => tx.send_timeout(&message, TICK).map_err(Refusal::from),
                    // The way that is the shortest must not wait here.
                    (false, Some(Ok(()))) if len % 2 == 0 => tx.send(&message).map_err(Refusal::from),
                    _ => tx.try_send(&message).map_err(Refusal::from),
                };
                Refusal::poisons(&given, tx_poison);
                assert_eq!(given, expected.unwrap_or(given));
                if let (Ok(()), Some(queue)) = (given, oracle) {
                    queue.messages.push_back(first);
                }
            }
            Call::Loan { timed, fate, .. } => {
                let given = if timed {
                    tx.loan_timeout(TICK).map_err(Refusal::from)
                } else {
                    tx.try_loan().map_err(Refusal::from)
                };
                Refusal::poisons(&given, tx_poison);
                let what = given.as_ref().map(|_| ()).map_err(|why| *why);
                assert_eq!(what, expected.unwrap_or(what));
                let Ok(mut loan) = given else { return };
                *loan = message(first);
                match fate {
                    Fate::Done => {
                        loan.send();
                        oracle.iter_mut().for_each(|queue| queue.messages.push_back(first));
                    }
                    // A loan has nothing to do when it goes.
                    Fate::Undone | Fate::Forgotten => {}
                }
            }
            Call::SendBatch { fate, count, .. } => {
                let mut batch = tx.batch();
                for n in first..first + u64::from(count) {
                    let staged = batch.len();
                    let given = if n % 2 == 0 {
                        batch.push(&message(n))
                    } else {
                        batch.push_with(|value| *value = message(n))
                    };
                    let given = given.map_err(Refusal::from);
                    if staged == 0 {
                        Refusal::poisons(&given, tx_poison);
                    }
                    assert_eq!(given, oracle.as_ref().map_or(given, |queue| room(queue, staged)));
                    if given.is_err() {
                        break;
                    }
                }
                let staged = batch.len();
                assert!(staged <= Self::SLOTS, "more than there are");
                match fate {
                    Fate::Done => {
                        batch.send();
                        oracle
                            .iter_mut()
                            .for_each(|queue| queue.messages.extend(first..first + staged as u64));
                    }
                    Fate::Undone => drop(batch),
                    Fate::Forgotten => mem::forget(batch),
                }
            }
            _ => unreachable!("not a sender's"),
        }
    }

    fn receiver_comes(&mut self) {
        if self.rx.is_none() {
            self.rx = Receiver::attach(&self.ring.offer).ok();
            if let Some(queue) = &mut self.oracle {
                assert!(self.rx.is_some(), "there is no other receiver");
                queue.deserted = false;
            }
        }
    }

    fn receive(&mut self, timed: bool, fate: Fate) {
        let Self { rx: Some(rx), rx_poison, oracle, .. } = self else { return };
        let given = if timed {
            rx.recv_timeout(TICK).map_err(Refusal::from)
        } else {
            rx.try_recv().map_err(Refusal::from)
        };
        Refusal::poisons(&given, rx_poison);
        if let Some(queue) = oracle {
            let given = given.as_ref().map(|value| value.as_bytes()).map_err(|why| *why);
            let expected = queue.take().map(message::<T>);
            assert_eq!(given, expected.as_ref().map(|value| value.as_bytes()).map_err(|why| *why));
        }
        let Ok(value) = given else { return };
        look(&*value);
        self.done += 1;
        match fate {
            Fate::Done => drop(value),
            Fate::Undone => value.put_back(),
            Fate::Forgotten => mem::forget(value),
        }
        if let Some(queue) = oracle.as_mut().filter(|_| fate != Fate::Forgotten) {
            queue.taken -= usize::from(fate == Fate::Undone);
            queue.give_back();
        }
    }

    fn receive_batch(&mut self, timed: bool, fate: Fate, max: usize, iterated: usize) {
        let Self { rx: Some(rx), rx_poison, oracle, .. } = self else { return };
        let given = if timed {
            rx.recv_batch_timeout(max, TICK).map_err(Refusal::from)
        } else {
            rx.try_recv_batch(max).map_err(Refusal::from)
        };
        Refusal::poisons(&given, rx_poison);
        if let Some(queue) = oracle {
            let given = given.as_ref().map(|_| ()).map_err(|why| *why);
            assert_eq!(given, queue.take().map(|_| ()));
        }
        let Ok(batch) = given else { return };
        let values: Vec<_> = batch.iter().take(iterated).collect();
        let count = values.len();
        assert!(count <= max && count <= Self::SLOTS, "more than there are");
        values.iter().for_each(|value| look(*value));
        if let Some(queue) = oracle {
            queue.taken -= 1;
            let expected = queue.messages.iter().skip(queue.taken).take(max.min(iterated));
            let expected: Vec<T> = expected.map(|&n| message(n)).collect();
            let bytes = |value: &T| value.as_bytes().to_vec();
            assert!(expected.iter().map(bytes).eq(values.iter().map(|value| bytes(value))), "other messages");
            queue.taken += if fate == Fate::Undone { 0 } else { count };
        }
        self.done += count;
        match fate {
            Fate::Done => drop(batch),
            Fate::Undone => batch.put_back(),
            Fate::Forgotten => mem::forget(batch),
        }
        if let Some(queue) = oracle.as_mut().filter(|_| fate != Fate::Forgotten) {
            queue.give_back();
        }
    }
}

/// Reads all of a message.
fn look<T: Value>(value: &T) {
    std::hint::black_box(value.as_bytes().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
}

/// Places of the positions,
const SENDER: u16 = 0;
const RECEIVER: u16 = 1;
/// of what the receiver had taken,
const TAKEN: u16 = 15;
/// and of the words that say who lives.
const SENDER_ALIVE: u16 = 6;
const RECEIVER_ALIVE: u16 = 7;

fn seeds() -> Vec<Seed> {
    let calls = |calls: &[Call]| calls.iter().copied().map(Step::Call).collect::<Vec<_>>();
    // Who looks on is refused here: one of those ways will do. The larger the messages, the sooner the ring is full.
    let ways = ways().into_iter().filter(|(name, _)| !name.starts_with("looked-on-"));
    let mut seeds: Vec<_> = (0..)
        .zip(ways)
        .map(|(n, (name, way))| Seed { name, input: input(&[n << 1, n % SIZES.len() as u8], &calls(&way)) })
        .collect();

    let send = Call::Send { timed: false, len: 0 };
    let receive = |fate| Call::Receive { timed: false, fate };
    let sends = |fate, count| Call::SendBatch { fate, len: 0, count };
    let receives = |fate, max| Call::ReceiveBatch { timed: true, fate, max, iterated: max };
    let leaves = Call::SenderLeaves { closes: true };
    let (done, kept) = (Fate::Done, Fate::Forgotten);
    // Positions wrap soon.
    let late = (-3i8 as u8) << 1;
    let correct: [(_, u8, u8, Vec<Call>); 5] = [
        (
            "one-slot",
            late,
            6,
            vec![send, send, receive(done), send, receive(kept), send, receives(done, 2), send],
        ),
        ("slots-that-move-from-lap-to-lap", late, 4, [sends(done, 20), receives(done, 9)].repeat(6)),
        (
            "many-small-ones",
            late | 1,
            0,
            vec![sends(done, 255), sends(done, 255), sends(done, 9), receives(done, 255)],
        ),
        (
            "batch-forgotten-in-a-full-ring",
            0,
            5,
            vec![sends(kept, 2), send, sends(kept, 1), Call::Send { timed: true, len: 1 }, receive(done)],
        ),
        (
            "closed-while-messages-are-kept",
            0,
            3,
            vec![
                sends(done, 5),
                receives(kept, 3),
                leaves,
                receives(Fate::Undone, 2),
                Call::ReceiverLeaves,
                receives(done, 9),
                receive(done),
            ],
        ),
    ];
    seeds.extend(
        correct.map(|(name, born, mode, way)| Seed { name, input: input(&[born, mode], &calls(&way)) }),
    );

    let scribble = |place, value| Step::Scribble(Scribble { place, value });
    let (send, receive, leaves) =
        (Step::Call(sends(done, 2)), Step::Call(receives(done, 9)), Step::Call(leaves));
    let come = [send, Step::Call(Call::Receive { timed: true, fate: done })];
    let struck: [(_, u8, Vec<Step>); 10] = [
        (
            "sender-position-beyond-the-ring",
            4,
            vec![scribble(SENDER, Written::Any(296 << 20)), Step::Call(receives(kept, 255)), receive],
        ),
        ("sender-position-between-slots", 3, vec![scribble(SENDER, Written::Near(1)), receive, receive]),
        ("sender-position-goes-back", 1, vec![scribble(SENDER, Written::Near(-2)), receive, receive, send]),
        ("receiver-position-between-slots", 5, vec![scribble(RECEIVER, Written::Near(1)), send, send, send]),
        (
            "taken-before-the-receiver-comes",
            1,
            vec![send, send, scribble(TAKEN, Written::Near(1)), receive, receive],
        ),
        ("receiver-position-ahead", 6, vec![scribble(RECEIVER, Written::Any(1 << 20)), send, send, leaves]),
        (
            "closed-by-another",
            2,
            vec![
                receive,
                scribble(SENDER, Written::Bit(0)),
                receive,
                send,
                receive,
                leaves,
                scribble(SENDER, Written::Bit(0)),
                receive,
            ],
        ),
        (
            "positions-that-no-end-takes-up",
            1,
            vec![
                leaves,
                scribble(SENDER, Written::Bit(2)),
                send,
                Step::Call(Call::ReceiverLeaves),
                scribble(RECEIVER, Written::Bit(1)),
                receive,
                send,
            ],
        ),
        (
            "dead-by-another",
            6,
            vec![
                scribble(SENDER_ALIVE, Written::Bit(30)),
                receive,
                receive,
                send,
                scribble(RECEIVER_ALIVE, Written::Bit(30)),
                send,
                send,
            ],
        ),
        (
            "left-by-another",
            4,
            vec![
                scribble(RECEIVER + 2, Written::Any(1 << 31 | 1)),
                send,
                Step::Call(Call::Loan { timed: true, fate: done, len: 0, cut: 0 }),
            ],
        ),
    ];
    seeds.extend(struck.map(|(name, mode, steps)| Seed {
        name,
        input: input(&[0, HOSTILE | mode], &[&come[..], &steps].concat()),
    }));
    seeds
}
