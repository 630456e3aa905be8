//! A follower of a ring whose producer never waits has every message whole, in order, or is told that it missed some.

mod support;

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway_ring::{
    Mem, Progress,
    primitive::Ordering,
    spsc::{Follower, Look, Producer, Record, Start, max_payload},
};
use support::Table;

#[derive(Debug, Clone)]
enum Call {
    Send(usize),
    Put(usize),
    SendTrimmed(usize, usize),
    /// Writes to a loan and gives it back.
    Abort(usize),
    Stage(usize),
    Publish,
    Discard,
    Close,
    Dies,
    /// Reads one message, or finds out that there is none.
    Read,
    /// Looks at a message, has the producer do this meanwhile, and copies and accepts it then.
    Slow(Box<Call>),
    /// Begins to follow the ring.
    Follow,
}

fn call(capacity: usize) -> impl Strategy<Value = Call> {
    let len = || prop_oneof![4 => 0..64usize, 1 => 0..capacity + 32];
    let sends = prop_oneof![
        6 => len().prop_map(Call::Send),
        4 => len().prop_map(Call::Put),
        1 => (len(), 0..100usize).prop_map(|(len, to)| Call::SendTrimmed(len, to)),
        1 => len().prop_map(Call::Abort),
        3 => len().prop_map(Call::Stage),
        2 => Just(Call::Publish),
        1 => Just(Call::Discard),
        1 => Just(Call::Close),
        1 => Just(Call::Dies),
    ];
    let sends = sends.boxed();
    prop_oneof![
        18 => sends.clone(),
        8 => Just(Call::Read),
        3 => sends.prop_map(|call| Call::Slow(Box::new(call))),
        1 => Just(Call::Follow),
    ]
}

/// What it takes of the ring.
fn size(len: usize) -> u64 {
    8 + len.next_multiple_of(8) as u64
}

/// The words of a message: its number among all that were ever begun, and which word it is.
fn word(seed: u64, n: u64) -> u64 {
    // As a header it would be a good one.
    1 << 48 | (seed % 0x400) << 32 | (n % 16) << 3
}

fn fill(table: &Table, granule: u64, len: usize, seed: u64) {
    for n in 0..size(len) / 8 - 1 {
        table.data(granule + n).store(word(seed, n), Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy)]
struct Expected {
    position: u64,
    len: usize,
    seed: u64,
}

struct Pair {
    table: Table,
    producer: Producer<Table>,
    follower: Follower<Table>,
    /// All that was ever published.
    sent: Vec<Expected>,
    /// How many of them are behind the follower.
    read: usize,
    staged: Vec<Expected>,
    closed: bool,
    seed: u64,
}

impl Pair {
    fn new(capacity: u64) -> Self {
        let table = Table::new(capacity);
        Self {
            producer: Producer::resume_overwriting(table.clone()).unwrap(),
            follower: Follower::new(table.clone(), Start::Oldest).unwrap(),
            table,
            sent: Vec::new(),
            read: 0,
            staged: Vec::new(),
            closed: false,
            seed: 0,
        }
    }

    /// Where the next message goes.
    fn end(&self) -> u64 {
        self.staged.last().or(self.sent.last()).map_or(0, |last| last.position + size(last.len))
    }

    /// Loans and fills.
    fn loan(&mut self, len: usize) -> Option<Expected> {
        let staged: u64 = self.staged.iter().map(|message| size(message.len)).sum();
        let most = self.table.capacity();
        let lent = self.producer.loan(len).is_ok();
        assert_eq!(lent, staged + size(len) + 8 <= most);
        self.seed += 1;
        lent.then(|| {
            let (position, _) = self.producer.loaned();
            assert_eq!(position, self.end());
            fill(&self.table, position / 8 + 1, len, self.seed);
            Expected { position, len, seed: self.seed }
        })
    }

    fn publish_staged(&mut self) {
        self.closed &= self.staged.is_empty();
        self.sent.append(&mut self.staged);
    }

    fn run(&mut self, call: &Call) {
        match *call {
            Call::Send(len) => self.run(&Call::SendTrimmed(len, len)),
            Call::SendTrimmed(len, to) => {
                if let Some(message) = self.loan(len) {
                    self.producer.trim(to);
                    self.producer.send(0);
                    self.staged.push(Expected { len: len.min(to), ..message });
                    self.publish_staged();
                }
            }
            Call::Put(len) => {
                self.staged.clear();
                self.seed += 1;
                let message = Expected { position: self.end(), len, seed: self.seed };
                let put = self.producer.put(len, 0, |table, granule, _| {
                    assert_eq!(granule, message.position / 8 + 1);
                    fill(table, granule, len, message.seed);
                });
                assert_eq!(put.is_ok(), len as u64 <= max_payload(self.table.capacity()));
                if put.is_ok() {
                    self.staged.push(message);
                    self.publish_staged();
                }
            }
            Call::Abort(len) => {
                if self.loan(len).is_some() {
                    self.producer.abort();
                }
            }
            Call::Stage(len) => {
                if let Some(message) = self.loan(len) {
                    self.producer.stage(0);
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
            Call::Dies => {
                self.producer = Producer::resume_overwriting(self.table.clone()).unwrap();
                self.staged.clear();
                self.closed = false;
                assert_eq!(self.producer.position(), self.end(), "the successor begins elsewhere");
            }
            Call::Read => self.read(None),
            Call::Slow(ref meanwhile) => self.read(Some(meanwhile)),
            Call::Follow => {
                self.follower = Follower::new(self.table.clone(), Start::Oldest).unwrap();
                self.read = self.find(self.follower.position());
            }
        }
    }

    /// Which message begins at a position: one that was sent, or the next one.
    fn find(&self, position: u64) -> usize {
        let visible = self.sent.last().map_or(0, |last| last.position + size(last.len));
        let found = self.sent.iter().position(|message| message.position == position);
        found.unwrap_or_else(|| {
            assert_eq!(position, visible, "no record begins where the follower goes on");
            self.sent.len()
        })
    }

    fn read(&mut self, meanwhile: Option<&Call>) {
        let (due, closed) = (self.sent.get(self.read).copied(), self.closed);
        let empty = self.follower.is_empty();
        let look = self.follower.look();
        if let Some(call) = meanwhile {
            self.run(call);
        }
        match look {
            Look::Record(record) => {
                assert!(!empty);
                let is_whole = is_filled(&self.table, record, due);
                if self.follower.accept(record) {
                    assert!(is_whole, "torn: {record:?}, {due:?}");
                    self.read += 1;
                } else {
                    self.catch_up();
                }
            }
            Look::Behind => self.catch_up(),
            Look::Empty => assert!(empty && due.is_none() && !closed),
            Look::Closed => assert!(!empty && due.is_none() && closed),
            Look::Corrupt => panic!("{:?}", self.follower.corruption()),
        }
    }

    fn catch_up(&mut self) {
        let before = self.follower.position();
        let missed = self.follower.catch_up().unwrap();
        assert!(missed > 0, "behind, and nothing was missed");
        assert_eq!(self.follower.position(), before + missed);
        let read = self.find(before + missed);
        assert!(read > self.read);
        self.read = read;
        // What was given up was in the way of what the producer has claimed.
        let claim = self.table.progress(Progress::Claim).load(Ordering::Relaxed);
        assert!(claim - self.follower.position() <= self.table.capacity());
    }
}

fn is_filled(table: &Table, record: Record, expected: Option<Expected>) -> bool {
    let Some(expected) = expected else { return false };
    let (granule, count) = record.granules();
    granule == expected.position / 8 + 1
        && record.len() as usize == expected.len
        && (0..count).all(|n| table.data(granule + n).load(Ordering::Relaxed) == word(expected.seed, n))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_of_calls_agrees_with_a_list_of_all_that_was_sent(
        calls in (5..10u32).prop_flat_map(|bits| {
            (Just(1u64 << bits), prop::collection::vec(call(1 << bits), 0..400))
        })
    ) {
        let (capacity, calls) = calls;
        let mut pair = Pair::new(capacity);
        for call in calls {
            pair.run(&call);
        }
    }
}
