//! What the processes write down, in a file that all map: one page for a life, and two bits for each message that it may send.
//!
//! A word says what one life did and is written by that life; of the bits, whoever has a message in hand changes those of that message.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    ptr::{self, NonNull},
};

use ringway_ring::primitive::{Common, Ordering, Word};

/// Lives of a round at the most.
pub(crate) const LIVES: u64 = 1024;
/// Messages that one life may send.
pub(crate) const MESSAGES: u64 = 1 << 18;
/// Messages that one life may have in hand.
pub(crate) const HANDS: usize = 16;
/// Receives of what was received before, in a round.
const AGAIN: usize = 1 << 14;

/// The file's contents.
#[repr(C)]
struct Book {
    stop: Word,
    /// Somebody found something wrong.
    failed: Word,
    /// How many numbers there are in `again`.
    agains: Common,
    again: [Word; AGAIN],
    lives: [Life; LIVES as usize],
}

/// What one life does.
#[repr(C, align(4096))]
pub(crate) struct Life {
    /// All messages before this one were sent: the calls have come back.
    sent: Word,
    /// None from this one on was sent.
    trying: Word,
    /// How many it has received.
    received: Word,
    /// How many of them said that they come again.
    marked: Word,
    /// What it has in hand, plus one.
    hands: [Word; HANDS],
    /// Whether it releases what it has in hand.
    releasing: Word,
    /// For each message that it sends: it is, or was, in somebody's hand,
    had: [Common; MESSAGES as usize / 64],
    /// and was to be released; or, if it is in nobody's hand, was put back.
    released: [Common; MESSAGES as usize / 64],
}

fn bit(bits: &[Common], at: u64) -> (&Common, u64) {
    (&bits[(at / 64) as usize], 1 << (at % 64))
}

fn is_set(bits: &[Common], at: u64) -> bool {
    let (word, bit) = bit(bits, at);
    word.load(Ordering::Acquire) & bit != 0
}

fn change(bits: &[Common], at: u64, set: bool) {
    let (word, bit) = bit(bits, at);
    let mut old = word.load(Ordering::Relaxed);
    let to = |old| if set { old | bit } else { old & !bit };
    while let Err(now) = word.compare_exchange(old, to(old), Ordering::AcqRel, Ordering::Relaxed) {
        old = now;
    }
}

impl Life {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    pub(crate) fn trying(&self) -> u64 {
        self.trying.load(Ordering::Acquire)
    }

    /// It is about to send all before this one.
    pub(crate) fn try_to(&self, before: u64) {
        self.trying.store(before, Ordering::Release);
    }

    /// It has sent all before this one.
    pub(crate) fn set_sent(&self, before: u64) {
        self.sent.store(before, Ordering::Release);
        self.trying.store(before, Ordering::Release);
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    pub(crate) fn marked(&self) -> u64 {
        self.marked.load(Ordering::Acquire)
    }

    /// It has received one more.
    pub(crate) fn count(&self, marked: bool) {
        self.received.store(self.received() + 1, Ordering::Release);
        self.marked.store(self.marked() + u64::from(marked), Ordering::Release);
    }

    /// It takes a message into this hand.
    pub(crate) fn take(&self, hand: usize, number: u64) {
        self.hands[hand].store(number + 1, Ordering::Release);
    }

    /// It is about to release all that it has in hand.
    pub(crate) fn release(&self) {
        self.releasing.store(1, Ordering::Release);
    }

    /// Whether it was about to release what it has in hand.
    pub(crate) fn is_releasing(&self) -> bool {
        self.releasing.load(Ordering::Acquire) != 0
    }

    /// Its hands are empty.
    pub(crate) fn has_released(&self) {
        self.hands.iter().for_each(|hand| hand.store(0, Ordering::Release));
        self.releasing.store(0, Ordering::Release);
    }

    /// What it has in hand.
    pub(crate) fn hands(&self) -> impl Iterator<Item = u64> {
        self.hands.iter().filter_map(|hand| hand.load(Ordering::Acquire).checked_sub(1))
    }

    pub(crate) fn was_had(&self, message: u64) -> bool {
        is_set(&self.had, message)
    }

    /// A message that it sends is in somebody's hand.
    pub(crate) fn set_had(&self, message: u64, had: bool) {
        change(&self.had, message, had);
    }

    pub(crate) fn was_released(&self, message: u64) -> bool {
        is_set(&self.released, message)
    }

    /// A message that it sends is about to be released, or put back.
    pub(crate) fn set_released(&self, message: u64, released: bool) {
        change(&self.released, message, released);
    }
}

/// A round's log, mapped.
pub(crate) struct Log(NonNull<Book>);

// SAFETY: it owns its mapping, of which all that is used are atomic words.
unsafe impl Send for Log {}
// SAFETY: as above.
unsafe impl Sync for Log {}

impl Log {
    /// Maps the log in this file; a new one is made as long as it has to be, of zeros.
    pub(crate) fn map(file: &File) -> Self {
        let len = size_of::<Book>();
        file.set_len(len as u64).unwrap();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), len, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(start, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        Self(NonNull::new(start.cast()).expect("no mapping lies at 0"))
    }

    fn book(&self) -> &Book {
        // SAFETY: the mapping is large enough, aligned to a page, there as long as `self`, of zeros at first, which words
        // may be; and nobody accesses it but through them.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn life(&self, life: u64) -> &Life {
        &self.book().lives[life as usize]
    }

    pub(crate) fn stop(&self) {
        self.book().stop.store(1, Ordering::Release);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.book().stop.load(Ordering::Acquire) != 0
    }

    pub(crate) fn set_failed(&self) {
        self.book().failed.store(1, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.book().failed.load(Ordering::Acquire) != 0
    }

    /// Somebody has received this, and somebody had it in hand before, and may have released it.
    pub(crate) fn enter_again(&self, number: u64, released: bool) {
        let Book { agains, again, .. } = self.book();
        let mut at = agains.load(Ordering::Relaxed);
        while let Err(now) = agains.compare_exchange(at, at + 1, Ordering::AcqRel, Ordering::Relaxed) {
            at = now;
        }
        again[at as usize].store(number << 1 | u64::from(released), Ordering::Release);
    }

    /// What was received again, and whether it may have been released before.
    pub(crate) fn again(&self) -> impl Iterator<Item = (u64, bool)> {
        let Book { agains, again, .. } = self.book();
        let count = agains.load(Ordering::Acquire) as usize;
        again[..count].iter().map(|word| {
            let word = word.load(Ordering::Acquire);
            (word >> 1, word & 1 != 0)
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made; nothing borrowed from it is left.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Book>()) };
    }
}
