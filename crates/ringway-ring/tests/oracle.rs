//! The ring does what a queue with a budget of bytes does, whatever the order of calls.

mod support;

use std::collections::VecDeque;

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway_ring::{
    Mem,
    primitive::Ordering,
    spsc::{Consumer, Follower, LoanError, Look, Next, Producer, Record, Start, max_payload},
};
use support::Table;

#[derive(Debug, Clone)]
enum Call {
    Send { len: usize, kind: u16 },
    Put { len: usize, kind: u16 },
    SendTrimmed { len: usize, to: usize },
    Abort { len: usize },
    Stage { len: usize, kind: u16 },
    Append { len: usize, kind: u16 },
    PublishBeforeLoan { len: usize, to: usize, kind: u16 },
    StageTrimmed { len: usize, to: usize },
    Publish,
    Discard,
    Close,
    ProducerDies,
    Take,
    PutBack,
    Release,
    ConsumerDies { skips: bool },
}

fn call(capacity: usize) -> impl Strategy<Value = Call> {
    let len = prop_oneof![4 => 0..64usize, 1 => 0..capacity + 32];
    prop_oneof![
        6 => (len.clone(), any::<u16>()).prop_map(|(len, kind)| Call::Send { len, kind }),
        4 => (len.clone(), any::<u16>()).prop_map(|(len, kind)| Call::Put { len, kind }),
        1 => (len.clone(), 0..100usize, any::<u16>())
            .prop_map(|(len, to, kind)| Call::PublishBeforeLoan { len, to, kind }),
        1 => (len.clone(), 0..100usize).prop_map(|(len, to)| Call::StageTrimmed { len, to }),
        1 => (len.clone(), 0..100usize).prop_map(|(len, to)| Call::SendTrimmed { len, to }),
        1 => len.clone().prop_map(|len| Call::Abort { len }),
        3 => (len.clone(), any::<u16>()).prop_map(|(len, kind)| Call::Stage { len, kind }),
        6 => (len, any::<u16>()).prop_map(|(len, kind)| Call::Append { len, kind }),
        2 => Just(Call::Publish),
        1 => Just(Call::Discard),
        1 => Just(Call::Close),
        1 => Just(Call::ProducerDies),
        8 => Just(Call::Take),
        1 => Just(Call::PutBack),
        4 => Just(Call::Release),
        1 => any::<bool>().prop_map(|skips| Call::ConsumerDies { skips }),
    ]
}

/// A message as the oracle has it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Expected {
    len: usize,
    kind: u16,
    seed: u64,
}

/// What it takes of the ring.
fn size(len: usize) -> u64 {
    8 + len.next_multiple_of(8) as u64
}

/// Fills a loan's payload with words made of `seed`.
fn fill(producer: &Producer<Table>, seed: u64) {
    let (position, len) = producer.loaned();
    write(producer.mem(), position / 8 + 1, len as usize, seed);
}

fn write(table: &Table, granule: u64, len: usize, seed: u64) {
    for n in 0..size(len) / 8 - 1 {
        table.data(granule + n).store(seed ^ n, Ordering::Relaxed);
    }
}

/// Whether a record's payload is what `fill` made of `seed`.
fn is_filled(table: &Table, record: Record, seed: u64) -> bool {
    let (granule, count) = record.granules();
    (0..count).all(|n| table.data(granule + n).load(Ordering::Relaxed) == seed ^ n)
}

struct Pair {
    table: Table,
    producer: Producer<Table>,
    consumer: Consumer<Table>,
    /// Taken, not released.
    held: Vec<(Record, Expected)>,
    /// Published, not taken.
    queue: VecDeque<Expected>,
    staged: Vec<Expected>,
    closed: bool,
    seed: u64,
    /// Messages up to this seed were taken by a consumer that died.
    again: u64,
}

impl Pair {
    fn new(capacity: u64) -> Self {
        let table = Table::new(capacity);
        Self {
            producer: Producer::resume(table.clone()).unwrap(),
            consumer: Consumer::resume(table.clone()).unwrap(),
            table,
            held: Vec::new(),
            queue: VecDeque::new(),
            staged: Vec::new(),
            closed: false,
            seed: 0,
            again: 0,
        }
    }

    /// Whether there is room, as the oracle has it.
    fn lends(&self, len: usize) -> Result<(), LoanError> {
        let used: u64 = self.held.iter().map(|held| held.1.len).map(size).sum::<u64>()
            + self.queue.iter().chain(&self.staged).map(|message| size(message.len)).sum::<u64>();
        if len as u64 > max_payload(self.table.capacity()) {
            Err(LoanError::TooLong)
        } else if used + size(len) + 8 > self.table.capacity() {
            Err(LoanError::Full)
        } else {
            Ok(())
        }
    }

    /// Loans and fills, and checks that the ring lends exactly when the oracle says there is room.
    fn loan(&mut self, len: usize, kind: u16) -> Option<Expected> {
        let expected = self.lends(len);
        assert_eq!(self.producer.loan(len), expected);
        expected.ok()?;
        self.seed += 0x1_0000;
        fill(&self.producer, self.seed);
        Some(Expected { len, kind, seed: self.seed })
    }

    fn publish_staged(&mut self) {
        self.closed &= self.staged.is_empty();
        self.queue.extend(self.staged.drain(..));
    }

    /// Goes along all that a consumer could see, and checks that it ends.
    fn look_ahead(&self) {
        let mut follower = Follower::new(self.table.clone(), Start::Unread).unwrap();
        for _ in 0..self.held.len() + self.queue.len() {
            let Look::Record(record) = follower.look() else { panic!("{:?}", follower.corruption()) };
            assert!(follower.accept(record));
        }
        let end = if self.closed { Look::Closed } else { Look::Empty };
        assert_eq!(follower.look(), end, "{:?}", follower.corruption());
    }

    fn run(&mut self, call: Call) {
        match call {
            Call::Send { len, kind } => {
                if let Some(message) = self.loan(len, kind) {
                    self.producer.send(kind);
                    self.staged.push(message);
                    self.publish_staged();
                }
            }
            Call::Put { len, kind } => {
                self.staged.clear();
                let expected = self.lends(len);
                self.seed += 0x1_0000;
                let seed = self.seed;
                let put = self.producer.put(len, kind, |table, granule, _| write(table, granule, len, seed));
                assert_eq!(put, expected);
                if put.is_ok() {
                    self.staged.push(Expected { len, kind, seed });
                    self.publish_staged();
                }
            }
            Call::Append { len, kind } => {
                let expected = self.lends(len);
                self.seed += 0x1_0000;
                let seed = self.seed;
                let fill = |table: &Table, granule, _| write(table, granule, len, seed);
                if !self.producer.append(len, kind, fill) {
                    assert_eq!(self.producer.stage_with(len, kind, fill), expected);
                }
                if expected.is_ok() {
                    self.staged.push(Expected { len, kind, seed });
                }
                assert_eq!(self.producer.staged(), self.staged.len() as u64);
            }
            Call::PublishBeforeLoan { len, to, kind } => {
                // What is on loan is none of the batch, cut short or not.
                if let Some(message) = self.loan(len, kind) {
                    self.producer.trim(to);
                    self.producer.publish();
                    self.publish_staged();
                    self.look_ahead();
                    self.producer.send(kind);
                    self.staged.push(Expected { len: len.min(to), ..message });
                    self.publish_staged();
                }
            }
            Call::StageTrimmed { len, to } => {
                if let Some(message) = self.loan(len, 0) {
                    self.producer.trim(to);
                    self.producer.stage(0);
                    self.staged.push(Expected { len: len.min(to), ..message });
                }
            }
            Call::SendTrimmed { len, to } => {
                if let Some(message) = self.loan(len, 0) {
                    self.producer.trim(to);
                    self.producer.send(0);
                    self.staged.push(Expected { len: len.min(to), ..message });
                    self.publish_staged();
                }
            }
            Call::Abort { len } => {
                if self.loan(len, 0).is_some() {
                    self.producer.abort();
                    self.producer.stage(7);
                }
            }
            Call::Stage { len, kind } => {
                if let Some(message) = self.loan(len, kind) {
                    self.producer.stage(kind);
                    self.staged.push(message);
                }
            }
            Call::Publish => {
                self.producer.publish();
                self.publish_staged();
            }
            Call::Discard => {
                self.producer.discard();
                self.staged.clear();
            }
            Call::Close => {
                self.producer.close().unwrap();
                self.staged.clear();
                self.closed = true;
            }
            Call::ProducerDies => {
                self.producer = Producer::resume(self.table.clone()).unwrap();
                self.staged.clear();
                self.closed = false;
            }
            Call::Take => match self.consumer.advance() {
                Next::Record(record) => {
                    let expected = self.queue.pop_front().expect("a record that nobody sent");
                    assert_eq!((record.len() as usize, record.kind()), (expected.len, expected.kind));
                    let again = self.consumer.comes_again(&record);
                    assert_eq!(again, expected.seed <= self.again, "marked as it should be");
                    self.held.push((record, expected));
                }
                Next::Empty => assert!(self.queue.is_empty() && !self.closed),
                Next::Closed => assert!(self.queue.is_empty() && self.closed),
                Next::Corrupt => panic!("{:?}", self.consumer.corruption()),
            },
            Call::PutBack => {
                // From the middle on.
                let from = self.held.len() / 2;
                if let Some((record, _)) = self.held.get(from) {
                    self.consumer.put_back(*record);
                    self.held.drain(from..).rev().for_each(|(_, expected)| self.queue.push_front(expected));
                }
            }
            Call::Release => {
                self.consumer.release();
                self.held.clear();
            }
            Call::ConsumerDies { skips } => {
                self.again = self.held.last().map_or(self.again, |held| held.1.seed.max(self.again));
                for (_, expected) in self.held.drain(..).rev() {
                    self.queue.push_front(expected);
                }
                self.consumer = Consumer::resume(self.table.clone()).unwrap();
                if skips {
                    let held = self.queue.iter().take_while(|message| message.seed <= self.again).count();
                    assert_eq!(self.consumer.skip(), held as u64);
                    self.queue.drain(..held);
                }
            }
        }
        for (record, expected) in &self.held {
            assert!(self.consumer.holds(record) && is_filled(&self.table, *record, expected.seed), "torn");
        }
        assert_eq!(self.consumer.is_empty(), self.queue.is_empty() && !self.closed);
        assert_eq!(self.consumer.is_closed(), self.queue.is_empty() && self.closed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_of_calls_agrees_with_a_queue(
        calls in (5..9u32).prop_flat_map(|bits| {
            (Just(1u64 << bits), prop::collection::vec(call(1 << bits), 0..400))
        })
    ) {
        let (capacity, calls) = calls;
        let mut pair = Pair::new(capacity);
        for call in calls {
            pair.run(call);
        }
    }
}
