//! What children under load write down for their parent and their successors, in memory that outlives them.
#![allow(unsafe_code)]

use std::{ops::Deref, ptr, ptr::NonNull};

use ringway_ring::primitive::{Ordering, Word};

/// The log of one ring. A word says only what one end did, and is written in the order of what it did.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Log {
    /// The sender is to come to an end.
    stop: Word,
    /// Somebody was told of a death.
    deaths: Word,
    /// All messages before this one were sent: the calls have come back.
    sent: Word,
    /// Where the receiver was when it had taken the last message,
    had: Word,
    /// and when it had released the last one.
    released: Word,
    /// What a child found wrong, as text.
    fault: [Word; 64],
}

impl Log {
    pub(crate) fn stop(&self) {
        self.stop.store(1, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// An end was told that the other one has died.
    pub(crate) fn set_told_of_death(&self) {
        self.deaths.store(1, Ordering::Release);
    }

    pub(crate) fn was_told_of_death(&self) -> bool {
        self.deaths.load(Ordering::Acquire) != 0
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    pub(crate) fn set_sent(&self, before: u64) {
        self.sent.store(before, Ordering::Release);
    }

    pub(crate) fn had(&self) -> Place {
        Place(self.had.load(Ordering::Acquire))
    }

    pub(crate) fn set_had(&self, place: Place) {
        self.had.store(place.0, Ordering::Release);
    }

    pub(crate) fn released(&self) -> Place {
        Place(self.released.load(Ordering::Acquire))
    }

    pub(crate) fn set_released(&self, place: Place) {
        self.released.store(place.0, Ordering::Release);
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

/// Bits of a message's number that count; above them is its sender's life.
const COUNT: u32 = 40;

/// The number of a message under load: the senders before this one, and the messages before this one.
pub(crate) fn number(life: u64, count: u64) -> u64 {
    life << COUNT | count
}

/// How far a receiver has come: behind which message of which sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Place {
    /// The place behind the message of this number, if that can come next: the next one of the same sender; or the first
    /// of a successor, who sends again, up to `again` of them, what its predecessor may or may not have sent.
    pub(crate) fn then(self, number: u64, again: u64) -> Option<Self> {
        let (life, next) = (self.0 >> COUNT, self.count());
        let (its_life, its_count) = (number >> COUNT, number & ((1 << COUNT) - 1));
        let follows = if its_life == life {
            its_count == next
        } else {
            its_life > life && its_count <= next && next - its_count <= again
        };
        follows.then_some(Self(number + 1))
    }

    /// Messages before it.
    pub(crate) fn count(self) -> u64 {
        self.0 & ((1 << COUNT) - 1)
    }
}

/// A log in memory that is shared with forked children.
pub(crate) struct Shared(NonNull<Log>);

impl Shared {
    pub(crate) fn new() -> Self {
        let (len, access) = (size_of::<Log>(), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), len, access, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0)
        };
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
