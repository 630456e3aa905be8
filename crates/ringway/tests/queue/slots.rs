use std::{mem, sync::mpsc, thread, time::Duration};

use ringway::{SendTimeoutError, TrySendError, mpmc::Options};

use crate::{Place, SIZE, SLEEP, SLOTS, all, options, pair, support::PATIENCE};

#[test]
fn a_message_keeps_length_and_kind() {
    let (tx, rx) = pair();
    let mut loan = tx.loan(100).unwrap();
    loan.copy_from_slice(&[3; 100]);
    loan.truncate(5);
    loan.truncate(50);
    loan.set_kind(777);
    assert_eq!(loan.len(), 5);
    loan.send();
    let message = rx.recv().unwrap();
    assert_eq!((&message[..], message.kind(), message.redelivered()), (&[3; 5][..], 777, false));
    tx.send(&[]).unwrap();
    assert!(rx.recv().unwrap().is_empty());
    tx.send(&[9; SIZE]).unwrap();
    assert_eq!(rx.recv().unwrap()[..], [9; SIZE]);
}

#[test]
fn a_message_that_is_longer_than_a_slot_is_refused_with_both_lengths() {
    let (tx, rx) = pair();
    let TrySendError::TooLong(long) = tx.try_send(&[0; SIZE + 1]).unwrap_err() else { panic!() };
    assert_eq!((long.len, long.max), (SIZE + 1, SIZE));
    assert!(tx.loan(SIZE + 1).is_err() && tx.loan_timeout(usize::MAX, PATIENCE).is_err());
    let mut batch = tx.batch();
    batch.push(b"stays").unwrap();
    assert!(matches!(batch.push(&[0; SIZE + 1]), Err(TrySendError::TooLong(_))));
    batch.send();
    assert_eq!(&rx.recv().unwrap()[..], b"stays");
    assert!(rx.is_empty());
}

#[test]
fn a_loan_that_is_dropped_is_never_received_and_its_slot_is_free() {
    let (tx, rx) = pair();
    for _ in 0..2 * SLOTS {
        tx.loan(10).unwrap().copy_from_slice(&[1; 10]);
    }
    tx.send(b"sent").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"sent");
    assert!(rx.is_empty());
}

#[test]
fn loans_that_are_held_keep_nobody_waiting() {
    let (tx, rx) = pair();
    let mut first = tx.loan(1).unwrap();
    first[0] = b'L';
    let second = tx.loan(1).unwrap();
    for n in 0..100u8 {
        tx.send(&[n]).unwrap();
        assert_eq!(rx.recv().unwrap()[..], [n]);
    }
    tx.send(b"before").unwrap();
    first.send();
    drop(second);
    assert_eq!(all(&rx), [b'b', b'L'], "its place is that of its sending");
}

#[test]
fn messages_that_are_held_keep_nobody_waiting() {
    let (tx, rx) = pair();
    (0..3u8).for_each(|n| tx.send(&[n]).unwrap());
    let (a, b, c) = (rx.recv().unwrap(), rx.recv().unwrap(), rx.recv().unwrap());
    for n in 0..100u8 {
        tx.send(&[n]).unwrap();
        assert_eq!(rx.recv().unwrap()[..], [n]);
    }
    assert_eq!((a[0], b[0], c[0]), (0, 1, 2));
    // In any order.
    drop((b, a));
    (0..3u8).for_each(|n| tx.send(&[n]).unwrap());
    assert_eq!(all(&rx), [0, 1, 2]);
    assert_eq!(c[..], [2]);
}

#[test]
fn loans_and_messages_may_end_in_other_threads() {
    let (tx, rx) = pair();
    for n in 0..20u8 {
        let mut loan = tx.loan(1).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                loan[0] = n;
                loan.send();
            });
        });
        let message = rx.recv().unwrap();
        thread::scope(|scope| scope.spawn(move || assert_eq!(message[..], [n])).join().unwrap());
    }
    assert_eq!(tx.slots().free, SLOTS as u32);
}

#[test]
fn a_message_that_is_put_back_comes_behind_all_others_and_is_the_same() {
    let (tx, rx) = pair();
    let mut loan = tx.loan(2).unwrap();
    loan.copy_from_slice(&[0, 7]);
    loan.set_kind(5);
    loan.send();
    (1..3u8).for_each(|n| tx.send(&[n]).unwrap());
    rx.recv().unwrap().put_back();
    assert_eq!((rx.recv().unwrap()[0], rx.recv().unwrap()[0]), (1, 2));
    let message = rx.recv().unwrap();
    assert_eq!((&message[..], message.kind(), message.redelivered()), (&[0, 7][..], 5, false));
}

#[test]
fn who_finds_all_slots_in_somebodys_hands_is_told_in_whose() {
    let (tx, rx) = pair();
    tx.send(b"1").unwrap();
    let message = rx.recv().unwrap();
    let loans: Vec<_> = (1..SLOTS).map(|_| tx.loan(1).unwrap()).collect();
    let error = tx.try_send(b"2").unwrap_err();
    let TrySendError::Exhausted(exhausted) = error else { panic!("{error}") };
    assert_eq!((exhausted.slots, exhausted.most.pid), (SLOTS as u32, Some(std::process::id())));
    assert_eq!((exhausted.most.loans, exhausted.most.taken), (SLOTS as u32 - 1, 1));
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(text.contains("3 lent to it and not sent, 1 received and not dropped"), "{text}");
    assert_eq!(tx.try_loan(1).unwrap_err(), error);
    let short = std::time::Duration::from_millis(1);
    assert_eq!(tx.send_timeout(b"2", short), Err(SendTimeoutError::Exhausted(exhausted)));
    drop(message);
    tx.send(b"2").unwrap();
    assert_eq!(tx.try_send(b"3"), Err(TrySendError::Full), "one of them will be received");
    drop(loans);
    assert_eq!(all(&rx), [b'2']);
}

#[test]
fn slots_are_listed_by_who_has_them() {
    let place = Place::new();
    let (tx, rx) = (place.options().sender("x").unwrap(), place.options().receiver("x").unwrap());
    tx.send(b"1").unwrap();
    tx.send(b"2").unwrap();
    let (message, loan) = (rx.recv().unwrap(), tx.loan(1).unwrap());
    let slots = tx.slots();
    assert_eq!((slots.free, slots.queued), (1, 1));
    let held: Vec<_> = slots.holders.iter().map(|it| (it.line, it.loans, it.taken, it.slots())).collect();
    assert_eq!(held, [(0, 1, 0, 1), (1, 0, 1, 1)]);
    drop((message, loan));
    assert!(tx.slots().holders.is_empty());
}

#[test]
fn what_was_forgotten_comes_back_when_the_last_end_of_its_process_leaves() {
    let offer = options().offer().unwrap();
    let (tx, rx) = (Options::new().sender_of(&offer).unwrap(), Options::new().receiver_of(&offer).unwrap());
    tx.send(b"taken").unwrap();
    mem::forget(rx.recv().unwrap());
    mem::forget(tx.loan(1).unwrap());
    let mut batch = tx.batch();
    batch.push(b"packed").unwrap();
    mem::forget(batch);
    let other = Options::new().sender_of(&offer).unwrap();
    assert_eq!(other.slots().free, 1);
    let clone = tx.clone();
    drop(tx);
    assert_eq!(other.slots().free, 1, "there is one more end of that part");
    drop(clone);
    assert_eq!(other.slots().free, 3);
    drop(rx);
    let rx = Options::new().receiver_of(&offer).unwrap();
    assert_eq!(other.slots().free, SLOTS as u32);
    assert!(rx.is_empty(), "what was not sent is not there, and what was received does not come again");
}

#[test]
fn who_waits_for_a_slot_hears_of_one_that_was_forgotten() {
    let offer = options().offer().unwrap();
    let [tx, other] = [0; 2].map(|_| Options::new().wait(SLEEP).sender_of(&offer).unwrap());
    let rx = Options::new().receiver_of(&offer).unwrap();
    (0..SLOTS).for_each(|_| mem::forget(tx.loan(1).unwrap()));
    let clone = other.clone();
    let (done, is_done) = mpsc::channel();
    let waiting = thread::spawn(move || done.send(clone.send(b"sent")).unwrap());
    while other.stats().sleeps == 0 {
        thread::yield_now();
    }
    // Its second look, a millisecond later, has found nothing either.
    thread::sleep(Duration::from_millis(50));
    drop(tx);
    is_done.recv_timeout(PATIENCE).expect("somebody wakes it").unwrap();
    waiting.join().unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"sent");
}

#[test]
fn who_asks_whether_all_slots_are_in_use_uses_none() {
    let (tx, rx) = pair();
    (1..SLOTS).for_each(|_| mem::forget(tx.loan(1).unwrap()));
    let asks = tx.clone();
    thread::scope(|scope| {
        let sends = scope.spawn(move || {
            let sent = (0..200_000).map(|_| tx.try_send(b"x").map(|()| drop(rx.recv())));
            sent.collect::<Result<Vec<()>, _>>().map(|sent| sent.len())
        });
        while !sends.is_finished() {
            let _ = asks.is_full();
        }
        assert_eq!(sends.join().unwrap(), Ok(200_000));
    });
}
