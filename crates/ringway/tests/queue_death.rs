//! What the participants of a queue are told of each other's death, and what they get of a dead one.
//!
//! Whoever waits here waits for as long as it takes: that it goes on at all says that it was told, by nobody's call but the
//! kernel's.

mod support;

use std::{path::Path, process::Command, thread, time::Duration, time::Instant};

use ringway::{
    Names, RecvTimeoutError, SendTimeoutError, Side, TryRecvError, TrySendError, Wait,
    inspect::{self, Participant},
    mpmc::{Options, Redelivery},
};
use support::{PATIENCE, Peer, told};

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };
const WAITS: [Wait; 3] = [SLEEP, Wait::Spin, Wait::Park { spin: Duration::from_micros(50) }];

fn options(dir: &Path) -> Options {
    Options::new().names(Names::in_dir(dir)).slots(8).slot_size(512)
}

/// A child that runs this function, and takes part in the queue in `dir`.
fn child(function: &str, dir: &Path) -> Command {
    let mut command = Peer::command(function);
    command.env("DIR", dir);
    command
}

fn child_options() -> Options {
    options(Path::new(&told("DIR"))).wait(SLEEP).keeper(std::env::var_os("NO_KEEPER").is_none())
}

fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_sends_and_waits() {
    let tx = child_options().sender("x").unwrap();
    tx.send(b"the last").unwrap();
    wait_for_the_end();
}

#[test]
#[ignore = "run as a child process"]
fn child_comes_to_receive_and_waits() {
    let _rx = child_options().receiver("x").unwrap();
    wait_for_the_end();
}

#[test]
#[ignore = "run as a child process"]
fn child_receives_one_and_waits() {
    let rx = child_options().receiver("x").unwrap();
    let _held = rx.recv().unwrap();
    wait_for_the_end();
}

#[test]
#[ignore = "run as a child process"]
fn child_borrows_all_slots_and_waits() {
    let tx = child_options().sender("x").unwrap();
    let _lent: Vec<_> = std::iter::from_fn(|| tx.try_loan(1).ok()).collect();
    wait_for_the_end();
}

#[test]
#[ignore = "run as a child process"]
fn child_receives_for_ever() {
    let rx = child_options().receiver("x").unwrap();
    loop {
        drop(rx.recv().unwrap());
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_is_told_that_the_last_sender_died() {
    let rx = child_options().receiver("x").unwrap();
    let told = rx.recv_timeout(PATIENCE).map(|message| message.len());
    assert!(matches!(told, Err(RecvTimeoutError::PeerDied(_))), "{told:?}");
}

#[test]
#[ignore = "run as a child process"]
fn child_is_told_that_the_last_receiver_died() {
    let tx = child_options().sender("x").unwrap();
    let told = tx.send_timeout(b"in vain", PATIENCE);
    assert!(matches!(told, Err(SendTimeoutError::PeerDied(_))), "{told:?}");
}

/// Waits until the queue in `dir` is seen to be so.
fn until(dir: &Path, is_so: impl Fn(&inspect::Queue) -> bool) {
    let limit = Instant::now() + PATIENCE;
    loop {
        let queue = inspect::named(&Names::in_dir(dir), "x").ok().and_then(|status| status.queue);
        if queue.as_ref().is_some_and(&is_so) {
            break;
        }
        assert!(Instant::now() < limit, "{queue:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until so many take part of whom it is so.
fn until_there_are(dir: &Path, count: usize, is_so: impl Fn(&Participant) -> bool) {
    until(dir, |queue| queue.participants.iter().filter(|it| is_so(it)).count() == count);
}

/// Waits until this process has slots in hand.
fn until_holds(dir: &Path, pid: u32, slots: u32) {
    until(dir, |queue| {
        let holders = &queue.slots.as_ref().unwrap().holders;
        holders.iter().any(|it| it.pid == Some(pid) && it.slots() == slots)
    });
}

/// Fills the queue; every slot has a message then.
fn fill(dir: &Path) {
    let tx = options(dir).sender("x").unwrap();
    let full = (0..).map(|_| tx.try_send(b"waits")).find_map(Result::err).unwrap();
    assert_eq!(full, TrySendError::Full);
}

fn in_shared_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

#[test]
fn receivers_hear_of_the_last_senders_death_after_all_that_was_sent_asleep_or_spinning() {
    for wait in WAITS {
        let dir = in_shared_memory();
        // It makes the queue, one where others may sleep.
        let sender = Peer::start(&mut child("child_sends_and_waits", dir.path()));
        let pid = sender.id();
        until_there_are(dir.path(), 1, |it| it.sends);
        let rx = options(dir.path()).wait(wait).receiver("x").unwrap();
        assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"the last");
        // Others, in processes of their own; one that spins cannot be seen to wait.
        let told = || child("child_is_told_that_the_last_sender_died", dir.path());
        let others = [(); 2].map(|()| Peer::start(&mut told()));
        let asleep = others.len() + usize::from(wait != Wait::Spin);
        let clone = rx.clone();
        let told = thread::scope(|scope| {
            let two = [rx, clone].map(|rx| {
                scope.spawn(move || rx.recv_timeout(PATIENCE).map(|message| message.len()).unwrap_err())
            });
            until_there_are(dir.path(), asleep, |it| it.awaits_message);
            sender.kill();
            two.map(|one| one.join().unwrap())
        });
        for told in told {
            let is_told = matches!(told, RecvTimeoutError::PeerDied(peer) if (peer.side, peer.pid) == (Side::Sender, pid));
            assert!(is_told, "{wait:?}: {told:?}");
        }
        others.into_iter().for_each(Peer::join);
    }
}

#[test]
fn the_last_senders_death_is_heard_of_though_it_had_no_keeper() {
    let dir = in_shared_memory();
    let rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    let sender = Peer::start(child("child_sends_and_waits", dir.path()).env("NO_KEEPER", "1"));
    assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"the last");
    let other = Peer::start(&mut child("child_is_told_that_the_last_sender_died", dir.path()));
    let told = thread::scope(|scope| {
        let told = scope.spawn(move || rx.recv_timeout(PATIENCE).map(|message| message.len()).unwrap_err());
        until_there_are(dir.path(), 2, |it| it.awaits_message);
        sender.kill();
        told.join().unwrap()
    });
    assert!(matches!(told, RecvTimeoutError::PeerDied(_)), "{told:?}");
    other.join();
}

#[test]
fn receivers_hear_nothing_of_a_senders_death_while_another_one_lives() {
    let dir = in_shared_memory();
    let rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    let tx = options(dir.path()).sender("x").unwrap();
    let sender = Peer::start(&mut child("child_sends_and_waits", dir.path()));
    assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"the last");
    thread::scope(|scope| {
        let waits = rx.clone();
        let received = scope.spawn(move || waits.recv_timeout(PATIENCE).map(|message| message.to_vec()));
        until_there_are(dir.path(), 1, |it| it.awaits_message);
        sender.kill();
        // It wakes, sweeps, and sleeps again.
        until_there_are(dir.path(), 2, |_| true);
        until_there_are(dir.path(), 1, |it| it.awaits_message);
        tx.send(b"from another").unwrap();
        assert_eq!(received.join().unwrap().unwrap(), b"from another");
    });
    tx.close().unwrap();
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Closed);
}

#[test]
fn senders_that_wait_for_a_slot_hear_of_the_last_receivers_death_asleep_or_spinning() {
    for wait in WAITS {
        let dir = in_shared_memory();
        // It makes the queue, one where others may sleep.
        let receiver = Peer::start(&mut child("child_comes_to_receive_and_waits", dir.path()));
        let pid = receiver.id();
        until_there_are(dir.path(), 1, |it| it.receives);
        let tx = options(dir.path()).wait(wait).sender("x").unwrap();
        fill(dir.path());
        let told = || child("child_is_told_that_the_last_receiver_died", dir.path());
        let others = [(); 2].map(|()| Peer::start(&mut told()));
        let asleep = others.len() + usize::from(wait != Wait::Spin);
        let told = thread::scope(|scope| {
            let told = scope.spawn(|| tx.send_timeout(b"in vain", PATIENCE).unwrap_err());
            until_there_are(dir.path(), asleep, |it| it.awaits_slot);
            receiver.kill();
            told.join().unwrap()
        });
        let is_told = matches!(told, SendTimeoutError::PeerDied(peer) if (peer.side, peer.pid) == (Side::Receiver, pid));
        assert!(is_told, "{wait:?}: {told:?}");
        others.into_iter().for_each(Peer::join);
    }
}

#[test]
fn senders_hear_nothing_of_a_receivers_death_while_another_one_lives() {
    let dir = in_shared_memory();
    let tx = options(dir.path()).wait(SLEEP).sender("x").unwrap();
    let rx = options(dir.path()).receiver("x").unwrap();
    let receiver = Peer::start(&mut child("child_comes_to_receive_and_waits", dir.path()));
    until_there_are(dir.path(), 2, |it| it.receives);
    fill(dir.path());
    thread::scope(|scope| {
        let sent = scope.spawn(|| tx.send_timeout(b"the last", PATIENCE));
        until_there_are(dir.path(), 1, |it| it.awaits_slot);
        receiver.kill();
        // It wakes, sweeps, and sleeps again.
        until_there_are(dir.path(), 2, |_| true);
        until_there_are(dir.path(), 1, |it| it.awaits_slot);
        drop(rx.recv_timeout(PATIENCE).unwrap());
        sent.join().unwrap().unwrap();
    });
    drop(tx);
    let rest: Vec<_> = rx.try_iter().map(|message| message.unwrap().to_vec()).collect();
    assert_eq!((rest.len(), &rest[7][..]), (8, &b"the last"[..]));
}

#[test]
fn a_receiver_that_waits_gets_what_a_killed_one_held_though_nobody_calls_anything() {
    for (wait, keeper) in [(SLEEP, true), (Wait::Spin, true), (SLEEP, false)] {
        let dir = in_shared_memory();
        let tx = options(dir.path()).sender("x").unwrap();
        let mut command = child("child_receives_one_and_waits", dir.path());
        if !keeper {
            command.env("NO_KEEPER", "1");
        }
        let holder = Peer::start(&mut command);
        tx.send(b"held").unwrap();
        until_holds(dir.path(), holder.id(), 1);
        let rx = options(dir.path()).wait(wait).receiver("x").unwrap();
        thread::scope(|scope| {
            let waits = rx.clone();
            let received = scope.spawn(move || {
                let message = waits.recv_timeout(PATIENCE)?;
                Ok::<_, RecvTimeoutError>((message.to_vec(), message.redelivered()))
            });
            until_there_are(dir.path(), usize::from(wait != Wait::Spin), |it| it.awaits_message);
            holder.kill();
            assert_eq!(received.join().unwrap(), Ok((b"held".to_vec(), true)), "{wait:?}");
        });
        assert_eq!(rx.lost(), 0);
    }
}

#[test]
fn what_a_killed_receiver_held_is_counted_as_lost_where_it_is_not_to_come_again() {
    let dir = in_shared_memory();
    let once = options(dir.path()).redelivery(Redelivery::AtMostOnce);
    let tx = once.sender("x").unwrap();
    let holder = Peer::start(&mut child("child_receives_one_and_waits", dir.path()));
    tx.send(b"held").unwrap();
    until_holds(dir.path(), holder.id(), 1);
    let rx = once.wait(SLEEP).receiver("x").unwrap();
    thread::scope(|scope| {
        let waits = rx.clone();
        let received = scope.spawn(move || {
            let message = waits.recv_timeout(PATIENCE)?;
            Ok::<_, RecvTimeoutError>((message.to_vec(), message.redelivered()))
        });
        until_there_are(dir.path(), 1, |it| it.awaits_message);
        holder.kill();
        until(dir.path(), |queue| queue.lost == Some(1));
        tx.send(b"the next").unwrap();
        assert_eq!(received.join().unwrap(), Ok((b"the next".to_vec(), false)));
    });
    assert_eq!(rx.lost(), 1);
}

#[test]
fn a_sender_that_waits_gets_a_slot_that_was_lent_to_a_killed_one_though_nobody_calls_anything() {
    for wait in [SLEEP, Wait::Spin] {
        let dir = in_shared_memory();
        let rx = options(dir.path()).receiver("x").unwrap();
        let borrower = Peer::start(&mut child("child_borrows_all_slots_and_waits", dir.path()));
        until_holds(dir.path(), borrower.id(), 8);
        let tx = options(dir.path()).wait(wait).sender("x").unwrap();
        thread::scope(|scope| {
            let sent = scope.spawn(|| tx.send_timeout(b"at last", PATIENCE));
            until_there_are(dir.path(), usize::from(wait != Wait::Spin), |it| it.awaits_slot);
            borrower.kill();
            assert_eq!(sent.join().unwrap(), Ok(()), "{wait:?}");
        });
        assert_eq!(&rx.try_recv().unwrap()[..], b"at last");
        assert_eq!(tx.slots().free, 8);
    }
}

#[test]
fn a_message_whose_news_went_to_one_that_was_killed_wakes_another_one() {
    let dir = in_shared_memory();
    let tx = options(dir.path()).sender("x").unwrap();
    let rx = options(dir.path()).wait(SLEEP).receiver("x").unwrap();
    for _ in 0..20 {
        let other = Peer::start(&mut child("child_receives_for_ever", dir.path()));
        until_there_are(dir.path(), 1, |it| it.awaits_message);
        thread::scope(|scope| {
            let waits = rx.clone();
            let received = scope.spawn(move || {
                let message = waits.recv_timeout(PATIENCE)?;
                Ok::<_, RecvTimeoutError>(message.to_vec())
            });
            until_there_are(dir.path(), 2, |it| it.awaits_message);
            // Either is rung for. If it was the other one, that takes it, or dies before or while it has it; but no message
            // waits while one sleeps.
            tx.send(b"for either").unwrap();
            other.kill();
            until(dir.path(), |queue| queue.slots.as_ref().unwrap().free == 8);
            tx.send(b"for this one").unwrap();
            let received = received.join().unwrap().unwrap();
            assert!([&b"for either"[..], b"for this one"].contains(&&received[..]), "{received:?}");
        });
        rx.try_iter().for_each(|message| drop(message.unwrap()));
    }
}
