//! The ring of slots, alone and with its bells: production source over modelled memory.
#![cfg(ringway_loom)]

use std::sync::Arc;

use loom::{cell::Cell, thread};
use loom_tests::{Line, PARK, Table, bounded, kill, model, with_both_futexes};
use ringway::protocol::{Inlet, NoLoan, NoRecord, Outlet};
use ringway_ring::{
    Mem, Side,
    primitive::Ordering,
    slots::{Consumer, LoanError, Next, Producer},
};

type Tx = Outlet<Producer<Table>, Line>;
type Rx = Inlet<Consumer<Table>, Line>;

/// Two granules a message, and one more than two slots take: slots move from lap to lap.
const SIZE: u64 = 16;
const TWO: u64 = 32;
/// Room for four.
const FOUR: u64 = 64;
/// Three granules a message: one slot, and every other one wraps.
const WIDE: u64 = 24;

fn producer(table: &Table, size: u64) -> Producer<Table> {
    Producer::resume(table.clone(), size).unwrap()
}

fn consumer(table: &Table, size: u64) -> Consumer<Table> {
    Consumer::resume(table.clone(), size).unwrap()
}

/// Loans a slot and fills it with `value`; `false` if the ring is full.
fn fill(producer: &mut Producer<Table>, value: u64) -> bool {
    match producer.loan() {
        Ok(()) => {}
        Err(LoanError::Full) => return false,
        Err(other) => panic!("{other:?}"),
    }
    write(producer, value);
    true
}

/// Fills the slot that is lent.
fn write(producer: &Producer<Table>, value: u64) {
    let (granule, count) = producer.granules();
    (granule..granule + count).for_each(|granule| producer.mem().fill(granule, value));
}

fn send(producer: &mut Producer<Table>, value: u64) {
    while !fill(producer, value) {
        thread::yield_now();
    }
    producer.send();
}

/// Takes the next message and reads it; not released yet. `None` if there is none.
fn take(consumer: &Consumer<Table>) -> Option<u64> {
    match consumer.advance() {
        Next::Slot(slot) => Some(read(consumer, slot.granules())),
        _ => None,
    }
}

fn read(consumer: &Consumer<Table>, (granule, count): (u64, u64)) -> u64 {
    consumer.mem().reading(granule, count);
    let value = |granule| consumer.mem().data(granule).load(Ordering::Relaxed);
    let first = value(granule);
    assert!((granule..granule + count).all(|granule| value(granule) == first), "torn");
    first
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
            while !matches!(consumer.advance(), Next::Slot(_)) {
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
        if let Next::Slot(slot) = consumer.advance() {
            let found = (read(consumer, slot.granules()), consumer.comes_again(&slot));
            consumer.release();
            return found;
        }
        thread::yield_now();
    }
}

/// Three messages from one thread to another.
fn three(size: u64) {
    let table = Table::new(TWO);
    let mut tx = producer(&table, size);
    let mut rx = consumer(&table, size);
    let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
    (1..=3).for_each(|n| assert_eq!(receive(&mut rx), n));
    sender.join().unwrap();
}

#[test]
fn messages_arrive_whole_and_in_order_through_two_slots() {
    model("slots: hand-over", || three(SIZE));
}

#[test]
fn a_ring_of_one_slot_wraps_and_fills_without_overwriting() {
    model("slots: wrap and full", || three(WIDE));
}

#[test]
fn a_batch_of_slots_is_seen_whole_or_not_at_all() {
    model("slots: batch", || {
        let table = Table::new(TWO);
        let mut tx = producer(&table, SIZE);
        let rx = consumer(&table, SIZE);
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                assert!(fill(&mut tx, n));
                tx.stage();
            }
            assert_eq!(tx.loan(), Err(LoanError::Full));
            tx.publish();
        });
        if let Some(first) = take(&rx) {
            assert_eq!((first, take(&rx), take(&rx)), (1, Some(2), None));
        }
        sender.join().unwrap();
    });
}

#[test]
fn several_slots_are_released_at_once() {
    model("slots: batch received", || {
        let table = Table::new(TWO);
        let mut tx = producer(&table, SIZE);
        let mut rx = consumer(&table, SIZE);
        send(&mut tx, 1);
        send(&mut tx, 2);
        let sender = thread::spawn(move || send(&mut tx, 3));
        assert_eq!((take(&rx), take(&rx)), (Some(1), Some(2)));
        rx.release();
        assert_eq!(receive(&mut rx), 3);
        sender.join().unwrap();
    });
}

#[test]
fn a_slot_put_back_is_not_released() {
    model("slots: put back", || {
        let table = Table::new(TWO);
        let mut tx = producer(&table, WIDE);
        let mut rx = consumer(&table, WIDE);
        send(&mut tx, 1);
        let sender = thread::spawn(move || send(&mut tx, 2));
        let Next::Slot(slot) = rx.advance() else { panic!() };
        rx.put_back(slot);
        rx.release();
        assert_eq!(table.taken().load(Ordering::Relaxed), 0, "nothing is taken");
        assert_eq!((receive(&mut rx), receive(&mut rx)), (1, 2));
        sender.join().unwrap();
    });
}

#[test]
fn slots_given_up_or_discarded_are_never_seen() {
    model("slots: abort", || {
        let table = Table::new(TWO);
        let mut tx = producer(&table, SIZE);
        let mut rx = consumer(&table, SIZE);
        let sender = thread::spawn(move || {
            assert!(fill(&mut tx, 77));
            tx.publish();
            send(&mut tx, 1);
            while !fill(&mut tx, 78) {
                thread::yield_now();
            }
            tx.stage();
            tx.discard();
            tx.publish();
            send(&mut tx, 2);
        });
        (1..=2).for_each(|n| assert_eq!(receive(&mut rx), n));
        sender.join().unwrap();
        assert_eq!(rx.advance(), Next::Empty);
    });
}

#[test]
fn closed_is_seen_after_the_last_slot_and_brings_what_came_before_it() {
    model("slots: close", || {
        let table = Table::new(TWO);
        let outside = Arc::new(Outside(Cell::new(0)));
        let mut tx = producer(&table, WIDE);
        let mut rx = consumer(&table, WIDE);
        let sender = thread::spawn({
            let (table, outside) = (table.clone(), outside.clone());
            move || {
                send(&mut tx, 1);
                // Not only messages: whatever the sender did, here to a word outside the ring.
                outside.0.set(1);
                tx.close().unwrap();
                drop(tx);
                send(&mut producer(&table, WIDE), 2);
            }
        });
        let mut seen = 0;
        while seen < 2 {
            match rx.advance() {
                Next::Slot(slot) => {
                    seen += 1;
                    assert_eq!(read(&rx, slot.granules()), seen);
                    rx.release();
                }
                Next::Closed => {
                    assert_eq!((seen, outside.0.get()), (1, 1), "closed before the last message");
                    thread::yield_now();
                }
                Next::Empty => thread::yield_now(),
                Next::Corrupt => panic!(),
            }
        }
        sender.join().unwrap();
    });
}

struct Outside(Cell<u32>);

// SAFETY: loom itself reports any access that is not ordered; that is what the cell is for.
unsafe impl Sync for Outside {}

#[test]
fn slots_taken_up_again_are_open_and_go_on_at_their_end() {
    model("slots: taken up again", || {
        let table = Table::new(TWO);
        let mut tx = producer(&table, SIZE);
        let mut rx = consumer(&table, SIZE);
        send(&mut tx, 1);
        assert!(fill(&mut tx, 2));
        tx.stage();
        tx.close().unwrap();
        // What was staged is forgotten.
        tx.publish();
        assert_eq!(take(&rx), Some(1));
        assert_eq!(rx.advance(), Next::Closed);
        let mut tx = producer(&table, SIZE);
        assert_eq!(rx.advance(), Next::Empty);
        send(&mut tx, 3);
        assert_eq!((rx.pending(), tx.pending()), (1, 2));
        assert_eq!(receive(&mut rx), 3);
        assert_eq!((rx.pending(), tx.pending()), (0, 0));
    });
}

#[test]
fn what_a_predecessor_published_comes_whole_with_its_successors_store() {
    model("slots: producer hands over", || {
        let table = Table::new(TWO);
        let mut rx = consumer(&table, SIZE);
        let first = thread::spawn({
            let table = table.clone();
            move || send(&mut producer(&table, SIZE), 1)
        });
        let second = thread::spawn({
            let table = table.clone();
            move || {
                first.join().unwrap();
                producer(&table, SIZE)
            }
        });
        assert_eq!(receive(&mut rx), 1);
        second.join().unwrap();
    });
}

#[test]
fn a_successor_of_a_producer_does_not_overwrite_what_is_being_read() {
    model("slots: producer succeeds, full", || {
        let table = Table::new(TWO);
        let mut tx = producer(&table, WIDE);
        send(&mut tx, 1);
        drop(tx);
        let mut rx = consumer(&table, WIDE);
        let successor = thread::spawn({
            let table = table.clone();
            move || fill(&mut producer(&table, WIDE), 2)
        });
        assert_eq!(receive(&mut rx), 1);
        successor.join().unwrap();
    });
}

#[test]
fn a_successor_goes_on_after_a_producer_of_slots_killed_at_any_access() {
    kill::everywhere(u32::MAX, |accesses| {
        bounded(&format!("slots: producer killed after {accesses} accesses"), 3, move || {
            let table = Table::new(64);
            let mut rx = consumer(&table, SIZE);
            let sender = thread::spawn({
                let table = table.clone();
                move || {
                    let mut tx = producer(&table, SIZE);
                    kill::after(accesses, || {
                        send(&mut tx, 1);
                        for n in 2..=3 {
                            assert!(fill(&mut tx, n));
                            tx.stage();
                        }
                        tx.publish();
                        tx.close().unwrap();
                    });
                    // The victim has stopped; that is proven, and its successor comes.
                    send(&mut producer(&table, SIZE), 9);
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
fn a_successor_gets_again_what_a_killed_consumer_of_slots_had_not_released_and_knows_what_it_had_taken() {
    // A receive that finds its message at once: the producer's position, taken, position. An empty ring takes more looks.
    kill::everywhere(9, |accesses| {
        bounded(&format!("slots: consumer killed after {accesses} accesses"), 3, move || {
            let table = Table::new(TWO);
            let mut tx = producer(&table, WIDE);
            let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
            let mut rx = consumer(&table, WIDE);
            let (had, done) = receive_until_killed(&mut rx, accesses);
            drop(rx);
            let mut rx = consumer(&table, WIDE);
            for n in done + 1..=3 {
                assert_eq!(receive_marked(&mut rx), (n, n <= had));
            }
            sender.join().unwrap();
        });
    });
}

#[test]
fn a_successor_that_passes_over_slots_that_were_taken_gets_no_message_twice() {
    kill::everywhere(9, |accesses| {
        bounded(&format!("slots: consumer killed after {accesses} accesses, skipped"), 3, move || {
            let table = Table::new(TWO);
            let mut tx = producer(&table, WIDE);
            let sender = thread::spawn(move || (1..=3).for_each(|n| send(&mut tx, n)));
            let mut rx = consumer(&table, WIDE);
            let (had, done) = receive_until_killed(&mut rx, accesses);
            drop(rx);
            let mut rx = consumer(&table, WIDE);
            assert_eq!(rx.skip(), had - done);
            for n in had + 1..=3 {
                assert_eq!(receive_marked(&mut rx), (n, false));
            }
            sender.join().unwrap();
        });
    });
}

#[test]
fn slots_that_come_again_stay_marked_until_they_are_released_whoever_dies() {
    kill::everywhere(u32::MAX, |accesses| {
        model(&format!("slots: consumer killed, its successor after {accesses} accesses"), move || {
            let table = Table::new(FOUR);
            let mut tx = producer(&table, SIZE);
            (1..=3).for_each(|n| send(&mut tx, n));
            let rx = consumer(&table, SIZE);
            assert_eq!((take(&rx), take(&rx)), (Some(1), Some(2)));
            drop(rx);

            let (mut had, mut done) = (2, 0);
            kill::after(accesses, || {
                let mut rx = consumer(&table, SIZE);
                let Next::Slot(first) = rx.advance() else { panic!() };
                rx.put_back(first);
                for n in 1..=3 {
                    assert!(matches!(rx.advance(), Next::Slot(_)));
                    had = had.max(n);
                    rx.release();
                    done = n;
                }
            });
            let mut rx = consumer(&table, SIZE);
            for n in done + 1..=3 {
                assert_eq!(receive_marked(&mut rx), (n, n <= had));
            }
            assert_eq!(rx.advance(), Next::Empty);
        });
    });
}

fn outlet(table: &Table, line: Line) -> Tx {
    Outlet::attach(producer(table, WIDE), line, PARK, true)
}

fn inlet(table: &Table, line: Line) -> Rx {
    Inlet::attach(consumer(table, WIDE), line, PARK, true)
}

fn ring_send(tx: &mut Tx, value: u64) -> Result<(), NoLoan> {
    tx.loan((), || None)?;
    write(tx.ring(), value);
    tx.send();
    Ok(())
}

fn ring_receive(rx: &mut Rx) -> Result<u64, NoRecord> {
    let slot = rx.take(|| None)?;
    let value = read(rx.ring(), slot.granules());
    rx.release();
    Ok(value)
}

/// Runs `sender` and `receiver` with both futexes.
fn both(
    name: &str,
    preemptions: usize,
    capacity: u64,
    sender: impl Fn(Table, Line) + Clone + Send + Sync + 'static,
    receiver: impl Fn(Table, Line) + Clone + Send + Sync + 'static,
) {
    with_both_futexes(name, preemptions, move |futex| {
        let table = Table::new(capacity);
        let (line, peers) = Line::pair(futex);
        let sends = thread::spawn({
            let (table, sender) = (table.clone(), sender.clone());
            move || sender(table, line)
        });
        receiver(table, peers);
        sends.join().unwrap();
    });
}

#[test]
fn a_receiver_of_slots_asleep_is_woken_by_a_message_a_batch_and_closing() {
    both(
        "slots: empty",
        2,
        128,
        |table, line| {
            let mut tx = outlet(&table, line);
            ring_send(&mut tx, 1).unwrap();
            for n in 2..=3 {
                tx.try_loan(()).unwrap();
                write(tx.ring(), n);
                tx.ring_mut().stage();
            }
            tx.publish();
            tx.close().unwrap();
        },
        |table, line| {
            let mut rx = inlet(&table, line);
            (1..=3).for_each(|n| assert_eq!(ring_receive(&mut rx), Ok(n)));
            assert_eq!(ring_receive(&mut rx), Err(NoRecord::Closed));
        },
    );
}

#[test]
fn a_sender_of_slots_asleep_is_woken_by_a_release_and_by_leaving() {
    both(
        "slots: full",
        2,
        TWO,
        |table, line| {
            let mut tx = outlet(&table, line);
            while ring_send(&mut tx, 1).is_ok() {}
            assert_eq!(ring_send(&mut tx, 1), Err(NoLoan::Closed));
        },
        |table, line| {
            let mut rx = inlet(&table, line);
            assert_eq!(ring_receive(&mut rx), Ok(1));
            rx.close();
        },
    );
}

#[test]
fn a_killed_sender_of_slots_leaves_its_news_to_its_successor() {
    kill::everywhere(u32::MAX, |accesses| {
        both(
            &format!("slots: sender killed after {accesses} accesses"),
            1,
            64,
            move |table, line| {
                kill::after(accesses, || ring_send(&mut outlet(&table, line.clone()), 1).unwrap());
                let mut tx = outlet(&table, line);
                if tx.ring().position() == 0 {
                    ring_send(&mut tx, 1).unwrap();
                }
            },
            |table, line| assert_eq!(ring_receive(&mut inlet(&table, line)), Ok(1)),
        );
    });
}

#[test]
fn a_killed_receiver_of_slots_leaves_the_rest_to_its_successor() {
    kill::everywhere(u32::MAX, |accesses| {
        both(
            &format!("slots: receiver killed after {accesses} accesses"),
            1,
            TWO,
            |table, line| {
                let mut tx = outlet(&table, line);
                (1..=2).for_each(|n| ring_send(&mut tx, n).unwrap());
            },
            move |table, line| {
                kill::after(accesses, || drop(ring_receive(&mut inlet(&table, line.clone()))));
                let mut rx = inlet(&table, line);
                let next = rx.ring().position() / WIDE + 1;
                (next..=2).for_each(|n| assert_eq!(ring_receive(&mut rx), Ok(n)));
            },
        );
    });
}

#[test]
fn positions_beyond_the_room_are_refused() {
    model("slots: hostile positions", || {
        let table = Table::new(TWO);
        let mut tx = producer(&table, WIDE);
        let rx = consumer(&table, WIDE);
        table.position(Side::Producer).store(2 * WIDE, Ordering::Relaxed);
        assert_eq!(rx.advance(), Next::Corrupt);
        send(&mut tx, 1);
        assert_eq!(rx.advance(), Next::Corrupt);
        table.position(Side::Consumer).store(2 * WIDE, Ordering::Relaxed);
        assert_eq!(tx.loan(), Err(LoanError::Corrupt));
        assert!(tx.close().is_err() && tx.loan().is_err());
    });
}
