use std::mem;

use ringway::{
    AttachError, OpenError, Side, TrySendError,
    mpmc::{Options, Redelivery},
    spsc,
};

use crate::{Place, SIZE, SLOTS, all, options, pair, support::PATIENCE};

#[test]
fn a_queue_that_is_overwritten_loses_its_oldest_messages_and_counts_them() {
    let (tx, rx) = options().overwrite(true).pair().unwrap();
    for n in 0..10u8 {
        tx.try_send(&[n]).unwrap();
    }
    assert_eq!((tx.lost(), rx.lost(), tx.stats().lost), (6, 6, 6));
    assert_eq!(all(&rx), [6, 7, 8, 9]);
    (0..4u8).for_each(|n| tx.send(&[n]).unwrap());
    tx.send_timeout(&[4], PATIENCE).unwrap();
    tx.loan(1).unwrap().send();
    assert_eq!((rx.lost(), rx.len()), (8, SLOTS));
}

#[test]
fn each_message_of_a_slot_that_is_overwritten_is_counted() {
    let (tx, rx) = options().overwrite(true).pair().unwrap();
    let mut batch = tx.batch();
    (0..3u8).for_each(|n| batch.push(&[n]).unwrap());
    batch.send();
    (0..SLOTS as u8).for_each(|n| tx.send(&[n]).unwrap());
    assert_eq!((rx.lost(), all(&rx)), (3, vec![0, 1, 2, 3]));
}

#[test]
fn what_somebody_has_in_hand_is_not_overwritten() {
    let (tx, rx) = options().overwrite(true).pair().unwrap();
    tx.send(b"received").unwrap();
    let message = rx.recv().unwrap();
    let mut loan = tx.loan(4).unwrap();
    loan.copy_from_slice(b"loan");
    (0..10u8).for_each(|n| tx.send(&[n]).unwrap());
    assert_eq!((&message[..], &loan[..], rx.lost()), (&b"received"[..], &b"loan"[..], 8));
    let loans = (tx.loan(1).unwrap(), tx.loan(1).unwrap());
    assert_eq!(rx.lost(), 10);
    assert!(matches!(tx.try_send(b"x"), Err(TrySendError::Exhausted(_))));
    drop((message, loan, loans));
    assert!(rx.is_empty());
}

#[test]
fn a_loan_that_took_the_oldest_messages_slot_and_is_dropped_has_lost_it_all_the_same() {
    let (tx, rx) = options().overwrite(true).pair().unwrap();
    (0..SLOTS as u8).for_each(|n| tx.send(&[n]).unwrap());
    drop(tx.loan(1).unwrap());
    assert_eq!((rx.lost(), all(&rx), tx.slots().free), (1, vec![1, 2, 3], SLOTS as u32));
}

#[test]
fn an_end_that_is_the_only_one_refuses_a_second_one_and_admits_its_successor() {
    let place = Place::new();
    let options = place.options().sole_sender().sole_receiver();
    for n in 0..3u8 {
        let (tx, rx) = (options.sender("x").unwrap(), options.receiver("x").unwrap());
        let refused = options.sender("x").unwrap_err();
        assert!(matches!(refused, AttachError::Held { side: Side::Sender, .. }), "{refused}");
        let refused = options.receiver("x").unwrap_err();
        assert!(matches!(refused, AttachError::Held { side: Side::Receiver, .. }), "{refused}");
        for n in 0..50u8 {
            tx.send(&[n]).unwrap();
            let mut batch = tx.batch();
            batch.push(&[n]).unwrap();
            batch.send();
            assert_eq!(rx.recv_batch(2).unwrap().iter().count(), 2);
        }
        // Both leave something to their successors: a message, and slots that were forgotten.
        mem::forget(tx.loan(1).unwrap());
        tx.send(&[n]).unwrap();
        tx.send(&[n]).unwrap();
        mem::forget(rx.recv().unwrap());
        drop(tx);
        drop(rx);
        let rx = options.receiver("x").unwrap();
        assert_eq!(rx.recv().unwrap()[..], [n]);
        assert!(rx.is_empty());
    }
    assert!(place.is_empty());
}

#[test]
fn both_ends_of_a_pair_can_be_the_only_ones() {
    let (tx, rx) = options().sole_sender().sole_receiver().pair().unwrap();
    let receiver = std::thread::spawn(move || rx.iter().map(|message| message.unwrap().len()).sum::<usize>());
    (0..1000).for_each(|_| tx.send(b"12345").unwrap());
    tx.close().unwrap();
    assert_eq!(receiver.join().unwrap(), 5000);
}

/// Why an end was refused.
fn refused<T: std::fmt::Debug>(result: Result<T, AttachError>) -> (AttachError, String) {
    let error = result.unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn who_asks_for_another_policy_than_the_queues_is_refused_and_who_says_nothing_is_not() {
    let place = Place::new();
    let made = place.options().overwrite(true).redelivery(Redelivery::AtMostOnce);
    let _tx = made.sender("x").unwrap();
    let says = |options: &Options, words: &[&str]| {
        let (error, text) = refused(options.receiver("x"));
        assert!(matches!(error, AttachError::Policy { path: Some(_), .. }), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    says(&place.options().overwrite(false), &["x: overwriting, but no overwriting was asked for"]);
    says(
        &place.options().redelivery(Redelivery::AtLeastOnce),
        &["x: redelivery at most once, but redelivery at least once was asked for"],
    );
    place.options().receiver("x").unwrap();
    made.receiver("x").unwrap();
    let (error, text) = refused(place.options().sole_sender().sender("x"));
    assert!(matches!(error, AttachError::Policy { .. }), "{text}");
    assert!(
        text.contains("any number of sending ends, but one sending end at a time was asked for"),
        "{text}"
    );

    let _tx = place.options().sole_sender().sender("y").unwrap();
    assert!(matches!(place.options().receiver("y"), Err(AttachError::Policy { .. })));
    place.options().sole_sender().receiver("y").unwrap();
}

#[test]
fn a_queue_with_one_receiving_end_cannot_be_overwritten() {
    let (error, text) = refused(options().overwrite(true).sole_receiver().pair());
    assert!(matches!(error, AttachError::Overwrites), "{text}");
}

#[test]
fn who_asks_for_more_or_longer_slots_than_there_are_is_refused_with_the_figures() {
    let place = Place::new();
    let _tx = place.options().sender("x").unwrap();
    let (error, text) = refused(place.options().slots(SLOTS + 1).receiver("x"));
    assert!(
        matches!(error, AttachError::SmallSlots { asked: (5, SIZE), found: (SLOTS, SIZE), .. }),
        "{text}"
    );
    assert!(text.contains("x: has 4 slots for messages of up to 1024 bytes (1 KiB), but 5 for"), "{text}");
    let (error, text) = refused(place.options().slot_size(SIZE + 1).receiver("x"));
    assert!(matches!(error, AttachError::SmallSlots { .. }), "{text}");
    place.options().slots(1).slot_size(1).receiver("x").unwrap();
    let names = ringway::Names::in_dir(place.0.path());
    assert_eq!(Options::new().names(names).receiver("x").unwrap().capacity(), SLOTS, "it asked for nothing");
}

#[test]
fn what_no_queue_has_and_what_cannot_be_had_is_an_error() {
    for (slots, size) in [(0, 8), (65_537, 8), (8, (1 << 30) + 1)] {
        let (error, text) = refused(Options::new().slots(slots).slot_size(size).pair());
        assert!(matches!(error, AttachError::Slots { .. }), "{text}");
    }
    let (error, text) = refused(Options::new().slots(65_536).slot_size(1 << 30).pair());
    assert!(matches!(error, AttachError::Create(_)), "{text}");
    assert_eq!(Options::new().slots(1).slot_size(0).pair().unwrap().0.slot_size(), 0);
}

#[test]
fn a_ring_is_no_queue_and_a_queue_no_ring() {
    let place = Place::new();
    let names = ringway::Names::in_dir(place.0.path());
    let _ring = spsc::Options::new().names(names.clone()).sender("ring").unwrap();
    let (error, text) = refused(place.options().receiver("ring"));
    assert!(matches!(error, AttachError::Open(OpenError::Kind { .. })), "{text}");
    assert!(text.contains("ring: is a byte ring (spsc), but a queue (mpmc) was asked for"), "{text}");
    let _queue = place.options().sender("queue").unwrap();
    let (_, text) = refused(spsc::Options::new().names(names).receiver("queue"));
    assert!(text.contains("queue: is a queue (mpmc), but a byte ring (spsc) was asked for"), "{text}");
    let ring = spsc::Options::new().offer().unwrap();
    assert!(matches!(options().sender_of(&ring), Err(AttachError::Open(OpenError::Kind { .. }))));
}

#[test]
fn nothing_is_lost_where_nothing_is_overwritten() {
    let (tx, rx) = pair();
    while tx.try_send(b"x").is_ok() {}
    assert_eq!((tx.lost(), rx.len()), (0, SLOTS));
}
