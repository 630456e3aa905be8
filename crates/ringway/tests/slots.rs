//! Messages of one type: their ends, between threads and processes, killed and succeeded.

mod support;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    AttachError, Error, Names, OpenError, RecvError, SendError, SendTimeoutError, Stats, TryRecvError,
    TrySendError, Wait, spsc,
    spsc::slots::{Options, Receiver, Sender},
};
use support::{PATIENCE, Peer, told};

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };

/// Its number, and words made of it.
type Message = [u64; 7];

fn message(generation: u64, number: u64) -> Message {
    let mix = |n: u64| (number ^ generation << 48 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [generation, number, mix(1), mix(2), mix(3), mix(4), mix(5)]
}

/// Generation and number of a message that is whole.
fn read(found: &Message) -> (u64, u64) {
    assert_eq!(found, &message(found[0], found[1]), "torn");
    (found[0], found[1])
}

fn small(wait: Wait) -> (Sender<Message>, Receiver<Message>) {
    Options::new().capacity(3).wait(wait).pair().unwrap()
}

fn fill(tx: &mut Sender<Message>) -> usize {
    (0..).take_while(|&n| tx.try_send(&message(0, n)).is_ok()).count()
}

#[test]
fn a_ring_holds_what_was_asked_for_or_more_and_then_is_full() {
    for wait in [SLEEP, Wait::Spin] {
        let (mut tx, mut rx) = small(wait);
        assert_eq!(tx.capacity(), 4096 / 56);
        assert_eq!(rx.capacity(), tx.capacity());
        assert_eq!(fill(&mut tx), tx.capacity());
        assert_eq!((tx.len(), rx.len()), (tx.capacity(), tx.capacity()));
        assert_eq!(tx.send_timeout(&message(0, 0), Duration::from_millis(1)), Err(SendTimeoutError::Timeout));
        assert_eq!(tx.try_loan().unwrap_err(), TrySendError::Full);
        assert_eq!(tx.batch().push(&message(0, 0)), Err(TrySendError::Full));
        assert_eq!(read(&rx.recv().unwrap()), (0, 0));
        tx.try_send(&message(1, 0)).unwrap();
        assert_eq!(tx.try_send(&message(1, 0)), Err(TrySendError::Full));
    }
}

#[test]
fn a_batch_is_received_whole_and_what_is_left_of_one_comes_again() {
    let (mut tx, mut rx) = small(SLEEP);
    let mut batch = tx.batch();
    for number in 0..5 {
        batch.push_with(|place| *place = message(0, number)).unwrap();
    }
    assert_eq!(batch.len(), 5);
    drop(batch);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    let mut batch = tx.batch();
    (0..5).for_each(|number| batch.push(&message(1, number)).unwrap());
    batch.send();
    let batch = rx.recv_batch(9).unwrap();
    assert_eq!(batch.iter().take(3).map(read).collect::<Vec<_>>(), [(1, 0), (1, 1), (1, 2)]);
    batch.put_back();
    assert_eq!(rx.recv_batch(2).unwrap().iter().map(read).count(), 2);
    rx.recv().unwrap().put_back();
    assert_eq!(read(&rx.try_recv().unwrap()), (1, 2));
    assert_eq!(rx.try_recv_batch(9).unwrap().iter().map(read).count(), 2);
}

#[test]
fn looking_in_vain_takes_nothing_from_what_a_batch_may_have() {
    let (mut tx, mut rx) = small(SLEEP);
    tx.send(&message(0, 0)).unwrap();
    let batch = rx.recv_batch(2).unwrap();
    assert_eq!(batch.iter().count(), 1);
    assert_eq!(batch.iter().count(), 0);
    (1..3).for_each(|number| tx.send(&message(0, number)).unwrap());
    assert_eq!(batch.iter().map(read).collect::<Vec<_>>(), [(0, 1)], "one was left of two");
}

#[test]
fn what_was_forgotten_is_neither_sent_nor_kept() {
    let (mut tx, mut rx) = small(SLEEP);
    let mut batch = tx.batch();
    batch.push(&message(9, 9)).unwrap();
    std::mem::forget(batch);
    *tx.loan().unwrap() = message(9, 8);
    tx.send(&message(0, 1)).unwrap();
    assert_eq!(read(&rx.recv().unwrap()), (0, 1));
    std::mem::forget(rx.try_recv());
    assert_eq!(fill(&mut tx), tx.capacity());
    (0..tx.capacity()).for_each(|_| std::mem::forget(rx.recv().unwrap()));
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(fill(&mut tx), tx.capacity());
}

#[test]
fn closing_is_heard_at_either_end_and_a_successor_opens_again() {
    let offer = Options::new().wait(SLEEP).offer::<Message>().unwrap();
    let mut rx = Receiver::<Message>::attach(&offer).unwrap();
    for number in 0..3 {
        let mut tx = Sender::<Message>::attach(&offer).unwrap();
        tx.send(&message(0, number)).unwrap();
        tx.close().unwrap();
        assert_eq!(read(&rx.recv().unwrap()), (0, number));
        assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
        assert_eq!(rx.try_recv_batch(1).unwrap_err(), TryRecvError::Closed);
    }
    let mut tx = Sender::<Message>::attach(&offer).unwrap();
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    drop(rx);
    assert_eq!(tx.send(&message(0, 0)), Err(SendError::Closed));
    assert_eq!(tx.batch().push(&message(0, 0)), Err(TrySendError::Closed));
    let mut rx = Receiver::<Message>::attach(&offer).unwrap();
    tx.send(&message(1, 1)).unwrap();
    assert_eq!(read(&rx.recv().unwrap()), (1, 1));
}

#[test]
fn stats_count_what_an_end_has_done_since_it_was_taken() {
    let offer = Options::new().wait(SLEEP).offer::<[u8; 12]>().unwrap();
    let mut tx = Sender::<[u8; 12]>::attach(&offer).unwrap();
    let mut rx = Receiver::<[u8; 12]>::attach(&offer).unwrap();
    tx.send(&[1; 12]).unwrap();
    let mut batch = tx.batch();
    (0..3).for_each(|_| batch.push(&[2; 12]).unwrap());
    batch.send();
    let mut forgotten = tx.batch();
    forgotten.push(&[3; 12]).unwrap();
    std::mem::forget(forgotten);
    assert_eq!((tx.stats().messages, tx.stats().bytes), (4, 4 * 16));
    rx.recv().unwrap().put_back();
    assert_eq!((rx.stats().messages, rx.stats().bytes), (0, 0));
    assert_eq!(rx.recv_batch(3).unwrap().iter().count(), 3);
    let batch = rx.recv_batch(9).unwrap();
    assert_eq!(batch.iter().count(), 1);
    batch.put_back();
    assert_eq!((rx.stats().messages, rx.stats().bytes), (3, 3 * 16));
    drop(rx.recv().unwrap());
    assert_eq!((rx.stats().messages, rx.stats().bytes, rx.stats().waits), (4, 4 * 16, 0));

    rx.recv_timeout(Duration::from_millis(100)).unwrap_err();
    assert_eq!(rx.stats().waits, 1);
    assert!(rx.stats().sleeps > 0);
    while tx.try_send(&[4; 12]).is_ok() {}
    tx.send_timeout(&[4; 12], Duration::from_millis(1)).unwrap_err();
    assert_eq!(tx.stats().waits, 1);
    assert_eq!((tx.stats().lost, rx.stats().lost), (0, 0));

    drop((tx, rx));
    assert_eq!(Sender::<[u8; 12]>::attach(&offer).unwrap().stats(), Stats::default());
    assert_eq!(Receiver::<[u8; 12]>::attach(&offer).unwrap().stats(), Stats::default());
}

#[test]
fn stats_of_a_sender_count_whom_it_woke_and_those_of_the_woken_that_it_slept() {
    let (mut tx, mut rx) = small(SLEEP);
    let receiver = thread::spawn(move || {
        while rx.recv().is_ok() {}
        rx.stats()
    });
    let limit = Instant::now() + PATIENCE;
    while tx.stats().wakes == 0 {
        assert!(Instant::now() < limit, "it never sleeps");
        // Until it does.
        thread::sleep(Duration::from_millis(1));
        tx.send(&message(0, 0)).unwrap();
    }
    let sent = tx.stats();
    tx.close().unwrap();
    let received = receiver.join().unwrap();
    assert_eq!((received.messages, received.bytes), (sent.messages, sent.bytes));
    assert!(received.waits > 0 && received.sleeps > 0, "{received:?}");
}

#[test]
fn another_size_or_kind_of_ring_is_refused_and_stays() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let slots = Options::new().names(names.clone());
    let mut tx = slots.sender::<[u8; 48]>("x").unwrap();
    let error = slots.receiver::<[u8; 40]>("x").unwrap_err();
    assert!(matches!(error, AttachError::SlotSize { asked: 40, found: 48, path: Some(_) }), "{error}");
    let text = error.to_string();
    assert!(text.contains("48 bytes") && text.contains("have 40"), "{text}");
    let error = spsc::Options::new().names(names.clone()).receiver("x").unwrap_err();
    assert!(matches!(error, AttachError::Open(OpenError::Kind { found: 2, wanted: 1, .. })), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("x: is a ring of slots (spsc::slots), but a byte ring (spsc) was asked for"),
        "{text}"
    );
    let error = slots.clone().capacity(1 << 20).receiver::<[u8; 48]>("x").unwrap_err();
    assert!(matches!(error, AttachError::TooSmall { .. }), "{error}");
    tx.send(&[3; 48]).unwrap();
    assert_eq!(slots.receiver::<[u8; 48]>("x").unwrap().recv().unwrap()[47], 3);

    let offer = Options::new().offer::<u32>().unwrap();
    assert!(matches!(Sender::<u64>::attach(&offer), Err(AttachError::SlotSize { asked: 8, found: 4, .. })));
    let other = spsc::Options::new().offer().unwrap();
    assert!(matches!(Sender::<u64>::attach(&other), Err(AttachError::Open(OpenError::Kind { .. }))));
}

#[test]
fn a_name_goes_with_the_last_to_leave_once_all_was_received() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = Options::new().names(Names::in_dir(dir.path()));
    let is_there = || std::fs::read_dir(dir.path()).unwrap().next().is_some();
    let (mut tx, mut rx) = (options.sender::<u64>("x").unwrap(), options.receiver::<u64>("x").unwrap());
    tx.send(&1).unwrap();
    tx.send(&2).unwrap();
    tx.close().unwrap();
    assert_eq!(*rx.recv().unwrap(), 1);
    drop(rx);
    assert!(is_there(), "one was not received");
    let mut rx = options.receiver::<u64>("x").unwrap();
    assert_eq!(*rx.recv().unwrap(), 2);
    drop(rx);
    assert!(!is_there());
}

#[test]
fn what_cannot_be_had_is_an_error() {
    for messages in [1 << 50, usize::MAX] {
        let error = Options::new().capacity(messages).pair::<Message>().unwrap_err();
        assert!(matches!(error, AttachError::Create(_)), "{error}");
        assert!(!Error::from(error).to_string().is_empty());
    }
}

fn send_all(tx: &mut Sender<Message>, count: u64) {
    let mut number = 0;
    while number < count {
        match number * 7 % 5 {
            0 => {
                let mut batch = tx.batch();
                while batch.len() < 20 && number < count && batch.push(&message(0, number)).is_ok() {
                    number += 1;
                }
                batch.send();
                thread::yield_now();
            }
            1 => {
                let mut loan = tx.loan().unwrap();
                *loan = message(0, number);
                loan.send();
                number += 1;
            }
            _ => {
                tx.send(&message(0, number)).unwrap();
                number += 1;
            }
        }
    }
}

fn receive_all(rx: &mut Receiver<Message>, count: u64) {
    let mut number = 0;
    while number < count {
        if number % 3 == 0 {
            for found in rx.recv_batch(1 + number as usize % 50).unwrap().iter() {
                assert_eq!(read(found), (0, number));
                number += 1;
            }
        } else {
            assert_eq!(read(&rx.recv().unwrap()), (0, number));
            number += 1;
        }
    }
    assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
}

const MESSAGES: u64 = 60_000;

fn options(dir: &str, wait: &str, capacity: &str) -> Options {
    let wait = match wait {
        "spin" => Wait::Spin,
        "sleep" => SLEEP,
        _ => Wait::default(),
    };
    Options::new().names(Names::in_dir(dir)).wait(wait).capacity(capacity.parse().unwrap())
}

fn child_options() -> Options {
    options(&told("DIR"), &told("WAIT"), &told("CAPACITY"))
}

#[test]
#[ignore = "run as a child process"]
fn child_sends() {
    let mut tx = child_options().sender("stress").unwrap();
    send_all(&mut tx, MESSAGES);
    tx.close().unwrap();
}

#[test]
#[ignore = "run as a child process"]
fn child_receives() {
    receive_all(&mut child_options().receiver("stress").unwrap(), MESSAGES);
}

fn child(function: &str, dir: &str, wait: &str, capacity: &str) -> Command {
    let mut command = Peer::command(function);
    command.env("DIR", dir).env("WAIT", wait).env("CAPACITY", capacity);
    command
}

#[test]
fn messages_cross_whole_and_in_order_whichever_side_starts() {
    for (first, second) in [("child_sends", "child_receives"), ("child_receives", "child_sends")] {
        for wait in ["spin", "sleep", "default"] {
            for capacity in ["1", "10000"] {
                let dir = tempfile::tempdir_in("/dev/shm").unwrap();
                let path = dir.path().to_str().unwrap();
                let first = Peer::start(&mut child(first, path, wait, capacity));
                let second = Peer::start(&mut child(second, path, wait, capacity));
                first.join();
                second.join();
                let left = std::fs::read_dir(dir.path()).unwrap().count();
                assert_eq!(left, 0, "{wait} {capacity}: the name is still there");
            }
        }
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_sends_until_killed() {
    let generation = told("GENERATION").parse().unwrap();
    let mut tx = child_options().sender("heirs").unwrap();
    for number in 0.. {
        tx.send(&message(generation, number)).unwrap();
    }
}

/// Nothing torn, nothing lost, nothing twice, though one sender after the other is killed at a random moment.
#[test]
fn a_killed_sender_is_succeeded_by_the_next() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().to_str().unwrap();
    let mut rx = options(path, "default", "500").receiver::<Message>("heirs").unwrap();
    let mut expected = (0, 0);
    for generation in 1..=40u64 {
        let mut heir = child("child_sends_until_killed", path, "default", "500");
        let heir = Peer::start(heir.env("GENERATION", generation.to_string()));
        for _ in 0..1 + generation * 7919 % 3001 {
            let found = loop {
                match rx.recv_timeout(PATIENCE) {
                    Ok(message) => break read(&message),
                    // The next one is on its way.
                    Err(ringway::RecvTimeoutError::PeerDied(_)) => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            };
            assert!(found == expected || found.1 == 0 && found.0 > expected.0, "{found:?}, not {expected:?}");
            expected = (found.0, found.1 + 1);
        }
        heir.kill();
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_receives_until_killed() {
    let mut rx = child_options().receiver::<Message>("heirs").unwrap();
    loop {
        let found = read(&rx.recv().unwrap());
        rx.recv_batch(5).unwrap().iter().for_each(|message| assert!(read(message) > found));
    }
}

/// What a killed receiver had not released is received by the next: no gap after what was released.
#[test]
fn a_killed_receiver_is_succeeded_by_the_next() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().to_str().unwrap();
    let mut tx = options(path, "default", "500").sender::<Message>("heirs").unwrap();
    let mut number = 0;
    for generation in 1..=20u64 {
        let heir = Peer::start(&mut child("child_receives_until_killed", path, "default", "500"));
        for _ in 0..2000 + generation * 7919 % 3001 {
            // The one before has left; until the next has come, that is what the sender is told.
            while let Err(error) = tx.send_timeout(&message(0, number), PATIENCE) {
                assert_eq!(error, SendTimeoutError::Closed);
                thread::sleep(Duration::from_millis(1));
            }
            number += 1;
        }
        heir.kill();
        let (pending, sent) = (tx.len() as u64, number);
        let mut rx = options(path, "default", "500").receiver::<Message>("heirs").unwrap();
        for expected in sent - pending..sent {
            assert_eq!(read(&rx.try_recv().unwrap()), (0, expected));
        }
        assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
        drop(rx);
    }
}
