//! The SPSC ring alone: production source over modelled memory.
#![cfg(ringway_loom)]

use std::sync::Arc;

use loom::{cell::Cell, thread};
use loom_tests::{Table, bounded, kill, model};
use ringway_ring::{
    At, Corrupt, Mem, Progress, Side,
    primitive::Ordering,
    spsc::{Consumer, Follower, LoanError, Look, Next, Producer, Start},
};

/// Two granules a record: room for one, and every other one wraps.
const ONE: u64 = 32;
/// Room for three.
const THREE: u64 = 64;

fn producer(table: &Table) -> Producer<Table> {
    Producer::resume(table.clone()).unwrap()
}

fn consumer(table: &Table) -> Consumer<Table> {
    Consumer::resume(table.clone()).unwrap()
}

/// Loans a record and fills it with `value`; `false` if the ring is full.
fn fill(producer: &mut Producer<Table>, value: u64) -> bool {
    match producer.loan(8) {
        Ok(()) => {}
        Err(LoanError::Full) => return false,
        Err(other) => panic!("{other:?}"),
    }
    let (position, _) = producer.loaned();
    producer.mem().fill(position / 8 + 1, value);
    true
}

fn send(producer: &mut Producer<Table>, value: u64) {
    while !fill(producer, value) {
        thread::yield_now();
    }
    producer.send(value as u16);
}

/// Takes the next record and reads it; not released yet. `None` if there is none.
fn take(consumer: &Consumer<Table>) -> Option<u64> {
    match consumer.advance() {
        Next::Record(record) => {
            let value = consumer.mem().read(record);
            assert_eq!(u64::from(record.kind()), value);
            Some(value)
        }
        _ => None,
    }
}

fn receive(consumer: &mut Consumer<Table>) -> u64 {
    loop {
        if let Some(value) = take(consumer) {
            consumer.release();
            return value;
        }
        thread::yield_now();
    }
}

/// Receives 1, 2 and 3, and is killed after so many accesses: the last message that it had, and that it released.
fn receive_until_killed(consumer: &mut Consumer<Table>, accesses: u32) -> (u64, u64) {
    let (mut had, mut done) = (0, 0);
    kill::after(accesses, || {
        for n in 1..=3 {
            while !matches!(consumer.advance(), Next::Record(_)) {
                thread::yield_now();
            }
            had = n;
            consumer.release();
            done = n;
        }
    });
    (had, done)
}

/// Receives a message, and whether it says that it was taken before.
fn receive_marked(consumer: &mut Consumer<Table>) -> (u64, bool) {
    loop {
        if let Next::Record(record) = consumer.advance() {
            let found = (consumer.mem().read(record), consumer.comes_again(&record));
            consumer.release();
            return found;
        }
        thread::yield_now();
    }
}

#[test]
fn messages_arrive_whole_and_in_order() {
    model("hand-over", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
        (1..=3).for_each(|n| assert_eq!(receive(&mut rx), n));
        sender.join().unwrap();
    });
}

#[test]
fn a_ring_of_one_wraps_and_fills_without_overwriting() {
    model("wrap and full", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
        (1..=3).for_each(|n| assert_eq!(receive(&mut rx), n));
        sender.join().unwrap();
    });
}

#[test]
fn a_message_as_large_as_the_ring_is_not_overwritten() {
    model("as large as the ring", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                while tx.loan(16).is_err() {
                    thread::yield_now();
                }
                let (position, _) = tx.loaned();
                tx.mem().fill(position / 8 + 1, n);
                tx.send(n as u16);
            }
        });
        (1..=2).for_each(|n| assert_eq!(receive(&mut rx), n));
        sender.join().unwrap();
    });
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    model("batch", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        let rx = consumer(&table);
        let sender = thread::spawn(move || {
            for n in 1..=3 {
                assert!(fill(&mut tx, n));
                tx.stage(n as u16);
            }
            assert_eq!(tx.loan(8), Err(LoanError::Full));
            tx.publish();
        });
        if let Some(first) = take(&rx) {
            assert_eq!((first, take(&rx), take(&rx), take(&rx)), (1, Some(2), Some(3), None));
        }
        sender.join().unwrap();
    });
}

#[test]
fn a_batch_that_is_appended_to_is_seen_whole_or_not_at_all() {
    model("appended", || {
        let table = Table::new(128);
        let mut tx = producer(&table);
        let rx = consumer(&table);
        let sender = thread::spawn(move || {
            let append = |tx: &mut Producer<Table>, n: u64| {
                tx.append(8, n as u16, |table, granule, _| table.fill(granule, n))
            };
            // From now on it knows that all of the ring is free.
            assert_eq!(tx.loan(104), Ok(()));
            tx.abort();
            send(&mut tx, 1);
            assert!(!append(&mut tx, 77), "nothing is staged");
            assert!(fill(&mut tx, 2));
            tx.stage(2);
            assert!(fill(&mut tx, 77));
            assert!(!append(&mut tx, 78), "there is a loan");
            tx.abort();
            assert_eq!(tx.stage_with(8, 3, |table, granule, _| table.fill(granule, 3)), Ok(()));
            assert!(append(&mut tx, 4));
            assert!(!tx.append(56, 79, |_, _, _| ()), "there is no room for an end");
            assert_eq!((tx.staged(), tx.sent()), (3, 1));
            tx.publish();
        });
        if take(&rx).is_some()
            && let Some(second) = take(&rx)
        {
            assert_eq!((second, take(&rx), take(&rx), take(&rx)), (2, Some(3), Some(4), None));
        }
        sender.join().unwrap();
    });
}

#[test]
fn behind_a_batch_there_is_nothing_whatever_was_there_before() {
    model("batch over old records", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        for n in 1..=3 {
            send(&mut tx, n);
            assert_eq!(receive(&mut rx), n);
        }
        let sender = thread::spawn(move || {
            for n in 4..=5 {
                assert!(fill(&mut tx, n));
                tx.stage(n as u16);
            }
            tx.publish();
        });
        (4..=5).for_each(|n| assert_eq!(receive(&mut rx), n));
        assert_eq!(rx.advance(), Next::Empty);
        sender.join().unwrap();
    });
}

#[test]
fn messages_put_are_whole_and_in_order() {
    model("put", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                while tx.put(8, n as u16, |table, granule, _| table.fill(granule, n)).is_err() {
                    thread::yield_now();
                }
            }
        });
        (1..=2).for_each(|n| assert_eq!(receive(&mut rx), n));
        sender.join().unwrap();
        assert_eq!(rx.advance(), Next::Empty);
    });
}

#[test]
fn long_records_are_reached_ahead_for_as_far_as_there_is_room() {
    model("long records", || {
        // Room for one of them and a half; the line is half of one.
        let table = Table::new(128);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                while tx.put(72, n as u16, |table, granule, _| table.fill(granule, n)).is_err() {
                    thread::yield_now();
                }
            }
        });
        (1..=2).for_each(|n| assert_eq!(receive(&mut rx), n));
        sender.join().unwrap();
        assert_eq!(rx.advance(), Next::Empty);
    });
}

#[test]
fn a_received_batch_is_released_at_once() {
    model("batch received", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        send(&mut tx, 1);
        send(&mut tx, 2);
        let sender = thread::spawn(move || {
            send(&mut tx, 3);
            send(&mut tx, 4);
        });
        let mut next = 1;
        while next <= 4 {
            let mut some = false;
            while let Some(value) = take(&rx) {
                assert_eq!(value, next);
                next += 1;
                some = true;
            }
            rx.release();
            if !some {
                thread::yield_now();
            }
        }
        sender.join().unwrap();
    });
}

#[test]
fn what_is_aborted_or_discarded_is_never_seen() {
    model("abort", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn(move || {
            assert!(fill(&mut tx, 77));
            tx.abort();
            tx.send(77);
            send(&mut tx, 1);
            for n in 78..=79 {
                assert!(fill(&mut tx, n));
                tx.stage(n as u16);
            }
            tx.discard();
            send(&mut tx, 2);
            // A loan of two granules, given up for one of one.
            while tx.loan(16).is_err() {
                thread::yield_now();
            }
            let (position, _) = tx.loaned();
            tx.mem().fill(position / 8 + 2, !0);
            send(&mut tx, 3);
        });
        (1..=3).for_each(|n| assert_eq!(receive(&mut rx), n));
        sender.join().unwrap();
        assert_eq!(rx.advance(), Next::Empty);
    });
}

#[test]
fn what_is_cut_off_a_loan_is_never_seen() {
    model("cut off", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                while tx.loan(16).is_err() {
                    thread::yield_now();
                }
                let (position, _) = tx.loaned();
                tx.mem().fill(position / 8 + 1, n);
                tx.mem().fill(position / 8 + 2, !0);
                tx.trim(8);
                tx.send(n as u16);
            }
        });
        assert_eq!(receive(&mut rx), 1);
        assert_eq!(receive(&mut rx), 2);
        sender.join().unwrap();
        assert_eq!(rx.advance(), Next::Empty);
    });
}

#[test]
fn closed_is_seen_after_the_last_message_and_reopens() {
    model("close", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        let sender = thread::spawn({
            let table = table.clone();
            move || {
                send(&mut tx, 1);
                tx.close().unwrap();
                drop(tx);
                send(&mut producer(&table), 2);
            }
        });
        let mut seen = 0;
        while seen < 2 {
            match rx.advance() {
                Next::Record(record) => {
                    seen += 1;
                    assert_eq!(rx.mem().read(record), seen);
                    rx.release();
                }
                Next::Closed => {
                    assert_eq!(seen, 1, "closed before the last message");
                    thread::yield_now();
                }
                Next::Empty => thread::yield_now(),
                Next::Corrupt => panic!(),
            }
        }
        sender.join().unwrap();
    });
}

#[test]
fn a_successor_resumes_after_a_producer_killed_at_any_access() {
    kill::everywhere(u32::MAX, |accesses| {
        bounded(&format!("producer killed after {accesses} accesses"), 3, move || {
            let table = Table::new(THREE);
            let mut rx = consumer(&table);
            let sender = thread::spawn({
                let table = table.clone();
                move || {
                    let mut tx = producer(&table);
                    kill::after(accesses, || {
                        send(&mut tx, 1);
                        for n in 2..=3 {
                            assert!(fill(&mut tx, n));
                            tx.stage(n as u16);
                        }
                        tx.publish();
                        tx.close().unwrap();
                    });
                    // The victim has stopped; that is proven, and its successor comes.
                    send(&mut producer(&table), 9);
                }
            });
            let mut got = vec![receive(&mut rx)];
            while got.last() != Some(&9) {
                got.push(receive(&mut rx));
            }
            sender.join().unwrap();
            assert!([&[9][..], &[1, 9], &[1, 2, 3, 9]].contains(&&got[..]), "{got:?}");
        });
    });
}

#[test]
fn a_successor_does_not_overwrite_what_is_being_read() {
    model("producer succeeds, full", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        (1..=3).for_each(|n| send(&mut tx, n));
        drop(tx);
        let mut rx = consumer(&table);
        let successor = thread::spawn({
            let table = table.clone();
            move || {
                // Up to and with the first record's payload.
                let mut tx = producer(&table);
                let _ = tx.loan(16);
            }
        });
        assert_eq!(receive(&mut rx), 1);
        successor.join().unwrap();
    });
}

#[test]
fn a_successor_gets_again_what_a_killed_consumer_had_not_released_and_knows_what_it_had_taken() {
    // A receive that finds its message at once: header, taken, payload, position. An empty ring takes more looks.
    kill::everywhere(9, |accesses| {
        bounded(&format!("consumer killed after {accesses} accesses"), 3, move || {
            let table = Table::new(ONE);
            let mut tx = producer(&table);
            let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
            let mut rx = consumer(&table);
            let (had, done) = receive_until_killed(&mut rx, accesses);
            drop(rx);
            let mut rx = consumer(&table);
            for n in done + 1..=3 {
                assert_eq!(receive_marked(&mut rx), (n, n <= had));
            }
            sender.join().unwrap();
        });
    });
}

#[test]
fn a_successor_that_passes_over_what_was_taken_gets_no_message_twice() {
    kill::everywhere(9, |accesses| {
        bounded(&format!("consumer killed after {accesses} accesses, skipped"), 3, move || {
            let table = Table::new(ONE);
            let mut tx = producer(&table);
            let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
            let mut rx = consumer(&table);
            let (had, done) = receive_until_killed(&mut rx, accesses);
            drop(rx);
            let mut rx = consumer(&table);
            assert_eq!(rx.skip(), had - done);
            for n in had + 1..=3 {
                assert_eq!(receive_marked(&mut rx), (n, false));
            }
            sender.join().unwrap();
        });
    });
}

#[test]
fn what_comes_again_stays_marked_until_it_is_released_whoever_dies() {
    kill::everywhere(u32::MAX, |accesses| {
        model(&format!("consumer killed, its successor after {accesses} accesses"), move || {
            let table = Table::new(THREE);
            let mut tx = producer(&table);
            (1..=3).for_each(|n| send(&mut tx, n));
            let rx = consumer(&table);
            assert_eq!((take(&rx), take(&rx)), (Some(1), Some(2)));
            drop(rx);

            let (mut had, mut done) = (2, 0);
            kill::after(accesses, || {
                let mut rx = consumer(&table);
                let Next::Record(first) = rx.advance() else { panic!() };
                rx.put_back(first);
                for n in 1..=3 {
                    assert!(matches!(rx.advance(), Next::Record(_)));
                    had = had.max(n);
                    rx.release();
                    done = n;
                }
            });
            let mut rx = consumer(&table);
            for n in done + 1..=3 {
                assert_eq!(receive_marked(&mut rx), (n, n <= had));
            }
            assert_eq!(rx.advance(), Next::Empty);
        });
    });
}

#[test]
fn a_consumer_comes_and_goes_while_the_producer_sends() {
    model("consumer hands over", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
        for n in 1..=3 {
            assert_eq!(receive(&mut consumer(&table)), n);
        }
        sender.join().unwrap();
        assert_eq!(table.capacity(), ONE);
    });
}

#[test]
fn closed_brings_all_that_came_before_it() {
    // Not only messages: whatever the sender did, here to a word outside the ring.
    model("closed brings", || {
        let table = Table::new(ONE);
        let outside = Arc::new(Outside(Cell::new(0)));
        let mut tx = producer(&table);
        let rx = consumer(&table);
        let sender = thread::spawn({
            let outside = outside.clone();
            move || {
                outside.0.set(1);
                tx.close().unwrap();
            }
        });
        if rx.advance() == Next::Closed {
            assert_eq!(outside.0.get(), 1);
        }
        sender.join().unwrap();
    });
}

struct Outside(Cell<u32>);

// SAFETY: loom itself reports any access that is not ordered; that is what the cell is for.
unsafe impl Sync for Outside {}

#[test]
fn a_ring_taken_up_again_is_open_and_goes_on_at_its_end() {
    model("taken up again", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        send(&mut tx, 1);
        assert!(fill(&mut tx, 2));
        tx.stage(2);
        tx.close().unwrap();
        // What was staged is forgotten.
        tx.publish();
        assert_eq!(take(&rx), Some(1));
        assert_eq!(rx.advance(), Next::Closed);

        let mut tx = producer(&table);
        assert_eq!(rx.advance(), Next::Empty);
        send(&mut tx, 3);
        assert_eq!((rx.pending(), tx.pending()), (16, 32));
        tx.close().unwrap();
        assert_eq!((table.position(Side::Producer).load(Ordering::Relaxed), tx.sent()), (32, 2));
        assert_eq!(table.progress(Progress::Sent).load(Ordering::Relaxed), 2);
        assert_eq!(receive(&mut rx), 3);
        assert_eq!((rx.pending(), tx.pending()), (0, 0));
    });
}

#[test]
fn what_is_put_back_is_not_released() {
    model("put back", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        send(&mut tx, 1);
        let sender = thread::spawn(move || send(&mut tx, 2));
        let Next::Record(record) = rx.advance() else { panic!() };
        rx.put_back(record);
        rx.release();
        assert_eq!(table.taken().load(Ordering::Relaxed), 0, "nothing is taken");
        assert_eq!(receive(&mut rx), 1);
        assert_eq!(receive(&mut rx), 2);
        sender.join().unwrap();
    });
}

#[test]
fn no_chain_leads_around_the_ring_and_no_position_beyond_it() {
    // A peer that breaks the rules. Records of one granule, two of which are all of the ring.
    let record = 1 << 48 | 8;
    model("hostile chain", move || {
        let table = Table::new(ONE);
        table.data(0).store(record, Ordering::Relaxed);
        table.data(2).store(record, Ordering::Relaxed);
        let broken = Corrupt { at: At::Header { position: 16 }, found: record };
        assert_eq!(Producer::resume(table.clone()).unwrap_err(), broken);
        let rx = consumer(&table);
        assert!(matches!(rx.advance(), Next::Record(_)));
        assert_eq!(rx.advance(), Next::Corrupt);
        assert_eq!(rx.corruption(), Some(broken));
    });
    model("hostile position", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        send(&mut tx, 1);
        table.position(Side::Consumer).store(24, Ordering::Relaxed);
        let broken = Corrupt { at: At::ConsumerPosition, found: 24 };
        assert_eq!(tx.loan(8), Err(LoanError::Corrupt));
        assert_eq!(tx.corruption(), Some(broken));
        assert_eq!(tx.close(), Err(broken));
    });
}

/// Copies the next record as one who does not take part: its first granule, if it was still whole.
fn copy(follower: &mut Follower<Table>) -> Result<u64, Look> {
    match follower.look() {
        Look::Record(record) => {
            let (granule, _) = record.granules();
            let value = follower.mem().data(granule).load(Ordering::Relaxed);
            if follower.accept(record) {
                assert_eq!(value, u64::from(record.kind()), "torn");
                return Ok(value);
            }
            Err(Look::Behind)
        }
        other => Err(other),
    }
}

#[test]
fn what_a_follower_accepts_is_whole_though_nobody_waits_for_it() {
    model("follower", || {
        let table = Table::new(ONE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        send(&mut tx, 1);
        let mut follower = Follower::new(table.clone(), Start::Unread).unwrap();
        let sender = thread::spawn(move || {
            // The consumer makes room, and the sender writes over what is being followed.
            assert_eq!(take(&rx), Some(1));
            rx.release();
            assert!(fill(&mut tx, 2));
            tx.send(2);
        });
        match copy(&mut follower) {
            Ok(value) => assert_eq!(value, 1),
            Err(why) => {
                assert_eq!(why, Look::Behind);
                assert_eq!(follower.catch_up(), Ok(16));
            }
        }
        sender.join().unwrap();
        assert_eq!(copy(&mut follower), Ok(2));
        assert_eq!(copy(&mut follower), Err(Look::Empty));
    });
}

#[test]
fn what_a_consumer_has_taken_over_a_follower_does_not_accept_as_what_was_there_before() {
    model("taken over", || {
        let table = Table::new(THREE);
        let mut tx = producer(&table);
        let mut rx = consumer(&table);
        // The first record's last granule, which the last record's lies over, is one that is taken over.
        let send = |tx: &mut Producer<Table>, len, last, value: u16| {
            tx.loan(len).unwrap();
            tx.mem().fill(last, value.into());
            tx.send(value);
        };
        send(&mut tx, 32, 4, 1);
        let mut follower = Follower::new(table.clone(), Start::Unread).unwrap();
        assert!(matches!(rx.advance(), Next::Record(_)));
        send(&mut tx, 8, 6, 2);
        rx.release();
        assert_eq!(receive(&mut rx), 2);

        let sender = thread::spawn(move || send(&mut tx, 40, 12, 3));
        let receiver = thread::spawn(move || drop(rx.advance()));
        if let Look::Record(record) = follower.look() {
            let value = table.data(4).load(Ordering::Relaxed);
            if follower.accept(record) {
                assert_eq!((value, record.kind()), (1, 1), "torn");
            }
        }
        sender.join().unwrap();
        receiver.join().unwrap();
    });
}

#[test]
fn a_follower_of_a_producer_that_never_waits_gets_whole_records_in_order_and_the_last_one() {
    model("overwriting", || {
        let table = Table::new(THREE);
        let mut tx = Producer::resume_overwriting(table.clone()).unwrap();
        (1..=2).for_each(|n| send(&mut tx, n));
        let mut follower = Follower::new(table.clone(), Start::Oldest).unwrap();
        let sender = thread::spawn(move || (3..=5).for_each(|n| send(&mut tx, n)));
        let (mut last, mut at) = (0, 0);
        for _ in 0..3 {
            match copy(&mut follower) {
                Ok(value) => {
                    assert_eq!(value, 1 + at / 16, "a record at a place that is another's");
                    assert!(value > last, "out of order");
                    (last, at) = (value, at + 16);
                }
                Err(Look::Behind) => at += follower.catch_up().unwrap(),
                Err(Look::Empty) => thread::yield_now(),
                Err(other) => panic!("{other:?}"),
            }
            assert_eq!(follower.position(), at);
        }
        sender.join().unwrap();
        while last != 5 {
            match copy(&mut follower) {
                Ok(value) => {
                    assert!(value > last);
                    last = value;
                }
                Err(why) => {
                    assert_eq!(why, Look::Behind);
                    follower.catch_up().unwrap();
                }
            }
        }
        assert_eq!(copy(&mut follower), Err(Look::Empty));
    });
}

#[test]
fn what_a_dead_producer_had_claimed_stays_claimed() {
    model("claim of a dead producer", || {
        let table = Table::new(THREE);
        let mut tx = Producer::resume_overwriting(table.clone()).unwrap();
        (1..=2).for_each(|n| send(&mut tx, n));
        let mut follower = Follower::new(table.clone(), Start::Oldest).unwrap();
        // A long record, which goes over the first one. It is killed in the middle of it.
        tx.loan(40).unwrap();
        (5..10).for_each(|granule| table.fill(granule, 1 << 48 | 1 << 32 | 8));
        drop(tx);
        // Its successor needs much less.
        send(&mut Producer::resume_overwriting(table).unwrap(), 3);
        assert_eq!(copy(&mut follower), Err(Look::Behind));
    });
}

#[test]
fn a_producer_that_never_waits_is_killed_at_any_access_and_succeeded() {
    kill::everywhere(u32::MAX, |accesses| {
        bounded(&format!("overwriting producer killed after {accesses} accesses"), 3, move || {
            let table = Table::new(THREE);
            let mut tx = Producer::resume_overwriting(table.clone()).unwrap();
            send(&mut tx, 1);
            drop(tx);
            let mut follower = Follower::new(table.clone(), Start::Oldest).unwrap();
            let sender = thread::spawn({
                let table = table.clone();
                move || {
                    kill::after(accesses, || {
                        let mut tx = Producer::resume_overwriting(table.clone()).unwrap();
                        (2..=4).for_each(|n| send(&mut tx, n));
                    });
                    // The victim has stopped; that is proven, and its successor comes.
                    let mut tx = Producer::resume_overwriting(table).unwrap();
                    send(&mut tx, 9);
                }
            });
            let mut last = 0;
            for _ in 0..2 {
                match copy(&mut follower) {
                    Ok(value) => {
                        assert!(value > last);
                        last = value;
                    }
                    Err(Look::Behind) => drop(follower.catch_up().unwrap()),
                    Err(Look::Empty) => thread::yield_now(),
                    Err(other) => panic!("{other:?}"),
                }
            }
            sender.join().unwrap();
            while last != 9 {
                match copy(&mut follower) {
                    Ok(value) => last = value,
                    Err(why) => {
                        assert_eq!(why, Look::Behind);
                        follower.catch_up().unwrap();
                    }
                }
            }
        });
    });
}
