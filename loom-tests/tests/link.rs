//! Ring and bells together: no message and no wake is lost. Each model runs with a futex that only wakes when
//! told (a lost wake is a deadlock) and with one that comes back at once (no lock hides a missing order).
#![cfg(ringway_loom)]

use loom::thread;
use loom_tests::{Line, PARK, Table, bounded, kill, with_both_futexes};
use ringway::protocol::{Inlet, NoLoan, NoRecord, Outlet};
use ringway_ring::{
    Mem, Side,
    spsc::{Consumer, Next, Producer},
};
use ringway_wait::{
    Whose, Words,
    primitive::{Futex, Ordering},
};

type Tx = Outlet<Producer<Table>, Line>;
type Rx = Inlet<Consumer<Table>, Line>;

/// Room for one record: every second message fills the ring.
const ONE: u64 = 32;
/// Room for three.
const THREE: u64 = 64;
/// An eighth of it is two records without payload: after one, the receiver looks for a sleeper without a fence.
const LARGE: u64 = 128;
/// The payload that needs all of it.
const ALL_OF_LARGE: usize = 112;

fn send(tx: &mut Tx, value: u64) -> Result<(), NoLoan> {
    tx.loan(8, || None)?;
    fill(tx, value);
    tx.send(0);
    Ok(())
}

fn fill(tx: &mut Tx, value: u64) {
    let (position, _) = tx.ring().loaned();
    tx.ring().mem().fill(position / 8 + 1, value);
}

fn receive(rx: &mut Rx) -> Result<u64, NoRecord> {
    let record = rx.take(|| None)?;
    let value = rx.ring().mem().read(record);
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

fn outlet(table: Table, line: Line) -> Tx {
    Outlet::attach(Producer::resume(table).unwrap(), line, PARK, true)
}

fn inlet(table: Table, line: Line) -> Rx {
    Inlet::attach(Consumer::resume(table).unwrap(), line, PARK, true)
}

#[test]
fn a_receiver_asleep_on_an_empty_ring_is_woken_by_each_message() {
    both(
        "empty",
        3,
        THREE,
        |table, line| {
            let mut tx = outlet(table, line);
            (1..=2).for_each(|n| send(&mut tx, n).unwrap());
        },
        |table, line| {
            let mut rx = inlet(table, line);
            (1..=2).for_each(|n| assert_eq!(receive(&mut rx), Ok(n)));
        },
    );
}

#[test]
fn a_sender_asleep_on_a_full_ring_is_woken_by_a_release() {
    both(
        "full",
        2,
        ONE,
        |table, line| {
            let mut tx = outlet(table, line);
            (1..=3).for_each(|n| send(&mut tx, n).unwrap());
        },
        |table, line| {
            let mut rx = inlet(table, line);
            (1..=3).for_each(|n| assert_eq!(receive(&mut rx), Ok(n)));
        },
    );
}

#[test]
fn a_batch_wakes_the_receiver() {
    both(
        "batch",
        3,
        THREE,
        |table, line| {
            let mut tx = outlet(table, line);
            for n in 1..=2 {
                tx.try_loan(8).unwrap();
                fill(&mut tx, n);
                tx.stage(0);
            }
            tx.publish();
        },
        |table, line| {
            let mut rx = inlet(table, line);
            (1..=2).for_each(|n| assert_eq!(receive(&mut rx), Ok(n)));
        },
    );
}

#[test]
fn a_receiver_asleep_is_woken_by_closing_after_all_messages() {
    both(
        "sender closes",
        3,
        THREE,
        |table, line| {
            let mut tx = outlet(table, line);
            send(&mut tx, 1).unwrap();
            tx.close().unwrap();
        },
        |table, line| {
            let mut rx = inlet(table, line);
            assert_eq!(receive(&mut rx), Ok(1));
            assert_eq!(receive(&mut rx), Err(NoRecord::Closed));
        },
    );
}

#[test]
fn a_sender_asleep_is_woken_by_the_receivers_leaving() {
    both(
        "receiver closes",
        2,
        ONE,
        |table, line| {
            let mut tx = outlet(table, line);
            while send(&mut tx, 1).is_ok() {}
            assert_eq!(send(&mut tx, 1), Err(NoLoan::Closed));
        },
        |table, line| {
            let mut rx = inlet(table, line);
            assert_eq!(receive(&mut rx), Ok(1));
            rx.close();
        },
    );
}

#[test]
fn a_receiver_that_looks_now_and_then_wakes_the_sender() {
    // `try_take` never sleeps; that it found the ring empty is when it looks with a fence.
    both(
        "polling receiver",
        3,
        ONE,
        |table, line| {
            let mut tx = outlet(table, line);
            (1..=2).for_each(|n| send(&mut tx, n).unwrap());
        },
        |table, line| {
            let mut rx = inlet(table, line);
            for n in 1..=2 {
                let record = loop {
                    match rx.try_take() {
                        Ok(record) => break record,
                        Err(NoRecord::Empty) => thread::yield_now(),
                        Err(other) => panic!("{other:?}"),
                    }
                };
                assert_eq!(rx.ring().mem().read(record), n);
                rx.release();
            }
        },
    );
}

#[test]
fn a_batch_released_at_once_makes_room_for_a_sender_asleep() {
    with_both_futexes("batch received", 2, |futex| {
        let table = Table::new(THREE);
        let (line, peers) = Line::pair(futex);
        let mut tx = outlet(table.clone(), line);
        (1..=2).for_each(|n| send(&mut tx, n).unwrap());
        let sender = thread::spawn(move || (3..=4).for_each(|n| send(&mut tx, n).unwrap()));
        let mut rx = inlet(table, peers);
        let mut next = 1;
        while next <= 4 {
            let mut taken = Next::Record(rx.take(|| None).unwrap());
            while let Next::Record(record) = taken {
                assert_eq!(rx.ring().mem().read(record), next);
                next += 1;
                taken = rx.ring().advance();
            }
            rx.release();
        }
        sender.join().unwrap();
    });
}

#[test]
fn what_a_receiver_took_and_forgot_does_not_lock_both_out() {
    both(
        "forgotten record",
        2,
        ONE,
        |table, line| {
            let mut tx = outlet(table, line);
            (1..=2).for_each(|n| send(&mut tx, n).unwrap());
        },
        |table, line| {
            let mut rx = inlet(table, line);
            rx.take(|| None).unwrap();
            assert_eq!(receive(&mut rx), Ok(2));
        },
    );
}

#[test]
fn what_a_sender_staged_and_forgot_does_not_lock_it_out() {
    with_both_futexes("forgotten batch", 3, |futex| {
        let mut tx = outlet(Table::new(ONE), Line::pair(futex).0);
        tx.try_loan(8).unwrap();
        fill(&mut tx, 1);
        tx.stage(0);
        send(&mut tx, 2).unwrap();
    });
}

#[test]
fn an_eighth_released_wakes_the_sender_with_no_further_step() {
    with_both_futexes("eighth", 2, |futex| {
        let table = Table::new(LARGE);
        let (line, peers) = Line::pair(futex);
        let mut tx = outlet(table.clone(), line);
        send_empty(&mut tx);
        send_empty(&mut tx);
        let mut rx = inlet(table, peers);
        let sender = thread::spawn(move || tx.loan(ALL_OF_LARGE, || None).unwrap());
        // The ring is never found empty.
        for _ in 0..2 {
            rx.take(|| None).unwrap();
            rx.release();
        }
        sender.join().unwrap();
    });
}

#[test]
fn a_sender_seen_asleep_is_woken_by_less_than_an_eighth() {
    // With a patient futex: who sleeps stays asleep.
    bounded("seen asleep, patient futex", 3, || {
        let table = Table::new(LARGE);
        let (line, peers) = Line::pair(Futex::patient);
        let mut tx = outlet(table.clone(), line);
        send_empty(&mut tx);
        let mut rx = inlet(table, peers.clone());
        let sender = thread::spawn(move || tx.loan(ALL_OF_LARGE, || None).unwrap());
        rx.take(|| None).unwrap();
        while peers.asleep(Whose::Peers).load(Ordering::Acquire) % 2 == 0 {
            thread::yield_now();
        }
        rx.release();
        sender.join().unwrap();
    });
}

#[test]
fn a_receiver_that_finds_the_ring_empty_wakes_the_sender() {
    both(
        "less than an eighth",
        2,
        LARGE,
        |table, line| {
            let mut tx = outlet(table, line);
            send_empty(&mut tx);
            tx.loan(ALL_OF_LARGE, || None).unwrap();
            tx.send(0);
        },
        |table, line| {
            let mut rx = inlet(table, line);
            rx.take(|| None).unwrap();
            rx.release();
            // It may have been missed; the receiver does not sleep before it has looked again.
            rx.take(|| None).unwrap();
        },
    );
}

fn send_empty(tx: &mut Tx) {
    tx.try_loan(0).unwrap();
    tx.send(0);
}

#[test]
fn a_successor_of_a_receiver_that_left_gets_the_rest() {
    both(
        "receiver leaves and comes",
        2,
        ONE,
        |table, line| {
            let mut tx = outlet(table, line);
            for n in 1..=2 {
                while let Err(error) = send(&mut tx, n) {
                    assert_eq!(error, NoLoan::Closed);
                    thread::yield_now();
                }
            }
        },
        |table, line| {
            let mut rx = inlet(table.clone(), line.clone());
            assert_eq!(receive(&mut rx), Ok(1));
            rx.close();
            drop(rx);
            assert_eq!(receive(&mut inlet(table, line)), Ok(2));
        },
    );
}

#[test]
fn a_successor_of_a_sender_that_left_is_heard() {
    both(
        "sender leaves and comes",
        2,
        THREE,
        |table, line| {
            let mut tx = outlet(table.clone(), line.clone());
            send(&mut tx, 1).unwrap();
            tx.close().unwrap();
            drop(tx);
            send(&mut outlet(table, line), 2).unwrap();
        },
        |table, line| {
            let mut rx = inlet(table, line);
            assert_eq!(receive(&mut rx), Ok(1));
            loop {
                match receive(&mut rx) {
                    Ok(n) => break assert_eq!(n, 2),
                    Err(error) => assert_eq!(error, NoRecord::Closed),
                }
                thread::yield_now();
            }
        },
    );
}

#[test]
fn a_sender_killed_before_it_rings_for_its_message_leaves_that_to_its_successor() {
    // If its message was committed the successor sends nothing.
    kill::everywhere(u32::MAX, |accesses| {
        both(
            &format!("sender killed after {accesses} accesses"),
            2,
            THREE,
            move |table, line| {
                kill::after(accesses, || send(&mut outlet(table.clone(), line.clone()), 1).unwrap());
                let mut tx = outlet(table.clone(), line);
                if tx.ring().pending() == 0 && table.position(Side::Consumer).load(Ordering::Relaxed) == 0 {
                    send(&mut tx, 1).unwrap();
                }
            },
            |table, line| assert_eq!(receive(&mut inlet(table, line)), Ok(1)),
        );
    });
}

#[test]
fn a_sender_killed_between_bump_and_wake_leaves_the_wake_to_its_successor() {
    both(
        "killed in a ring",
        2,
        THREE,
        |table, line| {
            let mut tx = outlet(table.clone(), line.clone());
            tx.try_loan(8).unwrap();
            fill(&mut tx, 1);
            tx.ring_mut().send(0);
            // What `Bell` does, up to the system call.
            let bell = line.bell(Whose::Mine);
            bell.store(bell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
            drop(tx);
            outlet(table, line);
        },
        |table, line| assert_eq!(receive(&mut inlet(table, line)), Ok(1)),
    );
}

#[test]
fn a_successor_of_a_receiver_killed_at_any_access_is_woken() {
    kill::everywhere(24, |accesses| {
        both(
            &format!("receiver killed after {accesses} accesses"),
            2,
            ONE,
            |table, line| send(&mut outlet(table, line), 1).unwrap(),
            move |table, line| {
                receive_and_die(accesses, &table, &line);
                receive_what_was_not_released(table, line);
            },
        );
    });
}

#[test]
fn a_receiver_killed_before_it_wakes_the_sender_leaves_that_to_its_successor() {
    kill::everywhere(u32::MAX, |accesses| {
        with_both_futexes(
            &format!("receiver of a full ring killed after {accesses} accesses"),
            2,
            move |futex| {
                let table = Table::new(ONE);
                let (line, peers) = Line::pair(futex);
                let mut tx = outlet(table.clone(), line);
                send(&mut tx, 1).unwrap();
                let sender = thread::spawn(move || send(&mut tx, 2).unwrap());
                receive_and_die(accesses, &table, &peers);
                receive_what_was_not_released(table, peers);
                sender.join().unwrap();
            },
        );
    });
}

fn receive_and_die(accesses: u32, table: &Table, line: &Line) {
    kill::after(accesses, || {
        assert_eq!(receive(&mut inlet(table.clone(), line.clone())), Ok(1));
    });
}

fn receive_what_was_not_released(table: Table, line: Line) {
    let mut rx = inlet(table.clone(), line);
    if table.position(Side::Consumer).load(Ordering::Relaxed) == 0 {
        assert_eq!(receive(&mut rx), Ok(1));
    }
}

#[test]
fn a_receiver_killed_at_once_after_its_release_leaves_the_fence_to_its_successor() {
    with_both_futexes("killed after a release", 3, |futex| {
        let table = Table::new(ONE);
        let (line, peers) = Line::pair(futex);
        let mut tx = outlet(table.clone(), line);
        send(&mut tx, 1).unwrap();
        let sender = thread::spawn(move || send(&mut tx, 2).unwrap());
        // A consumer without a bell is one that never came to use it.
        let mut victim = Consumer::resume(table.clone()).unwrap();
        assert!(matches!(victim.advance(), Next::Record(_)));
        victim.release();
        drop(victim);
        inlet(table, peers);
        sender.join().unwrap();
    });
}
