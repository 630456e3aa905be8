//! What an end is told of the other one's death.
#![allow(unsafe_code)]

mod support;

use std::{
    fs::{self, File},
    os::unix::{fs::FileExt, process::CommandExt},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    AttachError, Names, RecvTimeoutError, SendTimeoutError, Side, TryRecvError, Wait,
    inspect::{self, State},
    spsc::{Options, Receiver, Sender},
};
use support::{PATIENCE, Peer, told};

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };

fn options(dir: &Path) -> Options {
    Options::new().names(Names::in_dir(dir)).capacity(4096)
}

/// A child that runs this function, with an end of the ring in `dir`.
fn child(function: &str, dir: &Path) -> Command {
    let mut command = Peer::command(function);
    command.env("DIR", dir);
    command
}

fn child_options() -> Options {
    options(Path::new(&told("DIR"))).keeper(std::env::var_os("NO_KEEPER").is_none())
}

#[test]
#[ignore = "run as a child process"]
fn child_sends_and_waits() {
    let mut tx = child_options().sender("x").unwrap();
    tx.send(b"the last").unwrap();
    loop {
        thread::park();
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_fills_the_ring_and_waits() {
    let mut tx = child_options().sender("x").unwrap();
    while tx.try_send(&[7; 100]).is_ok() {}
    loop {
        thread::park();
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_receives_one_and_waits() {
    let mut rx = child_options().receiver("x").unwrap();
    drop(rx.recv().unwrap());
    loop {
        thread::park();
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_sends_and_becomes_another_program() {
    let mut tx = child_options().sender("x").unwrap();
    tx.send(b"the last").unwrap();
    panic!("{}", Command::new("sleep").arg("60").exec());
}

#[test]
#[ignore = "run as a child process"]
fn child_forks_and_waits() {
    let mut tx = child_options().sender("x").unwrap();
    // SAFETY: the child waits until its directory is gone, and allocates, which glibc's fork bears.
    if unsafe { libc::fork() } == 0 {
        let limit = Instant::now() + PATIENCE;
        while Path::new(&told("DIR")).exists() && Instant::now() < limit {
            thread::sleep(Duration::from_millis(5));
        }
        // SAFETY: ends this process, no more.
        unsafe { libc::_exit(0) };
    }
    tx.send(b"the last").unwrap();
    loop {
        thread::park();
    }
}

/// Takes the message that a child has sent.
fn take_the_last(rx: &mut Receiver) {
    assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"the last");
}

/// What a receiver is told that waits while `end` puts an end to the sender.
fn told_while_waiting(
    rx: &mut Receiver,
    dir: &Path,
    sleeps: bool,
    end: impl FnOnce() + Send,
) -> RecvTimeoutError {
    thread::scope(|scope| {
        scope.spawn(|| {
            await_state(dir, Side::Receiver, if sleeps { State::Asleep } else { State::Awake });
            end();
        });
        rx.recv_timeout(PATIENCE).map(|message| message.len()).unwrap_err()
    })
}

fn await_state(dir: &Path, side: Side, state: State) {
    let limit = Instant::now() + PATIENCE;
    loop {
        let ring = inspect::list(&Names::in_dir(dir)).unwrap().pop().unwrap().status.unwrap();
        let end = if side == Side::Sender { ring.sender } else { ring.receiver };
        if end.state == state {
            break;
        }
        assert!(Instant::now() < limit, "the {side} is {:?}", end.state);
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_death_of(side: Side, pid: u32, told: RecvTimeoutError) -> bool {
    matches!(told, RecvTimeoutError::PeerDied(peer) if peer.side == side && peer.pid == pid)
}

#[test]
fn a_receiver_is_told_after_all_that_was_sent_asleep_or_spinning() {
    for wait in [SLEEP, Wait::Spin, Wait::default()] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut rx = options(dir.path()).wait(wait).receiver("x").unwrap();
        let sender = Peer::start(&mut child("child_sends_and_waits", dir.path()));
        let pid = sender.id();
        take_the_last(&mut rx);
        let told = told_while_waiting(&mut rx, dir.path(), wait != Wait::Spin, || sender.kill());
        assert!(is_death_of(Side::Sender, pid, told), "{wait:?}: {told:?}");
        let again = rx.try_recv().unwrap_err();
        assert!(matches!(again, ringway::TryRecvError::PeerDied(_)), "{again:?}");
    }
}

#[test]
fn a_sleeping_sender_is_told_when_there_is_no_room() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut tx = options(dir.path()).wait(SLEEP).sender("x").unwrap();
    let receiver = Peer::start(&mut child("child_receives_one_and_waits", dir.path()));
    let pid = receiver.id();
    tx.send(&[1; 100]).unwrap();
    let limit = Instant::now() + PATIENCE;
    while tx.pending() > 0 {
        assert!(Instant::now() < limit, "nobody receives");
        thread::sleep(Duration::from_millis(1));
    }
    while tx.try_send(&[2; 100]).is_ok() {}
    let told = thread::scope(|scope| {
        scope.spawn(|| {
            await_state(dir.path(), Side::Sender, State::Asleep);
            receiver.kill();
        });
        tx.send_timeout(&[3; 100], PATIENCE).unwrap_err()
    });
    assert!(
        matches!(told, SendTimeoutError::PeerDied(peer) if peer.side == Side::Receiver && peer.pid == pid),
        "{told:?}"
    );
    // Its successor makes room.
    let mut rx = options(dir.path()).receiver("x").unwrap();
    drop(rx.recv().unwrap());
    tx.send_timeout(&[3; 100], PATIENCE).unwrap();
}

#[test]
fn the_death_of_a_process_without_a_keeper_is_told() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    let sender = Peer::start(child("child_sends_and_waits", dir.path()).env("NO_KEEPER", "1"));
    let pid = sender.id();
    take_the_last(&mut rx);
    let told = told_while_waiting(&mut rx, dir.path(), true, || sender.kill());
    assert!(is_death_of(Side::Sender, pid, told), "{told:?}");
}

#[test]
fn the_death_of_a_process_without_a_keeper_is_told_to_one_that_never_waits() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut rx = options(dir.path()).receiver("x").unwrap();
    let sender = Peer::start(child("child_sends_and_waits", dir.path()).env("NO_KEEPER", "1"));
    let pid = sender.id();
    let patience = Instant::now() + PATIENCE;
    let mut look = || loop {
        match rx.try_recv().map(|message| message.len()) {
            Err(TryRecvError::Empty) if Instant::now() < patience => thread::yield_now(),
            done => break done,
        }
    };
    assert_eq!(look().unwrap(), b"the last".len());
    sender.kill();
    let told = look().unwrap_err();
    let is_its_death =
        matches!(told, TryRecvError::PeerDied(peer) if peer.side == Side::Sender && peer.pid == pid);
    assert!(is_its_death, "{told:?}");
}

#[test]
fn a_death_is_told_though_somebody_wrote_over_the_liveness_word() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    let sender = Peer::start(&mut child("child_sends_and_waits", dir.path()));
    let pid = sender.id();
    take_the_last(&mut rx);
    let file = File::options().write(true).open(rx.path().unwrap()).unwrap();
    let told = told_while_waiting(&mut rx, dir.path(), true, || {
        let at = 4096 + Side::Sender.offsets().alive as u64;
        file.write_all_at(&0x1234u32.to_ne_bytes(), at).unwrap();
        sender.kill();
    });
    assert!(is_death_of(Side::Sender, pid, told), "{told:?}");
}

#[test]
fn who_becomes_another_program_is_dead_to_its_peer() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    let sender = Peer::start(&mut child("child_sends_and_becomes_another_program", dir.path()));
    take_the_last(&mut rx);
    let told = rx.recv_timeout(PATIENCE).map(|message| message.len()).unwrap_err();
    assert!(is_death_of(Side::Sender, sender.id(), told), "{told:?}");
}

#[test]
fn a_forked_child_neither_hides_a_death_nor_keeps_the_end() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = dir.path().join("names");
    fs::create_dir(&names).unwrap();
    let mut rx = options(&names).wait(SLEEP).receiver("x").unwrap();
    let sender = Peer::start(&mut child("child_forks_and_waits", &names));
    let pid = sender.id();
    take_the_last(&mut rx);
    let told = told_while_waiting(&mut rx, &names, true, || sender.kill());
    assert!(is_death_of(Side::Sender, pid, told), "{told:?}");
    // A child that the processor has not come to yet has not let go of what its parent held.
    let limit = Instant::now() + PATIENCE;
    let mut tx = loop {
        match options(&names).sender("x") {
            Err(AttachError::Held { .. }) if Instant::now() < limit => thread::yield_now(),
            tx => break tx.unwrap(),
        }
    };
    tx.send(b"the last").unwrap();
    take_the_last(&mut rx);
    fs::remove_dir_all(&names).unwrap();
}

#[test]
fn a_successor_revives_the_end_and_its_death_is_told_too() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    for _ in 0..3 {
        let sender = Peer::start(&mut child("child_sends_and_waits", dir.path()));
        let pid = sender.id();
        let limit = Instant::now() + PATIENCE;
        loop {
            match rx.recv_timeout(PATIENCE) {
                Ok(message) => break assert_eq!(&message[..], b"the last"),
                // Of the one before.
                Err(RecvTimeoutError::PeerDied(_)) => thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < limit, "no successor");
        }
        let told = told_while_waiting(&mut rx, dir.path(), true, || sender.kill());
        assert!(is_death_of(Side::Sender, pid, told), "{told:?}");
    }
}

#[test]
fn to_an_end_that_came_later_the_dead_one_has_not_come_yet() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let sender = Peer::start(&mut child("child_fills_the_ring_and_waits", dir.path()));
    let limit = Instant::now() + PATIENCE;
    while inspect::list(&Names::in_dir(dir.path())).unwrap().pop().is_none_or(|ring| {
        ring.status.is_ok_and(|status| status.pending_messages.is_none_or(|pending| pending < 36))
    }) {
        assert!(Instant::now() < limit, "it does not fill the ring");
        thread::sleep(Duration::from_millis(1));
    }
    sender.kill();
    let mut rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    for _ in 0..36 {
        assert_eq!(rx.recv().unwrap()[..], [7; 100]);
    }
    let told = rx.recv_timeout(Duration::from_millis(20)).map(|message| message.len());
    assert_eq!(told.unwrap_err(), RecvTimeoutError::Timeout);
}

#[test]
fn a_predecessors_death_is_not_told_of_one_that_is_just_coming() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let sender = Peer::start(&mut child("child_sends_and_waits", dir.path()));
    let limit = Instant::now() + PATIENCE;
    while inspect::list(&names)
        .unwrap()
        .pop()
        .is_none_or(|ring| ring.status.is_ok_and(|status| status.pending_messages != Some(1)))
    {
        assert!(Instant::now() < limit, "it sends nothing");
        thread::sleep(Duration::from_millis(1));
    }
    sender.kill();
    // It has the role, and has said nothing yet.
    let shape = ringway::layout::shape(4096, false);
    let place = names.at("x").unwrap();
    let (coming, _) =
        ringway::Backend::open_or_create(&place, &shape, &ringway::Memory::new(), &mut |_| {}).unwrap();
    coming.claim(Side::Sender.role()).unwrap();
    let receiver = Peer::start(&mut child("child_is_told_nothing", dir.path()));
    receiver.join();
}

#[test]
#[ignore = "run as a child process"]
fn child_is_told_nothing() {
    let dir = told("DIR");
    let mut rx = options(Path::new(&dir)).receiver("x").unwrap();
    take_the_last(&mut rx);
    let told = rx.recv_timeout(Duration::from_millis(20)).map(|message| message.len());
    assert_eq!(told.unwrap_err(), RecvTimeoutError::Timeout);
}

#[test]
fn who_only_looks_never_takes_the_news_from_the_peer() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    let sender = Peer::start(&mut child("child_sends_and_waits", dir.path()));
    let pid = sender.id();
    take_the_last(&mut rx);
    let names = Names::in_dir(dir.path());
    let mut taps: Vec<_> = (0..3).map(|_| ringway::spsc::Tap::named(&names, "x").unwrap()).collect();
    let told = thread::scope(|scope| {
        for tap in &mut taps {
            scope.spawn(|| tap.look_timeout(Duration::from_millis(200)).map(drop));
        }
        told_while_waiting(&mut rx, dir.path(), true, || sender.kill())
    });
    assert!(is_death_of(Side::Sender, pid, told), "{told:?}");
}

#[test]
fn an_end_that_closed_in_good_order_has_not_died() {
    let (tx, mut rx): (Sender, Receiver) = Options::new().wait(SLEEP).pair().unwrap();
    tx.close().unwrap();
    let told = rx.recv_timeout(PATIENCE).map(|message| message.len());
    assert_eq!(told.unwrap_err(), RecvTimeoutError::Closed);
}

#[test]
fn a_successor_that_fails_does_not_hide_the_death() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut tx = options(dir.path()).wait(SLEEP).sender("x").unwrap();
    tx.send(b"taken").unwrap();
    let receiver = Peer::start(&mut child("child_receives_one_and_waits", dir.path()));
    let pid = receiver.id();
    await_state(dir.path(), Side::Receiver, State::Awake);
    let limit = Instant::now() + PATIENCE;
    while tx.pending() > 0 {
        assert!(Instant::now() < limit, "it takes nothing");
        thread::sleep(Duration::from_millis(1));
    }
    receiver.kill();
    // The dead one has left nonsense.
    let file = File::options().write(true).open(tx.path().unwrap()).unwrap();
    let at = 4096 + Side::Receiver.offsets().taken as u64;
    file.write_all_at(&4u64.to_ne_bytes(), at).unwrap();
    let error = options(dir.path()).receiver("x").unwrap_err();
    assert!(matches!(error, AttachError::Corrupt { .. }), "{error}");
    while tx.try_send(&[7; 100]).is_ok() {}
    let told = tx.send_timeout(&[7; 100], Duration::from_secs(2)).unwrap_err();
    let is_its_death =
        matches!(told, SendTimeoutError::PeerDied(peer) if peer.side == Side::Receiver && peer.pid == pid);
    assert!(is_its_death, "{told:?}");
    // The name shows the dead one, too.
    let ring = inspect::list(&Names::in_dir(dir.path())).unwrap().pop().unwrap().status.unwrap();
    assert_eq!(ring.receiver.state, State::Dead);
}
