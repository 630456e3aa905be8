//! Handing an offer to a child program.
//!
//! Every descriptor of this crate closes on exec. The one exception is made in the child, between fork and exec,
//! for a copy that belongs to one `Command`: so a child started by another thread at the same moment never gets it.
//!
//! The environment tells the child the number, and which memory it must be: `number:device:inode`; and the same
//! again, after a comma, for data that is apart. The child takes a descriptor as its own only if it is that memory *and* does not close on exec. What Rust opens, closes on
//! exec, and so does whatever was taken already; hence a number that stands for something else by now, because the
//! variable was inherited once more or is lying, is never taken from its owner.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::error::{OpenError, OsFault};
use crate::offer::Offer;
use crate::origin::Origin;
use crate::sys;

/// The keys that were taken. Locked while one is being taken, so that two threads cannot both take a descriptor.
static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

impl Offer {
    /// Hands the offer to the program that `command` starts, and to no other: there
    /// [`Offer::from_env`] with the same key gives it. The offer itself may be dropped.
    ///
    /// The command may be given several offers under different keys, and may be started several times. Do not
    /// clear its environment afterwards.
    ///
    /// ```
    /// use ringway_segment::{Offer, Shape};
    ///
    /// let offer = Offer::create(&Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 })?;
    /// let mut child = std::process::Command::new("true");
    /// offer.give_to(&mut child, "ORDERS")?; // in the child: Offer::from_env("ORDERS")
    /// assert!(child.status()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The key is empty or has anything but ASCII letters, digits and underscores in it, or there is no descriptor
    /// left.
    pub fn give_to(&self, command: &mut Command, key: &str) -> io::Result<()> {
        let variable = variable(key).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{key:?} cannot be a key: {KEY_RULE}"))
        })?;
        let mut texts = Vec::new();
        for fd in [self.as_fd()].into_iter().chain(self.data_fd()) {
            let copy = File::from(sys::duplicate(fd)?);
            let there = copy.metadata()?;
            texts.push(format!("{}:{}:{}", copy.as_raw_fd(), there.dev(), there.ino()));
            let keep_over_exec = move || sys::set_closes_on_exec(&copy, false);
            // SAFETY: the closure runs in the child between fork and exec. It makes one system call on a descriptor
            // that the closure owns, so it is open; it does not allocate, lock or panic, nor touch other memory.
            unsafe { command.pre_exec(keep_over_exec) };
        }
        command.env(variable, texts.join(","));
        Ok(())
    }

    /// Takes the offer that the parent handed over under this key. Each can be taken once.
    ///
    /// The descriptor becomes this process's own only after it has proved to be the memory that the parent named,
    /// with sound seals, size and header.
    ///
    /// # Errors
    /// [`OpenError::NotOffered`] if there is none, or none any more; otherwise as [`Offer::from_fd`].
    pub fn from_env(key: &str) -> Result<Offer, OpenError> {
        let Some(variable) = variable(key) else {
            return Err(OpenError::NotOffered { variable: format!("{PREFIX}{key}"), why: KEY_RULE });
        };
        let not_offered = |why| OpenError::NotOffered { variable: variable.clone(), why };
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains(key) {
            return Err(not_offered("it was taken already; each offer can be taken once in a process"));
        }
        let text = std::env::var(&variable).map_err(|_| not_offered("it is not set"))?;
        let named = parse_all(&text).ok_or_else(|| not_offered("it does not name a descriptor"))?;
        let mut copies = Vec::new();
        for (fd, device, inode) in &named {
            match sys::closes_on_exec(*fd) {
                Err(_) => {
                    return Err(not_offered("the descriptor is not open; the offer was for another process"));
                }
                Ok(true) => {
                    return Err(not_offered("the descriptor was not inherited; this process opened it"));
                }
                Ok(false) => {}
            }
            // SAFETY: the number is open, as just seen, and is not -1. The borrow ends with the next line.
            let copy = sys::duplicate(unsafe { BorrowedFd::borrow_raw(*fd) });
            let fault = |step| move |source| OsFault::new(&Origin::Memfd, step, source);
            let copy = File::from(copy.map_err(fault("copy its descriptor"))?);
            let there = copy.metadata().map_err(fault("look at it"))?;
            if (there.dev(), there.ino()) != (*device, *inode) {
                return Err(not_offered("the descriptor is something else by now"));
            }
            copies.push(OwnedFd::from(copy));
        }
        let mut copies = copies.into_iter();
        let first = copies.next().ok_or_else(|| not_offered("it does not name a descriptor"))?;
        let offer = Offer::from_fds(first, copies.next())?;
        for (fd, ..) in named {
            // SAFETY: the descriptor is open and has come over exec: it does not close on exec, and it is the very
            // memory that the parent handed over under this number for us to own. Nobody has taken it before:
            // whoever does closes it, under the same lock.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        taken.insert(key.to_owned());
        Ok(offer)
    }
}

const PREFIX: &str = "RINGWAY_OFFER_";
const KEY_RULE: &str = "a key is made of one or more ASCII letters, digits and underscores";

fn variable(key: &str) -> Option<String> {
    let sound = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    sound.then(|| format!("{PREFIX}{key}"))
}

/// The one descriptor that is named, or the two different ones.
fn parse_all(text: &str) -> Option<Vec<(RawFd, u64, u64)>> {
    let named: Vec<_> = text.split(',').map(parse).collect::<Option<_>>()?;
    match &named[..] {
        [_] => Some(named),
        [(one, ..), (other, ..)] if one != other => Some(named),
        _ => None,
    }
}

fn parse(text: &str) -> Option<(RawFd, u64, u64)> {
    let mut parts = text.split(':');
    let fd = parts.next()?.parse::<RawFd>().ok().filter(|fd| *fd > 2)?;
    let device = parts.next()?.parse().ok()?;
    let inode = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((fd, device, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_descriptor_above_the_standard_ones_with_its_identity_is_read() {
        assert_eq!(parse("7:1:99"), Some((7, 1, 99)));
        for text in ["", "7", "7:1", "7:1:9:9", "2:1:9", "-1:1:9", "x:1:9", "7:-1:9", "99999999999:1:9"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn one_descriptor_or_two_different_ones_are_read() {
        assert_eq!(parse_all("7:1:99"), Some(vec![(7, 1, 99)]));
        assert_eq!(parse_all("7:1:99,8:1:5"), Some(vec![(7, 1, 99), (8, 1, 5)]));
        for text in ["", ",", "7:1:99,", "7:1:99,7:1:5", "7:1:99,8:1:5,9:1:5"] {
            assert_eq!(parse_all(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_key_that_is_no_variable_is_refused_at_both_ends() {
        let offer = Offer::create(&crate::Shape {
            kind: 0,
            flags: 0,
            control_len: 4096,
            capacity: 1 << 16,
            detail: 0,
        })
        .unwrap();
        for key in ["", "a=b", "a b", "ü", "a\0"] {
            let given = offer.give_to(&mut Command::new("true"), key);
            assert_eq!(given.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert!(matches!(Offer::from_env(key), Err(OpenError::NotOffered { why: KEY_RULE, .. })));
        }
    }
}
