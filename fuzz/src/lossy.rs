//! The two public ends of a ring that loses messages, and a peer that is correct or overwrites any of its words.
//!
//! Input: how the ends wait and where positions and numbers begin; which messages are lost, and whether words are
//! overwritten; and steps: calls, and such words. A batch is so many single calls; a guard that is put back is dropped.
//!
//! Claims, if nothing is overwritten:
//! - messages are lost only where the documentation says so: the newest if there is no room for them, the oldest if the
//!   sender may have gone over them, and no more of these than that takes;
//! - the receiver gets all others, byte for byte, and with each is told exactly how many were lost before it, also when guards
//!   are forgotten and when ends leave and others come; with *closed* it knows of all;
//! - who looks from outside sees exactly what is there.
//!
//! And whatever is overwritten:
//! - every call gives `Ok` or `Err`, in time; no message is longer than one that can be sent; poisoned is poisoned;
//! - whoever leaves, and whoever comes after, can do so.

use std::mem;

use arbitrary::Unstructured;
use ringway::{
    Corrupt, inspect,
    spsc::{
        self, Tap,
        lossy::{self, Lose, Options, Receiver, Sender},
    },
};

use crate::{
    STEPS, Seed, Target,
    call::{Call, Fate, ways},
    memory::{CAPACITY, CONTROL_WORDS, GRANULES},
    queue::{Queue, Refusal},
    ring::{Kind, Ring, TICK},
    scribble::{Scribble, Value},
    step::{Step, input},
};

/// The target.
pub const TARGET: Target = Target { name: "lossy", run, seeds };

/// Bits of the second byte.
const OLDEST: u8 = 1;
const HOSTILE: u8 = 2;

fn run(input: &[u8]) -> usize {
    let &[born, mode, ref rest @ ..] = input else { return 0 };
    let lose = if mode & OLDEST == 0 { Lose::Newest } else { Lose::Oldest };
    let hostile = mode & HOSTILE != 0;
    let mut from = Unstructured::new(rest);
    Ring::with(Kind::Lossy(lose), born, |ring| {
        let mut ends = Ends {
            ring,
            options: Options::new(spsc::Options::new(), lose),
            tx: None,
            rx: None,
            tx_poison: None,
            rx_poison: None,
            oracle: (!hostile).then(|| Oracle::new(lose)),
            left: 4 * STEPS,
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
        }
        ends.look();
        ends.done
    })
}

/// The ends, as far as they are there, and what is known of them.
struct Ends<'a> {
    ring: &'a Ring,
    options: Options,
    tx: Option<Sender>,
    rx: Option<Receiver>,
    tx_poison: Option<Corrupt>,
    rx_poison: Option<Corrupt>,
    /// While nobody is hostile.
    oracle: Option<Oracle>,
    /// How many more messages this input may be about.
    left: usize,
    /// How many messages were made.
    sent: u64,
    /// Messages that were received.
    done: usize,
}

impl Ends<'_> {
    fn call(&mut self, call: Call) {
        match call {
            Call::Send { timed, len } => self.send(len, timed),
            Call::Loan { len, .. } => self.send(len, true),
            Call::SendBatch { len, count, .. } => (0..count).for_each(|_| self.send(len, false)),
            Call::Receive { timed, fate } => {
                self.receive(timed, fate);
            }
            Call::ReceiveBatch { timed, fate, max, .. } => {
                let _ = (0..max).all(|_| self.receive(timed, fate));
            }
            Call::SenderLeaves { closes } => {
                let Some(tx) = self.tx.take() else { return };
                let poison = self.tx_poison.take();
                if closes {
                    let closed = tx.close();
                    assert!(poison.is_none() || closed.is_err(), "poisoned is poisoned");
                    assert!(self.oracle.is_none() || closed.is_ok(), "a good ring can be closed");
                }
                if let Some(oracle) = &mut self.oracle {
                    oracle.queue.closed = true;
                }
            }
            Call::ReceiverLeaves => {
                if self.rx.take().is_some() {
                    self.rx_poison = None;
                    if let Some(oracle) = &mut self.oracle {
                        oracle.receiver_leaves(self.tx.is_some());
                    }
                }
            }
            Call::Tap | Call::Look { .. } => {
                assert!(Tap::of(&self.ring.offer).is_err(), "messages have numbers here");
                self.look();
            }
        }
    }

    /// Looks at the ring from outside.
    fn look(&self) {
        let status = inspect::offered(&self.ring.offer).expect("the header is good");
        assert!(status.pending.is_none_or(|pending| pending <= CAPACITY as u64));
        assert_eq!(status.sender.state.is_held(), self.tx.is_some(), "the kernel says who is there");
        assert_eq!(status.receiver.state.is_held(), self.rx.is_some(), "the kernel says who is there");
        if let Some(oracle) = &self.oracle {
            oracle.assert_status(&status);
        }
    }

    fn send(&mut self, len: u16, in_place: bool) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        if self.tx.is_none() {
            self.tx = self.options.sender_of(&self.ring.offer).ok();
            if let Some(oracle) = &mut self.oracle {
                assert!(self.tx.is_some(), "there is no other sender");
                oracle.queue.sender_comes();
            }
        }
        let Some(tx) = &mut self.tx else { return };
        let message = message(self.sent, len.into());
        self.sent += 1;
        let before = tx.lost();
        let given = if in_place {
            tx.send_with(message.len(), |bytes| bytes.copy_from_slice(&message))
        } else {
            tx.send(&message)
        };
        assert_eq!(tx.lost() - before, u64::from(given == Ok(lossy::Fate::Lost)));
        let given = given.map_err(Refusal::from);
        Refusal::poisons(&given, &mut self.tx_poison);
        if let Some(oracle) = &mut self.oracle {
            assert_eq!(given, oracle.send(message));
        }
    }

    /// Whether there was a message.
    fn receive(&mut self, timed: bool, fate: Fate) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if self.rx.is_none() {
            self.rx = self.options.receiver_of(&self.ring.offer).ok();
            if let Some(oracle) = &mut self.oracle {
                assert!(self.rx.is_some(), "there is no other receiver");
                oracle.queue.deserted = false;
            }
        }
        let Some(rx) = &mut self.rx else { return false };
        let before = rx.lost();
        let given = if timed {
            rx.recv_timeout(TICK).map_err(Refusal::from)
        } else {
            rx.try_recv().map_err(Refusal::from)
        };
        Refusal::poisons(&given, &mut self.rx_poison);
        let seen = given.as_ref().map(|message| (message.to_vec(), message.lost())).map_err(|why| *why);
        if let Some(oracle) = &mut self.oracle {
            oracle.receive(&seen);
        }
        match (given, fate) {
            (Ok(message), Fate::Forgotten) => mem::forget(message),
            (Ok(message), _) => {
                drop(message);
                if let Some(oracle) = &mut self.oracle {
                    oracle.release();
                }
            }
            (Err(_), _) => {}
        }
        match &seen {
            Ok((bytes, lost)) => {
                assert!(size(bytes.len()) + 8 <= CAPACITY, "no message is as long as that");
                assert_eq!(rx.lost(), before.saturating_add(*lost));
                self.done += 1;
            }
            Err(Refusal::Closed) => assert!(rx.lost() >= before),
            Err(_) => assert_eq!(rx.lost(), before),
        }
        if let Some(oracle) = &self.oracle {
            assert_eq!(rx.lost(), oracle.told);
        }
        seen.is_ok()
    }
}

/// The message number `n`.
fn message(n: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (n * 31 + at) as u8).collect()
}

/// What was sent, or lost at once.
struct Sent {
    bytes: Vec<u8>,
    /// Where it begins in the ring, in bytes since the birth, if it ever was there.
    begin: Option<usize>,
}

/// Bytes of the ring that a message of `len` bytes takes: with its header and its number.
fn size(len: usize) -> usize {
    8 + 8 + len.next_multiple_of(8)
}

/// What a ring that loses messages must do.
struct Oracle {
    lose: Lose,
    /// By their numbers.
    all: Vec<Sent>,
    /// If the newest are lost, the numbers of what is in the ring.
    queue: Queue<usize>,
    /// The number of the next message that the receiver has not had, nor been told of.
    expected: usize,
    /// How many were lost, as the receiver was told.
    told: u64,
    /// The receiver has not looked yet.
    fresh: bool,
    /// Where the next message begins.
    end: usize,
    /// No claim of the sender has gone beyond that.
    reach: usize,
    /// The most bytes that one claim was about.
    most: usize,
}

impl Oracle {
    fn new(lose: Lose) -> Self {
        Self {
            lose,
            all: Vec::new(),
            queue: Queue::default(),
            expected: 0,
            told: 0,
            fresh: true,
            end: 0,
            reach: 0,
            most: 0,
        }
    }

    /// Where a message that was sent begins.
    fn begin(&self, n: usize) -> usize {
        self.all[n].begin.expect("it was sent")
    }

    fn send(&mut self, bytes: Vec<u8>) -> Result<lossy::Fate, Refusal> {
        let size = size(bytes.len());
        if self.queue.deserted {
            return Err(Refusal::Closed);
        }
        if size + 8 > CAPACITY {
            return Err(Refusal::TooLong);
        }
        if self.lose == Lose::Newest {
            let used = self.queue.messages.front().map_or(0, |&oldest| self.end - self.begin(oldest));
            if used + size + 8 > CAPACITY {
                self.all.push(Sent { bytes, begin: None });
                return Ok(lossy::Fate::Lost);
            }
            self.queue.messages.push_back(self.all.len());
        }
        // A claim goes a sixteenth of the ring beyond what it is made for, and the header behind that.
        let claim = size + 8 + CAPACITY / 16;
        self.reach = self.reach.max(self.end + claim);
        self.most = self.most.max(claim);
        self.all.push(Sent { bytes, begin: Some(self.end) });
        self.end += size;
        Ok(lossy::Fate::Sent)
    }

    /// Holds what was received to what must be.
    fn receive(&mut self, given: &Result<(Vec<u8>, u64), Refusal>) {
        let next = match self.lose {
            Lose::Newest => self.queue.take(),
            Lose::Oldest => self.next_that_is_left(given),
        };
        self.fresh = false;
        let upto = match next {
            Ok(n) => n,
            Err(Refusal::Closed) => self.all.len(),
            Err(_) => self.expected,
        };
        let lost = (upto - self.expected) as u64;
        assert_eq!(*given, next.map(|n| (self.all[n].bytes.clone(), lost)));
        self.told += lost;
        self.expected = upto + usize::from(next.is_ok());
    }

    /// The number of what must be received of a ring that is written over, given that so many were lost.
    fn next_that_is_left(&self, given: &Result<(Vec<u8>, u64), Refusal>) -> Result<usize, Refusal> {
        if self.expected == self.all.len() {
            return Err(if self.queue.closed { Refusal::Closed } else { Refusal::Empty });
        }
        // The last one is always there.
        let lost = given.as_ref().map_or(0, |&(_, lost)| lost);
        let next = self.expected + usize::try_from(lost).expect("not so many were sent");
        assert!(next < self.all.len(), "more are lost than were sent");
        if lost > 0 {
            assert!(
                self.fresh || self.reach > self.begin(self.expected) + CAPACITY,
                "what was next was there still"
            );
            // What is whole goes unread only if it begins before the oldest place that the sender keeps in mind.
            assert!(self.begin(next) + CAPACITY < self.reach + self.most, "more is given up than need be");
        }
        Ok(next)
    }

    /// The receiver drops what it has received.
    fn release(&mut self) {
        self.queue.give_back();
    }

    fn receiver_leaves(&mut self, sender_is_there: bool) {
        self.queue.receiver_leaves(sender_is_there);
        (self.told, self.fresh) = (0, true);
    }

    fn assert_status(&self, status: &inspect::Status) {
        assert_eq!(status.closed, self.queue.closed);
        let sent: Vec<_> = (0..self.all.len()).filter(|&n| self.all[n].begin.is_some()).collect();
        assert_eq!(status.sent, Some(sent.len() as u64));
        let waiting = status.pending_messages.expect("nothing moves") as usize;
        let left = match self.lose {
            Lose::Newest => self.queue.messages.len(),
            // Which one is the oldest is the sender's to say.
            Lose::Oldest => waiting,
        };
        let begin = sent[sent.len() - left..].first().map_or(self.end, |&oldest| self.begin(oldest));
        assert_eq!((waiting, status.pending), (left, Some((self.end - begin) as u64)));
    }
}

/// Places of control words.
const RECEIVER_POSITION: u16 = 1;
const SENDER_ALIVE: u16 = 6;
const SENDER_NUMBER: u16 = 10;
const RECEIVER_NUMBER: u16 = 11;
const CLAIM: u16 = 12;
const OLDEST_MESSAGE: u16 = 13;

fn seeds() -> Vec<Seed> {
    let calls = |calls: &[Call]| calls.iter().copied().map(Step::Call).collect::<Vec<_>>();
    // Who looks on is refused here: one of those ways will do. With its number the largest message is too long.
    let ways = ways()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("looked-on-") && *name != "as-large-as-the-ring");
    let mut seeds: Vec<_> =
        ways.map(|(name, way)| Seed { name, input: input(&[0, OLDEST], &calls(&way)) }).collect();

    let send = |len| Call::Send { timed: false, len };
    let sends = |len, count| Call::SendBatch { fate: Fate::Done, len, count };
    let receive = |fate| Call::Receive { timed: false, fate };
    let receives = |fate, max| Call::ReceiveBatch { timed: false, fate, max, iterated: 0 };
    let (all, all_kept) = (receives(Fate::Done, 255), receives(Fate::Forgotten, 255));
    let leaves = Call::SenderLeaves { closes: false };
    // Positions and numbers wrap soon.
    let late = (-20i8 as u8) << 1;
    let correct: [(_, u8, u8, Vec<Call>); 10] = [
        ("newest-lost", 0, 0, vec![sends(500, 12), all, sends(500, 2), all]),
        (
            "newest-lost-at-the-end",
            1,
            0,
            vec![sends(500, 12), leaves, all, receive(Fate::Done), send(1), all],
        ),
        (
            "newest-lost-at-the-end-and-another-receiver",
            0,
            0,
            vec![sends(900, 6), leaves, all, Call::ReceiverLeaves, receive(Fate::Done)],
        ),
        (
            "newest-room-of-what-was-had",
            1,
            0,
            vec![
                sends(500, 9),
                receive(Fate::Forgotten),
                receive(Fate::Forgotten),
                receive(Fate::Forgotten),
                Call::ReceiverLeaves,
                receive(Fate::Forgotten),
                Call::Look { timed: false },
                leaves,
                sends(500, 9),
            ],
        ),
        (
            "newest-many-had-and-not-released",
            0,
            0,
            vec![sends(0, 255), all_kept, Call::ReceiverLeaves, receive(Fate::Done)],
        ),
        (
            "oldest-written-over",
            late,
            OLDEST,
            [sends(100, 60), receive(Fate::Done), Call::Look { timed: true }].repeat(3),
        ),
        (
            "oldest-written-over-by-one",
            1,
            OLDEST,
            vec![sends(0, 200), receive(Fate::Done), send(4072), receive(Fate::Done), send(4073)],
        ),
        (
            "oldest-written-over-while-nobody-receives",
            late,
            OLDEST,
            vec![sends(40, 20), all_kept, Call::ReceiverLeaves, leaves, sends(40, 90), all, leaves, all],
        ),
        (
            "oldest-written-over-by-a-successor",
            0,
            OLDEST,
            vec![sends(1000, 3), leaves, sends(1000, 2), leaves, sends(10, 9), all],
        ),
        ("newest-where-numbers-wrap", late, 0, vec![sends(0, 200), all, sends(100, 60), all, leaves, all]),
    ];
    seeds.extend(
        correct.map(|(name, born, mode, way)| Seed { name, input: input(&[born, mode], &calls(&way)) }),
    );

    let scribble = |place, value| Step::Scribble(Scribble { place, value });
    let granule = |n: u64| (CONTROL_WORDS + n) as u16;
    let (send, receive) = (|len| Step::Call(send(len)), Step::Call(receive(Fate::Done)));
    let come = [send(100), send(100), receive];
    let struck: [(_, u8, Vec<Step>); 11] = [
        (
            "dead-by-another",
            OLDEST,
            vec![scribble(SENDER_ALIVE, Value::Bit(30)), receive, receive, send(9), receive],
        ),
        ("claim-anything", OLDEST, vec![scribble(CLAIM, Value::Any(u64::MAX)), receive, receive]),
        (
            "oldest-ahead-of-all",
            OLDEST,
            vec![
                scribble(CLAIM, Value::Any(1 << 20)),
                scribble(OLDEST_MESSAGE, Value::Any(1 << 20)),
                receive,
                receive,
                send(9),
            ],
        ),
        (
            "oldest-goes-back",
            OLDEST,
            vec![
                scribble(CLAIM, Value::Any(1 << 20)),
                scribble(OLDEST_MESSAGE, Value::Any(0u64.wrapping_sub(64))),
                receive,
                receive,
            ],
        ),
        (
            "oldest-odd",
            OLDEST,
            vec![
                Step::Call(Call::ReceiverLeaves),
                scribble(OLDEST_MESSAGE, Value::Bit(1)),
                receive,
                Step::Call(leaves),
                send(9),
            ],
        ),
        (
            "message-without-a-number",
            OLDEST,
            vec![
                Step::Call(Call::ReceiverLeaves),
                scribble(RECEIVER_NUMBER, Value::Any(0)),
                scribble(granule(0), Value::Record(7)),
                receive,
                receive,
            ],
        ),
        (
            "message-without-a-number-in-place",
            0,
            vec![
                Step::Call(Call::ReceiverLeaves),
                scribble(RECEIVER_NUMBER, Value::Any(0)),
                scribble(granule(15), Value::Record(7)),
                receive,
                receive,
            ],
        ),
        (
            "number-that-jumps",
            OLDEST,
            vec![scribble(granule(16), Value::Any(u64::MAX / 2)), receive, send(9), receive],
        ),
        ("number-that-goes-back", 0, vec![scribble(granule(16), Value::Any(0)), receive, send(9), receive]),
        (
            "numbers-of-those-who-left",
            0,
            vec![
                Step::Call(leaves),
                Step::Call(Call::ReceiverLeaves),
                scribble(SENDER_NUMBER, Value::Bit(63)),
                scribble(RECEIVER_NUMBER, Value::Any(u64::MAX)),
                send(9),
                receive,
                Step::Call(leaves),
                receive,
                receive,
            ],
        ),
        (
            "receiver-position-odd",
            0,
            vec![
                Step::Call(leaves),
                scribble(RECEIVER_POSITION, Value::Bit(0)),
                send(9),
                receive,
                Step::Call(Call::ReceiverLeaves),
                receive,
            ],
        ),
    ];
    seeds.extend(struck.map(|(name, mode, steps)| Seed {
        name,
        input: input(&[0, HOSTILE | mode], &[&come[..], &steps].concat()),
    }));
    seeds
}
