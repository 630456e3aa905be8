//! Roles, leaving and coming back, waiting, and what is refused.

mod support;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    AttachError, CreateError, Error, Names, Offer, OpenError, RecvError, RecvTimeoutError, SendError,
    SendTimeoutError, Side, Stats, TooLong, TryRecvError, TrySendError, Wait, layout,
    spsc::{Options, Receiver, Sender},
};
use support::{PATIENCE, Peer, told};
use tempfile::TempDir;

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };

/// A directory for names of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").unwrap())
    }

    fn options(&self) -> Options {
        Options::new().capacity(4096).names(Names::in_dir(self.0.path()))
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(self.0.path()).unwrap().next().is_none()
    }

    /// A child that runs `function` with this place.
    fn child(&self, function: &str) -> Command {
        let mut command = Peer::command(function);
        command.env("DIR", self.0.path());
        command
    }
}

/// This process's options as a child.
fn child_options() -> Options {
    Options::new().capacity(4096).names(Names::in_dir(told("DIR")))
}

fn pair(wait: Wait) -> (Sender, Receiver) {
    Options::new().capacity(4096).wait(wait).pair().unwrap()
}

fn fill(tx: &mut Sender) {
    while tx.try_send(&[7; 100]).is_ok() {}
    while tx.try_send(&[]).is_ok() {}
}

#[test]
fn nobody_yet_is_not_closed() {
    let place = Place::new();
    let mut rx = place.options().receiver("x").unwrap();
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    let mut tx = place.options().sender("x").unwrap();
    tx.send(b"1").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"1");

    let mut tx = place.options().sender("y").unwrap();
    tx.send(b"before there is a receiver").unwrap();
    assert_eq!(&place.options().receiver("y").unwrap().recv().unwrap()[..], b"before there is a receiver");
}

#[test]
fn the_receiver_gets_closed_after_the_last_message() {
    let (mut tx, mut rx) = pair(SLEEP);
    tx.send(b"1").unwrap();
    tx.send(b"2").unwrap();
    tx.close().unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"1");
    assert_eq!(&rx.recv().unwrap()[..], b"2");
    assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Closed);
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
    assert_eq!(rx.recv_batch(9).unwrap_err(), RecvError::Closed);
}

#[test]
fn the_sender_gets_closed_once_the_receiver_has_left() {
    let (mut tx, rx) = pair(SLEEP);
    tx.send(b"1").unwrap();
    drop(rx);
    assert_eq!(tx.send(b"2"), Err(SendError::Closed));
    assert_eq!(tx.try_send(b"2"), Err(TrySendError::Closed));
    assert_eq!(tx.send_timeout(b"2", PATIENCE), Err(SendTimeoutError::Closed));
    assert_eq!(tx.batch().push(b"2"), Err(TrySendError::Closed));
}

#[test]
fn an_end_that_closed_is_opened_again_by_its_successor() {
    let place = Place::new();
    let mut rx = place.options().receiver("x").unwrap();
    for n in 0..3u8 {
        let mut tx = place.options().sender("x").unwrap();
        tx.send(&[n]).unwrap();
        tx.close().unwrap();
        assert_eq!(&rx.recv().unwrap()[..], [n]);
        assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
    }
    let mut tx = place.options().sender("x").unwrap();
    drop(rx);
    assert_eq!(tx.send(b"nobody"), Err(SendError::Closed));
    let mut rx = place.options().receiver("x").unwrap();
    tx.send(b"somebody").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"somebody");
}

#[test]
fn a_successor_gets_what_its_predecessor_had_not_taken() {
    let place = Place::new();
    let mut tx = place.options().sender("x").unwrap();
    for n in 0..5u8 {
        tx.send(&[n]).unwrap();
    }
    let mut rx = place.options().receiver("x").unwrap();
    drop(rx.recv().unwrap());
    let batch = rx.recv_batch(9).unwrap();
    assert_eq!(batch.iter().take(2).count(), 2);
    drop(batch);
    rx.recv().unwrap().put_back();
    drop(rx);
    let mut rx = place.options().receiver("x").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], [3]);
    assert_eq!(&rx.recv().unwrap()[..], [4]);
}

#[test]
fn a_second_holder_of_an_end_is_refused_while_the_first_lives() {
    let place = Place::new();
    let tx = place.options().sender("x").unwrap();
    let rx = place.options().receiver("x").unwrap();
    let pid = std::process::id();
    assert!(matches!(
        place.options().sender("x").unwrap_err(),
        AttachError::Held { side: Side::Sender, pid: held, .. } if held == pid
    ));
    assert!(matches!(
        place.options().receiver("x").unwrap_err(),
        AttachError::Held { side: Side::Receiver, .. }
    ));
    drop((tx, rx));
    place.options().sender("x").unwrap();
    place.options().receiver("x").unwrap();
}

#[test]
#[ignore = "run as a child process"]
fn child_holds_both_ends() {
    let mut tx = child_options().sender("x").unwrap();
    let mut rx = child_options().receiver("x").unwrap();
    for n in 0..3u8 {
        tx.send(&[n]).unwrap();
    }
    let _held = rx.recv().unwrap();
    std::fs::write(format!("{}/ready", told("DIR")), "").unwrap();
    thread::sleep(PATIENCE);
}

#[test]
fn ends_whose_holder_was_killed_are_free_and_resume_where_it_stopped() {
    let place = Place::new();
    let child = Peer::start(&mut place.child("child_holds_both_ends"));
    let limit = Instant::now() + PATIENCE;
    while !place.0.path().join("ready").exists() {
        assert!(Instant::now() < limit, "the child does not get ready");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(
        place.options().sender("x").unwrap_err(),
        AttachError::Held { pid, .. } if pid != 0 && pid != std::process::id()
    ));
    child.kill();
    let mut tx = place.options().sender("x").unwrap();
    tx.send(&[3]).unwrap();
    tx.close().unwrap();
    let mut rx = place.options().receiver("x").unwrap();
    for n in 0..4u8 {
        assert_eq!(&rx.recv().unwrap()[..], [n]);
    }
    assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
}

#[test]
fn the_last_to_leave_takes_the_name_once_all_is_received() {
    let place = Place::new();
    // The receiver leaves last.
    let (mut tx, mut rx) = (place.options().sender("x").unwrap(), place.options().receiver("x").unwrap());
    tx.send(b"1").unwrap();
    drop(tx);
    drop(rx.recv().unwrap());
    drop(rx);
    assert!(place.is_empty());
    // The sender leaves last.
    let (mut tx, mut rx) = (place.options().sender("x").unwrap(), place.options().receiver("x").unwrap());
    tx.send(b"1").unwrap();
    drop(rx.recv().unwrap());
    drop(rx);
    assert!(!place.is_empty());
    drop(tx);
    assert!(place.is_empty());
    // Nobody ever sent.
    drop(place.options().receiver("x").unwrap());
    assert!(place.is_empty());
}

#[test]
fn a_ring_with_something_to_receive_outlives_its_ends() {
    let place = Place::new();
    // Nothing was sent, but the receiver has yet to hear that the sender closed.
    place.options().sender("x").unwrap().close().unwrap();
    let mut rx = place.options().receiver("x").unwrap();
    assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
    drop(rx);
    assert!(place.is_empty());

    let mut tx = place.options().sender("x").unwrap();
    tx.send(b"1").unwrap();
    tx.send(b"2").unwrap();
    drop(tx);
    drop(place.options().receiver("x").unwrap().recv().unwrap());
    let mut rx = place.options().receiver("x").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"2");
    drop(rx);
    assert!(place.is_empty());
}

#[test]
#[ignore = "run as a child process"]
fn child_echoes() {
    let there = Offer::from_env("THERE").unwrap();
    let back = Offer::from_env("BACK").unwrap();
    let (mut rx, mut tx) = (Receiver::attach(&there).unwrap(), Sender::attach(&back).unwrap());
    while let Ok(message) = rx.recv() {
        tx.send(&message).unwrap();
    }
}

#[test]
fn a_child_started_with_offers_answers_through_them() {
    for wait in [SLEEP, Wait::default(), Wait::Spin] {
        let options = Options::new().capacity(4096).wait(wait);
        let (there, back) = (options.offer().unwrap(), options.offer().unwrap());
        let mut command = Peer::command("child_echoes");
        there.give_to(&mut command, "THERE").unwrap();
        back.give_to(&mut command, "BACK").unwrap();
        let child = Peer::start(&mut command);
        let (mut tx, mut rx) = (Sender::attach(&there).unwrap(), Receiver::attach(&back).unwrap());
        for n in 0..1000u32 {
            tx.send(&n.to_le_bytes()).unwrap();
            assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], n.to_le_bytes());
        }
        tx.close().unwrap();
        assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
        child.join();
    }
}

#[test]
fn a_sleeping_receiver_is_woken_by_a_message_and_by_closing() {
    let (mut tx, mut rx) = pair(SLEEP);
    let receiver = thread::spawn(move || {
        assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"1");
        assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
    });
    thread::sleep(Duration::from_millis(20));
    tx.send(b"1").unwrap();
    thread::sleep(Duration::from_millis(20));
    drop(tx);
    receiver.join().unwrap();
}

#[test]
fn a_sleeping_sender_is_woken_by_a_release_and_by_leaving() {
    let (mut tx, mut rx) = pair(SLEEP);
    fill(&mut tx);
    let sender = thread::spawn(move || {
        tx.send_timeout(&[1; 100], PATIENCE).unwrap();
        fill(&mut tx);
        assert_eq!(tx.send_timeout(&[2; 100], PATIENCE), Err(SendTimeoutError::Closed));
    });
    thread::sleep(Duration::from_millis(20));
    drop(rx.recv().unwrap());
    thread::sleep(Duration::from_millis(20));
    drop(rx);
    sender.join().unwrap();
}

#[test]
fn timeouts_and_deadlines_end_a_wait_that_nothing_else_ends() {
    for wait in [SLEEP, Wait::default(), Wait::Spin] {
        let (mut tx, mut rx) = pair(wait);
        let short = Duration::from_millis(3);
        let start = Instant::now();
        assert_eq!(rx.recv_timeout(short).unwrap_err(), RecvTimeoutError::Timeout);
        assert_eq!(rx.recv_deadline(Instant::now() + short).unwrap_err(), RecvTimeoutError::Timeout);
        assert_eq!(rx.recv_batch_timeout(4, short).unwrap_err(), RecvTimeoutError::Timeout);
        fill(&mut tx);
        assert_eq!(tx.send_timeout(b"x", short), Err(SendTimeoutError::Timeout));
        assert_eq!(tx.loan_deadline(1, Instant::now() + short).unwrap_err(), SendTimeoutError::Timeout);
        // No clock of this process may run faster than the deadlines: that is a promise, not a measurement.
        assert!(start.elapsed() >= 5 * short);
        // A deadline in the past is one look.
        assert_eq!(rx.recv_deadline(start).unwrap().len(), 100);
        assert_eq!(rx.recv_timeout(Duration::MAX).unwrap().len(), 100);
    }
}

#[test]
fn a_message_keeps_length_and_kind() {
    let (mut tx, mut rx) = pair(SLEEP);
    let mut loan = tx.loan(100).unwrap();
    loan.copy_from_slice(&[3; 100]);
    loan.truncate(5);
    loan.truncate(50);
    loan.set_kind(777);
    assert_eq!(loan.len(), 5);
    loan.send();
    let message = rx.recv().unwrap();
    assert_eq!((&message[..], message.kind()), (&[3; 5][..], 777));
    drop(message);
    tx.send(&[]).unwrap();
    assert!(rx.recv().unwrap().is_empty());
}

#[test]
fn a_long_message_is_whole_wherever_it_begins_and_however_it_was_sent() {
    let (mut tx, mut rx) = Options::new().capacity(128 << 10).pair().unwrap();
    let message = |len: usize| -> Vec<u8> { (0..len).map(|n| (n % 251) as u8).collect() };
    for len in [511, 512, 4095, 4096, 4103, 9000, 16_376, 16_384, 16_385, 30_001] {
        // Its place moves on by a granule each time; the second one finds the receiver behind.
        for ahead in 0..8 {
            let message = message(len);
            tx.send(&vec![1; 8 * ahead]).unwrap();
            tx.send(&message).unwrap();
            tx.try_send(&message).unwrap();
            let mut batch = tx.batch();
            batch.push(&message).unwrap();
            batch.push(&message[1..]).unwrap();
            batch.send();
            assert_eq!(rx.recv().unwrap().len(), 8 * ahead);
            for from in [0, 0, 0, 1] {
                assert!(rx.recv().unwrap()[..] == message[from..], "{len} bytes behind {ahead} words");
            }
        }
    }
}

#[test]
fn a_loan_or_batch_that_is_dropped_is_never_received() {
    let (mut tx, mut rx) = pair(SLEEP);
    tx.loan(10).unwrap().copy_from_slice(&[1; 10]);
    let mut batch = tx.batch();
    batch.push(b"no").unwrap();
    drop(batch);
    std::mem::forget(tx.loan(30).unwrap());
    tx.send(b"yes").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"yes");
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn a_batch_stops_at_full_and_keeps_what_it_has() {
    let (mut tx, mut rx) = pair(SLEEP);
    let mut batch = tx.batch();
    let mut count = 0;
    let error = loop {
        match batch.push(&[count; 100]) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, TrySendError::Full);
    assert_eq!(batch.len(), count as usize);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty, "seen before it was sent");
    batch.send();
    let batch = rx.recv_batch(usize::MAX).unwrap();
    let messages: Vec<_> = batch.iter().collect();
    assert_eq!(messages.len(), count as usize);
    assert!((0..count).all(|n| messages[n as usize].bytes() == [n; 100]));
}

#[test]
fn a_message_larger_than_the_ring_is_an_error_and_nothing_is_lost() {
    let (mut tx, mut rx) = pair(SLEEP);
    tx.send(b"kept").unwrap();
    let max = tx.max_message();
    assert_eq!(max, 4096 - 16);
    let too_long = TooLong { len: max + 1, max };
    assert_eq!(tx.send(&vec![0; max + 1]), Err(SendError::TooLong(too_long)));
    assert_eq!(tx.try_loan(usize::MAX).unwrap_err(), TrySendError::TooLong(TooLong { len: usize::MAX, max }));
    assert_eq!(tx.batch().push(&vec![0; max + 1]), Err(TrySendError::TooLong(too_long)));
    assert_eq!(&rx.recv().unwrap()[..], b"kept");
    tx.send(&vec![9; max]).unwrap();
    assert_eq!(rx.recv().unwrap().len(), max);
    let words = too_long.to_string();
    assert!(words.contains("4081") && words.contains("4080") && words.contains("capacity"), "{words}");
}

#[test]
fn a_join_is_refused_only_if_the_ring_is_smaller_than_asked() {
    let place = Place::new();
    let _tx = place.options().capacity(8192).sender("x").unwrap();
    assert_eq!(place.options().receiver("x").unwrap().capacity(), 8192);
    assert!(matches!(
        place.options().capacity(16384).receiver("x").unwrap_err(),
        AttachError::TooSmall { asked: 16384, found: 8192, .. }
    ));
}

#[test]
fn a_control_area_that_is_not_a_rings_is_refused_whatever_capacity_is_asked_for() {
    let place = Place::new();
    let shape = ringway_segment::Shape { control_len: 4096, ..layout::shape(4096, false) };
    drop(Names::in_dir(place.0.path()).open_or_create("x", &shape, |_| {}).unwrap());
    assert!(matches!(
        place.options().sender("x").unwrap_err(),
        AttachError::ControlArea { found: 4096, path: Some(_) }
    ));
    assert!(place.options().capacity(8192).sender("x").is_err());
    assert!(!place.is_empty(), "what is not a ring is not ours to remove");
}

#[test]
fn a_ring_made_to_spin_admits_nobody_who_sleeps() {
    let place = Place::new();
    let _tx = place.options().wait(Wait::Spin).sender("x").unwrap();
    assert!(matches!(place.options().wait(SLEEP).receiver("x").unwrap_err(), AttachError::Sleepless { .. }));
    place.options().receiver("x").unwrap();
}

#[test]
fn bad_shapes_and_names_are_refused_in_words() {
    let place = Place::new();
    for capacity in [0, 1000, 4097, 1 << 50] {
        let error = place.options().capacity(capacity).sender("x").unwrap_err();
        assert!(matches!(error, AttachError::Create(CreateError::InvalidShape(_))), "{capacity}: {error}");
        assert!(error.to_string().contains("power of two"), "{error}");
    }
    let error = Options::new().capacity(1 << 40).offer().unwrap_err();
    let CreateError::OutOfMemory(shortage) = &error else { panic!("{error}") };
    assert!(shortage.asked > 1 << 40 && shortage.available.is_some_and(|most| most < 1 << 40), "{error}");
    for name in ["", "a/b", "a\0b", "a\nb", &"x".repeat(248)] {
        let error = place.options().sender(name).unwrap_err();
        assert!(error.to_string().contains("choose another name"), "{error}");
    }
    place.options().sender(&"x".repeat(247)).unwrap();
    assert!(matches!(
        place.options().names(Names::in_dir("/nonexistent")).sender("x").unwrap_err(),
        AttachError::Create(_) | AttachError::Open(_)
    ));
}

#[test]
fn a_file_that_is_no_ring_is_refused() {
    let place = Place::new();
    let path = place.0.path().join("ringway.x");
    std::fs::write(&path, vec![0; 16384]).unwrap();
    assert!(matches!(
        place.options().sender("x").unwrap_err(),
        AttachError::Open(OpenError::NotRingway { .. })
    ));
}

#[test]
fn a_receiver_that_left_before_the_sender_came_has_not_come_yet() {
    let place = Place::new();
    let mut tx = place.options().sender("x").unwrap();
    tx.send(b"1").unwrap();
    drop(place.options().receiver("x").unwrap());
    assert_eq!(tx.send(b"2"), Err(SendError::Closed));
    drop(tx);
    let mut tx = place.options().sender("x").unwrap();
    tx.send(b"3").unwrap();
    let mut rx = place.options().receiver("x").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"1");
    assert_eq!(&rx.recv().unwrap()[..], b"3");
    drop(rx);
    assert_eq!(tx.send(b"4"), Err(SendError::Closed));
}

#[test]
fn an_end_that_said_closed_is_free_at_once() {
    let place = Place::new();
    let mut rx = place.options().capacity(1 << 20).receiver("x").unwrap();
    for _ in 0..100 {
        let tx = place.options().sender("x").unwrap();
        let sender = thread::spawn(move || tx.close().unwrap());
        assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
        // It may still be unmapping; whoever comes now waits for that and is not refused.
        place.options().sender("x").unwrap();
        assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
        sender.join().unwrap();
    }
}

#[test]
fn guards_that_are_forgotten_keep_nothing_for_ever() {
    let (mut tx, mut rx) = pair(SLEEP);
    // A batch is not sent with what follows, and gives its room back.
    let mut batch = tx.batch();
    while batch.push(&[1; 100]).is_ok() {}
    std::mem::forget(batch);
    tx.send_timeout(&[2; 1000], PATIENCE).unwrap();
    assert_eq!(rx.recv().unwrap().len(), 1000);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    // Messages that were received and forgotten give theirs back when the ring is found empty.
    fill(&mut tx);
    while let Ok(message) = rx.try_recv() {
        std::mem::forget(message);
    }
    tx.send_timeout(&[3; 1000], PATIENCE).unwrap();
}

#[test]
fn a_refused_attach_removes_the_name_of_a_ring_that_was_finished_meanwhile() {
    let place = Place::new();
    let tx = place.options().sender("x").unwrap();
    let rx = place.options().receiver("x").unwrap();
    // As if it had opened the name just before the two left, and is refused just after.
    let late =
        Names::in_dir(place.0.path()).open_or_create("x", &ringway::layout::shape(4096, false), |_| {});
    drop((tx, rx));
    assert!(!place.is_empty());
    drop(late);
    assert!(matches!(
        place.options().capacity(1 << 20).receiver("x").unwrap_err(),
        AttachError::TooSmall { .. }
    ));
    assert!(place.is_empty());
}

#[test]
fn errors_say_what_and_what_to_do() {
    for (error, words) in [
        (Error::from(RecvError::Closed), "the sender has closed"),
        (Error::from(SendError::Closed), "the receiver has closed"),
        (Error::from(TrySendError::Full), "try again"),
        (Error::from(TryRecvError::Empty), "try again"),
        (Error::from(RecvTimeoutError::Timeout), "wait longer"),
    ] {
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(format!("{error:?}"), error.to_string());
    }
}

#[test]
fn stats_count_what_an_end_has_done_since_it_was_taken() {
    let offer = Options::new().capacity(4096).wait(Wait::Park { spin: Duration::ZERO }).offer().unwrap();
    let (mut tx, mut rx) = (Sender::attach(&offer).unwrap(), Receiver::attach(&offer).unwrap());
    tx.send(b"12345").unwrap();
    let mut batch = tx.batch();
    (0..3).for_each(|_| batch.push(&[0; 8]).unwrap());
    batch.send();
    assert_eq!((tx.stats().messages, tx.stats().bytes), (4, 16 + 3 * 16));
    rx.recv().unwrap().put_back();
    assert_eq!((rx.stats().messages, rx.stats().bytes), (0, 0));
    assert_eq!(rx.recv_batch(3).unwrap().iter().count(), 3);
    let mut batch = rx.recv_batch(9).unwrap();
    assert_eq!(batch.iter().count(), 1);
    batch.put_back();
    batch = rx.recv_batch(9).unwrap();
    assert_eq!(batch.iter().count(), 1);
    drop(batch);
    assert_eq!((rx.stats().messages, rx.stats().bytes), (4, 16 + 3 * 16));
    assert_eq!(rx.stats().waits, 0);

    let nothing = rx.recv_timeout(Duration::from_millis(1));
    assert_eq!(nothing.unwrap_err(), RecvTimeoutError::Timeout);
    assert_eq!(rx.stats().waits, 1);
    while tx.try_send(&[0; 56]).is_ok() {}
    tx.send_timeout(&[0; 56], Duration::from_millis(100)).unwrap_err();
    assert_eq!(tx.stats().waits, 1);
    assert!(tx.stats().sleeps > 0);
    assert_eq!((tx.stats().lost, rx.stats().lost), (0, 0));

    drop(tx);
    assert_eq!(Sender::attach(&offer).unwrap().stats(), Stats::default());
}
