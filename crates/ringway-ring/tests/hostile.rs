//! Whatever the shared words hold, calls end with `Ok` or `Err`, and what they say stays inside the ring.

mod support;

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway_ring::{
    At, Corrupt, Mem, Progress, Side,
    primitive::Ordering,
    slots,
    spsc::{Consumer, Follower, LoanError, Look, Next, Producer, Start, max_payload},
};
use support::Table;

const CAPACITY: u64 = 256;

/// A word that is likely to hurt: near a good header, a good position, or an edge.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..600u64).prop_map(|len| 1 << 48 | len),
        (0..600u64, any::<u16>()).prop_map(|(len, kind)| 1 << 48 | u64::from(kind) << 32 | len),
        Just(0),
        Just(2 << 48),
        (0..64u64).prop_map(|near| near * 8),
        (0..64u64).prop_map(|near| (near * 8).wrapping_neg()),
    ]
}

/// Overwrites a word: granule of the data, one of the two positions, what is taken, or the consumer's both.
fn scribble(table: &Table, place: u64, value: u64) {
    let granules = CAPACITY / 8;
    let consumer = table.position(Side::Consumer);
    let words = match place % (granules + 4) {
        n if n < granules => &[table.data(n)][..],
        n if n == granules => &[table.position(Side::Producer)],
        n if n == granules + 1 => &[consumer],
        n if n == granules + 2 => &[table.taken()],
        _ => &[consumer, table.taken()],
    };
    words.iter().for_each(|word| word.store(value, Ordering::Relaxed));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2048,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn scribbled_words_give_ok_or_err(
        before in prop::collection::vec((any::<u64>(), word()), 0..8),
        steps in prop::collection::vec((any::<u64>(), word(), 0..300usize, 0..7u8), 0..64),
    ) {
        let table = Table::new(CAPACITY);
        for (place, value) in before {
            scribble(&table, place, value);
        }
        let (producer, consumer) = (Producer::resume(table.clone()), Consumer::resume(table.clone()));
        let (Ok(mut producer), Ok(mut consumer)) = (producer, consumer) else { return Ok(()) };
        let mut held = 0;
        for (place, value, len, call) in steps {
            scribble(&table, place, value);
            match call {
                0 => {
                    if producer.loan(len).is_ok() {
                        prop_assert!(producer.loaned().1 as u64 <= max_payload(CAPACITY));
                        producer.send(1);
                    }
                }
                1 => {
                    if producer.loan(len).is_ok() {
                        producer.stage(2);
                    }
                }
                2 => producer.publish(),
                3 => {
                    if let Next::Record(record) = consumer.advance() {
                        held += 8 + u64::from(record.len()).next_multiple_of(8);
                        prop_assert!(consumer.holds(&record));
                        prop_assert!(held < CAPACITY, "holds more than there is");
                    }
                }
                4 => {
                    consumer.release();
                    held = 0;
                }
                5 => {
                    if let Ok(successor) = Consumer::resume(table.clone()) {
                        consumer = successor;
                        held = 0;
                    }
                }
                _ => {
                    let _ = producer.close();
                }
            }
            prop_assert!(producer.pending() <= CAPACITY && consumer.pending() <= CAPACITY);
        }
    }
}

#[test]
fn a_consumer_that_met_a_broken_header_stays_poisoned() {
    let table = Table::new(CAPACITY);
    let consumer = Consumer::resume(table.clone()).unwrap();
    table.data(0).store(1 << 48 | CAPACITY, Ordering::Relaxed);
    assert_eq!(consumer.advance(), Next::Corrupt);
    let corrupt = Corrupt { at: At::Header { position: 0 }, found: 1 << 48 | CAPACITY };
    assert_eq!(consumer.corruption(), Some(corrupt));
    for good in [1 << 48 | 8, 0, 2 << 48] {
        table.data(0).store(good, Ordering::Relaxed);
        assert_eq!(consumer.advance(), Next::Corrupt);
    }
}

#[test]
fn a_producer_that_met_an_impossible_position_stays_poisoned() {
    for impossible in [1, 12, u64::MAX - 7, CAPACITY] {
        let table = Table::new(CAPACITY);
        let mut producer = Producer::resume(table.clone()).unwrap();
        table.position(Side::Consumer).store(impossible, Ordering::Relaxed);
        // It looks when its own copy says full.
        let first = (0..).map(|_| producer.loan(8).map(|()| producer.send(0))).find(Result::is_err).unwrap();
        assert_eq!(first, Err(LoanError::Corrupt), "after {impossible}");
        assert_eq!(producer.corruption(), Some(Corrupt { at: At::ConsumerPosition, found: impossible }));
        table.position(Side::Consumer).store(0, Ordering::Relaxed);
        assert_eq!(producer.loan(0), Err(LoanError::Corrupt));
        assert!(producer.close().is_err());
    }
}

#[test]
fn a_chain_that_never_ends_is_refused_by_a_successor() {
    let table = Table::new(CAPACITY);
    for granule in 0..CAPACITY / 8 {
        table.data(granule).store(1 << 48, Ordering::Relaxed);
    }
    let refused = Producer::resume(table).unwrap_err();
    assert_eq!(refused, Corrupt { at: At::Header { position: CAPACITY - 8 }, found: 1 << 48 });
}

#[test]
fn what_no_correct_consumer_can_have_taken_is_refused_by_its_successor() {
    // Behind the position, inside of a record, beyond the chain, around the ring.
    for impossible in [0, 16 + 8, 16 * 4, 16 + CAPACITY, u64::MAX] {
        let table = Table::new(CAPACITY);
        let mut producer = Producer::resume(table.clone()).unwrap();
        (0..3).for_each(|_| producer.put(8, 0, |_, _, _| ()).unwrap());
        table.position(Side::Consumer).store(16, Ordering::Relaxed);
        table.taken().store(impossible, Ordering::Relaxed);
        let corrupt = Corrupt { at: At::Taken, found: impossible };
        assert_eq!(Consumer::resume(table).unwrap_err(), corrupt);
    }
}

#[test]
fn what_was_taken_is_rewritten_while_it_comes_again() {
    let table = Table::new(CAPACITY);
    let mut producer = Producer::resume(table.clone()).unwrap();
    (0..2).for_each(|_| producer.put(8, 0, |_, _, _| ()).unwrap());
    table.taken().store(32, Ordering::Relaxed);
    let consumer = Consumer::resume(table.clone()).unwrap();
    // One record where two were.
    let long = 1 << 48 | 40;
    table.data(0).store(long, Ordering::Relaxed);
    assert_eq!(consumer.advance(), Next::Corrupt);
    assert_eq!(consumer.corruption(), Some(Corrupt { at: At::Header { position: 0 }, found: long }));
    assert_eq!(consumer.pending(), 0);
}

#[test]
fn a_count_of_records_at_its_end_begins_anew() {
    let table = Table::new(CAPACITY);
    table.progress(Progress::Sent).store(u64::MAX, Ordering::Relaxed);
    let mut producer = Producer::resume(table).unwrap();
    producer.put(8, 0, |_, _, _| ()).unwrap();
    producer.loan(8).unwrap();
    producer.send(0);
    assert_eq!(producer.sent(), 1);
}

#[test]
fn a_poisoned_producer_of_slots_lends_nothing_whatever_it_is_told() {
    let table = Table::new(CAPACITY);
    let mut producer = slots::Producer::resume(table.clone(), 8).unwrap();
    while producer.loan().is_ok() {
        producer.stage();
    }
    table.position(Side::Consumer).store(CAPACITY, Ordering::Relaxed);
    assert_eq!(producer.loan(), Err(slots::LoanError::Corrupt));
    producer.discard();
    producer.send();
    assert!(!producer.is_lent());
    assert_eq!(producer.loan(), Err(slots::LoanError::Corrupt));
}

#[test]
fn a_claim_that_leaves_a_follower_behind_for_ever_poisons_it() {
    let table = Table::new(CAPACITY);
    let mut follower = Follower::new(table.clone(), Start::Oldest).unwrap();
    table.progress(Progress::Claim).store(u64::MAX, Ordering::Relaxed);
    assert_eq!(follower.look(), Look::Behind);
    let corrupt = Corrupt { at: At::Claim, found: u64::MAX };
    assert_eq!(follower.catch_up(), Err(corrupt));
    assert_eq!((follower.look(), follower.corruption()), (Look::Corrupt, Some(corrupt)));
}
