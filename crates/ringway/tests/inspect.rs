//! Rings seen from outside.
#![allow(unsafe_code)]

use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::FileExt,
    },
    thread,
    time::{Duration, Instant},
};

use ringway::{
    AttachError, Names, Offer, OpenError, Side, Wait,
    inspect::{self, State, Status},
    layout::{self, CONTROL_LEN, FLAG_SLEEPLESS},
    spsc::{
        Options, Receiver, Sender, Tap,
        lossy::{self, Lose},
        slots,
    },
};

const CAPACITY: usize = 1 << 16;
const PATIENCE: Duration = Duration::from_secs(60);

fn offer() -> Offer {
    Options::new().capacity(CAPACITY).offer().unwrap()
}

fn look(offer: &Offer) -> Status {
    inspect::offered(offer).unwrap()
}

fn states(offer: &Offer) -> (State, State) {
    let status = look(offer);
    (status.sender.state, status.receiver.state)
}

#[test]
fn an_end_is_seen_as_it_comes_and_goes() {
    let offer = offer();
    assert_eq!(states(&offer), (State::NeverCame, State::NeverCame));
    let tx = Sender::attach(&offer).unwrap();
    assert_eq!(states(&offer), (State::Awake, State::NeverCame));
    assert_eq!(look(&offer).sender.pid, Some(std::process::id()));
    let rx = Receiver::attach(&offer).unwrap();
    tx.close().unwrap();
    assert_eq!(states(&offer), (State::Left, State::Awake));
    assert_eq!(look(&offer).sender.pid, None);
    drop(rx);
    let _successor = Sender::attach(&offer).unwrap();
    assert_eq!(states(&offer), (State::Awake, State::Left));
}

#[test]
fn what_is_pending_and_closed_is_seen() {
    let offer = offer();
    let (mut tx, mut rx) = (Sender::attach(&offer).unwrap(), Receiver::attach(&offer).unwrap());
    for _ in 0..CAPACITY / 64 {
        // Around the end several times.
        tx.send(&[7; 1000]).unwrap();
        let status = look(&offer);
        assert_eq!((status.pending, status.pending_messages), (Some(1008), Some(1)));
        assert_eq!(rx.recv().unwrap().len(), 1000);
    }
    let status = look(&offer);
    assert_eq!(status.sent, Some(CAPACITY as u64 / 64));
    assert_eq!((status.pending, status.closed), (Some(0), false));
    assert_eq!(status.receiver.position, status.sender.position);
    while tx.try_send(&[7; 1000]).is_ok() {}
    let status = look(&offer);
    assert!(status.pending > Some(CAPACITY as u64 - 1016));
    assert_eq!(status.pending_messages, Some(CAPACITY as u64 / 1008));
    tx.close().unwrap();
    assert!(look(&offer).closed);
    while rx.try_recv().is_ok() {}
    let status = look(&offer);
    assert_eq!((status.pending, status.closed), (Some(0), true));
    let _successor = Sender::attach(&offer).unwrap();
    assert!(!look(&offer).closed, "open again");
}

#[test]
fn one_who_sleeps_is_seen_and_its_sleeps_and_rings_are_counted() {
    let offer = offer();
    let options = Options::new().wait(Wait::Park { spin: Duration::ZERO });
    let (mut tx, mut rx) = (options.sender_of(&offer).unwrap(), options.receiver_of(&offer).unwrap());
    for n in 1..4 {
        thread::scope(|scope| {
            let receiver = scope.spawn(|| rx.recv_timeout(PATIENCE).map(drop));
            let limit = Instant::now() + PATIENCE;
            while look(&offer).receiver.state != State::Asleep {
                assert!(Instant::now() < limit && !receiver.is_finished(), "does not sleep");
                thread::yield_now();
            }
            tx.send(&[]).unwrap();
            receiver.join().unwrap().unwrap();
        });
        let status = look(&offer);
        assert!(status.receiver.sleeps >= n && status.sender.rings >= n, "{status:?}");
        assert!(status.sender.processor.is_some() && status.receiver.processor.is_some());
    }
    assert_eq!((look(&offer).sender.sleeps, look(&offer).receiver.rings), (0, 0));
}

#[test]
fn words_are_said_as_the_layout_has_them() {
    let offer = offer();
    let file = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let at = Side::Receiver.offsets();
    let write = |offset: usize, bytes: &[u8]| file.write_all_at(bytes, (4096 + offset) as u64).unwrap();
    write(at.position, &72u64.to_ne_bytes());
    write(at.taken, &72u64.to_ne_bytes());
    write(at.asleep, &7u32.to_ne_bytes());
    write(at.bell, &9u32.to_ne_bytes());
    write(at.pid, &42u32.to_ne_bytes());
    write(at.processor, &3u32.to_ne_bytes());
    let seen = look(&offer).receiver;
    assert_eq!((seen.state, seen.pid, seen.position), (State::Dead, Some(42), 72));
    let unknown = look(&offer);
    assert_eq!((unknown.pending, unknown.sent), (None, None), "released, and never sent");
    assert_eq!((seen.sleeps, seen.rings, seen.processor), (4, 9, Some(2)), "the fourth sleep is numbered 7");
    for (asleep, state, sleeps) in
        [(8u32, State::Dead, 4), (1 << 31 | 9, State::Left, 4), (1 << 31 | 1, State::Left, 0)]
    {
        write(at.asleep, &asleep.to_ne_bytes());
        let seen = look(&offer).receiver;
        assert_eq!((seen.state, seen.sleeps), (state, sleeps));
    }
    let _rx = Receiver::attach(&offer).unwrap();
    write(at.asleep, &(1u32 << 31 | 9).to_ne_bytes());
    assert_eq!(look(&offer).receiver.state, State::Leaving);
}

#[test]
fn what_a_ring_was_made_with_is_seen() {
    let offer = Options::new().capacity(CAPACITY).wait(Wait::Spin).offer().unwrap();
    let status = look(&offer);
    assert!(status.never_sleeps() && status.path.is_none());
    assert_eq!((status.kind, status.flags), (layout::KIND_SPSC, FLAG_SLEEPLESS));
    assert_eq!(status.capacity, CAPACITY as u64);
    assert_eq!(status.size, layout::shape(CAPACITY, true).total().unwrap());
    assert_eq!(status.allocated, status.size);
}

#[test]
fn rings_of_other_kinds_are_seen_too() {
    let ring = Options::new().capacity(CAPACITY);
    let offer = slots::Options::new().capacity(CAPACITY / 24).offer::<[u8; 24]>().unwrap();
    let mut tx = slots::Sender::<[u8; 24]>::attach(&offer).unwrap();
    let mut rx = slots::Receiver::<[u8; 24]>::attach(&offer).unwrap();
    for n in 0..3u8 {
        tx.send(&[n; 24]).unwrap();
    }
    drop(rx.recv().unwrap());
    drop(tx);
    let status = look(&offer);
    assert_eq!((status.pending, status.pending_messages, status.sent), (Some(48), Some(2), Some(3)));
    assert_eq!((status.sender.position, status.receiver.position, status.closed), (72, 24, true));

    for lose in [Lose::Newest, Lose::Oldest] {
        let options = lossy::Options::new(ring.clone(), lose);
        let offer = options.offer().unwrap();
        let mut tx = options.sender_of(&offer).unwrap();
        let sent = if lose == Lose::Newest { 10 } else { 10_000 };
        for _ in 0..sent {
            tx.send(&[7; 100]).unwrap();
        }
        let status = look(&offer);
        assert_eq!((status.overwrites(), status.sent), (lose == Lose::Oldest, Some(sent)));
        assert_eq!(status.pending, status.pending_messages.map(|messages| messages * 120));
        let most = CAPACITY as u64;
        match lose {
            Lose::Newest => assert_eq!(status.pending_messages, Some(10)),
            _ => assert!(status.pending > Some(most / 2) && status.pending <= Some(most), "{status:?}"),
        }
        assert!(Tap::of(&offer).is_err(), "its messages have numbers");
    }
}

#[test]
fn looking_takes_no_memory_that_was_given_back() {
    let offer = offer();
    Sender::attach(&offer).unwrap().close().unwrap();
    let all = look(&offer).allocated;
    let data = look(&offer).size as i64 - CAPACITY as i64;
    let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: a system call on an open descriptor; nobody is attached.
    let punched = unsafe { libc::fallocate(offer.as_fd().as_raw_fd(), hole, data, CAPACITY as i64) };
    assert_eq!(punched, 0);
    for _ in 0..2 {
        let status = look(&offer);
        assert_eq!((status.allocated, status.closed), (all - CAPACITY as u64, false));
    }
}

#[test]
fn nobody_is_in_the_way_of_one_who_looks_nor_the_other_way_round() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let options = Options::new().names(names.clone()).capacity(CAPACITY);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            for _ in 0..300 {
                for ring in inspect::list(&names).unwrap() {
                    let status = ring.status.unwrap();
                    assert!(status.pending.is_none_or(|pending| pending <= CAPACITY as u64));
                }
            }
        });
        while !looking.is_finished() {
            let (mut tx, mut rx) = (options.sender("x").unwrap(), options.receiver("x").unwrap());
            for _ in 0..100 {
                tx.send(&[1; 1000]).unwrap();
                drop(rx.recv().unwrap());
            }
            tx.close().unwrap();
            drop(rx);
            assert!(!names.path_of("x").unwrap().exists(), "the last one out takes the name");
        }
    });
}

#[test]
fn what_is_not_a_ring_is_refused() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let shape = layout::shape(CAPACITY, false);
    let make = |name: &str, shape| drop(names.open_or_create(name, &shape, |_| {}).unwrap());
    make("kind", ringway_segment::Shape { kind: 99, ..shape });
    make("control", ringway_segment::Shape { control_len: 4096, ..shape });
    make("ring", shape);
    let kind = inspect::named(&names, "kind").unwrap_err();
    assert!(matches!(kind, AttachError::Open(OpenError::Kind { found: 99, .. })), "{kind}");
    let control = inspect::named(&names, "control").unwrap_err();
    assert!(matches!(control, AttachError::ControlArea { found: 4096, path: Some(_) }), "{control}");
    let absent = inspect::named(&names, "absent").unwrap_err();
    assert!(matches!(absent, AttachError::Open(OpenError::NotFound { .. })), "{absent}");
    let all: Vec<_> = inspect::list(&names).unwrap();
    let all: Vec<_> = all.iter().map(|ring| (ring.name.as_str(), ring.status.is_ok())).collect();
    assert_eq!(all, [("control", false), ("kind", false), ("ring", true)]);
    const { assert!(CONTROL_LEN != 4096) };
}
