//! The two public ends of a live ring, who looks on, and a peer that overwrites any of its words between two calls.
//!
//! Input: how the ends wait and where positions begin, and steps: calls, and words overwritten: a control word of either
//! side (positions, claim, count and the words of the bells) or a granule of the data.
//!
//! Claims, whatever is overwritten:
//! - every call gives `Ok` or `Err`: it neither panics nor outlasts its timeout (libFuzzer's own `-timeout` sees that);
//! - what is lent or received is inside the ring, and never more than the ring;
//! - an end that has met something that no correct peer writes is poisoned: it lends and gives nothing any more, and says
//!   the same until it goes;
//! - whoever leaves, and whoever comes after, can do so;
//! - who looks on is given copies no longer than the ring, and told that it missed something only if it goes on further ahead;
//! - who looks from outside sees who is there, and figures that can be.

use std::mem;

use arbitrary::Unstructured;
use ringway::{
    Corrupt, RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError, inspect,
    spsc::{Receiver, Seen, Sender, Tap},
};

use crate::{
    STEPS, Seed, Target,
    call::{Call, Fate, ways},
    memory::{CAPACITY, CONTROL_WORDS, GRANULES},
    queue::Refusal,
    ring::{Kind, Ring, TICK},
    scribble::{Scribble, Value},
    step::{Step, input},
};

/// The target.
pub const TARGET: Target = Target { name: "control", run, seeds };

fn run(input: &[u8]) -> usize {
    let Some((&born, rest)) = input.split_first() else { return 0 };
    let mut from = Unstructured::new(rest);
    Ring::with(Kind::Records, born, |ring| {
        let mut ends = Ends {
            ring,
            tx: None,
            rx: None,
            tap: None,
            tx_poison: None,
            rx_poison: None,
            tap_poison: None,
            done: 0,
        };
        for _ in 0..STEPS {
            if from.is_empty() {
                break;
            }
            match from.arbitrary().expect("no input is refused") {
                Step::Scribble(Scribble { place, value }) => {
                    let place = u64::from(place) % (CONTROL_WORDS + GRANULES);
                    ring.scribbler.change(place, |found| value.of(found));
                }
                Step::Call(call) => ends.call(call),
            }
        }
        ends.look();
        ends.done
    })
}

/// The ends, as far as they are there, and what poisoned them.
struct Ends<'a> {
    ring: &'a Ring,
    tx: Option<Sender>,
    rx: Option<Receiver>,
    tap: Option<Tap>,
    tx_poison: Option<Corrupt>,
    rx_poison: Option<Corrupt>,
    tap_poison: Option<Corrupt>,
    /// Calls that gave what they are for.
    done: usize,
}

impl Ends<'_> {
    /// Looks at the ring from outside.
    fn look(&self) {
        let status = inspect::offered(&self.ring.offer).expect("the header is good");
        assert!(status.pending.is_none_or(|pending| pending <= CAPACITY as u64));
        assert_eq!(status.sender.state.is_held(), self.tx.is_some(), "the kernel says who is there");
        assert_eq!(status.receiver.state.is_held(), self.rx.is_some(), "the kernel says who is there");
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::SenderLeaves { closes } => {
                let poison = self.tx_poison.take();
                if let Some(tx) = self.tx.take().filter(|_| closes) {
                    let closed = tx.close();
                    assert!(poison.is_none() || closed.is_err(), "poisoned is poisoned");
                }
            }
            Call::ReceiverLeaves => (self.rx, self.rx_poison) = (None, None),
            Call::Send { .. } | Call::Loan { .. } | Call::SendBatch { .. } => {
                if self.tx.is_none() {
                    self.tx = Sender::attach(&self.ring.offer).ok();
                }
                if let Some(tx) = &mut self.tx {
                    let (done, met) = send(tx, call);
                    assert!(tx.pending() <= CAPACITY);
                    self.done += judge(&mut self.tx_poison, done, met);
                }
            }
            Call::Receive { .. } | Call::ReceiveBatch { .. } => {
                if self.rx.is_none() {
                    self.rx = Receiver::attach(&self.ring.offer).ok();
                }
                if let Some(rx) = &mut self.rx {
                    let (done, met) = receive(rx, call);
                    assert!(rx.pending() <= CAPACITY);
                    let _ = rx.is_empty();
                    self.done += judge(&mut self.rx_poison, done, met);
                }
            }
            Call::Tap => (self.tap, self.tap_poison) = (Tap::of(&self.ring.offer).ok(), None),
            Call::Look { timed } => {
                if let Some(tap) = &mut self.tap {
                    self.done += look_on(tap, &mut self.tap_poison, timed);
                }
            }
        }
    }
}

/// Holds what a call gave to what is known of its end.
fn judge(poison: &mut Option<Corrupt>, done: bool, met: Option<Corrupt>) -> usize {
    if let Some(poison) = poison {
        assert!(!done, "poisoned is poisoned");
        assert!(met.is_none_or(|met| met == *poison), "the same error from then on");
    }
    *poison = poison.or(met);
    usize::from(done)
}

/// Whether it was sent, and what broken memory was met.
fn send(tx: &mut Sender, call: Call) -> (bool, Option<Corrupt>) {
    let given = match call {
        Call::Send { timed: false, len } => tx.try_send(&vec![1; len.into()]),
        Call::Send { timed: true, len } => tx.send_timeout(&vec![2; len.into()], TICK).map_err(at_once),
        Call::Loan { timed, fate, len, cut } => {
            let len = usize::from(len);
            let loan = if timed { tx.loan_timeout(len, TICK).map_err(at_once) } else { tx.try_loan(len) };
            loan.map(|mut loan| {
                assert!(loan.len() == len && len < CAPACITY);
                loan.fill(3);
                loan.truncate(cut.into());
                loan.set_kind(cut);
                assert_eq!(loan.len(), len.min(cut.into()));
                match fate {
                    Fate::Done => loan.send(),
                    Fate::Undone => drop(loan),
                    Fate::Forgotten => mem::forget(loan),
                }
            })
        }
        Call::SendBatch { fate, len, count } => {
            let mut batch = tx.batch();
            let message = vec![4; len.into()];
            let mut given = Ok(());
            while given.is_ok() && batch.len() < count.into() {
                given = batch.push(&message);
            }
            assert!(batch.len() * (8 + message.len()) < CAPACITY, "more than the ring");
            if !batch.is_empty() {
                given = Ok(());
            }
            match fate {
                Fate::Done => batch.send(),
                Fate::Undone => drop(batch),
                Fate::Forgotten => mem::forget(batch),
            }
            // One without messages says nothing about the end.
            if count == 0 {
                return (false, None);
            }
            given
        }
        _ => unreachable!("not a sender's"),
    };
    let met = match given {
        Err(TrySendError::Corrupt(corrupt)) => Some(corrupt),
        _ => None,
    };
    (given.is_ok(), met)
}

/// Whether something was received, and what broken memory was met.
fn receive(rx: &mut Receiver, call: Call) -> (bool, Option<Corrupt>) {
    let given = match call {
        Call::Receive { timed, fate } => {
            let message = if timed { rx.recv_timeout(TICK).map_err(now) } else { rx.try_recv() };
            message.map(|message| {
                assert!(message.len() < CAPACITY);
                look(&message);
                match fate {
                    Fate::Done => drop(message),
                    Fate::Undone => message.put_back(),
                    Fate::Forgotten => mem::forget(message),
                }
            })
        }
        Call::ReceiveBatch { timed, fate, max, iterated } => {
            let max = usize::from(max);
            let batch =
                if timed { rx.recv_batch_timeout(max, TICK).map_err(now) } else { rx.try_recv_batch(max) };
            batch.map(|batch| {
                let messages: Vec<_> = batch.iter().take(iterated.into()).collect();
                assert!(messages.len() <= max);
                let bytes: usize = messages.iter().map(|message| 8 + message.len()).sum();
                assert!(bytes < CAPACITY, "more than the ring");
                messages.iter().for_each(|message| look(message));
                match fate {
                    Fate::Done => drop(batch),
                    Fate::Undone => batch.put_back(),
                    Fate::Forgotten => mem::forget(batch),
                }
            })
        }
        _ => unreachable!("not a receiver's"),
    };
    let met = match given {
        Err(TryRecvError::Corrupt(corrupt)) => Some(corrupt),
        _ => None,
    };
    (given.is_ok(), met)
}

/// Whether a message was seen.
fn look_on(tap: &mut Tap, poison: &mut Option<Corrupt>, timed: bool) -> usize {
    let before = tap.position();
    let seen = if timed {
        tap.look_timeout(TICK).map_err(Refusal::from)
    } else {
        tap.try_look().map_err(Refusal::from)
    };
    Refusal::poisons(&seen, poison);
    match seen {
        Ok(Seen::Message(message)) => {
            look(message.bytes());
            let size = 8 + message.bytes().len().next_multiple_of(8);
            assert!(size + 8 <= CAPACITY, "no message is as long as that");
            assert_eq!(tap.position(), before.wrapping_add(size as u64));
            1
        }
        Ok(Seen::Missed { bytes }) => {
            assert!(bytes > 0, "nothing was missed");
            assert_eq!(tap.position(), before.wrapping_add(bytes));
            0
        }
        Err(_) => 0,
    }
}

/// Reads all of a message.
fn look(message: &[u8]) {
    std::hint::black_box(message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
}

fn at_once(error: SendTimeoutError) -> TrySendError {
    match error {
        SendTimeoutError::Closed => TrySendError::Closed,
        SendTimeoutError::TooLong(error) => TrySendError::TooLong(error),
        SendTimeoutError::Corrupt(corrupt) => TrySendError::Corrupt(corrupt),
        _ => TrySendError::Full,
    }
}

fn now(error: RecvTimeoutError) -> TryRecvError {
    match error {
        RecvTimeoutError::Closed => TryRecvError::Closed,
        RecvTimeoutError::Corrupt(corrupt) => TryRecvError::Corrupt(corrupt),
        _ => TryRecvError::Empty,
    }
}

/// Places of control words: the sender's; the receiver's is the next.
const POSITION: u16 = 0;
const ASLEEP: u16 = 2;
const BELL: u16 = 4;
/// The sender's alone.
const CLAIM: u16 = 12;
/// The receiver's alone.
const TAKEN: u16 = 15;

fn seeds() -> Vec<Seed> {
    let calls = |calls: &[Call]| calls.iter().copied().map(Step::Call).collect::<Vec<_>>();
    let mut seeds: Vec<_> =
        ways().iter().map(|(name, way)| Seed { name, input: input(&[0], &calls(way)) }).collect();

    let scribble = |place, value| Step::Scribble(Scribble { place, value });
    let send = |timed, len| Step::Call(Call::Send { timed, len });
    let receive = |timed| Step::Call(Call::Receive { timed, fate: Fate::Done });
    let granule = |n: u64| (CONTROL_WORDS + n) as u16;
    let look = |timed| Step::Call(Call::Look { timed });
    let struck: [(_, u8, Vec<Step>); 15] = [
        (
            "never-sleeps",
            1,
            vec![receive(true), send(false, 8), send(true, 4000), send(true, 100), receive(false)],
        ),
        (
            "receiver-position-ahead",
            0,
            vec![
                send(false, 1000),
                scribble(POSITION + 1, Value::Near(127)),
                send(false, 4000),
                send(true, 4000),
            ],
        ),
        (
            "receiver-position-odd",
            0,
            vec![send(false, 4000), scribble(POSITION + 1, Value::Bit(0)), send(true, 100), send(false, 0)],
        ),
        (
            "taken-before-the-receiver-comes",
            0,
            vec![
                send(false, 8),
                send(false, 9),
                scribble(TAKEN, Value::Near(16)),
                receive(false),
                receive(true),
            ],
        ),
        (
            "sender-position-anything",
            0,
            vec![
                send(false, 8),
                scribble(POSITION, Value::Any(u64::MAX)),
                receive(false),
                receive(true),
                send(false, 8),
            ],
        ),
        (
            "header-unknown",
            0,
            vec![send(false, 8), scribble(granule(0), Value::Any(u64::MAX)), receive(false), receive(true)],
        ),
        (
            "header-longer",
            1,
            vec![send(false, 8), scribble(granule(0), Value::Record(4081)), receive(false), receive(true)],
        ),
        (
            "closed-by-another",
            0,
            vec![
                send(false, 8),
                receive(false),
                scribble(granule(2), Value::Closed),
                receive(true),
                send(false, 8),
                receive(false),
            ],
        ),
        (
            "asleep-and-left-by-another",
            0,
            vec![
                receive(true),
                scribble(ASLEEP + 1, Value::Any(1)),
                send(false, 8),
                scribble(ASLEEP + 1, Value::Any(1 << 31 | 1)),
                send(true, 8),
                scribble(ASLEEP + 1, Value::Any(0)),
                send(true, 8),
                scribble(ASLEEP, Value::Bit(0)),
                receive(false),
            ],
        ),
        (
            "bell-rung-by-another",
            0,
            vec![
                scribble(BELL, Value::Near(1)),
                receive(true),
                scribble(BELL + 1, Value::Any(u64::MAX)),
                send(true, 4080),
                send(true, 4080),
            ],
        ),
        (
            "looked-on-with-a-claim-of-anything",
            0,
            vec![
                send(false, 8),
                Step::Call(Call::Tap),
                scribble(CLAIM, Value::Any(u64::MAX)),
                look(false),
                look(false),
                look(true),
            ],
        ),
        (
            "looked-on-while-the-receiver-jumps",
            0,
            vec![
                send(false, 8),
                Step::Call(Call::Tap),
                scribble(CLAIM, Value::Any(1 << 20)),
                scribble(POSITION + 1, Value::Any(1 << 20)),
                look(false),
                look(true),
            ],
        ),
        (
            "looked-on-while-the-receiver-goes-back",
            0,
            vec![
                send(false, 8),
                Step::Call(Call::Tap),
                look(false),
                scribble(CLAIM, Value::Any(1 << 20)),
                scribble(POSITION + 1, Value::Near(-9)),
                look(false),
                look(true),
            ],
        ),
        (
            "looked-on-with-a-header-that-is-longer",
            0,
            vec![
                send(false, 8),
                Step::Call(Call::Tap),
                scribble(granule(0), Value::Record(4081)),
                look(false),
                scribble(granule(0), Value::Record(4080)),
                look(true),
            ],
        ),
        (
            "looked-on-where-the-receiver-is-odd",
            0,
            vec![
                send(false, 8),
                Step::Call(Call::Tap),
                scribble(POSITION + 1, Value::Bit(0)),
                look(false),
                Step::Call(Call::Tap),
                look(false),
            ],
        ),
    ];
    seeds.extend(struck.map(|(name, wait, steps)| Seed { name, input: input(&[wait], &steps) }));
    seeds
}
