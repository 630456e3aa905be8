//! How offers travel, and to whom.
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::sync::atomic::Ordering::SeqCst;

use common::{Running, is_child, memfds, program, say, shape, word};
use ringway_segment::{Offer, OpenError, Segment};

fn mark(segment: &Segment) {
    word(segment, 0).fetch_add(1, SeqCst);
}

fn marks(segment: &Segment) -> u64 {
    word(segment, 0).load(SeqCst)
}

#[test]
fn an_offer_reaches_the_child_it_is_given_to() {
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    let mut command = program("child_takes_an_offer");
    offer.give_to(&mut command, "X").unwrap();
    drop(offer);
    Running::start(&mut command).finish();
    assert_eq!(marks(&segment), 1);
    // The same command once more: the copy is the command's.
    Running::start(&mut command).finish();
    assert_eq!(marks(&segment), 2);
}

#[test]
#[ignore = "run by another test"]
fn child_takes_an_offer() {
    if is_child() {
        let offer = Offer::from_env("X").unwrap();
        assert_eq!(memfds(), 1);
        mark(&offer.attach().unwrap());
        let again = Offer::from_env("X").unwrap_err();
        assert!(again.to_string().contains("already"), "{again}");
        // A program of its own inherits the variable, but not the memory.
        Running::start(&mut program("child_gets_nothing")).finish();
    }
}

#[test]
fn no_other_child_gets_the_offer() {
    let offer = Offer::create(&shape()).unwrap();
    let _attached = offer.attach().unwrap();
    let mut command = program("child_takes_an_offer");
    offer.give_to(&mut command, "X").unwrap();
    Running::start(&mut program("child_gets_nothing")).finish();
    Running::start(&mut command).finish();
    Running::start(&mut program("child_gets_nothing")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_gets_nothing() {
    if is_child() {
        assert!(matches!(Offer::from_env("X"), Err(OpenError::NotOffered { .. })));
        assert_eq!(memfds(), 0);
    }
}

#[test]
fn two_offers_under_two_keys_are_told_apart() {
    let (one, two) = (Offer::create(&shape()).unwrap(), Offer::create(&shape()).unwrap());
    let mut command = program("child_takes_two");
    one.give_to(&mut command, "ONE").unwrap();
    two.give_to(&mut command, "TWO").unwrap();
    Running::start(&mut command).finish();
    assert_eq!((marks(&one.attach().unwrap()), marks(&two.attach().unwrap())), (1, 2));
}

#[test]
#[ignore = "run by another test"]
fn child_takes_two() {
    if is_child() {
        let one = Offer::from_env("ONE").unwrap().attach().unwrap();
        let two = Offer::from_env("TWO").unwrap().attach().unwrap();
        mark(&one);
        mark(&two);
        mark(&two);
    }
}

/// Lets the program that `command` starts inherit `file`, and claims in its environment that this is an offer.
fn forge(command: &mut std::process::Command, file: &File, inode: u64) {
    let there = file.metadata().unwrap();
    command.env("RINGWAY_OFFER_X", format!("{}:{}:{inode}", file.as_raw_fd(), there.dev()));
    let fd = file.as_raw_fd();
    // SAFETY: one system call on a number that stays open until the child is started.
    unsafe {
        command.pre_exec(move || {
            libc::fcntl(fd, libc::F_SETFD, 0);
            Ok(())
        })
    };
}

#[test]
fn a_descriptor_that_is_not_the_memory_named_is_left_alone() {
    let offer = Offer::create(&shape()).unwrap();
    let memory = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let mut command = program("child_meets_a_forgery");
    forge(&mut command, &memory, memory.metadata().unwrap().ino() + 1);
    let mut child = Running::start(&mut command);
    assert!(child.hear().contains("something else by now"));
    child.finish();
}

#[test]
fn a_file_that_poses_as_an_offer_is_refused_and_left_open() {
    let file = tempfile::tempfile().unwrap();
    let mut command = program("child_meets_a_forgery");
    forge(&mut command, &file, file.metadata().unwrap().ino());
    let mut child = Running::start(&mut command);
    assert!(child.hear().contains("not a memfd"));
    child.finish();
}

#[test]
fn a_descriptor_that_this_process_opened_itself_is_never_taken() {
    Running::start(&mut program("child_opens_its_own")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_opens_its_own() {
    if is_child() {
        let own = Offer::create(&shape()).unwrap();
        let there = File::from(own.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap();
        let forged = format!("{}:{}:{}", own.as_fd().as_raw_fd(), there.dev(), there.ino());
        // SAFETY: no other thread of this process looks at the environment.
        unsafe { std::env::set_var("RINGWAY_OFFER_X", forged) };
        let error = Offer::from_env("X").unwrap_err();
        assert!(error.to_string().contains("this process opened it"), "{error}");
        own.attach().unwrap();
    }
}

#[test]
#[ignore = "run by another test"]
fn child_meets_a_forgery() {
    if is_child() {
        let text = std::env::var("RINGWAY_OFFER_X").unwrap();
        let fd: i32 = text.split(':').next().unwrap().parse().unwrap();
        say(&Offer::from_env("X").unwrap_err().to_string());
        // SAFETY: asks for the flags of a number.
        assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) }, 0, "it is open, and as it was");
    }
}

#[test]
fn an_offer_travels_through_a_unix_socket() {
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let mut command = program("child_receives_an_offer");
    command.stdin(OwnedFd::from(there));
    let child = Running::start(&mut command);
    send(&here, offer.as_fd());
    child.finish();
    assert_eq!(marks(&segment), 1);
}

#[test]
#[ignore = "run by another test"]
fn child_receives_an_offer() {
    if is_child() {
        let offer = Offer::from_fd(receive(std::io::stdin().as_fd())).unwrap();
        offer.expect_kind(shape().kind).unwrap();
        assert!(matches!(offer.expect_kind(8), Err(OpenError::Kind { found: 7, wanted: 8, .. })));
        // SAFETY: asks for the flags of a descriptor.
        let flags = unsafe { libc::fcntl(offer.as_fd().as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC, "although it was received without");
        mark(&offer.attach().unwrap());
    }
}

/// Room for one control message with one descriptor.
#[repr(C, align(8))]
struct Ancillary([u8; 24]);

fn message(byte: &mut libc::iovec, room: &mut Ancillary) -> libc::msghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = byte;
    message.msg_iovlen = 1;
    message.msg_control = room.0.as_mut_ptr().cast();
    message.msg_controllen = room.0.len();
    message
}

fn send(socket: impl AsFd, fd: BorrowedFd<'_>) {
    let (mut byte, mut room) = (0u8, Ancillary([0; 24]));
    let mut vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let message = message(&mut vector, &mut room);
    // SAFETY: the room is aligned and large enough for a header and one number, and everything lives through the
    // call.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(fd.as_raw_fd());
        assert_eq!(libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, 0), 1);
    }
}

fn receive(socket: impl AsFd) -> OwnedFd {
    let (mut byte, mut room) = (0u8, Ancillary([0; 24]));
    let mut vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut message = message(&mut vector, &mut room);
    // SAFETY: as in `send`; the number was made for us by the kernel.
    unsafe {
        assert_eq!(libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, 0), 1);
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        assert!(!header.is_null());
        OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned())
    }
}
