//! Arbitrary bytes as a ring's memory, under the ends of `ringway-ring`.
//!
//! Input: the control words, the data from the consumer's position on, and steps: calls of a producer, a consumer and a
//! follower, with words overwritten in between, also between a follower's look at a record and its asking whether that was
//! whole.
//!
//! Claims, whatever is in the memory:
//! - no call reaches outside: the data lies between addresses without memory ([`Mirror`]), and each payload is looked at
//!   and lies inside;
//! - no call goes on for ever: taking up either end and walking the ring take a bounded number of looks at it, and so does
//!   following it, which comes to an end, or to something impossible;
//! - what a consumer holds is never more than the ring; what a producer lends is as long as was asked for; what a follower
//!   copies is shorter than the ring, and it goes on where it says;
//! - an end that has met something that no correct peer writes is poisoned: it gives the same error from then on.

use std::cell::Cell;

use arbitrary::{Arbitrary, Result, Unstructured};
use ringway_ring::{
    At, Corrupt, Lent, Mem, Progress, Side,
    primitive::{Ordering, Word},
    spsc::{Consumer, Follower, LoanError, Look, Next, Producer, Record, Start, max_payload},
};

use crate::{
    STEPS, Seed, Target,
    memory::{CAPACITY, GRANULES, MIRROR_WORDS, Mirror},
    scribble::{Scribble, Value},
};

/// The target.
pub const TARGET: Target = Target { name: "records", run, seeds };

/// Places of some control words of a [`Mirror`].
const CLAIM: u64 = GRANULES + 2;
const OLDEST: u64 = GRANULES + 3;
const SENT: u64 = GRANULES + 4;
const TAKEN: u64 = GRANULES + 5;

/// One call, or one word overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Another producer comes,
    Produce,
    /// or one that never waits.
    Overwrite,
    Loan {
        len: u16,
    },
    /// Shortens the loan.
    Trim {
        len: u16,
    },
    Abort,
    Send {
        kind: u16,
    },
    Stage {
        kind: u16,
    },
    Publish,
    Discard,
    Close,
    /// Another consumer comes.
    Consume,
    /// It passes over what its predecessor had taken.
    Skip,
    Advance,
    /// Takes all there is.
    Drain,
    /// Puts back one of the records that are held, and those after it.
    PutBack {
        which: u8,
    },
    Release,
    /// Another follower comes, that begins and goes on at what is unread, or at the oldest.
    Follow {
        oldest: bool,
    },
    /// Looks and copies.
    Look,
    /// Copies once more, and ends that.
    Accept,
    CatchUp,
    /// To a granule of the data, or with `GRANULES` and above to a control word.
    Scribble(Scribble),
}

impl Step {
    fn encode(self, to: &mut Vec<u8>) {
        let (number, operand) = match self {
            Self::Produce => (0, None),
            Self::Loan { len } => (1, Some(len)),
            Self::Trim { len } => (2, Some(len)),
            Self::Abort => (3, None),
            Self::Send { kind } => (4, Some(kind)),
            Self::Stage { kind } => (5, Some(kind)),
            Self::Publish => (6, None),
            Self::Discard => (7, None),
            Self::Close => (8, None),
            Self::Consume => (9, None),
            Self::Advance => (10, None),
            Self::Drain => (11, None),
            Self::PutBack { which } => return to.extend([12, which]),
            Self::Release => (13, None),
            Self::Scribble(scribble) => {
                to.push(14);
                return scribble.encode(to);
            }
            Self::Overwrite => (15, None),
            Self::Follow { oldest } => (16 + u8::from(oldest), None),
            Self::Look => (18, None),
            Self::Accept => (19, None),
            Self::CatchUp => (20, None),
            Self::Skip => (21, None),
        };
        to.push(number);
        to.extend(operand.map(u16::to_le_bytes).into_iter().flatten());
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match from.arbitrary::<u8>()? % 22 {
            0 => Self::Produce,
            1 => Self::Loan { len: from.arbitrary()? },
            2 => Self::Trim { len: from.arbitrary()? },
            3 => Self::Abort,
            4 => Self::Send { kind: from.arbitrary()? },
            5 => Self::Stage { kind: from.arbitrary()? },
            6 => Self::Publish,
            7 => Self::Discard,
            8 => Self::Close,
            9 => Self::Consume,
            10 => Self::Advance,
            11 => Self::Drain,
            12 => Self::PutBack { which: from.arbitrary()? },
            13 => Self::Release,
            14 => Self::Scribble(from.arbitrary()?),
            15 => Self::Overwrite,
            16 => Self::Follow { oldest: false },
            17 => Self::Follow { oldest: true },
            18 => Self::Look,
            19 => Self::Accept,
            20 => Self::CatchUp,
            _ => Self::Skip,
        })
    }
}

/// The ring's memory as a dead process left it, and what is done with it then.
#[derive(Debug, PartialEq, Eq)]
struct Input {
    consumer: u64,
    producer: u64,
    claim: u64,
    oldest: u64,
    sent: u64,
    taken: u64,
    /// Bytes of the data from the consumer's position on; the rest is zero.
    data: Vec<u8>,
    steps: Vec<Step>,
}

impl Input {
    fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        to.extend(self.consumer.to_le_bytes());
        to.extend(self.producer.to_le_bytes());
        to.extend(self.claim.to_le_bytes());
        to.extend(self.oldest.to_le_bytes());
        to.extend(self.sent.to_le_bytes());
        to.extend(self.taken.to_le_bytes());
        to.extend((self.data.len() as u16).to_le_bytes());
        to.extend(&self.data);
        self.steps.iter().for_each(|step| step.encode(&mut to));
        to
    }
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        let (consumer, producer) = (from.arbitrary()?, from.arbitrary()?);
        let (claim, oldest) = (from.arbitrary()?, from.arbitrary()?);
        let (sent, taken) = (from.arbitrary()?, from.arbitrary()?);
        let len = usize::from(from.arbitrary::<u16>()?) % (CAPACITY + 1);
        let data = from.bytes(len.min(from.len()))?.to_vec();
        let mut steps = Vec::new();
        while !from.is_empty() && steps.len() < STEPS {
            steps.push(from.arbitrary()?);
        }
        Ok(Self { consumer, producer, claim, oldest, sent, taken, data, steps })
    }
}

fn run(input: &[u8]) -> usize {
    thread_local!(static MIRROR: Mirror = Mirror::new());
    let input = Unstructured::new(input).arbitrary().expect("no input is refused");
    MIRROR.with(|mirror| Ends::new(mirror, &input).play(&input.steps))
}

/// The ends, as far as they could be had, and what is known of them.
struct Ends<'a> {
    mirror: &'a Mirror,
    producer: Option<Producer<Lent>>,
    /// How long the loan is, if there is one.
    loan: Option<usize>,
    consumer: Option<Consumer<Lent>>,
    /// What was taken and not released.
    held: Vec<Record>,
    follower: Option<Follower<Lent>>,
    /// What it has looked at last.
    looked: Option<Record>,
    /// Calls that gave what they are for.
    done: usize,
}

impl<'a> Ends<'a> {
    fn new(mirror: &'a Mirror, input: &Input) -> Self {
        for place in 0..GRANULES {
            mirror.word(place).store(0, Ordering::Relaxed);
        }
        let first = input.consumer / 8;
        for (granule, bytes) in (first..).zip(input.data.chunks(8)) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            mirror.word(granule % GRANULES).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
        let ends = Self {
            mirror,
            producer: None,
            loan: None,
            consumer: None,
            held: Vec::new(),
            follower: None,
            looked: None,
            done: 0,
        };
        ends.position(Side::Producer).store(input.producer, Ordering::Relaxed);
        ends.position(Side::Consumer).store(input.consumer, Ordering::Relaxed);
        mirror.word(CLAIM).store(input.claim, Ordering::Relaxed);
        mirror.word(OLDEST).store(input.oldest, Ordering::Relaxed);
        mirror.word(SENT).store(input.sent, Ordering::Relaxed);
        mirror.word(TAKEN).store(input.taken, Ordering::Relaxed);
        ends
    }

    fn position(&self, side: Side) -> &Word {
        self.mirror.word(match side {
            Side::Producer => GRANULES,
            Side::Consumer => GRANULES + 1,
        })
    }

    fn play(mut self, steps: &[Step]) -> usize {
        self.produce(|mem| Producer::resume(mem).map(drop), Producer::resume);
        self.consume();
        for &step in steps {
            self.step(step);
            self.check();
        }
        self.done
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Produce => {
                return self.produce(|mem| Producer::resume(mem).map(drop), Producer::resume);
            }
            Step::Overwrite => {
                let count = |mem: &Counted| Producer::resume_overwriting(mem).map(drop);
                return self.produce(count, Producer::resume_overwriting);
            }
            Step::Follow { oldest } => {
                return self.follow(if oldest { Start::Oldest } else { Start::Unread });
            }
            Step::Look | Step::Accept | Step::CatchUp => return self.go_on(step),
            Step::Consume => return self.consume(),
            Step::Scribble(Scribble { place, value }) => {
                let word = self.mirror.word(u64::from(place) % (GRANULES + MIRROR_WORDS));
                return word.store(value.of(word.load(Ordering::Relaxed)), Ordering::Relaxed);
            }
            Step::Skip => {
                if let Some(consumer) = &mut self.consumer {
                    assert!(consumer.skip() < GRANULES, "no more than can be taken");
                    self.held.clear();
                }
            }
            Step::Advance => drop(self.advance()),
            Step::Drain => self.drain(),
            Step::PutBack { which } => {
                if let Some(consumer) = self.consumer.as_mut().filter(|_| !self.held.is_empty()) {
                    let first = usize::from(which) % self.held.len();
                    consumer.put_back(self.held[first]);
                    self.held.truncate(first);
                }
            }
            Step::Release => {
                if let Some(consumer) = &mut self.consumer {
                    consumer.release();
                    assert!(self.held.drain(..).all(|record| !consumer.holds(&record)), "released");
                }
            }
            _ => {}
        }
        let Some(producer) = &mut self.producer else { return };
        match step {
            Step::Loan { len } => {
                let (len, poison) = (usize::from(len), producer.corruption());
                let lent = producer.loan(len);
                self.loan = lent.is_ok().then_some(len);
                match lent {
                    Ok(()) => self.done += 1,
                    Err(LoanError::Corrupt) => {
                        let said = producer.corruption().expect("it says what it met");
                        assert_eq!(said.at, At::ConsumerPosition);
                        assert!(poison.is_none_or(|poison| poison == said), "the same error from then on");
                    }
                    Err(LoanError::TooLong) => assert!(len as u64 > max_payload(CAPACITY as u64)),
                    Err(_) => {}
                }
                assert!(poison.is_none() || lent == Err(LoanError::Corrupt), "poisoned is poisoned");
                producer.payload_mut().fill(0xee);
            }
            Step::Trim { len } => {
                producer.trim(len.into());
                self.loan = self.loan.map(|loan| loan.min(len.into()));
            }
            Step::Abort => {
                producer.abort();
                self.loan = None;
            }
            Step::Send { kind } => {
                producer.send(kind);
                self.loan = None;
            }
            Step::Stage { kind } => {
                producer.stage(kind);
                self.loan = None;
            }
            Step::Publish => producer.publish(),
            Step::Discard => {
                producer.discard();
                self.loan = None;
            }
            Step::Close => {
                assert_eq!(producer.close().err(), producer.corruption());
                self.loan = None;
            }
            _ => {}
        }
    }

    /// What holds after each step.
    fn check(&self) {
        if let Some(producer) = &self.producer {
            let payload = producer.payload();
            assert_eq!(payload.len(), self.loan.unwrap_or(0));
            assert!(self.mirror.contains(payload), "lends from elsewhere");
            assert!(producer.pending() <= CAPACITY as u64);
        }
        if let Some(consumer) = &self.consumer {
            let mut bytes = 0;
            for &record in &self.held {
                assert!(consumer.holds(&record));
                let payload = consumer.payload(record);
                assert_eq!(payload.len(), record.len() as usize);
                assert!(self.mirror.contains(payload), "shows what is elsewhere");
                bytes += 8 + payload.len().next_multiple_of(8);
            }
            assert!(bytes < CAPACITY, "holds more than there is");
            assert!(consumer.pending() <= CAPACITY as u64);
            assert!(!(consumer.is_empty() && consumer.is_closed()));
        }
    }

    /// Another producer comes: `count` and `resume` are the same way to take up that end.
    fn produce(
        &mut self,
        count: impl FnOnce(&Counted) -> Result<(), Corrupt>,
        resume: impl FnOnce(Lent) -> Result<Producer<Lent>, Corrupt>,
    ) {
        (self.producer, self.loan) = (None, None);
        let counted = Counted::new(self.mirror);
        let first = count(&counted);
        // Each granule of the ring once, both positions, claim and count before and after, and *closed* taken back.
        assert!(counted.looks.get() <= GRANULES + 6, "walks around the ring");
        let second = resume(self.mirror.lend());
        assert_eq!(second.as_ref().err(), first.as_ref().err(), "what was met is there still");
        self.producer = second.ok();
        self.done += usize::from(self.producer.is_some());
    }

    fn consume(&mut self) {
        self.consumer = None;
        self.held.clear();
        let (counted, taken) = (Counted::new(self.mirror), self.mirror.word(TAKEN));
        let before = taken.load(Ordering::Relaxed);
        if let Ok(consumer) = Consumer::resume(&counted) {
            while let Next::Record(_) = consumer.advance() {}
            // A record takes a granule at least. Each is looked at, and either looked at before, as one that was taken, or said to
            // be taken; then there is one look that finds none. And there are the two words.
            assert!(counted.looks.get() <= 2 * GRANULES + 3, "walks around the ring");
        }
        taken.store(before, Ordering::Relaxed);
        self.consumer = Consumer::resume(self.mirror.lend()).ok();
        self.done += usize::from(self.consumer.is_some());
    }

    fn follow(&mut self, start: Start) {
        (self.follower, self.looked) = (None, None);
        let counted = Counted::new(self.mirror);
        if let Ok(mut follower) = Follower::new(&counted, start) {
            loop {
                let goes_on = match follower.look() {
                    Look::Record(record) => follower.accept(record) || follower.catch_up().is_ok(),
                    Look::Behind => follower.catch_up().is_ok(),
                    Look::Empty | Look::Closed | Look::Corrupt => false,
                };
                if !goes_on {
                    break;
                }
            }
            // A record takes a granule at least, a look at it, and one at the claim; then a few that find no more.
            assert!(counted.looks.get() <= 2 * GRANULES + 10, "walks around the ring");
        }
        self.follower = Follower::new(self.mirror.lend(), start).ok();
        self.done += usize::from(self.follower.is_some());
    }

    /// What a follower does.
    fn go_on(&mut self, step: Step) {
        let Some(follower) = &mut self.follower else { return };
        let (before, poison) = (follower.position(), follower.corruption());
        let copy = |follower: &Follower<Lent>, record: Record| {
            let size = 8 + (record.len() as usize).next_multiple_of(8);
            assert!(size + 8 <= CAPACITY, "no record is as long as that");
            let mut copy = vec![0; record.len() as usize];
            follower.copy(record, &mut copy);
            size as u64
        };
        match step {
            Step::Look => {
                let look = follower.look();
                assert!(poison.is_none() || look == Look::Corrupt, "poisoned is poisoned");
                assert_eq!(look == Look::Corrupt, follower.corruption().is_some(), "it says what it met");
                assert!(look != Look::Empty || follower.is_empty());
                self.looked = match look {
                    Look::Record(record) => Some(record),
                    _ => None,
                };
                if let Some(record) = self.looked {
                    copy(follower, record);
                }
            }
            Step::Accept => {
                let Some(record) = self.looked else { return };
                let size = copy(follower, record);
                if follower.accept(record) {
                    assert_eq!(follower.position(), before.wrapping_add(size));
                    self.done += 1;
                } else {
                    assert_eq!(follower.position(), before);
                }
            }
            _ => match follower.catch_up() {
                Ok(missed) => assert_eq!(follower.position(), before.wrapping_add(missed)),
                Err(corrupt) => assert_eq!(follower.corruption(), Some(corrupt), "it says what it met"),
            },
        }
        assert!(follower.position() % 8 == 0);
    }

    fn advance(&mut self) -> Option<Record> {
        let consumer = self.consumer.as_ref()?;
        let poison = consumer.corruption();
        let next = consumer.advance();
        assert!(poison.is_none() || next == Next::Corrupt, "poisoned is poisoned");
        match next {
            Next::Record(record) => {
                self.held.push(record);
                self.done += 1;
                Some(record)
            }
            Next::Corrupt => {
                let said = consumer.corruption().expect("it says what it met");
                assert!(matches!(said, Corrupt { at: At::Header { .. }, .. }));
                assert!(poison.is_none_or(|poison| poison == said), "the same error from then on");
                None
            }
            Next::Empty => {
                assert!(consumer.is_empty());
                None
            }
            Next::Closed => {
                assert!(consumer.is_closed(), "something else was there");
                None
            }
        }
    }

    fn drain(&mut self) {
        let before = self.held.len();
        while self.advance().is_some() {
            assert!(self.held.len() - before <= CAPACITY / 8, "walks around the ring");
        }
    }
}

/// A ring's memory that counts how often it is looked at.
struct Counted {
    lent: Lent,
    looks: Cell<u64>,
}

impl Counted {
    fn new(mirror: &Mirror) -> Self {
        Self { lent: mirror.lend(), looks: Cell::new(0) }
    }
}

impl Mem for &Counted {
    fn capacity(&self) -> u64 {
        self.lent.capacity()
    }

    fn data(&self, granule: u64) -> &Word {
        self.looks.set(self.looks.get() + 1);
        // At once: a walk without end does not come to be counted.
        assert!(self.looks.get() <= 4 * GRANULES, "goes on for ever");
        self.lent.data(granule)
    }

    fn position(&self, side: Side) -> &Word {
        self.looks.set(self.looks.get() + 1);
        self.lent.position(side)
    }

    fn progress(&self, of: Progress) -> &Word {
        self.looks.set(self.looks.get() + 1);
        self.lent.progress(of)
    }

    fn taken(&self) -> &Word {
        self.looks.set(self.looks.get() + 1);
        self.lent.taken()
    }
}

/// Memory as correct ends leave it that begin at `position`.
fn left(position: u64, work: impl FnOnce(&mut Producer<Lent>, &mut Consumer<Lent>)) -> Input {
    left_by(Producer::resume, position, work)
}

/// The same with a producer that was taken up so.
fn left_by(
    resume: impl FnOnce(Lent) -> Result<Producer<Lent>, Corrupt>,
    position: u64,
    work: impl FnOnce(&mut Producer<Lent>, &mut Consumer<Lent>),
) -> Input {
    let mirror = Mirror::new();
    let (data, steps) = (Vec::new(), Vec::new());
    let [consumer, producer, claim, oldest, taken] = [position; 5];
    let mut input = Input { consumer, producer, claim, oldest, sent: 0, taken, data, steps };
    let ends = Ends::new(&mirror, &input);
    let mut producer = resume(mirror.lend()).expect("a new ring is good");
    let mut consumer = Consumer::resume(mirror.lend()).expect("a new ring is good");
    work(&mut producer, &mut consumer);
    input.consumer = ends.position(Side::Consumer).load(Ordering::Relaxed);
    input.producer = ends.position(Side::Producer).load(Ordering::Relaxed);
    input.claim = mirror.word(CLAIM).load(Ordering::Relaxed);
    input.oldest = mirror.word(OLDEST).load(Ordering::Relaxed);
    input.sent = mirror.word(SENT).load(Ordering::Relaxed);
    input.taken = mirror.word(TAKEN).load(Ordering::Relaxed);
    let from = input.consumer / 8;
    let words =
        (from..from + GRANULES).map(|granule| mirror.word(granule % GRANULES).load(Ordering::Relaxed));
    input.data = words.flat_map(u64::to_ne_bytes).collect();
    let end = input.data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    input.data.truncate(end);
    input
}

fn send(producer: &mut Producer<Lent>, len: usize) {
    producer.loan(len).expect("there is room");
    producer.payload_mut().fill(0);
    producer.send(7);
}

fn seeds() -> Vec<Seed> {
    use Step::{
        Abort, Accept, Advance, CatchUp, Close, Consume, Discard, Drain, Follow, Loan, Look, Overwrite,
        Produce, Publish, PutBack, Release, Send, Skip, Stage, Trim,
    };
    let nothing = |_: &mut Producer<Lent>, _: &mut Consumer<Lent>| {};
    let three = |producer: &mut Producer<Lent>, _: &mut Consumer<Lent>| {
        [0, 5, 64].into_iter().for_each(|len| send(producer, len));
    };
    let full = |producer: &mut Producer<Lent>, _: &mut Consumer<Lent>| {
        while producer.loan(1000).is_ok() {
            send(producer, 1000);
        }
    };
    let take = |consumer: &mut Consumer<Lent>| {
        while let Next::Record(_) = consumer.advance() {}
        consumer.release();
    };
    let scribble = |place: u64, value| Step::Scribble(Scribble { place: place as u16, value });
    let end = CAPACITY as u64;
    let take_all = vec![Drain, PutBack { which: 1 }, Advance, Release, Drain, Release];
    let seed =
        |name, memory: Input, steps: Vec<Step>| Seed { name, input: Input { steps, ..memory }.encode() };
    vec![
        seed("new", left(0, nothing), vec![Loan { len: 8 }, Send { kind: 1 }, Advance, Release, Advance]),
        seed("three-records", left(0, three), take_all.clone()),
        seed(
            "two-of-three-records-taken",
            left(0, |producer, consumer| {
                three(producer, consumer);
                let _ = (consumer.advance(), consumer.advance());
            }),
            vec![Consume, Drain, PutBack { which: 1 }, Consume, Advance, Release, Consume, Skip, Drain],
        ),
        seed("three-records-around-the-end", left(end - 24, three), take_all.clone()),
        seed("three-records-where-positions-wrap", left(0u64.wrapping_sub(16), three), take_all.clone()),
        seed(
            "full",
            left(0, full),
            vec![Loan { len: 1000 }, Drain, Release, Loan { len: 1000 }, Send { kind: 2 }, Drain],
        ),
        seed(
            "one-record-as-large-as-the-ring",
            left(end / 2, |producer, _| send(producer, CAPACITY - 16)),
            vec![
                Loan { len: 0 },
                Advance,
                Release,
                Loan { len: CAPACITY as u16 - 16 },
                Send { kind: 3 },
                Advance,
            ],
        ),
        seed(
            "batch",
            left(0, nothing),
            vec![
                Loan { len: 3 },
                Stage { kind: 1 },
                Loan { len: 30 },
                Stage { kind: 2 },
                Loan { len: 300 },
                Abort,
                Publish,
                Drain,
                Release,
                Loan { len: 9 },
                Stage { kind: 3 },
                Discard,
                Advance,
            ],
        ),
        seed(
            "trimmed",
            left(8, nothing),
            vec![
                Loan { len: 2000 },
                Trim { len: 10 },
                Send { kind: 1 },
                Loan { len: 20 },
                Abort,
                Advance,
                Release,
            ],
        ),
        seed(
            "closed",
            left(64, |producer, consumer| {
                three(producer, consumer);
                producer.close().expect("a good ring can be closed");
            }),
            vec![
                Drain,
                Release,
                Advance,
                Produce,
                Advance,
                Loan { len: 8 },
                Send { kind: 1 },
                Advance,
                Close,
            ],
        ),
        seed(
            "closed-and-drained",
            left(0, |producer, consumer| {
                three(producer, consumer);
                take(consumer);
                producer.close().expect("a good ring can be closed");
            }),
            vec![Advance, Produce, Loan { len: 8 }, Send { kind: 1 }, Drain, Release],
        ),
        seed(
            "resumed",
            left(0, |producer, consumer| {
                three(producer, consumer);
                take(consumer);
                full(producer, consumer);
            }),
            vec![Advance, Consume, Drain, Release, Produce, Loan { len: 4000 }, Send { kind: 1 }, Advance],
        ),
        seed(
            "producer-position-lags",
            Input { producer: 8, ..left(0, three) },
            vec![Drain, Produce, Release, Loan { len: 100 }, Send { kind: 1 }],
        ),
        seed(
            "met-in-flight-a-longer-record",
            left(0, three),
            vec![
                Advance,
                scribble(1, Value::Record(CAPACITY as u16)),
                Advance,
                Advance,
                Release,
                Consume,
                Drain,
            ],
        ),
        seed(
            "met-in-flight-an-impossible-position",
            left(0, full),
            vec![
                scribble(GRANULES + 1, Value::Near(-1)),
                Loan { len: 1000 },
                Loan { len: 0 },
                Send { kind: 1 },
                Close,
            ],
        ),
        seed(
            "followed",
            left(end - 24, three),
            vec![
                Follow { oldest: false },
                Look,
                Accept,
                Look,
                Drain,
                Release,
                Accept,
                CatchUp,
                Look,
                Accept,
                Look,
                Close,
                Look,
            ],
        ),
        seed(
            "followed-and-written-over-before-it-is-accepted",
            left_by(Producer::resume_overwriting, 0u64.wrapping_sub(64), |producer, _| {
                (0..9).for_each(|_| send(producer, 1000));
            }),
            vec![
                Overwrite,
                Follow { oldest: true },
                Look,
                Accept,
                Look,
                Loan { len: 3000 },
                Accept,
                Send { kind: 1 },
                CatchUp,
                Look,
                Accept,
            ],
        ),
        seed(
            "followed-where-a-record-is-longer",
            left(0, three),
            vec![
                Follow { oldest: false },
                scribble(0, Value::Record(CAPACITY as u16 - 16)),
                Look,
                scribble(0, Value::Record(CAPACITY as u16 - 15)),
                Look,
                Accept,
            ],
        ),
        seed(
            "followed-with-a-claim-beyond-everything",
            left(0, three),
            vec![
                Follow { oldest: true },
                Look,
                scribble(CLAIM, Value::Any(1 << 40)),
                Accept,
                CatchUp,
                Look,
                Follow { oldest: true },
            ],
        ),
        seed(
            "followed-with-a-claim-that-goes-back",
            left(0, three),
            vec![
                Follow { oldest: false },
                Look,
                scribble(CLAIM, Value::Any(0)),
                Accept,
                Look,
                Accept,
                CatchUp,
                Look,
            ],
        ),
        seed(
            "followed-with-an-oldest-that-is-odd",
            left(0, three),
            vec![Follow { oldest: true }, scribble(OLDEST, Value::Bit(0)), CatchUp, Look, CatchUp],
        ),
        seed(
            "bad-unknown-header",
            Input { data: vec![0xff; 8], ..left(0, nothing) },
            vec![Advance, Produce, Advance],
        ),
        seed("bad-taken", Input { taken: 16, ..left(0, three) }, vec![Consume, Drain, Produce]),
        seed("bad-position", Input { consumer: 12, ..left(0, nothing) }, vec![Consume, Produce]),
        seed(
            "bad-chain-around-the-ring",
            Input { data: (1u64 << 48).to_ne_bytes().repeat(GRANULES as usize), ..left(0, nothing) },
            vec![Drain, Release, Drain, Release, Produce],
        ),
        seed(
            "bad-record-as-large-as-any",
            Input { data: (1u64 << 48 | 0xffff_fff8).to_ne_bytes().to_vec(), ..left(0, nothing) },
            vec![Advance],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_as_it_was_written() {
        for seed in seeds() {
            let input: Input = Unstructured::new(&seed.input).arbitrary().unwrap();
            assert_eq!(input.encode(), seed.input, "{}", seed.name);
        }
    }
}
