//! Taps: they see all, and nobody sees them.
#![allow(unsafe_code)]

mod support;

use std::{
    fs,
    os::{fd::AsFd, unix::fs::FileExt},
    thread,
    time::{Duration, Instant},
};

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway::{
    AttachError, Names, Offer, OpenError, Place, RecvError, RecvTimeoutError, Side, TryRecvError, Wait,
    inspect::State,
    layout::{self, CONTROL_LEN},
    spsc::{Options, Receiver, Seen, Sender, Tap},
};
use support::{PATIENCE, Peer, told};

const CAPACITY: usize = 4096;

fn ring() -> (Offer, Sender, Receiver, Tap) {
    let offer = Options::new().capacity(CAPACITY).offer().unwrap();
    let ends = (Sender::attach(&offer).unwrap(), Receiver::attach(&offer).unwrap());
    let tap = Tap::of(&offer).unwrap();
    (offer, ends.0, ends.1, tap)
}

#[track_caller]
fn sees(tap: &mut Tap, bytes: &[u8], kind: u16) {
    match tap.try_look().unwrap() {
        Seen::Message(message) => assert_eq!((message.bytes(), message.kind()), (bytes, kind)),
        missed => panic!("{missed:?}"),
    }
}

/// A message that tells its number and length in every byte.
fn numbered(number: u64) -> Vec<u8> {
    let mut bytes = vec![number as u8; 8 + number as usize * 7 % 200];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[test]
fn a_tap_that_keeps_up_sees_everything_whether_received_or_not() {
    let (_offer, mut tx, mut rx, mut tap) = ring();
    for number in 0..1000 {
        let message = numbered(number);
        let mut loan = tx.loan(message.len()).unwrap();
        loan.copy_from_slice(&message);
        loan.set_kind(number as u16);
        loan.send();
        if number % 2 == 0 {
            drop(rx.recv().unwrap());
        }
        sees(&mut tap, &message, number as u16);
        assert_eq!(tap.try_look().unwrap_err(), TryRecvError::Empty);
        if number % 2 != 0 {
            drop(rx.recv().unwrap());
        }
    }
    tx.close().unwrap();
    assert_eq!(tap.try_look().unwrap_err(), TryRecvError::Closed);
}

#[test]
fn a_tap_begins_at_what_is_not_released() {
    let (offer, mut tx, mut rx, _) = ring();
    tx.send(b"released").unwrap();
    tx.send(b"pending").unwrap();
    drop(rx.recv().unwrap());
    sees(&mut Tap::of(&offer).unwrap(), b"pending", 0);
}

#[test]
fn a_tap_that_was_lapped_is_told_exactly_what_it_missed_and_goes_on() {
    let (_offer, mut tx, mut rx, mut tap) = ring();
    let (mut sent, mut seen, mut missed) = (0u64, 0u64, 0u64);
    for round in 1..50u64 {
        for number in 0..round * 3 {
            let message = numbered(number);
            tx.send(&message).unwrap();
            sent += 8 + (message.len() as u64).next_multiple_of(8);
            drop(rx.recv().unwrap());
        }
        tx.send(b"the last").unwrap();
        sent += 16;
        let mut last = Vec::new();
        loop {
            match tap.try_look() {
                Ok(Seen::Message(message)) => {
                    seen += 8 + (message.len() as u64).next_multiple_of(8);
                    last = message.bytes().to_vec();
                }
                Ok(Seen::Missed { bytes }) => {
                    assert!(bytes > 0 && bytes % 8 == 0);
                    missed += bytes;
                }
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(last, b"the last", "it goes on");
        assert_eq!((seen + missed, tap.position()), (sent, sent));
        drop(rx.recv().unwrap());
    }
    assert!(missed > 0 && seen > 0);
}

#[test]
fn a_tap_writes_nothing_and_keeps_no_name() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let options = Options::new().names(names.clone()).capacity(CAPACITY);
    let (mut tx, mut rx) = (options.sender("x").unwrap(), options.receiver("x").unwrap());
    tx.send(b"hello").unwrap();
    let path = names.path_of("x").unwrap();
    let before = (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap());
    let mut tap = Tap::named(&names, "x").unwrap();
    sees(&mut tap, b"hello", 0);
    sees(&mut Tap::at(&Place::file(&path)).unwrap(), b"hello", 0);
    assert_eq!(tap.try_look().unwrap_err(), TryRecvError::Empty);
    assert_eq!(tap.look_timeout(Duration::from_millis(3)).unwrap_err(), RecvTimeoutError::Timeout);
    let after = (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap());
    assert!(before == after, "it has written");
    drop(rx.recv().unwrap());
    tx.close().unwrap();
    drop(rx);
    assert!(!path.exists(), "the last one out takes the name");
    assert_eq!(tap.look_deadline(Instant::now()).unwrap_err(), RecvTimeoutError::Closed);
}

#[test]
fn a_tap_that_waits_sees_what_comes() {
    let (offer, mut tx, _rx, mut tap) = ring();
    thread::scope(|scope| {
        let looking = scope.spawn(|| match tap.look_timeout(PATIENCE).unwrap() {
            Seen::Message(message) => message.bytes().to_vec(),
            missed => panic!("{missed:?}"),
        });
        thread::sleep(Duration::from_millis(20));
        tx.send(b"at last").unwrap();
        assert_eq!(looking.join().unwrap(), b"at last");
    });
    tx.close().unwrap();
    assert_eq!(tap.look().unwrap_err(), RecvError::Closed);
    // And a successor opens it again.
    Sender::attach(&offer).unwrap().send(b"again").unwrap();
    sees(&mut tap, b"again", 0);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let absent = Tap::named(&names, "x").unwrap_err();
    assert!(matches!(absent, AttachError::Open(OpenError::NotFound { .. })), "{absent}");
    let shape = ringway_segment::Shape { kind: 99, ..layout::shape(CAPACITY, false) };
    drop(names.open_or_create("x", &shape, |_| {}).unwrap());
    let kind = Tap::named(&names, "x").unwrap_err();
    assert!(matches!(kind, AttachError::Open(OpenError::Kind { found: 99, .. })), "{kind}");
    let offer = Options::new().capacity(CAPACITY).offer().unwrap();
    write(&offer, Side::Receiver.offsets().position, 4);
    let corrupt = Tap::of(&offer).unwrap_err();
    assert!(matches!(corrupt, AttachError::Corrupt { .. }), "{corrupt}");
}

fn write(offer: &Offer, offset: usize, word: u64) {
    let file = fs::File::from(offer.as_fd().try_clone_to_owned().unwrap());
    file.write_all_at(&word.to_ne_bytes(), (4096 + offset) as u64).unwrap();
}

#[test]
fn an_impossible_claim_poisons_a_tap_and_does_not_keep_it_busy() {
    let (offer, mut tx, _rx, mut tap) = ring();
    tx.send(b"hello").unwrap();
    write(&offer, Side::Sender.offsets().claim, 1 << 40);
    let error = tap.try_look().unwrap_err();
    assert!(matches!(error, TryRecvError::Corrupt(_)), "{error}");
    assert_eq!(tap.try_look().unwrap_err(), error, "poisoned");
}

#[test]
fn a_tap_survives_the_ends_of_other_processes() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let start = |function| Peer::start(Peer::command(function).env("DIR", dir.path()));
    // The ring is there before either end.
    drop(Options::new().names(names.clone()).capacity(1 << 16).sender("x").unwrap());
    let mut tap = Tap::named(&names, "x").unwrap();
    let mut next = 0;
    for _ in 0..5 {
        let (sender, receiver) = (start("sends"), start("receives"));
        let limit = Instant::now() + PATIENCE;
        let until = next + 1000;
        while next < until {
            assert!(Instant::now() < limit, "nothing comes");
            follow(&mut tap, &mut next);
        }
        sender.kill();
        assert_eq!(tap.status().unwrap().sender.state, State::Dead);
        receiver.kill();
        // What was there last is still to be seen.
        while !matches!(tap.try_look(), Err(TryRecvError::Empty)) {}
        next = 0;
    }
    // One that ends in good order takes up what the dead ones left.
    let receiver = start("receives");
    start("sends_one").join();
    let mut last = Vec::new();
    let end = loop {
        match tap.try_look() {
            Ok(Seen::Message(message)) => last = message.bytes().to_vec(),
            Ok(Seen::Missed { .. }) => {}
            Err(end) => break end,
        }
    };
    assert_eq!((last.as_slice(), end), (&b"the last"[..], TryRecvError::Closed));
    receiver.kill();
}

/// Looks once; a message is whole and comes after those before it.
fn follow(tap: &mut Tap, next: &mut u64) {
    match tap.look_timeout(Duration::from_millis(10)) {
        Ok(Seen::Message(message)) => {
            let number = u64::from_le_bytes(message.bytes()[..8].try_into().unwrap());
            assert!(number >= *next && message.bytes() == numbered(number), "{number} after {next}");
            *next = number + 1;
        }
        Ok(Seen::Missed { .. }) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Closed) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
#[ignore = "run as a child process"]
fn sends() {
    let names = Names::in_dir(told("DIR"));
    let mut tx = Options::new().names(names).wait(Wait::default()).sender("x").unwrap();
    for number in 0.. {
        tx.send(&numbered(number)).unwrap();
    }
}

#[test]
#[ignore = "run as a child process"]
fn sends_one() {
    let names = Names::in_dir(told("DIR"));
    Options::new().names(names).sender("x").unwrap().send_timeout(b"the last", PATIENCE).unwrap();
}

#[test]
#[ignore = "run as a child process"]
fn receives() {
    let names = Names::in_dir(told("DIR"));
    let mut rx = Options::new().names(names).receiver("x").unwrap();
    loop {
        // The ring is closed until its first sender comes; who left now would take the name away.
        match rx.recv() {
            Err(RecvError::Closed | RecvError::PeerDied(_)) => thread::sleep(Duration::from_millis(1)),
            received => drop(received.unwrap()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn whatever_the_words_hold_looks_end_and_stay_inside(
        words in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8, any::<u64>()), 1..60)
    ) {
        let (offer, mut tx, mut rx, mut tap) = ring();
        let file = fs::File::from(offer.as_fd().try_clone_to_owned().unwrap());
        let (sender, receiver) = (Side::Sender.offsets(), Side::Receiver.offsets());
        for (place, what, random) in words {
            let places = [sender.position, sender.claim, sender.oldest, sender.sent, receiver.position];
            let place = match place.index(2 * places.len()) {
                n if n < places.len() => places[n],
                _ => CONTROL_LEN + place.index(CAPACITY / 8) * 8,
            };
            let value = match what {
                0 => random,
                1 => 0,
                2 => 1 << 48 | random >> 52,
                3 => 2 << 48,
                4 => (random >> 52) * 8,
                5 => ((random >> 52) * 8).wrapping_neg(),
                6 => tap.position().wrapping_add(random >> 58 << 3),
                _ => u64::MAX,
            };
            file.write_all_at(&value.to_ne_bytes(), (4096 + place) as u64).unwrap();
            let _ = tx.try_send(&[1; 100]);
            let _ = rx.try_recv().map(drop);
            for _ in 0..4 {
                match tap.try_look() {
                    Ok(Seen::Message(message)) => prop_assert!(message.len() <= CAPACITY - 16),
                    Ok(Seen::Missed { bytes }) => prop_assert!(bytes > 0),
                    Err(_) => {}
                }
            }
            let status = tap.status().unwrap();
            prop_assert!(status.pending.is_none_or(|pending| pending <= CAPACITY as u64));
            if let Err(TryRecvError::Corrupt(_)) = tap.try_look() {
                tap = match Tap::of(&offer) { Ok(tap) => tap, Err(_) => break };
            }
        }
    }
}
