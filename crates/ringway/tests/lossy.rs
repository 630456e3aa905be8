//! Rings that lose messages tell exactly how many.

mod support;

use std::{path::Path, thread, time::Duration};

use ringway::{
    AttachError, Names, RecvError, RecvTimeoutError, Stats, TryRecvError,
    spsc::{
        self,
        lossy::{Fate, Lose, Options, Receiver, Sender},
    },
};
use support::{PATIENCE, Peer, told};

fn pair(lose: Lose) -> (Sender, Receiver) {
    Options::new(spsc::Options::new().capacity(4096), lose).pair().unwrap()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes[..8].try_into().unwrap())
}

fn send(tx: &mut Sender, n: u64) -> Fate {
    tx.send(&n.to_ne_bytes()).unwrap()
}

#[test]
fn the_newest_are_lost_and_the_gap_is_told_where_it_is() {
    let (mut tx, mut rx) = pair(Lose::Newest);
    let sent = (0..).take_while(|&n| send(&mut tx, n) == Fate::Sent).count() as u64;
    for n in sent + 1..sent + 10 {
        assert_eq!(send(&mut tx, n), Fate::Lost);
    }
    for n in 0..sent {
        let message = rx.recv().unwrap();
        assert_eq!((number(&message), message.lost()), (n, 0));
    }
    assert_eq!(send(&mut tx, sent + 10), Fate::Sent);
    let message = rx.recv().unwrap();
    assert_eq!((number(&message), message.lost()), (sent + 10, 10));
    drop(message);
    assert_eq!((tx.lost(), rx.lost()), (10, 10));
}

#[test]
fn the_oldest_are_lost_and_those_that_are_left_are_the_newest_without_a_gap() {
    let (mut tx, mut rx) = pair(Lose::Oldest);
    const ALL: u64 = 5000;
    (0..ALL).for_each(|n| assert_eq!(send(&mut tx, n), Fate::Sent));
    let first = rx.recv().unwrap();
    let lost = first.lost();
    assert_eq!(number(&first), lost);
    // 24 bytes a message; more than three quarters of the ring are kept.
    assert!(ALL - lost > 4096 * 3 / 4 / 24, "{lost} lost");
    drop(first);
    for n in lost + 1..ALL {
        let message = rx.try_recv().unwrap();
        assert_eq!((number(&message), message.lost()), (n, 0));
    }
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!((tx.lost(), rx.lost()), (0, lost));
}

#[test]
fn what_was_lost_behind_the_last_message_is_told_with_closed() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let (mut tx, mut rx) = pair(lose);
        for n in 0..1000 {
            send(&mut tx, n);
        }
        drop(tx);
        let mut received = 0;
        while rx.recv().is_ok() {
            received += 1;
        }
        assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
        assert_eq!(received + rx.lost(), 1000, "{lose:?}");
    }
}

#[test]
fn what_was_lost_behind_the_last_message_is_told_once_though_another_receiver_comes() {
    let options = Options::new(spsc::Options::new().capacity(4096), Lose::Newest);
    let offer = options.offer().unwrap();
    let (mut tx, mut rx) = (options.sender_of(&offer).unwrap(), options.receiver_of(&offer).unwrap());
    let sent = (0..1000).filter(|&n| send(&mut tx, n) == Fate::Sent).count();
    assert!(sent < 1000);
    tx.close().unwrap();
    while rx.recv().is_ok() {}
    assert_eq!(rx.lost(), 1000 - sent as u64);
    drop(rx);
    let mut rx = options.receiver_of(&offer).unwrap();
    assert_eq!((rx.recv().unwrap_err(), rx.lost()), (RecvError::Closed, 0));
}

#[test]
fn every_message_is_received_whole_or_counted_though_sender_and_receiver_race() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let (mut tx, mut rx) = pair(lose);
        const ALL: u64 = 200_000;
        let sender = thread::spawn(move || {
            let mut lost = 0;
            for n in 0..ALL {
                let len = 8 + (n % 40) as usize;
                let fate = tx.send_with(len, |bytes| {
                    bytes.fill(n as u8);
                    bytes[..8].copy_from_slice(&n.to_ne_bytes());
                });
                lost += u64::from(fate.unwrap() == Fate::Lost);
            }
            (lost, tx)
        });
        let (mut next, mut received) = (0, 0);
        let mut check = |message: &[u8], lost: u64| {
            next += lost;
            assert_eq!(number(message), next, "{lose:?}");
            assert_eq!(message.len(), 8 + (next % 40) as usize);
            assert!(message[8..].iter().all(|&byte| byte == next as u8), "torn");
            next += 1;
            received += 1;
        };
        while !sender.is_finished() {
            match rx.recv_timeout(Duration::from_millis(10)) {
                Ok(message) => check(&message, message.lost()),
                Err(why) => assert_eq!(why, RecvTimeoutError::Timeout),
            }
        }
        let (lost, tx) = sender.join().unwrap();
        drop(tx);
        while let Ok(message) = rx.recv() {
            check(&message, message.lost());
        }
        assert_eq!(received + rx.lost(), ALL);
        assert!(lose == Lose::Oldest || rx.lost() == lost);
    }
}

#[test]
fn a_message_as_long_as_the_ring_is_sent_and_a_longer_one_refused() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let (mut tx, mut rx) = pair(lose);
        let most = vec![7; tx.max_message()];
        for _ in 0..3 {
            assert_eq!(tx.send(&most).unwrap(), Fate::Sent);
            assert_eq!(rx.recv().unwrap()[..], most);
        }
        tx.send(&vec![0; most.len() + 1]).unwrap_err();
        tx.send(b"short").unwrap();
        let message = rx.recv().unwrap();
        assert_eq!((&message[..], message.lost()), (&b"short"[..], 0));
    }
}

#[test]
fn a_receiver_asleep_is_woken() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let (mut tx, mut rx) = pair(lose);
        let receiver = thread::spawn(move || rx.recv().map(|message| number(&message)));
        thread::sleep(Duration::from_millis(5));
        send(&mut tx, 9);
        assert_eq!(receiver.join().unwrap(), Ok(9));
    }
}

#[test]
fn successors_of_both_ends_go_on_with_the_numbers() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let dir = tempfile::tempdir().unwrap();
        let ring = spsc::Options::new().capacity(4096).names(Names::in_dir(dir.path()));
        let options = Options::new(ring, lose);
        let mut tx = options.sender("x").unwrap();
        let mut rx = options.receiver("x").unwrap();
        for n in 0..3 {
            send(&mut tx, n);
        }
        assert_eq!(number(&rx.recv().unwrap()), 0);
        drop(tx);
        let mut tx = options.sender("x").unwrap();
        send(&mut tx, 3);
        drop(rx);
        let mut rx = options.receiver("x").unwrap();
        for n in 1..4 {
            let message = rx.recv().unwrap();
            assert_eq!((number(&message), message.lost()), (n, 0), "{lose:?}");
        }
        // With nothing left in the ring a successor of the sender knows it from the receiver.
        drop(tx);
        assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
        let mut tx = options.sender("x").unwrap();
        send(&mut tx, 4);
        assert_eq!(rx.recv().unwrap().lost(), 0);
        drop((tx, rx));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the last to leave takes the name");
    }
}

/// Bytes of a message with 8 bytes of payload: header, number, payload.
const TAKES: u64 = 24;

#[test]
fn stats_of_a_sender_that_drops_say_how_many_were_sent_and_how_many_lost() {
    let (mut tx, mut rx) = pair(Lose::Newest);
    let sent = (0..1000).filter(|&n| send(&mut tx, n) == Fate::Sent).count() as u64;
    let stats = tx.stats();
    assert_eq!((stats.messages, stats.bytes, stats.lost), (sent, sent * TAKES, 1000 - sent));
    assert_eq!((stats.waits, stats.sleeps), (0, 0));

    while rx.try_recv().is_ok() {}
    let stats = rx.stats();
    assert_eq!((stats.messages, stats.bytes, stats.lost), (sent, sent * TAKES, 0));
    send(&mut tx, 1000);
    assert_eq!(rx.recv().unwrap().lost(), 1000 - sent);
    let stats = rx.stats();
    assert_eq!((stats.messages, stats.bytes, stats.lost), (sent + 1, (sent + 1) * TAKES, 1000 - sent));
}

#[test]
fn stats_of_a_receiver_count_what_was_overwritten_as_lost_and_not_its_bytes() {
    let (mut tx, mut rx) = pair(Lose::Oldest);
    (0..1000).for_each(|n| assert_eq!(send(&mut tx, n), Fate::Sent));
    let stats = tx.stats();
    assert_eq!((stats.messages, stats.bytes, stats.lost), (1000, 1000 * TAKES, 0));

    let received = (0..).take_while(|_| rx.try_recv().is_ok()).count() as u64;
    let stats = rx.stats();
    assert_eq!((stats.messages, stats.bytes, stats.lost), (received, received * TAKES, 1000 - received));
    assert_eq!(stats.waits, 0);
    rx.recv_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(rx.stats().waits, 1);
}

#[test]
fn stats_begin_anew_with_the_holder_of_an_end() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let offer = Options::new(spsc::Options::new().capacity(4096), lose).offer().unwrap();
        let options = Options::new(spsc::Options::new(), lose);
        let mut tx = options.sender_of(&offer).unwrap();
        let mut rx = options.receiver_of(&offer).unwrap();
        let sent = (0..1000).filter(|&n| send(&mut tx, n) == Fate::Sent).count();
        assert!(sent > 9);
        (0..9).for_each(|_| drop(rx.recv().unwrap()));
        drop((tx, rx));
        assert_eq!(options.sender_of(&offer).unwrap().stats(), Stats::default(), "{lose:?}");
        assert_eq!(options.receiver_of(&offer).unwrap().stats(), Stats::default(), "{lose:?}");
    }
}

#[test]
fn who_asks_for_other_losses_or_for_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ring = spsc::Options::new().capacity(4096).names(Names::in_dir(dir.path()));
    let _tx = Options::new(ring.clone(), Lose::Oldest).sender("x").unwrap();
    let refused = Options::new(ring.clone(), Lose::Newest).receiver("x").unwrap_err();
    assert!(matches!(refused, AttachError::Loses { asked: Lose::Newest, found: Lose::Oldest, .. }));
    assert!(refused.to_string().contains("loses its oldest messages"), "{refused}");
    assert!(matches!(ring.receiver("x").unwrap_err(), AttachError::Open(_)));
}

#[test]
fn a_record_without_a_number_is_said_to_be_corrupt() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let offer = Options::new(spsc::Options::new().capacity(4096), lose).offer().unwrap();
        let mut rx = Options::new(spsc::Options::new(), lose).receiver_of(&offer).unwrap();
        let file = std::fs::File::from(std::os::fd::AsFd::as_fd(&offer).try_clone_to_owned().unwrap());
        std::os::unix::fs::FileExt::write_all_at(&file, &(1u64 << 48 | 4).to_ne_bytes(), 3 * 4096).unwrap();
        for _ in 0..2 {
            assert!(matches!(rx.recv().unwrap_err(), RecvError::Corrupt(_)), "{lose:?}");
        }
    }
}

fn options(dir: impl AsRef<Path>, lose: Lose) -> Options {
    Options::new(spsc::Options::new().capacity(4096).names(Names::in_dir(dir.as_ref())), lose)
}

#[test]
fn a_sender_killed_between_any_two_messages_leaves_the_numbers_to_its_successor() {
    for lose in [Lose::Newest, Lose::Oldest] {
        let dir = tempfile::tempdir().unwrap();
        let mut rx = options(dir.path(), lose).receiver("x").unwrap();
        for _ in 0..10 {
            let mut command = Peer::command("child_that_sends_for_ever");
            command.env("RINGWAY_TEST_DIR", dir.path()).env("RINGWAY_TEST_LOSE", format!("{lose:?}"));
            let child = Peer::start(&mut command);
            for _ in 0..200 {
                // The last successor closed.
                while matches!(rx.recv_timeout(PATIENCE), Err(RecvTimeoutError::Closed)) {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            child.kill();
            let mut tx = options(dir.path(), lose).sender("x").unwrap();
            while rx.try_recv().is_ok() {}
            let told = rx.lost();
            assert_eq!(tx.send(b"successor").unwrap(), Fate::Sent);
            let message = rx.recv_timeout(PATIENCE).unwrap();
            assert_eq!(&message[..], b"successor");
            // The dead sender's last message was received. What it lost behind that it had written down, but for one that
            // it was about to.
            let lost = message.lost();
            assert!(lose == Lose::Newest || lost == 0, "{lost}");
            drop(message);
            assert_eq!(rx.lost(), told + lost);
        }
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_that_sends_for_ever() {
    let lose = if told("RINGWAY_TEST_LOSE") == "Newest" { Lose::Newest } else { Lose::Oldest };
    let mut tx = options(told("RINGWAY_TEST_DIR"), lose).sender("x").unwrap();
    let limit = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < limit {
        let _ = tx.send(b"message");
    }
}

#[test]
fn numbers_that_jump_make_no_count_overflow() {
    let offer = Options::new(spsc::Options::new().capacity(4096), Lose::Newest).offer().unwrap();
    let mut rx = Options::new(spsc::Options::new(), Lose::Newest).receiver_of(&offer).unwrap();
    let file = std::fs::File::from(std::os::fd::AsFd::as_fd(&offer).try_clone_to_owned().unwrap());
    let far = u64::MAX / 2;
    for (n, number) in (0..).zip([far, u64::MAX, far]) {
        let record = [(1u64 << 48 | 8).to_ne_bytes(), number.to_ne_bytes()].concat();
        std::os::unix::fs::FileExt::write_all_at(&file, &record, 3 * 4096 + 16 * n).unwrap();
        assert_eq!(rx.try_recv().unwrap().lost(), far);
    }
    assert_eq!(rx.lost(), u64::MAX);
}

#[test]
fn a_sender_killed_while_it_writes_over_all_there_is_leaves_the_numbers_to_its_successor() {
    for after in ["long", "short", "several short", "many short"] {
        let dir = tempfile::tempdir().unwrap();
        let mut rx = options(dir.path(), Lose::Oldest).receiver("x").unwrap();
        // What one has claimed that died has room for many messages of its successor.
        let children: &[_] = if after == "many short" { &["long", after] } else { &[after] };
        for child in children {
            let mut command = Peer::command("child_that_dies_while_it_writes");
            command.env("RINGWAY_TEST_DIR", dir.path()).env("RINGWAY_TEST_AFTER", child);
            assert!(!command.status().unwrap().success(), "it aborts");
        }
        let mut tx = options(dir.path(), Lose::Oldest).sender("x").unwrap();
        tx.send(b"successor").unwrap();
        let message = rx.recv_timeout(PATIENCE).unwrap();
        let given = match after {
            "several short" => 3 + 8,
            "many short" => 3 + 140,
            _ => 3,
        };
        assert_eq!((&message[..], message.lost()), (&b"successor"[..], given), "{after}");
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_that_dies_while_it_writes() {
    let mut tx = options(told("RINGWAY_TEST_DIR"), Lose::Oldest).sender("x").unwrap();
    let after = told("RINGWAY_TEST_AFTER");
    let long = [0; 3500];
    let (longs, shorts) = match &after[..] {
        // What is claimed for the last long one has room for them.
        "several short" => (3, 8),
        "many short" => (0, 140),
        _ => (3, 0),
    };
    (0..longs).for_each(|_| assert_eq!(tx.send(&long).unwrap(), Fate::Sent));
    (0..shorts).for_each(|_| assert_eq!(tx.send(b"short").unwrap(), Fate::Sent));
    let len = if after == "long" { long.len() } else { 900 };
    let _ = tx.send_with(len, |_| std::process::abort());
}

#[test]
fn no_name_is_left_behind_if_all_that_was_not_received_was_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut rx = options(dir.path(), Lose::Oldest).receiver("x").unwrap();
    let mut tx = options(dir.path(), Lose::Oldest).sender("x").unwrap();
    send(&mut tx, 0);
    let len = tx.max_message();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tx.send_with(len, |_| panic!()))).unwrap_err();
    drop(tx);
    assert_eq!(rx.recv().unwrap_err(), RecvError::Closed);
    assert_eq!(rx.lost(), 1);
    drop(rx);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_new_receiver_gets_what_is_new_at_once_though_its_predecessor_had_much_of_the_ring() {
    let offer = Options::new(spsc::Options::new().capacity(4096), Lose::Oldest).offer().unwrap();
    let options = Options::new(spsc::Options::new(), Lose::Oldest);
    let mut tx = options.sender_of(&offer).unwrap();
    let mut rx = options.receiver_of(&offer).unwrap();
    for n in 0..150 {
        send(&mut tx, n);
    }
    while rx.try_recv().is_ok() {}
    drop(rx);
    let mut rx = options.receiver_of(&offer).unwrap();
    send(&mut tx, 150);
    assert_eq!(number(&rx.try_recv().unwrap()), 150);
}

#[test]
fn messages_whose_guards_were_forgotten_are_not_expected_again_by_a_successor_of_the_sender() {
    let dir = tempfile::tempdir().unwrap();
    let mut rx = options(dir.path(), Lose::Newest).receiver("x").unwrap();
    let mut command = Peer::command("child_that_aborts_after_three");
    command.env("RINGWAY_TEST_DIR", dir.path());
    assert!(!command.status().unwrap().success(), "it aborts");
    (0..3).for_each(|_| std::mem::forget(rx.try_recv().unwrap()));
    assert!(matches!(rx.try_recv().unwrap_err(), TryRecvError::PeerDied(_)));
    let mut tx = options(dir.path(), Lose::Newest).sender("x").unwrap();
    tx.send(b"successor").unwrap();
    let message = rx.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&message[..], message.lost()), (&b"successor"[..], 0));
}

#[test]
#[ignore = "run as a child process"]
fn child_that_aborts_after_three() {
    let mut tx = options(told("RINGWAY_TEST_DIR"), Lose::Newest).sender("x").unwrap();
    for n in 0..3 {
        send(&mut tx, n);
    }
    std::process::abort();
}
