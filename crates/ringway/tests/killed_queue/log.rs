//! What children under load write down for their parent, in memory that outlives them.
//!
//! Each sender has a *life* of its own, and numbers its messages; each message has eight bits ([`Mark`]), set by whoever does
//! something with it, just before or just after. So it is known of each what was done, but for the one instruction in which somebody was
//! killed.
#![allow(unsafe_code)]

use std::{ops::Deref, ptr, ptr::NonNull};

use ringway_ring::primitive::{Common, Ordering, Word};

/// Lives that senders can have, all in all.
const LIVES: usize = 1 << 16;
/// Messages of one life.
pub(crate) const MESSAGES: u64 = 1 << 12;
/// Bits of a mark.
const MARK: u64 = 8;
/// Messages with one word.
const IN_A_WORD: u64 = u64::BITS as u64 / MARK;

/// What was done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Mark {
    /// A sender is about to send it.
    Begun = 1,
    /// It was sent.
    Sent = 2,
    /// It was received, unmarked.
    Fresh = 4,
    /// It was received, marked.
    Again = 8,
    /// Its receiver is about to put it back.
    Back = 16,
    /// Its receiver is about to release it.
    Releasing = 32,
    /// It was released.
    Released = 64,
}

/// The marks of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks(u64);

impl Marks {
    pub(crate) fn has(self, mark: Mark) -> bool {
        self.0 & mark as u64 != 0
    }
}

/// The log of one queue.
#[repr(C)]
pub(crate) struct Log {
    /// Senders are to come to an end.
    stop: Word,
    /// Senders' lives so far.
    lives: Common,
    /// How many messages the child in each place, and those before it, have received.
    received: [Word; 4],
    /// What a child found wrong, as text.
    fault: [Word; 64],
    marks: [Common; LIVES * (MESSAGES / IN_A_WORD) as usize],
}

impl Log {
    pub(crate) fn stop(&self) {
        self.stop.store(1, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// A new life for a sender; `None` if all were had.
    pub(crate) fn live(&self) -> Option<u64> {
        let life = add(&self.lives, 1);
        (life < LIVES as u64).then_some(life)
    }

    /// Lives that were begun.
    pub(crate) fn lives(&self) -> u64 {
        self.lives.load(Ordering::Acquire).min(LIVES as u64)
    }

    /// The child in this place has received so many more.
    pub(crate) fn receive(&self, place: usize, more: u64) {
        let word = &self.received[place];
        // Relaxed, both: one writes at a time.
        word.store(word.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    /// What all have received.
    pub(crate) fn received(&self) -> u64 {
        self.received.iter().map(|word| word.load(Ordering::Relaxed)).sum()
    }

    /// Marks a message, and says how it was marked before.
    pub(crate) fn mark(&self, number: u64, mark: Mark) -> Marks {
        let (word, shift) = self.word(number);
        let mark = (mark as u64) << shift;
        let mut found = word.load(Ordering::Relaxed);
        // AcqRel: what is marked was done.
        while let Err(now) = word.compare_exchange(found, found | mark, Ordering::AcqRel, Ordering::Relaxed) {
            found = now;
        }
        Marks(found >> shift & ((1 << MARK) - 1))
    }

    pub(crate) fn marks(&self, number: u64) -> Marks {
        let (word, shift) = self.word(number);
        Marks(word.load(Ordering::Acquire) >> shift & ((1 << MARK) - 1))
    }

    fn word(&self, number: u64) -> (&Common, u64) {
        (&self.marks[(number / IN_A_WORD) as usize], number % IN_A_WORD * MARK)
    }

    /// Says what is wrong, if nothing was before: what follows may follow from that.
    pub(crate) fn set_fault(&self, text: &str) {
        if self.fault[0].load(Ordering::Acquire) != 0 {
            return;
        }
        for (word, chunk) in self.fault.iter().zip(text.as_bytes().chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_ne_bytes(bytes), Ordering::Release);
        }
    }

    pub(crate) fn fault(&self) -> String {
        let bytes: Vec<u8> =
            self.fault.iter().flat_map(|word| word.load(Ordering::Acquire).to_ne_bytes()).collect();
        String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
    }
}

fn add(word: &Common, more: u64) -> u64 {
    let mut found = word.load(Ordering::Relaxed);
    while let Err(now) = word.compare_exchange(found, found + more, Ordering::AcqRel, Ordering::Relaxed) {
        found = now;
    }
    found
}

/// The number of a message of this life.
pub(crate) fn number(life: u64, count: u64) -> u64 {
    life * MESSAGES + count
}

/// The life that a message is of.
pub(crate) fn life(number: u64) -> u64 {
    number / MESSAGES
}

/// A log in memory that is shared with forked children, and there only where it was written to.
pub(crate) struct Shared(NonNull<Log>);

impl Shared {
    pub(crate) fn new() -> Self {
        let (len, access) = (size_of::<Log>(), libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Self(NonNull::new(start.cast()).expect("no mapping lies at 0"))
    }
}

impl Deref for Shared {
    type Target = Log;

    fn deref(&self) -> &Log {
        // SAFETY: the mapping is large enough, aligned to a page, there as long as `self`, of zeros at first, which words
        // may be; and nobody accesses it but through them.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; nothing borrowed from it is left.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Log>()) };
    }
}
