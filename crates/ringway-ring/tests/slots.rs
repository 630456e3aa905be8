//! A ring of slots does what a queue of a fixed length does, whatever the order of calls; and whatever its words hold, calls
//! end with `Ok` or `Err`, and what they say stays inside the ring.

mod support;

use std::collections::VecDeque;

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway_ring::{
    At, Corrupt, Mem, Side,
    primitive::Ordering,
    slots::{Consumer, LoanError, Next, Producer, Seen, Slot, look, slots},
};
use support::Table;

#[derive(Debug, Clone)]
enum Call {
    Send,
    Abort,
    Stage,
    Publish,
    Discard,
    Close,
    ProducerDies,
    Take,
    PutBack,
    Release,
    ConsumerDies { skips: bool },
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => Just(Call::Send),
        1 => Just(Call::Abort),
        3 => Just(Call::Stage),
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

struct Pair {
    table: Table,
    size: u64,
    producer: Producer<Table>,
    consumer: Consumer<Table>,
    /// Taken, not released.
    held: Vec<(Slot, u64)>,
    /// Published, not taken.
    queue: VecDeque<u64>,
    staged: Vec<u64>,
    closed: bool,
    seed: u64,
    /// Messages up to this seed were taken by a consumer that died.
    again: u64,
}

impl Pair {
    /// A ring that has come to `position`, a multiple of the stride.
    fn new(size: u64, capacity: u64, position: u64) -> Self {
        let table = Table::new(capacity);
        table.position(Side::Producer).store(position, Ordering::Relaxed);
        table.position(Side::Consumer).store(position, Ordering::Relaxed);
        table.taken().store(position, Ordering::Relaxed);
        Self {
            producer: Producer::resume(table.clone(), size).unwrap(),
            consumer: Consumer::resume(table.clone(), size).unwrap(),
            table,
            size,
            held: Vec::new(),
            queue: VecDeque::new(),
            staged: Vec::new(),
            closed: false,
            seed: 0,
            again: 0,
        }
    }

    /// Loans and fills, and checks that the ring lends exactly when the oracle says there is room.
    fn loan(&mut self) -> Option<u64> {
        let used = self.held.len() + self.queue.len() + self.staged.len();
        let free = used < slots(self.size, self.table.capacity()) as usize;
        assert_eq!(self.producer.loan(), if free { Ok(()) } else { Err(LoanError::Full) });
        free.then(|| {
            self.seed += 0x1_0000;
            let (granule, count) = self.producer.granules();
            (0..count).for_each(|n| self.table.data(granule + n).store(self.seed ^ n, Ordering::Relaxed));
            self.seed
        })
    }

    fn is_filled(&self, slot: Slot, seed: u64) -> bool {
        let (granule, count) = slot.granules();
        count * 8 >= self.size
            && (0..count).all(|n| self.table.data(granule + n).load(Ordering::Relaxed) == seed ^ n)
    }

    fn run(&mut self, call: &Call) {
        match call {
            Call::Send => {
                if let Some(seed) = self.loan() {
                    self.producer.send();
                    self.queue.extend(self.staged.drain(..).chain([seed]));
                    self.closed = false;
                }
            }
            Call::Abort => drop(self.loan()),
            Call::Stage => {
                if let Some(seed) = self.loan() {
                    self.producer.stage();
                    self.staged.push(seed);
                }
            }
            Call::Publish => {
                self.producer.publish();
                self.closed &= self.staged.is_empty();
                self.queue.extend(self.staged.drain(..));
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
                self.producer = Producer::resume(self.table.clone(), self.size).unwrap();
                self.staged.clear();
                self.closed = false;
            }
            Call::Take => match self.consumer.advance() {
                Next::Slot(slot) => {
                    let seed = self.queue.pop_front().expect("a message that nobody sent");
                    assert_eq!(
                        self.consumer.comes_again(&slot),
                        seed <= self.again,
                        "marked as it should be"
                    );
                    self.held.push((slot, seed));
                }
                Next::Empty => assert!(self.queue.is_empty() && !self.closed),
                Next::Closed => assert!(self.queue.is_empty() && self.closed),
                Next::Corrupt => panic!("{:?}", self.consumer.corruption()),
            },
            Call::PutBack => {
                // From the middle on.
                let from = self.held.len() / 2;
                if let Some((slot, _)) = self.held.get(from) {
                    self.consumer.put_back(*slot);
                    self.held.drain(from..).rev().for_each(|(_, seed)| self.queue.push_front(seed));
                }
            }
            Call::Release => {
                self.consumer.release();
                self.held.clear();
            }
            Call::ConsumerDies { skips } => {
                self.again = self.held.last().map_or(self.again, |held| held.1.max(self.again));
                self.held.drain(..).rev().for_each(|(_, seed)| self.queue.push_front(seed));
                self.consumer = Consumer::resume(self.table.clone(), self.size).unwrap();
                let held = self.queue.iter().take_while(|&&seed| seed <= self.again).count();
                assert_eq!(self.consumer.to_come_again(), held as u64);
                if *skips {
                    assert_eq!(self.consumer.skip(), held as u64);
                    self.queue.drain(..held);
                }
            }
        }
        for (slot, seed) in &self.held {
            assert!(self.consumer.holds(slot) && self.is_filled(*slot, *seed), "torn");
        }
        let (queued, held) = (self.queue.len() as u64, self.held.len() as u64);
        assert_eq!((self.consumer.pending(), self.producer.pending()), (queued, queued + held));
        assert_eq!(self.consumer.is_empty(), queued == 0 && !self.closed);
        assert_eq!(self.consumer.is_closed(), queued == 0 && self.closed);
        let [producer, consumer] =
            [Side::Producer, Side::Consumer].map(|side| self.table.position(side).load(Ordering::Relaxed));
        let seen = look(producer, consumer, self.size, self.table.capacity());
        assert_eq!(seen, Some(Seen { pending: queued + held, closed: self.closed }));
    }
}

/// A word that is likely to hurt: near a good position, or an edge.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..80u64).prop_map(|near| near * 8),
        (0..80u64).prop_map(|near| near * 8 + 1),
        (0..40u64).prop_map(|near| near * 24),
        (0..64u64).prop_map(|near| (near * 8).wrapping_neg()),
    ]
}

const CAPACITY: u64 = 256;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1024,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_of_calls_agrees_with_a_queue(
        bits in 5..11u32,
        size in prop_oneof![1..33u64, 1..1200u64],
        lap in prop_oneof![Just(0), 0..1000u64, Just(u64::MAX)],
        calls in prop::collection::vec(call(), 0..400),
    ) {
        let capacity = 1 << bits;
        prop_assume!(size <= capacity);
        // Wherever a ring has come to, and where positions begin again at 0.
        let position = lap.wrapping_mul(size.next_multiple_of(8));
        let mut pair = Pair::new(size, capacity, position);
        calls.iter().for_each(|call| pair.run(call));
    }

    #[test]
    fn scribbled_words_give_ok_or_err(
        size in 1..70u64,
        before in prop::collection::vec((0..4u8, word()), 0..3),
        steps in prop::collection::vec((any::<bool>(), 0..4u8, word(), 0..8u8), 0..64),
    ) {
        let table = Table::new(CAPACITY);
        let scribble = |place, value| {
            let [producer, consumer] = [Side::Producer, Side::Consumer].map(|side| table.position(side));
            let words = [&[producer][..], &[consumer], &[table.taken()], &[consumer, table.taken()]];
            words[usize::from(place)].iter().for_each(|word| word.store(value, Ordering::Relaxed));
        };
        before.into_iter().for_each(|(place, value)| scribble(place, value));
        let (producer, consumer) = (Producer::resume(table.clone(), size), Consumer::resume(table.clone(), size));
        let (Ok(mut producer), Ok(mut consumer)) = (producer, consumer) else { return Ok(()) };
        let most = slots(size, CAPACITY);
        let mut held = Vec::new();
        for (strike, place, value, call) in steps {
            if strike {
                scribble(place, value);
            }
            match call {
                0 => if producer.loan().is_ok() {
                    prop_assert!(producer.is_lent());
                    producer.send();
                }
                1 => if producer.loan().is_ok() {
                    producer.stage();
                }
                2 => producer.publish(),
                3 => if let Next::Slot(slot) = consumer.advance() {
                    held.push(slot);
                    prop_assert!(consumer.corruption().is_none() && held.iter().all(|slot| consumer.holds(slot)));
                    prop_assert!(held.len() as u64 <= most, "holds more than there is");
                    prop_assert!(slot.granules().0 < 1 << 61);
                }
                4 => {
                    consumer.release();
                    held.clear();
                }
                5 => if let Some(slot) = held.pop() {
                    consumer.put_back(slot);
                }
                6 => if let Ok(successor) = Consumer::resume(table.clone(), size) {
                    consumer = successor;
                    held.clear();
                }
                _ => drop(producer.close()),
            }
            prop_assert!(producer.pending() <= most && consumer.pending() <= most);
        }
    }
}

#[test]
fn a_consumer_that_met_an_impossible_position_stays_poisoned() {
    // Beyond the room, not a multiple of the stride, behind.
    for impossible in [264, 24 * 11, 8, 20, 24 | 2, 24u64.wrapping_neg(), u64::MAX] {
        let table = Table::new(CAPACITY);
        let mut consumer = Consumer::resume(table.clone(), 24).unwrap();
        table.position(Side::Producer).store(impossible, Ordering::Relaxed);
        assert_eq!(consumer.advance(), Next::Corrupt, "{impossible}");
        assert_eq!(consumer.corruption(), Some(Corrupt { at: At::ProducerPosition, found: impossible }));
        for good in [24, 0, 1] {
            table.position(Side::Producer).store(good, Ordering::Relaxed);
            assert_eq!(consumer.advance(), Next::Corrupt);
        }
        consumer.release();
        assert_eq!(table.position(Side::Consumer).load(Ordering::Relaxed), 0);
    }
}

#[test]
fn what_was_put_back_does_not_come_again_from_a_poisoned_end() {
    let table = Table::new(CAPACITY);
    let mut consumer = Consumer::resume(table.clone(), 24).unwrap();
    table.position(Side::Producer).store(24, Ordering::Relaxed);
    let Next::Slot(slot) = consumer.advance() else { panic!() };
    table.position(Side::Producer).store(0, Ordering::Relaxed);
    assert_eq!(consumer.advance(), Next::Corrupt);
    consumer.put_back(slot);
    assert_eq!(consumer.advance(), Next::Corrupt);
}

#[test]
fn a_producer_that_met_an_impossible_position_stays_poisoned() {
    for impossible in [8, 23, 24u64.wrapping_neg(), 24 * 11, u64::MAX] {
        let table = Table::new(CAPACITY);
        let mut producer = Producer::resume(table.clone(), 24).unwrap();
        table.position(Side::Consumer).store(impossible, Ordering::Relaxed);
        // It looks when its own copy says full.
        let first = (0..).map(|_| producer.loan().map(|()| producer.send())).find(Result::is_err).unwrap();
        assert_eq!(first, Err(LoanError::Corrupt), "after {impossible}");
        assert_eq!(producer.corruption(), Some(Corrupt { at: At::ConsumerPosition, found: impossible }));
        table.position(Side::Consumer).store(24, Ordering::Relaxed);
        assert_eq!(producer.loan(), Err(LoanError::Corrupt));
        assert!(producer.close().is_err());
    }
}

#[test]
fn positions_that_no_correct_peer_leaves_are_refused_by_a_successor() {
    for (producer, consumer, at) in [
        (4, 0, At::ProducerPosition),
        (24 * 11, 0, At::ConsumerPosition),
        (24, 48, At::ConsumerPosition),
        (24, 8, At::ConsumerPosition),
    ] {
        let table = Table::new(CAPACITY);
        table.position(Side::Producer).store(producer, Ordering::Relaxed);
        table.position(Side::Consumer).store(consumer, Ordering::Relaxed);
        assert_eq!(Producer::resume(table.clone(), 24).unwrap_err().at, at);
        assert_eq!(Consumer::resume(table, 24).unwrap_err().at, At::ProducerPosition);
    }
    let table = Table::new(CAPACITY);
    table.position(Side::Consumer).store(4, Ordering::Relaxed);
    assert_eq!(Consumer::resume(table, 24).unwrap_err().at, At::ConsumerPosition);
}

#[test]
fn what_no_correct_consumer_can_have_taken_is_refused_by_its_successor() {
    // Behind the position, not a slot's beginning, beyond what was sent, beyond the ring.
    for impossible in [0, 24 + 8, 24 * 4, 24 * 12, u64::MAX] {
        let table = Table::new(CAPACITY);
        table.position(Side::Producer).store(24 * 3, Ordering::Relaxed);
        table.position(Side::Consumer).store(24, Ordering::Relaxed);
        table.taken().store(impossible, Ordering::Relaxed);
        let corrupt = Corrupt { at: At::Taken, found: impossible };
        assert_eq!(Consumer::resume(table, 24).unwrap_err(), corrupt);
    }
}

#[test]
fn sending_without_a_loan_sends_no_slot_that_is_not_free() {
    let table = Table::new(32);
    let mut producer = Producer::resume(table.clone(), 32).unwrap();
    producer.send();
    assert_eq!(producer.pending(), 0);
    producer.loan().unwrap();
    producer.send();
    for _ in 0..3 {
        producer.send();
        producer.stage();
        producer.publish();
    }
    assert_eq!(producer.pending(), 1);
}
