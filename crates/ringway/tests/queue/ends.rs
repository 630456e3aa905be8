use std::{
    thread,
    time::{Duration, Instant},
};

use ringway::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, Wait, mpmc::Options,
};

use crate::{Place, SIZE, SLEEP, SLOTS, WAITS, all, options, pair, support::PATIENCE};

#[test]
fn messages_come_in_the_order_in_which_they_were_sent() {
    let (tx, rx) = pair();
    for n in 0..50u8 {
        match n % 4 {
            0 => tx.send(&[n]).unwrap(),
            1 => tx.try_send(&[n]).unwrap(),
            2 => tx.send_timeout(&[n], PATIENCE).unwrap(),
            _ => tx.send_deadline(&[n], Instant::now() + PATIENCE).unwrap(),
        }
        if n % 2 == 1 {
            assert_eq!(rx.recv().unwrap()[..], [n - 1]);
            assert_eq!(rx.recv_deadline(Instant::now() + PATIENCE).unwrap()[..], [n]);
        }
    }
}

#[test]
fn each_message_goes_to_one_receiver() {
    const EACH: u64 = 2_000;
    for wait in WAITS {
        let (tx, rx) = options().wait(wait).pair().unwrap();
        let senders: Vec<_> = (0..3)
            .map(|sender| {
                let tx = tx.clone();
                thread::spawn(move || {
                    (0..EACH).for_each(|n| tx.send(&(sender * EACH + n).to_ne_bytes()).unwrap());
                })
            })
            .collect();
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let rx = rx.clone();
                thread::spawn(move || {
                    let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
                    rx.iter().map(|message| number(&message.unwrap())).collect::<Vec<_>>()
                })
            })
            .collect();
        drop(tx);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let mut had = Vec::new();
        for receiver in receivers {
            let some = receiver.join().unwrap();
            for sender in 0..3 {
                let of_one: Vec<_> = some.iter().filter(|&n| n / EACH == sender).collect();
                assert!(of_one.is_sorted(), "of each sender, messages come in its order");
            }
            had.extend(some);
        }
        had.sort_unstable();
        assert!(had.into_iter().eq(0..3 * EACH), "{wait:?}");
    }
}

#[test]
fn nobody_yet_is_not_closed() {
    let place = Place::new();
    let rx = place.options().receiver("x").unwrap();
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    let short = Duration::from_millis(1);
    assert_eq!(rx.recv_timeout(short).unwrap_err(), RecvTimeoutError::Timeout);
    let tx = place.options().sender("y").unwrap();
    (0..SLOTS as u8).for_each(|n| tx.send(&[n]).unwrap());
    assert_eq!(tx.try_send(b"full"), Err(TrySendError::Full));
    assert_eq!(tx.send_timeout(b"full", short), Err(SendTimeoutError::Timeout));
    assert_eq!(all(&place.options().receiver("y").unwrap()), [0, 1, 2, 3]);
}

#[test]
fn receivers_get_closed_after_the_last_message_once_all_senders_have_left() {
    let (tx, rx) = pair();
    let other = tx.clone();
    tx.send(b"1").unwrap();
    tx.close().unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"1");
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty, "there is another one");
    other.send(b"2").unwrap();
    drop(other);
    assert_eq!(&rx.recv().unwrap()[..], b"2");
    assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Closed);
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
    assert_eq!(rx.recv_batch(9).unwrap_err(), RecvError::Closed);
    assert_eq!(rx.try_recv_batch(9).unwrap_err(), TryRecvError::Closed);
    assert!(rx.iter().next().is_none() && rx.try_iter().next().is_none());
}

#[test]
fn senders_get_closed_at_the_next_send_once_all_receivers_have_left() {
    let (tx, rx) = pair();
    let other = rx.clone();
    drop(rx);
    tx.send(b"1").unwrap();
    drop(other);
    assert_eq!(tx.send(b"2"), Err(SendError::Closed));
    assert_eq!(tx.try_send(b"2"), Err(TrySendError::Closed));
    assert_eq!(tx.send_timeout(b"2", PATIENCE), Err(SendTimeoutError::Closed));
    assert_eq!(tx.loan(1).unwrap_err(), SendError::Closed);
    assert_eq!(tx.batch().push(b"2"), Err(TrySendError::Closed));
}

#[test]
fn a_newcomer_opens_again_what_was_closed() {
    let place = Place::new();
    let rx = place.options().receiver("x").unwrap();
    for n in 0..3u8 {
        let tx = place.options().sender("x").unwrap();
        tx.send(&[n]).unwrap();
        tx.close().unwrap();
        assert_eq!(rx.recv().unwrap()[..], [n]);
        assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
    }
    let tx = place.options().sender("x").unwrap();
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    drop(rx);
    assert_eq!(tx.send(b"nobody"), Err(SendError::Closed));
    let rx = place.options().receiver("x").unwrap();
    tx.send(b"somebody").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"somebody");
}

#[test]
fn receivers_that_had_left_before_a_sender_came_are_ones_that_have_not_come_yet() {
    let place = Place::new();
    let _stays = place.options().sender("x").unwrap();
    drop(place.options().receiver("x").unwrap());
    assert_eq!(_stays.try_send(b"1"), Err(TrySendError::Closed));
    let tx = place.options().sender("x").unwrap();
    tx.send(b"2").unwrap();
    assert_eq!(&place.options().receiver("x").unwrap().recv().unwrap()[..], b"2");
}

#[test]
fn a_receiver_that_sleeps_is_woken_by_a_message_and_by_the_last_sender_that_leaves() {
    let (tx, rx) = pair();
    let other = tx.clone();
    let receiver = thread::spawn(move || {
        assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"1");
        assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
    });
    thread::sleep(Duration::from_millis(20));
    tx.send(b"1").unwrap();
    thread::sleep(Duration::from_millis(20));
    drop(tx);
    thread::sleep(Duration::from_millis(20));
    drop(other);
    receiver.join().unwrap();
}

#[test]
fn a_sender_that_sleeps_is_woken_by_a_release_and_by_the_last_receiver_that_leaves() {
    let (tx, rx) = pair();
    while tx.try_send(b"full").is_ok() {}
    let sender = thread::spawn(move || {
        tx.send_timeout(b"1", PATIENCE).unwrap();
        assert_eq!(tx.send_timeout(b"2", PATIENCE), Err(SendTimeoutError::Closed));
    });
    thread::sleep(Duration::from_millis(20));
    drop(rx.recv().unwrap());
    thread::sleep(Duration::from_millis(20));
    drop(rx);
    sender.join().unwrap();
}

#[test]
fn a_sender_that_sleeps_is_woken_by_a_loan_that_is_given_back() {
    let (tx, rx) = pair();
    let mut loans: Vec<_> = (0..SLOTS).map(|_| tx.loan(1).unwrap()).collect();
    thread::scope(|scope| {
        let other = tx.clone();
        scope.spawn(move || other.send_timeout(b"1", PATIENCE).unwrap());
        thread::sleep(Duration::from_millis(20));
        drop(loans.pop());
        assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"1");
    });
}

#[test]
fn timeouts_and_deadlines_end_a_wait_that_nothing_else_ends() {
    for wait in WAITS {
        let (tx, rx) = options().wait(wait).pair().unwrap();
        let short = Duration::from_millis(3);
        let start = Instant::now();
        assert_eq!(rx.recv_timeout(short).unwrap_err(), RecvTimeoutError::Timeout);
        assert_eq!(rx.recv_deadline(Instant::now() + short).unwrap_err(), RecvTimeoutError::Timeout);
        assert_eq!(rx.recv_batch_timeout(4, short).unwrap_err(), RecvTimeoutError::Timeout);
        while tx.try_send(b"full").is_ok() {}
        assert_eq!(tx.send_timeout(b"x", short), Err(SendTimeoutError::Timeout));
        assert_eq!(tx.loan_deadline(1, Instant::now() + short).unwrap_err(), SendTimeoutError::Timeout);
        // No clock of this process may run faster than the deadlines: that is a promise, not a measurement.
        assert!(start.elapsed() >= 5 * short);
        // A deadline in the past is one look.
        assert_eq!(&rx.recv_deadline(start).unwrap()[..], b"full");
        assert_eq!(tx.send_deadline(b"last", start), Ok(()));
        assert_eq!(&rx.recv_timeout(Duration::MAX).unwrap()[..], b"full");
    }
}

#[test]
fn ends_that_spin_are_joined_by_others_that_spin_only() {
    let offer = options().wait(Wait::Spin).offer().unwrap();
    let refused = options().wait(SLEEP).sender_of(&offer).unwrap_err();
    assert!(matches!(refused, ringway::AttachError::Sleepless { .. }), "{refused}");
    let (tx, rx) = (Options::new().sender_of(&offer).unwrap(), Options::new().receiver_of(&offer).unwrap());
    let receiver = thread::spawn(move || rx.iter().map(|message| message.unwrap().len()).sum::<usize>());
    (0..1000).for_each(|_| tx.send(b"12345").unwrap());
    drop(tx);
    assert_eq!(receiver.join().unwrap(), 5000);
}

#[test]
fn what_is_there_is_counted() {
    let (tx, rx) = pair();
    assert_eq!((tx.capacity(), rx.capacity(), tx.slot_size(), rx.slot_size()), (SLOTS, SLOTS, SIZE, SIZE));
    assert!(tx.is_empty() && rx.is_empty() && !tx.is_full());
    for n in 1..=SLOTS {
        tx.send(b"x").unwrap();
        assert_eq!((tx.len(), rx.len(), rx.is_empty(), tx.is_full()), (n, n, false, n == SLOTS));
    }
    let held = rx.recv().unwrap();
    assert_eq!((tx.len(), tx.is_full()), (SLOTS - 1, true), "its slot is in use");
    drop(held);
    assert!(!tx.is_full());
}

#[test]
fn what_an_end_has_done_is_counted() {
    let (tx, rx) = pair();
    tx.send(b"12345").unwrap();
    let mut loan = tx.loan(10).unwrap();
    loan.truncate(3);
    loan.send();
    drop(tx.loan(10).unwrap());
    let mut batch = tx.batch();
    (0..2).for_each(|_| batch.push(b"12").unwrap());
    batch.send();
    assert_eq!((tx.stats().messages, tx.stats().bytes), (4, 12));
    assert_eq!(tx.clone().stats().messages, 0, "another end has its own");
    drop(rx.recv().unwrap());
    assert_eq!((rx.stats().messages, rx.stats().bytes), (1, 5));
    assert_eq!(rx.recv_batch(9).unwrap().iter().count(), 3);
    assert_eq!((rx.stats().messages, rx.stats().bytes), (4, 12));
    assert_eq!(rx.stats().waits, 0);
    let _ = rx.recv_timeout(Duration::from_millis(1));
    assert_eq!(rx.stats().waits, 1);
}

#[test]
fn an_iteration_ends_when_all_senders_have_left_and_a_new_one_goes_on_with_the_next() {
    let offer = options().offer().unwrap();
    let rx = Options::new().receiver_of(&offer).unwrap();
    for _ in 0..3 {
        let tx = Options::new().sender_of(&offer).unwrap();
        (0..3u8).for_each(|n| tx.send(&[n]).unwrap());
        tx.close().unwrap();
        let mut messages = rx.iter();
        for n in 0..3 {
            assert_eq!(messages.next().unwrap().unwrap()[..], [n]);
        }
        assert!(messages.next().is_none() && messages.next().is_none());
    }
}

#[test]
fn trying_takes_what_is_there_and_is_over_then() {
    let (tx, rx) = pair();
    assert!(rx.try_iter().next().is_none());
    (1..=3u8).for_each(|n| tx.send(&[n]).unwrap());
    let mut messages = rx.try_iter();
    assert_eq!(messages.by_ref().map(|message| message.unwrap()[0]).collect::<Vec<_>>(), [1, 2, 3]);
    tx.send(&[4]).unwrap();
    assert!(messages.next().is_none());
    assert_eq!(all(&rx), [4]);
}

#[test]
fn what_is_shown_of_ends_and_messages_is_not_what_they_carry() {
    let (tx, rx) = pair();
    tx.send(b"secret").unwrap();
    let mut loan = tx.loan(6).unwrap();
    loan.copy_from_slice(b"secret");
    let mut batch = tx.batch();
    batch.push(b"secret").unwrap();
    let shown = format!("{tx:?} {rx:?} {loan:?} {batch:?} {:?}", rx.iter());
    let received = format!("{:?}", rx.recv().unwrap());
    assert!(!shown.contains("secret") && !received.contains("secret"), "{shown} {received}");
    assert!(shown.starts_with("Sender { len: 1, "), "{shown}");
    assert_eq!(received, "Received { len: 6, kind: 0, .. }");
}
