//! Ring, bells and lives together: one that falls asleep, sleeps or wakes hears of the other one's death, after all that it
//! had done, and of no death of one that lives. News lost is a deadlock of the patient futex.
#![cfg(ringway_loom)]

use loom::thread;
use loom_tests::{
    PARK, Table, kill,
    life::{BOTH, MARK, Mortal, Place, Sources, WATCH},
    with_both_futexes,
};
use ringway::protocol::{Inlet, NoLoan, NoRecord, Outlet};
use ringway_ring::spsc::{Consumer, Producer};
use ringway_wait::Wait;

type Tx = Outlet<Producer<Table>, Mortal>;
type Rx = Inlet<Consumer<Table>, Mortal>;

/// Room for one record: a second message waits.
const ONE: u64 = 32;
/// Room for three.
const THREE: u64 = 64;

/// Each source alone, and both.
const SOURCES: [(&str, Sources); 3] = [("mark", MARK), ("watch", WATCH), ("both", BOTH)];

fn outlet(table: &Table, place: &Place) -> Tx {
    Outlet::attach(Producer::resume(table.clone()).unwrap(), place.words(), PARK, true)
}

fn inlet(table: &Table, place: &Place, wait: Wait) -> Rx {
    Inlet::attach(Consumer::resume(table.clone()).unwrap(), place.words(), wait, true)
}

fn send(tx: &mut Tx, value: u64) -> Result<(), NoLoan> {
    tx.loan(8, || None)?;
    let (position, _) = tx.ring().loaned();
    tx.ring().mem().fill(position / 8 + 1, value);
    tx.send(0);
    Ok(())
}

fn receive(rx: &mut Rx) -> Result<u64, NoRecord> {
    let record = rx.take(|| None)?;
    let value = rx.ring().mem().read(record);
    rx.release();
    Ok(value)
}

/// Runs `life` with each of the sources and both futexes: the sides are its first process's.
fn all(
    name: &str,
    preemptions: usize,
    sources: &[(&str, Sources)],
    life: impl Fn(Place, Place) + Clone + Send + Sync + 'static,
) {
    for &(told_by, sources) in sources {
        let life = life.clone();
        with_both_futexes(&format!("{name}, {told_by}"), preemptions, move |futex| {
            let (sender, receiver) = Place::pair(futex, sources);
            life(sender, receiver);
        });
    }
}

#[test]
fn a_receiver_hears_of_a_sender_killed_at_any_access_after_all_that_it_sent() {
    kill::everywhere(u32::MAX, |accesses| {
        all(&format!("sender dies after {accesses} accesses"), 2, &SOURCES, move |here, there| {
            let table = Table::new(THREE);
            here.take(1);
            let mut rx = inlet(&table, &there, PARK);
            let sender = thread::spawn(move || {
                kill::after(accesses, || send(&mut outlet(&table, &here), 1).unwrap());
                here.die(1);
            });
            while let Ok(n) = receive(&mut rx) {
                assert_eq!(n, 1);
            }
            sender.join().unwrap();
            assert_eq!((rx.try_take(), rx.dead_sender()), (Err(NoRecord::Died), 1));
        });
    });
}

#[test]
fn a_sender_hears_of_a_receiver_killed_at_any_access_after_the_room_that_it_made() {
    kill::everywhere(u32::MAX, |accesses| {
        all(&format!("receiver dies after {accesses} accesses"), 1, &SOURCES, move |here, there| {
            let table = Table::new(ONE);
            there.take(1);
            let mut tx = outlet(&table, &here);
            let receiver = thread::spawn(move || {
                kill::after(accesses, || assert_eq!(receive(&mut inlet(&table, &there, PARK)), Ok(1)));
                there.die(1);
            });
            let died = (1..=3).map(|n| send(&mut tx, n)).find(Result::is_err);
            assert_eq!(died, Some(Err(NoLoan::Died)));
            receiver.join().unwrap();
            assert_eq!((tx.try_loan(8), tx.dead_receiver()), (Err(NoLoan::Died), 1));
        });
    });
}

#[test]
fn a_receiver_hears_of_a_sender_that_comes_while_it_falls_asleep_and_dies() {
    all("comes and dies", 2, &SOURCES, |here, there| {
        let table = Table::new(THREE);
        let mut rx = inlet(&table, &there, PARK);
        let sender = thread::spawn(move || come_and_die(&table, &here));
        assert_eq!(receive(&mut rx), Err(NoRecord::Died));
        sender.join().unwrap();
    });
}

#[test]
fn one_that_only_spins_or_looks_now_and_then_hears_of_another_that_comes_and_dies() {
    all("comes and dies, spinning", 2, &[("watch", WATCH)], |here, there| {
        let table = Table::new(THREE);
        let mut rx = inlet(&table, &there, Wait::Spin);
        let sender = thread::spawn(move || come_and_die(&table, &here));
        assert_eq!(receive(&mut rx), Err(NoRecord::Died));
        sender.join().unwrap();
    });
    all("comes and dies, polling", 2, &[("watch", WATCH)], |here, there| {
        let table = Table::new(THREE);
        let mut rx = inlet(&table, &there, PARK);
        let sender = thread::spawn(move || come_and_die(&table, &here));
        while rx.try_take() != Err(NoRecord::Died) {
            thread::yield_now();
        }
        sender.join().unwrap();
    });
    all("receiver comes and dies, polling", 2, &[("watch", WATCH)], |here, there| {
        let table = Table::new(ONE);
        let mut tx = outlet(&table, &here);
        send(&mut tx, 1).unwrap();
        let receiver = thread::spawn(move || {
            there.take(1);
            drop(inlet(&table, &there, PARK));
            there.die(1);
        });
        while tx.try_loan(8) != Err(NoLoan::Died) {
            thread::yield_now();
        }
        receiver.join().unwrap();
    });
}

fn come_and_die(table: &Table, here: &Place) {
    here.take(1);
    drop(outlet(table, here));
    here.die(1);
}

#[test]
fn a_wake_that_another_sleeper_took_is_made_up_for_by_the_watch() {
    let stolen = Sources { wake: false, ..BOTH };
    all("wake taken", 3, &[("both", stolen)], |here, there| {
        let table = Table::new(THREE);
        here.take(1);
        let mut rx = inlet(&table, &there, PARK);
        let sender = thread::spawn(move || here.die(1));
        assert_eq!(receive(&mut rx), Err(NoRecord::Died));
        sender.join().unwrap();
    });
}

#[test]
fn a_successor_revives_a_receiver_and_its_own_death_is_told_after_its_message() {
    all("successor", 1, &[("mark", MARK), ("watch", WATCH)], |here, there| {
        let table = Table::new(THREE);
        here.take(1);
        let mut rx = inlet(&table, &there, PARK);
        let senders = thread::spawn(move || {
            here.die(1);
            here.take(2);
            send(&mut outlet(&table, &here), 2).unwrap();
            here.die(2);
        });
        let mut heard = false;
        loop {
            match receive(&mut rx) {
                Ok(n) => {
                    assert_eq!(n, 2);
                    heard = true;
                }
                Err(why) => {
                    assert_eq!(why, NoRecord::Died);
                    // The second has sent before it died; while it comes the first is not named any more.
                    let dead = rx.dead_sender();
                    assert!(if heard { dead == 2 } else { dead < 2 }, "{dead} has died");
                    if heard {
                        break;
                    }
                    thread::yield_now();
                }
            }
        }
        senders.join().unwrap();
    });
}

#[test]
fn the_death_of_a_predecessor_is_not_told_of_a_successor_that_comes_with_the_receiver() {
    for take in [Place::take, Place::take_without_keeper] {
        all("predecessor", 2, &[("both", BOTH)], move |here, there| {
            predecessor(&here, &there, take, receive)
        });
    }
    // One that was not marked may be told of, if the successor has its lock only. It is named.
    all("predecessor", 2, &[("watch", WATCH)], |here, there| {
        predecessor(&here, &there, Place::take, |rx| {
            loop {
                match receive(rx) {
                    Err(NoRecord::Died) if rx.dead_sender() == 1 => thread::yield_now(),
                    done => break done,
                }
            }
        });
    });
}

fn predecessor(
    here: &Place,
    there: &Place,
    take: fn(&Place, u32),
    receive_first: impl Fn(&mut Rx) -> Result<u64, NoRecord>,
) {
    let table = Table::new(THREE);
    here.take(1);
    here.die(1);
    let sender = thread::spawn({
        let (here, table) = (here.clone(), table.clone());
        move || {
            take(&here, 2);
            send(&mut outlet(&table, &here), 2).unwrap();
        }
    });
    let mut rx = inlet(&table, there, PARK);
    assert_eq!(receive_first(&mut rx), Ok(2));
    sender.join().unwrap();
    assert_eq!(rx.try_take(), Err(NoRecord::Empty));
    here.die(2);
    assert_eq!((receive(&mut rx), rx.dead_sender()), (Err(NoRecord::Died), 2));
}

#[test]
fn a_death_is_told_though_the_successor_is_killed_while_it_comes() {
    kill::everywhere(u32::MAX, |accesses| {
        let sources = [("mark", MARK), ("both", BOTH)];
        all(&format!("successor dies after {accesses} accesses"), 1, &sources, move |here, there| {
            let table = Table::new(THREE);
            here.take(1);
            let mut rx = inlet(&table, &there, PARK);
            here.die(1);
            let successor = thread::spawn(move || {
                kill::after(accesses, || here.take(2));
                here.die(2);
            });
            successor.join().unwrap();
            assert_eq!(rx.try_take(), Err(NoRecord::Died));
        });
    });
}

#[test]
fn a_death_before_somebody_came_is_not_told() {
    all("dead before", 2, &SOURCES, |here, there| {
        let table = Table::new(THREE);
        here.take(1);
        send(&mut outlet(&table, &here), 1).unwrap();
        here.die(1);
        let mut rx = inlet(&table, &there, PARK);
        assert_eq!(receive(&mut rx), Ok(1));
        assert_eq!(rx.try_take(), Err(NoRecord::Empty));
        let sender = thread::spawn({
            let (here, table) = (here.clone(), table.clone());
            move || {
                here.take(2);
                send(&mut outlet(&table, &here), 2).unwrap();
            }
        });
        assert_eq!(receive(&mut rx), Ok(2));
        sender.join().unwrap();
    });
}

#[test]
fn who_left_in_good_order_has_not_died() {
    all("sender leaves and ends", 2, &SOURCES, |here, there| {
        let table = Table::new(THREE);
        here.take(1);
        let mut rx = inlet(&table, &there, PARK);
        let sender = thread::spawn(move || {
            let mut tx = outlet(&table, &here);
            send(&mut tx, 1).unwrap();
            tx.close().unwrap();
            here.leave(1);
        });
        assert_eq!(receive(&mut rx), Ok(1));
        assert_eq!(receive(&mut rx), Err(NoRecord::Closed));
        sender.join().unwrap();
        assert_eq!(rx.try_take(), Err(NoRecord::Closed));
    });
    all("receiver leaves and ends", 2, &SOURCES, |here, there| {
        let table = Table::new(ONE);
        there.take(1);
        let mut tx = outlet(&table, &here);
        send(&mut tx, 1).unwrap();
        let receiver = thread::spawn(move || {
            inlet(&table, &there, PARK).close();
            there.leave(1);
        });
        assert_eq!(send(&mut tx, 2), Err(NoLoan::Closed));
        receiver.join().unwrap();
    });
}
