//! Receivers of slots in loops, and what is asked of ends and shown of them.

mod support;

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names, RecvError, SendError, Side,
    layout::CONTROL_LEN,
    spsc::{
        self, lossy,
        slots::{Options, Receiver, Sender},
    },
};
use support::{PATIENCE, Peer, told};

/// Bytes in front of the control area.
const HEADER: u64 = 4096;

fn pair() -> (Sender<u64>, Receiver<u64>) {
    Options::new().capacity(1).pair().unwrap()
}

fn options(dir: &Path) -> Options {
    Options::new().names(Names::in_dir(dir))
}

#[test]
fn an_iteration_ends_when_the_sender_has_left_and_a_new_one_goes_on_with_its_successor() {
    let offer = Options::new().offer::<u64>().unwrap();
    let mut rx = Receiver::<u64>::attach(&offer).unwrap();
    for generation in 0..3 {
        let mut tx = Sender::<u64>::attach(&offer).unwrap();
        (0..5).for_each(|n| tx.send(&(generation * 5 + n)).unwrap());
        tx.close().unwrap();
        let mut messages = rx.iter();
        for n in 0..5 {
            assert_eq!(messages.next(), Some(Ok(generation * 5 + n)));
        }
        assert_eq!((messages.next(), messages.next()), (None, None));
    }
    assert_eq!((&mut rx).into_iter().next(), None);
}

#[test]
fn an_iteration_waits_for_each_message() {
    let (mut tx, rx) = pair();
    let receiver = thread::spawn(move || rx.into_iter().collect::<Result<Vec<_>, _>>());
    let limit = Instant::now() + PATIENCE;
    while tx.stats().wakes == 0 {
        assert!(Instant::now() < limit, "it never sleeps");
        thread::sleep(Duration::from_millis(1));
        tx.send(&7).unwrap();
    }
    let sent = tx.stats().messages;
    tx.close().unwrap();
    assert_eq!(receiver.join().unwrap(), Ok(vec![7; sent as usize]));
}

#[test]
fn a_receiver_that_was_iterated_over_by_value_has_left() {
    let (mut tx, rx) = pair();
    tx.send(&1).unwrap();
    assert_eq!(rx.into_iter().next(), Some(Ok(1)));
    assert_eq!(tx.send(&2), Err(SendError::Closed));
}

#[test]
fn a_message_that_an_iterator_gives_is_out_of_the_ring() {
    let (mut tx, mut rx) = pair();
    while tx.try_send(&1).is_ok() {}
    assert!(tx.is_full() && rx.is_full() && !tx.is_empty());
    let mut messages = rx.iter();
    assert_eq!(messages.next(), Some(Ok(1)));
    assert!(!tx.is_full());
    tx.try_send(&2).unwrap();
    assert_eq!(tx.stats().messages, rx.try_iter().count() as u64 + 1);
    assert!(tx.is_empty() && rx.is_empty() && !rx.is_full());
}

#[test]
fn trying_takes_what_is_there_and_is_over_then() {
    let (mut tx, mut rx) = pair();
    assert_eq!(rx.try_iter().next(), None);
    (1..=3).for_each(|n| tx.send(&n).unwrap());
    let mut messages = rx.try_iter();
    assert_eq!(messages.by_ref().collect::<Result<Vec<_>, _>>(), Ok(vec![1, 2, 3]));
    tx.send(&4).unwrap();
    assert_eq!(messages.next(), None);
    tx.close().unwrap();
    assert_eq!(rx.try_iter().collect::<Result<Vec<_>, _>>(), Ok(vec![4]));
    assert_eq!(rx.try_iter().next(), None);
}

#[test]
#[ignore = "run as a child process"]
fn child_sends_three_and_waits() {
    let mut tx = options(Path::new(&told("DIR"))).sender::<u64>("x").unwrap();
    (0..3).for_each(|n| tx.send(&n).unwrap());
    loop {
        thread::park();
    }
}

#[test]
fn a_death_is_the_last_item_of_an_iteration_and_a_new_one_goes_on_with_the_successor() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = options(dir.path());
    let mut rx = options.receiver::<u64>("x").unwrap();
    let mut command = Peer::command("child_sends_three_and_waits");
    let sender = Peer::start(command.env("DIR", dir.path()));
    let pid = sender.id();
    let mut messages = rx.iter();
    for n in 0..3 {
        assert_eq!(messages.next(), Some(Ok(n)));
    }
    sender.kill();
    let Some(Err(RecvError::PeerDied(peer))) = messages.next() else { panic!("no word of the death") };
    assert_eq!((peer.side, peer.pid), (Side::Sender, pid));
    assert_eq!(messages.next(), None);
    assert!(matches!(rx.try_iter().next(), Some(Err(RecvError::PeerDied(_)))));

    let mut tx = options.sender::<u64>("x").unwrap();
    tx.send(&3).unwrap();
    tx.close().unwrap();
    assert_eq!(rx.iter().collect::<Result<Vec<_>, _>>(), Ok(vec![3]));
}

#[test]
fn what_no_correct_sender_writes_is_the_last_item() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (mut tx, mut rx) = {
        let options = options(dir.path());
        (options.sender::<u64>("x").unwrap(), options.receiver::<u64>("x").unwrap())
    };
    tx.send(&1).unwrap();
    let mut messages = rx.iter();
    assert_eq!(messages.next(), Some(Ok(1)));
    let ring = File::options().write(true).open(tx.path().unwrap()).unwrap();
    let position = Side::Sender.offsets().position;
    assert!(position < CONTROL_LEN);
    ring.write_all_at(&[0xF0; 8], HEADER + position as u64).unwrap();
    assert!(matches!(messages.next(), Some(Err(RecvError::Corrupt(_)))));
    assert_eq!(messages.next(), None);
}

#[test]
fn a_receiver_of_a_ring_that_loses_messages_knows_whether_there_is_one() {
    for lose in [lossy::Lose::Newest, lossy::Lose::Oldest] {
        let ring = spsc::Options::new().capacity(4096);
        let (mut tx, mut rx) = lossy::Options::new(ring, lose).pair().unwrap();
        assert!(rx.is_empty());
        (0..1000).for_each(|_| _ = tx.send(b"hello").unwrap());
        assert!(!rx.is_empty(), "{lose:?}");
        tx.close().unwrap();
        while rx.try_recv().is_ok() {}
        assert!(rx.is_empty(), "{lose:?}");
    }
}

#[test]
fn what_is_shown_of_ends_and_messages_says_how_they_do_and_not_what_they_carry() {
    const SECRET: u64 = 0x5ec2e7;
    let hidden = |shown: String| {
        assert!(!shown.contains(&SECRET.to_string()), "{shown}");
        shown
    };
    let (mut tx, mut rx) = pair();
    tx.send(&SECRET).unwrap();
    let shown = hidden(format!("{rx:?} {tx:?}"));
    assert!(shown.starts_with("Receiver { type: u64, len: 1, "), "{shown}");
    assert_eq!(format!("{:?}", rx.recv().unwrap()), "Received { type: u64, .. }");
    let mut loan = tx.loan().unwrap();
    *loan = SECRET;
    assert_eq!(format!("{loan:?}"), "Loan { type: u64, .. }");
    loan.send();
    hidden(format!("{:?} {:?}", rx.iter(), Options::new()));

    let (mut tx, mut rx) = spsc::Options::new().pair().unwrap();
    tx.send(SECRET.to_string().as_bytes()).unwrap();
    let shown = hidden(format!("{rx:?} {tx:?}"));
    assert!(shown.starts_with("Receiver { pending: 16, "), "{shown}");
    assert_eq!(format!("{:?}", rx.recv().unwrap()), "Received { len: 7, kind: 0, .. }");
}
