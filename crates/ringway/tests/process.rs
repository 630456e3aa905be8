//! What else happens to a process: signals and forks.
#![allow(unsafe_code)]

use std::{thread, time::Duration};

use ringway::{
    TryRecvError, Wait,
    spsc::{Options, Receiver, Sender},
};

fn pair() -> (Sender, Receiver) {
    Options::new().capacity(4096).wait(Wait::Park { spin: Duration::ZERO }).pair().unwrap()
}

#[test]
fn a_signal_does_not_end_a_wait() {
    extern "C" fn handler(_: libc::c_int) {}
    // SAFETY: an empty handler is async-signal-safe; without SA_RESTART it makes system calls return EINTR.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()), 0);
    }
    let (mut tx, mut rx) = pair();
    let (id, ids) = std::sync::mpsc::channel();
    let receiver = thread::spawn(move || {
        // SAFETY: no arguments.
        id.send(unsafe { libc::pthread_self() }).unwrap();
        assert_eq!(&rx.recv().unwrap()[..], b"after the signals");
    });
    let thread = ids.recv().unwrap();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(1));
        // SAFETY: the thread has not been joined, so its id is valid.
        assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }, 0);
    }
    tx.send(b"after the signals").unwrap();
    receiver.join().unwrap();
}

#[test]
fn guards_and_calls_in_a_forked_child_reach_nobody() {
    let (mut tx, mut rx) = pair();
    tx.send(b"1").unwrap();
    tx.send(b"2").unwrap();
    let message = rx.recv().unwrap();
    // SAFETY: the child uses its copies, which allocates nothing, and exits at once.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            drop(message);
            let _ = rx.try_recv().map(drop);
            let _ = tx.try_send(b"from the child");
            let _ = tx.close();
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0, "the child crashed");
    }
    assert_eq!(&message[..], b"1");
    drop(message);
    assert_eq!(&rx.recv().unwrap()[..], b"2");
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn an_end_dropped_in_a_forked_child_closes_nothing() {
    let (mut tx, mut rx) = pair();
    // SAFETY: the child only drops its copies, which allocates nothing, and exits at once.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            drop(tx);
            drop(rx);
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0, "the child crashed");
    }
    tx.send(b"still open").unwrap();
    assert_eq!(&rx.recv().unwrap()[..], b"still open");
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
}
