//! A queue's memory, private to the process: the one room of these tests with unsafe code.
#![allow(unsafe_code)]

use std::{cell::UnsafeCell, ops::Range, ptr::NonNull};

use ringway_ring::{
    Extent, LentPool, Places,
    mpmc::{Hint, Line, Pool},
    primitive::{Common, Ordering},
};

/// Part of a payload: as much as its beginning is aligned to.
#[derive(Debug)]
#[repr(align(64))]
struct Part(#[expect(dead_code, reason = "used by address")] UnsafeCell<[u8; 64]>);

/// The memory of one queue. Each kind of words, and the payloads, have an allocation of their own: AddressSanitizer sees
/// what reaches over its end.
#[derive(Debug)]
pub(crate) struct Memory {
    pool: LentPool,
    /// Of the payloads.
    addresses: Range<usize>,
    /// How many lines there are.
    lines: u16,
    _words: [Box<[Common]>; 5],
    _data: Box<[Part]>,
}

// SAFETY: the words are atomics, and the payloads are used by way of the pool only, which is `Send` and `Sync` itself.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// That of a queue of so many slots, as it is born, for messages of up to `size` bytes.
    pub(crate) fn new(slots: u32, size: u32, lines: u16) -> Self {
        let extent = Extent { slots, size, stride: size.next_multiple_of(64) };
        let counts = [2, usize::from(lines), 2 * slots as usize, slots as usize];
        let counts = [counts[0], counts[1], counts[2], counts[3], slots.next_power_of_two() as usize];
        let words = counts.map(|count| (0..count).map(|_| Common::new(0)).collect::<Box<[_]>>());
        let [hints, leases, states, losses, cells] =
            words.each_ref().map(|words| NonNull::from(&**words).cast());
        let parts = extent.bytes() as usize / 64;
        let data: Box<[Part]> = (0..parts).map(|_| Part(UnsafeCell::new([0; 64]))).collect();
        let payloads = NonNull::from(&*data).cast::<u8>();
        let places = Places {
            tail: hints,
            // SAFETY: there are two.
            head: unsafe { hints.add(1) },
            leases,
            lease_stride: 8,
            lines,
            slots: states,
            losses,
            cells,
            data: payloads,
        };
        let begin = payloads.addr().get();
        Self {
            // SAFETY:
            // - each place has as many words as are asked of it, all of them atomics of 64 bits, and `data` as many bytes, in cells, which
            //   may be written, and aligned to 64;
            // - they live as long as the pool, which is lent only, and nothing else refers to them;
            // - what says whose a slot is is written by the crate alone, except by tests that make no slice of a payload while another
            //   thread can have one.
            pool: unsafe { LentPool::new(places, extent) },
            addresses: begin..begin + parts * 64,
            lines,
            _words: words,
            _data: data,
        }
    }

    /// The memory, for an end.
    pub(crate) fn pool(&self) -> &LentPool {
        &self.pool
    }

    /// Whether a payload lies inside.
    pub(crate) fn contains(&self, payload: &[u8]) -> bool {
        let begin = payload.as_ptr().addr();
        self.addresses.start <= begin && begin + payload.len() <= self.addresses.end
    }

    /// How many control words there are.
    pub(crate) fn words(&self) -> u64 {
        2 + u64::from(self.lines) + 3 * u64::from(self.pool.slots()) + self.pool.cells()
    }

    /// Changes a control word, as one does who must not: number `place`, modulo [`words`](Self::words).
    pub(crate) fn change(&self, place: u64, change: impl FnOnce(u64) -> u64) {
        let (slots, lines) = (u64::from(self.pool.slots()), u64::from(self.lines));
        let word = match place % self.words() {
            0 => self.pool.hint(Hint::Tail),
            1 => self.pool.hint(Hint::Head),
            place if place < 2 + lines => self.pool.lease(Line((place - 2) as u16)),
            place => match (place - 2 - lines) / slots {
                0 => self.pool.state(((place - 2 - lines) % slots) as u32),
                1 => self.pool.losses(((place - 2 - lines) % slots) as u32),
                2 => {
                    let note = self.pool.note(((place - 2 - lines) % slots) as u32);
                    return note.store(change(note.load(Ordering::Relaxed)), Ordering::Relaxed);
                }
                _ => self.pool.cell(place - 2 - lines - 3 * slots),
            },
        };
        word.store(change(word.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}
