use ringway::{
    TryRecvError, TrySendError,
    mpmc::{Receiver, Sender},
};

use crate::{SIZE, SLOTS, all, pair};

fn send(tx: &Sender, messages: &[&[u8]]) {
    let mut batch = tx.batch();
    messages.iter().for_each(|message| batch.push(message).unwrap());
    assert_eq!((batch.len(), batch.is_empty()), (messages.len(), messages.is_empty()));
    batch.send();
}

/// The first bytes of up to so many messages, received at once.
fn firsts(rx: &Receiver, max: usize) -> Vec<u8> {
    rx.try_recv_batch(max).unwrap().iter().map(|message| message.bytes()[0]).collect()
}

#[test]
fn messages_of_a_batch_share_slots_and_come_one_by_one() {
    let (tx, rx) = pair();
    send(&tx, &[b"one", b"", b"three"]);
    assert_eq!((tx.len(), tx.slots().free), (1, SLOTS as u32 - 1));
    assert_eq!(&rx.recv().unwrap()[..], b"one");
    assert!(!rx.is_empty());
    assert_eq!(&rx.recv().unwrap()[..], b"");
    assert_eq!(&rx.try_recv().unwrap()[..], b"three");
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(tx.slots().free, SLOTS as u32);
}

#[test]
fn messages_of_a_slot_go_to_one_receiver_and_its_slot_is_free_when_all_are_dropped() {
    let (tx, rx) = pair();
    send(&tx, &[&[0], &[1], &[2]]);
    let other = rx.clone();
    let (first, second) = (rx.recv().unwrap(), rx.recv().unwrap());
    assert_eq!(other.try_recv().unwrap_err(), TryRecvError::Empty);
    let third = rx.recv().unwrap();
    drop(first);
    drop(third);
    assert_eq!(tx.slots().holders[0].taken, 1);
    assert_eq!(second[..], [1]);
    drop(second);
    assert_eq!(tx.slots().free, SLOTS as u32);
}

#[test]
fn what_does_not_fit_beside_others_has_a_slot_to_itself() {
    let (tx, rx) = pair();
    // With 8 bytes each: the first two fill a slot to the last byte; the third fits only without its 8.
    let (most, all) = (vec![1; SIZE - 16], vec![3; SIZE]);
    send(&tx, &[&most, &[], &all, &[4]]);
    assert_eq!(tx.len(), 3);
    for expected in [&most[..], &[], &all, &[4]] {
        assert_eq!(&rx.recv().unwrap()[..], expected);
    }
    assert!(rx.is_empty());
}

#[test]
fn a_batch_that_finds_no_slot_keeps_what_it_has() {
    let (tx, rx) = pair();
    let mut batch = tx.batch();
    for n in 0..SLOTS as u8 {
        batch.push(&[n; SIZE]).unwrap();
    }
    assert_eq!(batch.push(&[9; SIZE]), Err(TrySendError::Full));
    assert_eq!(batch.len(), SLOTS);
    assert!(rx.is_empty(), "nothing is there before it is sent");
    batch.send();
    assert_eq!(all(&rx), [0, 1, 2, 3]);
}

#[test]
fn a_batch_that_is_dropped_is_never_received_and_its_slots_are_free() {
    let (tx, rx) = pair();
    for _ in 0..3 {
        let mut batch = tx.batch();
        while batch.push(&[1; 300]).is_ok() {}
    }
    tx.batch().send();
    assert!(rx.is_empty());
    assert_eq!(tx.slots().free, SLOTS as u32);
}

#[test]
fn no_more_are_received_at_once_than_were_asked_for() {
    let (tx, rx) = pair();
    send(&tx, &[&[0], &[1], &[2], &[3], &[4]]);
    tx.send(&[5]).unwrap();
    send(&tx, &[&[6], &[7]]);
    assert_eq!(firsts(&rx, 2), [0, 1]);
    assert_eq!(firsts(&rx, 1), [2]);
    assert_eq!(rx.recv().unwrap()[..], [3]);
    let batch = rx.recv_batch(3).unwrap();
    assert_eq!((batch.len(), batch.is_empty()), (3, false));
    assert_eq!(batch.iter().map(|message| message.bytes()[0]).collect::<Vec<_>>(), [4, 5, 6]);
    drop(batch);
    assert_eq!(firsts(&rx, 99), [7]);
    assert_eq!(rx.try_recv_batch(1).unwrap_err(), TryRecvError::Empty);
    assert_eq!(tx.slots().free, SLOTS as u32);
}

#[test]
fn what_of_a_batch_is_not_iterated_over_goes_back() {
    let (tx, rx) = pair();
    tx.send(&[0]).unwrap();
    tx.send(&[1]).unwrap();
    send(&tx, &[&[2], &[3], &[4]]);
    let batch = rx.recv_batch(9).unwrap();
    assert_eq!(batch.iter().take(3).count(), 3);
    assert_eq!(batch.iter().next().unwrap().bytes(), [3], "an iteration goes on where the last one ended");
    drop(batch);
    assert_eq!(rx.stats().messages, 4);
    tx.send(&[5]).unwrap();
    assert_eq!(all(&rx), [4, 5]);
    assert_eq!(tx.slots().free, SLOTS as u32);

    (0..3u8).for_each(|n| tx.send(&[n]).unwrap());
    assert_eq!(rx.recv_batch(9).unwrap().iter().take(1).count(), 1);
    assert_eq!(all(&rx), [1, 2]);
}

#[test]
fn a_batch_that_is_put_back_comes_again_whole() {
    let (tx, rx) = pair();
    tx.send(&[0]).unwrap();
    send(&tx, &[&[1], &[2]]);
    let batch = rx.recv_batch(9).unwrap();
    assert_eq!(batch.iter().count(), 3);
    batch.put_back();
    assert_eq!((rx.stats().messages, all(&rx)), (0, vec![0, 1, 2]));
}

#[test]
fn one_of_a_batch_that_is_put_back_comes_again_alone() {
    let (tx, rx) = pair();
    send(&tx, &[&[0], &[1], &[2]]);
    drop(rx.recv().unwrap());
    let second = rx.recv().unwrap();
    let third = rx.recv().unwrap();
    second.put_back();
    assert!(rx.is_empty(), "it goes back with its slot");
    drop(third);
    assert_eq!(all(&rx), [1]);
    assert_eq!(tx.slots().free, SLOTS as u32);
}

#[test]
fn what_an_end_has_begun_of_a_slot_goes_back_when_the_end_is_dropped() {
    let (tx, rx) = pair();
    send(&tx, &[&[0], &[1], &[2]]);
    let other = rx.clone();
    drop(rx.recv().unwrap());
    drop(rx);
    assert_eq!(all(&other), [1, 2]);
}

#[test]
#[should_panic(expected = "a batch has one message at least")]
fn to_receive_a_batch_of_none_is_a_mistake() {
    let (_tx, rx) = pair();
    let _ = rx.try_recv_batch(0);
}
