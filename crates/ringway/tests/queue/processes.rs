#![allow(unsafe_code)]

use std::thread;

use ringway::{
    AttachError, Names, Offer, RecvTimeoutError, TryRecvError,
    layout::queue::LINES,
    mpmc::{Options, Receiver, Redelivery, Sender},
};

use crate::{
    Place, SLOTS, all, options, pair,
    support::{PATIENCE, Peer, told},
};

/// Lets a forked child do something with its copies.
fn in_a_child(work: impl FnOnce()) {
    // SAFETY: the child uses its copies, and the allocator, which the C library puts in order; it exits at once.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::alarm(60);
            work();
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0, "the child crashed");
    }
}

#[test]
fn ends_messages_and_loans_in_a_forked_child_reach_nobody() {
    let (tx, rx) = pair();
    (0..3u8).for_each(|n| tx.send(&[n]).unwrap());
    let (message, other, mut loan) = (rx.recv().unwrap(), rx.recv().unwrap(), tx.loan(1).unwrap());
    loan[0] = 4;
    let mut kept = Some((message, other, loan));
    in_a_child(|| {
        let (message, other, loan) = kept.take().unwrap();
        drop(message);
        other.put_back();
        loan.send();
        let _ = rx.try_recv().map(drop);
        let _ = tx.try_send(b"from the child");
        let _ = tx.try_loan(1).map(drop);
        let mut batch = tx.batch();
        let _ = batch.push(b"from the child");
        batch.send();
        let _ = rx.try_recv_batch(9).map(drop);
    });
    let (message, other, loan) = kept.unwrap();
    assert_eq!((message[0], other[0], tx.slots().queued), (0, 1, 1));
    loan.send();
    drop((message, other));
    assert_eq!(all(&rx), [2, 4]);
    assert_eq!(tx.slots().free, SLOTS as u32);
}

#[test]
fn ends_that_are_dropped_in_a_forked_child_close_nothing() {
    let (tx, rx) = pair();
    let mut kept = Some((tx, rx));
    in_a_child(|| drop(kept.take()));
    let (tx, rx) = kept.unwrap();
    tx.send(b"still open").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"still open");
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn a_line_more_than_there_are_is_refused_and_had_once_somebody_has_left() {
    let place = Place::new();
    let mut parts: Vec<_> = (0..LINES).map(|_| place.options().sender("x").unwrap()).collect();
    let clone = parts[0].clone();
    let refused = place.options().receiver("x").unwrap_err();
    assert!(matches!(refused, AttachError::NoLine { lines: LINES, path: Some(_) }), "{refused}");
    assert!(refused.to_string().contains("has 62 processes that take part"), "{refused}");
    drop(parts.pop());
    let rx = place.options().receiver("x").unwrap();
    clone.send(b"1").unwrap();
    parts[40].send(b"2").unwrap();
    assert_eq!(all(&rx), [b'1', b'2']);
}

#[test]
#[ignore = "run as a child process"]
fn child_echoes() {
    let [there, back] = ["THERE", "BACK"].map(|key| Offer::from_env(key).unwrap());
    let (rx, tx) = (Receiver::attach(&there).unwrap(), Sender::attach(&back).unwrap());
    rx.iter().for_each(|message| tx.send(&message.unwrap()).unwrap());
}

#[test]
fn children_that_were_given_offers_share_the_work() {
    let (there, back) = (options().offer().unwrap(), options().offer().unwrap());
    let (tx, rx) = (Sender::attach(&there).unwrap(), Receiver::attach(&back).unwrap());
    let children = [(); 3].map(|()| {
        let mut command = Peer::command("processes::child_echoes");
        there.give_to(&mut command, "THERE").unwrap();
        back.give_to(&mut command, "BACK").unwrap();
        Peer::start(&mut command)
    });
    let sender = thread::spawn(move || (0..3_000u32).for_each(|n| tx.send(&n.to_ne_bytes()).unwrap()));
    let number = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap());
    let mut had: Vec<_> = (0..3_000).map(|_| number(&rx.recv_timeout(PATIENCE).unwrap())).collect();
    had.sort_unstable();
    assert!(had.into_iter().eq(0..3_000));
    sender.join().unwrap();
    children.into_iter().for_each(Peer::join);
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Closed);
}

fn child_options() -> Options {
    options().names(Names::in_dir(told("DIR")))
}

#[test]
#[ignore = "run as a child process"]
fn child_takes_one_of_two_and_lends_itself_a_slot() {
    let (tx, rx) = (child_options().sender("x").unwrap(), child_options().receiver("x").unwrap());
    let _message = rx.recv().unwrap();
    let _loan = tx.loan(1).unwrap();
    std::fs::write(format!("{}/ready", told("DIR")), "").unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn what_a_killed_process_had_comes_again_and_says_so_or_is_counted() {
    for redelivery in [Redelivery::AtLeastOnce, Redelivery::AtMostOnce] {
        let place = Place::new();
        let tx = place.options().redelivery(redelivery).sender("x").unwrap();
        (1..=2u8).for_each(|n| tx.send(&[n]).unwrap());
        let mut command = Peer::command("processes::child_takes_one_of_two_and_lends_itself_a_slot");
        let child = Peer::start(command.env("DIR", place.0.path()));
        let limit = std::time::Instant::now() + PATIENCE;
        while !place.0.path().join("ready").exists() {
            assert!(std::time::Instant::now() < limit, "the child does not get ready");
            thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill();
        let rx = place.options().receiver("x").unwrap();
        let had: Vec<_> = rx
            .try_iter()
            .map(|message| message.map(|message| (message[0], message.redelivered())).unwrap())
            .collect();
        let expected = if redelivery == Redelivery::AtLeastOnce {
            (vec![(2, false), (1, true)], 0)
        } else {
            (vec![(2, false)], 1)
        };
        assert_eq!((had, rx.lost()), expected);
        assert_eq!(tx.slots().free, SLOTS as u32);
    }
}
