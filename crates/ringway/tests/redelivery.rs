//! What a killed receiver had taken and not given back: it comes again and says so, or does not and is counted.

mod support;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    mem,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names, RecvError, SendTimeoutError,
    spsc::{Options, Redelivery, Sender, lossy, slots},
};
use support::{PATIENCE, Peer, told};
use tempfile::TempDir;

/// A directory for names of its own, and for what children say.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").unwrap())
    }

    fn child(&self, function: &str) -> Command {
        let mut command = Peer::command(function);
        command.env("DIR", self.0.path());
        command
    }

    /// Runs a child until it says that it is ready, and kills it.
    fn kill_when_ready(&self, function: &str) {
        let child = Peer::start(&mut self.child(function));
        let (ready, limit) = (ready(self.0.path()), Instant::now() + PATIENCE);
        while !ready.exists() {
            assert!(Instant::now() < limit, "the child does not get ready");
            thread::sleep(Duration::from_millis(1));
        }
        child.kill();
        fs::remove_file(ready).unwrap();
    }
}

fn ready(dir: &Path) -> PathBuf {
    dir.join("ready")
}

fn options(dir: &Path) -> Options {
    Options::new().capacity(4096).names(Names::in_dir(dir))
}

fn slots_options(dir: &Path) -> slots::Options {
    slots::Options::new().capacity(100).names(Names::in_dir(dir))
}

/// Sends, whoever dies: a successor makes room.
fn send(tx: &mut Sender, message: &[u8]) {
    while let Err(error) = tx.send_timeout(message, PATIENCE) {
        assert!(matches!(error, SendTimeoutError::PeerDied(_)), "{error}");
        thread::yield_now();
    }
}

/// Says that it is ready to be killed, and waits for that.
fn wait_for_death(dir: &Path) -> ! {
    fs::write(ready(dir), "").unwrap();
    thread::sleep(PATIENCE);
    panic!("nobody killed it");
}

#[test]
#[ignore = "run as a child process"]
fn child_holds_three() {
    let dir = PathBuf::from(told("DIR"));
    let mut rx = options(&dir).receiver("x").unwrap();
    let batch = rx.recv_batch(10).unwrap();
    assert_eq!(batch.iter().take(3).count(), 3);
    wait_for_death(&dir);
}

#[test]
#[ignore = "run as a child process"]
fn child_holds_one() {
    let dir = PathBuf::from(told("DIR"));
    let mut rx = options(&dir).receiver("x").unwrap();
    let _message = rx.recv().unwrap();
    wait_for_death(&dir);
}

#[test]
fn what_a_killed_receiver_held_comes_again_marked() {
    let place = Place::new();
    let mut tx = options(place.0.path()).sender("x").unwrap();
    (0..5u8).for_each(|n| tx.send(&[n]).unwrap());
    place.kill_when_ready("child_holds_three");
    let mut rx = options(place.0.path()).receiver("x").unwrap();
    assert_eq!(rx.skipped(), 0);
    let message = rx.recv().unwrap();
    assert_eq!((&message[..], message.redelivered()), (&[0][..], true));
    message.put_back();
    let message = rx.recv().unwrap();
    assert!(message.redelivered(), "put back, it is still one that was taken");
    drop(message);
    let batch = rx.recv_batch(10).unwrap();
    let found: Vec<_> = batch.iter().map(|message| (message.bytes()[0], message.redelivered())).collect();
    assert_eq!(found, [(1, true), (2, true), (3, false), (4, false)]);
}

#[test]
fn what_several_killed_receivers_held_stays_marked() {
    let place = Place::new();
    let mut tx = options(place.0.path()).sender("x").unwrap();
    (0..5u8).for_each(|n| tx.send(&[n]).unwrap());
    place.kill_when_ready("child_holds_three");
    // This one had less.
    place.kill_when_ready("child_holds_one");
    let mut rx = options(place.0.path()).receiver("x").unwrap();
    let found: Vec<_> = (0..5).map(|_| rx.recv().unwrap().redelivered()).collect();
    assert_eq!(found, [true, true, true, false, false]);
}

#[test]
fn what_a_killed_receiver_held_is_passed_over_and_counted_if_so_chosen() {
    let place = Place::new();
    let mut tx = options(place.0.path()).sender("x").unwrap();
    (0..5u8).for_each(|n| tx.send(&[n]).unwrap());
    place.kill_when_ready("child_holds_three");
    let at_most_once = options(place.0.path()).redelivery(Redelivery::AtMostOnce);
    let mut rx = at_most_once.receiver("x").unwrap();
    assert_eq!(rx.skipped(), 3);
    let message = rx.recv().unwrap();
    assert_eq!((&message[..], message.redelivered()), (&[3][..], false));
    drop(message);
    drop(rx);
    // They are counted once, and what was not taken is never passed over.
    let mut rx = at_most_once.receiver("x").unwrap();
    assert_eq!((rx.skipped(), &rx.recv().unwrap()[..]), (0, &[4][..]));
}

#[test]
fn a_sender_that_waits_for_room_gets_that_of_what_is_passed_over() {
    let place = Place::new();
    let mut tx = options(place.0.path()).sender("x").unwrap();
    while tx.try_send(&[7; 1000]).is_ok() {}
    place.kill_when_ready("child_holds_three");
    let sender = thread::spawn(move || {
        send(&mut tx, &[8; 1000]);
        tx
    });
    let at_most_once = options(place.0.path()).redelivery(Redelivery::AtMostOnce);
    let rx = at_most_once.receiver("x").unwrap();
    let tx = sender.join().unwrap();
    assert_eq!(rx.skipped(), 3);
    drop((tx, rx));
}

#[test]
#[ignore = "run as a child process"]
fn child_holds_three_slots() {
    let dir = PathBuf::from(told("DIR"));
    let mut rx = slots_options(&dir).receiver::<u64>("x").unwrap();
    let batch = rx.recv_batch(10).unwrap();
    assert_eq!(batch.iter().take(3).count(), 3);
    wait_for_death(&dir);
}

#[test]
fn slots_that_a_killed_receiver_held_come_again_marked_or_are_counted() {
    for redelivery in [Redelivery::AtLeastOnce, Redelivery::AtMostOnce] {
        let place = Place::new();
        let mut tx = slots_options(place.0.path()).sender::<u64>("x").unwrap();
        (0..5).for_each(|n| tx.send(&n).unwrap());
        place.kill_when_ready("child_holds_three_slots");
        let mut rx = slots_options(place.0.path()).redelivery(redelivery).receiver::<u64>("x").unwrap();
        if redelivery == Redelivery::AtMostOnce {
            assert_eq!(rx.skipped(), 3);
        } else {
            assert_eq!(rx.skipped(), 0);
            let message = rx.recv().unwrap();
            assert_eq!((*message, message.redelivered()), (0, true));
            drop(message);
            let batch = rx.recv_batch(1).unwrap();
            assert_eq!(batch.redelivered(), 1, "no more than are asked for");
            drop(batch);
            let batch = rx.recv_batch(10).unwrap();
            assert_eq!((batch.redelivered(), batch.iter().take(2).count()), (2, 2));
        }
        let message = rx.recv().unwrap();
        assert_eq!((*message, message.redelivered()), (3, false));
    }
}

const LOSES: [lossy::Lose; 2] = [lossy::Lose::Newest, lossy::Lose::Oldest];

#[test]
#[ignore = "run as a child process"]
fn child_holds_one_that_may_be_lost() {
    let dir = PathBuf::from(told("DIR"));
    for (n, lose) in LOSES.into_iter().enumerate() {
        let mut rx = lossy::Options::new(options(&dir), lose).receiver(&n.to_string()).unwrap();
        mem::forget(rx.recv().unwrap());
        mem::forget(rx);
    }
    wait_for_death(&dir);
}

#[test]
fn rings_that_lose_messages_mark_what_comes_again_or_count_it_as_lost() {
    for redelivery in [Redelivery::AtLeastOnce, Redelivery::AtMostOnce] {
        let place = Place::new();
        let options = options(place.0.path()).redelivery(redelivery);
        let rings = LOSES.map(|lose| lossy::Options::new(options.clone(), lose));
        let senders = [0, 1].map(|n| {
            let mut tx = rings[n].sender(&n.to_string()).unwrap();
            (0..3u8).for_each(|n| assert_eq!(tx.send(&[n]).unwrap(), lossy::Fate::Sent));
            tx
        });
        for _ in 0..2 {
            place.kill_when_ready("child_holds_one_that_may_be_lost");
        }
        for n in [0, 1] {
            let mut rx = rings[n].receiver(&n.to_string()).unwrap();
            let mut next = || rx.recv().map(|message| (message[0], message.redelivered(), message.lost()));
            if redelivery == Redelivery::AtLeastOnce {
                assert_eq!(next().unwrap(), (0, true, 0));
                assert_eq!(next().unwrap(), (1, false, 0));
            } else {
                assert_eq!(next().unwrap(), (1, false, 1));
            }
            assert_eq!(next().unwrap(), (2, false, 0));
        }
        drop(senders);
    }
}

/// Messages that are had and not given back: as many as there can be, if they are empty.
const ALL: usize = 251;

#[test]
#[ignore = "run as a child process"]
fn child_forgets_all_that_may_be_lost() {
    let dir = PathBuf::from(told("DIR"));
    for (n, lose) in LOSES.into_iter().enumerate() {
        let mut rx = lossy::Options::new(options(&dir), lose).receiver(&n.to_string()).unwrap();
        (0..ALL).for_each(|_| mem::forget(rx.recv().unwrap()));
        mem::forget(rx);
    }
    wait_for_death(&dir);
}

#[test]
fn a_successor_finds_what_is_behind_all_that_was_had_and_not_given_back() {
    let place = Place::new();
    let rings = LOSES.map(|lose| lossy::Options::new(options(place.0.path()), lose));
    let mut senders = [0, 1].map(|n| {
        let mut tx = rings[n].sender(&n.to_string()).unwrap();
        (1..ALL).for_each(|_| assert_eq!(tx.send(b"").unwrap(), lossy::Fate::Sent));
        assert_eq!(tx.send(b"next").unwrap(), lossy::Fate::Sent);
        tx
    });
    place.kill_when_ready("child_forgets_all_that_may_be_lost");
    for n in [0, 1] {
        let mut rx = rings[n].receiver(&n.to_string()).unwrap();
        // It had gone on behind all but the last. There is room again, too.
        assert_eq!(senders[n].send(&[0; 1000]).unwrap(), lossy::Fate::Sent);
        let message = rx.try_recv().unwrap();
        assert_eq!((&message[..], message.redelivered()), (&b"next"[..], true));
        drop(message);
        assert!(!rx.try_recv().unwrap().redelivered());
    }
}

#[test]
fn who_leaves_in_good_order_gives_back_what_forgotten_guards_held() {
    let place = Place::new();
    let options = options(place.0.path());
    let (mut tx, mut rx) = (options.sender("x").unwrap(), options.receiver("x").unwrap());
    (0..2u8).for_each(|n| tx.send(&[n]).unwrap());
    mem::forget(rx.recv().unwrap());
    drop(rx);
    let mut rx = options.receiver("x").unwrap();
    let message = rx.recv().unwrap();
    assert_eq!((&message[..], message.redelivered()), (&[1][..], false));
    mem::forget(message);
    drop(rx);
    drop(tx);
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 0, "all was received: the name is gone");

    for (n, lose) in LOSES.into_iter().enumerate() {
        let options = lossy::Options::new(options.clone(), lose);
        let name = n.to_string();
        let (mut tx, mut rx) = (options.sender(&name).unwrap(), options.receiver(&name).unwrap());
        (0..2u8).for_each(|n| assert_eq!(tx.send(&[n]).unwrap(), lossy::Fate::Sent));
        mem::forget(rx.recv().unwrap());
        drop(rx);
        let mut rx = options.receiver(&name).unwrap();
        let message = rx.recv().unwrap();
        assert_eq!((&message[..], message.lost(), message.redelivered()), (&[1][..], 0, false));
    }
}

/// Messages of the deaths under load.
const MESSAGES: u64 = 40_000;

/// Acts upon each message: writes its number down, outside of the ring.
#[test]
#[ignore = "run as a child process"]
fn child_acts_until_killed() {
    let dir = PathBuf::from(told("DIR"));
    let redelivery = if told("TWICE") == "1" { Redelivery::AtLeastOnce } else { Redelivery::AtMostOnce };
    let mut acts = OpenOptions::new().append(true).create(true).open(dir.join("acts")).unwrap();
    let mut rx = options(&dir).redelivery(redelivery).receiver("x").unwrap();
    let mut act = |number: &[u8], again: bool| {
        let mut line = [0; 16];
        line[..8].copy_from_slice(number);
        line[8] = again.into();
        acts.write_all(&line).unwrap();
    };
    loop {
        match rx.recv() {
            Ok(message) => act(&message, message.redelivered()),
            Err(error) => return assert_eq!(error, RecvError::Closed),
        }
        if let Ok(batch) = rx.try_recv_batch(5) {
            batch.iter().for_each(|message| act(&message, message.redelivered()));
        }
    }
}

/// Receivers that are killed at random moments, one after the other: what they did, and whether they knew that it might be for
/// the second time.
fn acts(redelivery: Redelivery) -> Vec<(u64, bool)> {
    let place = Place::new();
    let mut tx = options(place.0.path()).sender("x").unwrap();
    let twice = if redelivery == Redelivery::AtLeastOnce { "1" } else { "0" };
    let start = || Peer::start(place.child("child_acts_until_killed").env("TWICE", twice));
    let mut heir = start();
    for number in 0..MESSAGES {
        if number % 1999 == 1998 {
            heir.kill();
            heir = start();
        }
        send(&mut tx, &number.to_ne_bytes());
    }
    tx.close().unwrap();
    heir.join();
    let acts = fs::read(place.0.path().join("acts")).unwrap();
    // Who is killed in the midst of a write has written all of it or nothing: a file's write of 16 bytes is not cut short.
    acts.chunks(16).map(|act| (u64::from_ne_bytes(act[..8].try_into().unwrap()), act[8] == 1)).collect()
}

#[test]
fn nobody_acts_twice_unknowingly_nor_misses_a_message() {
    let mut next = 0;
    for (number, again) in acts(Redelivery::AtLeastOnce) {
        assert!(number <= next, "{next} is missing");
        assert!(number == next || again, "{number} was acted upon, and came again without a word");
        next = next.max(number + 1);
    }
    assert_eq!(next, MESSAGES);
}

#[test]
fn nobody_acts_twice_who_chose_at_most_once() {
    let mut next = 0;
    for (number, again) in acts(Redelivery::AtMostOnce) {
        assert!(number >= next && !again, "{number} came twice");
        next = number + 1;
    }
    assert_eq!(next, MESSAGES);
}
