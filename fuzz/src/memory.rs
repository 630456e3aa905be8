//! Memory that targets reach into: the one room of this crate with unsafe code.
//!
//! Two kinds. A [`Mirror`] is a ring's memory without a segment around it, between stretches of addresses where nothing
//! is: whatever reaches outside ends the process. A [`Scribbler`] is a live ring's memory as a hostile peer maps it.
#![allow(unsafe_code)]

use std::{fs::File, os::fd::AsFd, ptr::NonNull};

use ringway::{Side, layout::CONTROL_LEN};
use ringway_ring::{Controls, Lent, primitive::Word};
use ringway_segment::{Segment, View};
use ringway_wait::primitive::{Flag, Ordering};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap},
};

/// Bytes of data of the rings here: the least there can be, so that inputs soon come around. Needs pages of 4 KiB.
pub(crate) const CAPACITY: usize = 4096;
/// Granules of it.
pub(crate) const GRANULES: u64 = CAPACITY as u64 / 8;

/// Addresses without memory before and behind: more than any length of 32 bits.
const NOTHING: usize = (4 << 30) + CAPACITY;

/// Bytes of a segment before its control area.
const HEADER_PAGE: usize = 4096;

/// How many control words a mirror has.
pub(crate) const MIRROR_WORDS: u64 = 6;

/// A ring's memory: data that is there twice, and its control words on the heap, where AddressSanitizer sees
/// them.
///
/// It is never unmapped: targets make one and use it again.
#[derive(Debug)]
pub(crate) struct Mirror {
    data: NonNull<u8>,
    /// The producer's position, the consumer's, the producer's claim, oldest and count, and what the consumer has taken.
    controls: Box<[Word; MIRROR_WORDS as usize]>,
}

impl Mirror {
    pub(crate) fn new() -> Self {
        let file =
            File::from(memfd_create(c"mirror", MemfdFlags::CLOEXEC).expect("memory has room for a ring"));
        file.set_len(CAPACITY as u64).expect("a new file has any size");
        let range = NOTHING + 2 * CAPACITY + NOTHING;
        // SAFETY:
        // - the first mapping is new, at a place that the kernel chooses;
        // - the two others lie in the middle of it (NOTHING and CAPACITY are multiples of the page size), where nobody
        //   has a pointer to yet, and show all of a file that has CAPACITY bytes and that nobody else can truncate;
        // - nothing of it is unmapped, so the addresses are good for ever; NOTHING is not 0, so that of the data is not.
        let data = unsafe {
            let range = mmap_anonymous(
                std::ptr::null_mut(),
                range,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
            .expect("there are addresses");
            let data = range.byte_add(NOTHING);
            for image in 0..2 {
                let rights = ProtFlags::READ | ProtFlags::WRITE;
                mmap(
                    data.byte_add(image * CAPACITY),
                    CAPACITY,
                    rights,
                    MapFlags::SHARED | MapFlags::FIXED,
                    &file,
                    0,
                )
                .expect("a file can be mapped twice");
            }
            NonNull::new_unchecked(data.cast::<u8>())
        };
        Self { data, controls: Box::new([0; MIRROR_WORDS as usize].map(Word::new)) }
    }

    /// The memory, for one end of the ring.
    ///
    /// The caller has at most one producer and one consumer of it at a time, any number of followers, and writes to it by [`word`](Self::word)
    /// only, and only while no slice of a payload is alive.
    pub(crate) fn lend(&self) -> Lent {
        let words = self.controls.each_ref().map(|word| NonNull::from(word).cast::<u64>());
        let [producer, consumer, claim, oldest, sent, taken] = words;
        let controls = Controls { producer, consumer, taken, claim, oldest, sent };
        // SAFETY:
        // - the controls are atomic words, valid as long as `self`: targets keep it longer than what they make of this;
        // - the data is page-aligned and there twice, for ever;
        // - the rest is what the callers in this crate keep to, as said above.
        unsafe { Lent::new(controls, self.data, CAPACITY) }
    }

    /// One of its words: a granule of the data, or with `GRANULES` and above a control word.
    pub(crate) fn word(&self, place: u64) -> &Word {
        match place {
            // SAFETY: inside the first image and aligned to 8; a `Word` is a transparent atomic u64, and the callers of
            // `lend` keep payload out of the way.
            0..GRANULES => unsafe { self.data.cast::<Word>().add(place as usize).as_ref() },
            _ => &self.controls[((place - GRANULES) % MIRROR_WORDS) as usize],
        }
    }

    /// Whether a slice lies inside the data, as it is there twice.
    pub(crate) fn contains(&self, slice: &[u8]) -> bool {
        let from = slice.as_ptr().addr().wrapping_sub(self.data.as_ptr().addr());
        from <= 2 * CAPACITY && slice.len() <= 2 * CAPACITY - from
    }
}

/// A live ring's memory as a hostile peer maps it, behind the header page. Never unmapped.
#[derive(Debug)]
pub(crate) struct Scribbler(NonNull<u8>);

/// How many control words there are.
pub(crate) const CONTROL_WORDS: u64 = 16;

impl Scribbler {
    /// Maps a ring's memory of [`CAPACITY`] bytes of data.
    pub(crate) fn new(memory: impl AsFd) -> Self {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        let len = HEADER_PAGE + CONTROL_LEN + CAPACITY;
        // SAFETY: a new mapping of the whole of a file that is sealed against shrinking, at a place that the kernel
        // chooses; never unmapped.
        let map = unsafe { mmap(std::ptr::null_mut(), len, rights, MapFlags::SHARED, memory, 0) };
        let map = NonNull::new(map.expect("a ring can be mapped once more")).expect("no mapping is at 0");
        // SAFETY: inside the mapping.
        Self(unsafe { map.cast().add(HEADER_PAGE) })
    }

    /// Makes the ring as if it had been born with its positions, and the numbers of its messages, at `start`, which is a
    /// multiple of 8.
    pub(crate) fn heal(&self, start: u64) {
        for offset in (0..CONTROL_LEN + CAPACITY).step_by(8) {
            self.word(offset).store(0, Ordering::Relaxed);
        }
        let [sender, receiver] = [Side::Sender, Side::Receiver].map(Side::offsets);
        let begins = [
            sender.position,
            sender.claim,
            sender.oldest,
            sender.number,
            receiver.position,
            receiver.number,
            receiver.taken,
        ];
        begins.into_iter().for_each(|offset| self.word(offset).store(start, Ordering::Relaxed));
    }

    /// Changes one of its words: a control word, or from `CONTROL_WORDS` on a granule of the data.
    pub(crate) fn change(&self, place: u64, change: impl FnOnce(u64) -> u64) {
        let side = if place % 2 == 0 { Side::Sender } else { Side::Receiver }.offsets();
        let half = match place / 2 {
            _ if place >= CONTROL_WORDS => {
                let granule = (place - CONTROL_WORDS) % GRANULES;
                return update(self.word(CONTROL_LEN + granule as usize * 8), change);
            }
            0 => return update(self.word(side.position), change),
            1 => side.asleep,
            2 => side.bell,
            3 => side.alive,
            4 => side.processor,
            5 => return update(self.word(side.number), change),
            _ => {
                let sender = Side::Sender.offsets();
                let of_one = [sender.claim, sender.oldest, sender.sent, Side::Receiver.offsets().taken];
                return update(self.word(of_one[(place - 12) as usize]), change);
            }
        };
        // SAFETY: an aligned 32-bit word inside the control area; everyone accesses it as an atomic of that size, but for
        // `heal`, which comes when nobody is attached.
        let half: &Flag = unsafe { self.0.add(half).cast().as_ref() };
        half.store(change(half.load(Ordering::Relaxed).into()) as u32, Ordering::Relaxed);
    }

    fn word(&self, offset: usize) -> &Word {
        assert!(offset % 8 == 0 && offset < CONTROL_LEN + CAPACITY);
        // SAFETY: inside the mapping and aligned, as just checked; accessed as an atomic, and payload by the ends only
        // while the target calls them.
        unsafe { self.0.add(offset).cast().as_ref() }
    }
}

fn update(word: &Word, change: impl FnOnce(u64) -> u64) {
    word.store(change(word.load(Ordering::Relaxed)), Ordering::Relaxed);
}

/// A file's memory as somebody may lend it: the file, and its last [`CAPACITY`] bytes once more right behind.
#[derive(Debug)]
pub(crate) struct Mapped {
    base: NonNull<u8>,
    len: usize,
}

impl Mapped {
    /// Maps a file of `len` bytes, a multiple of the page size.
    pub(crate) fn new(file: &File, len: usize) -> Self {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        let all = len + CAPACITY;
        // SAFETY: new mappings, the first at a place that the kernel chooses, the others in the middle of it, where
        // nobody has a pointer to yet, of a file that is sealed against shrinking.
        let base = unsafe {
            let base = mmap_anonymous(std::ptr::null_mut(), all, ProtFlags::empty(), MapFlags::PRIVATE)
                .expect("there are addresses");
            let twice = [(0, len, 0), (len, CAPACITY, len - CAPACITY)];
            for (at, len, from) in twice {
                mmap(base.byte_add(at), len, rights, MapFlags::SHARED | MapFlags::FIXED, file, from as u64)
                    .expect("a file can be mapped twice");
            }
            NonNull::new(base.cast()).expect("no mapping is at 0")
        };
        Self { base, len: all }
    }

    /// What is made of it must be gone before this is.
    pub(crate) fn lend(&self, file: &File) -> ringway::Lent {
        let locks = file.as_fd().try_clone_to_owned().expect("a descriptor can be cloned");
        // SAFETY: aligned to a page, readable and writable, there until `self` is dropped, which callers see to; the
        // second image is that of the least data there can be, and callers leave alone what says that it has other data;
        // everyone uses atomics.
        unsafe { ringway::Lent::new(self.base, self.len, locks) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: all of it is this mapping's own, and what was made of it is gone.
        unsafe { munmap(self.base.as_ptr().cast(), self.len) }.expect("what was mapped can be unmapped");
    }
}

/// Reaches for the ends of both areas of a segment, and looks whether the data is there twice.
pub(crate) fn touch(segment: &Segment) {
    let shape = segment.shape();
    let (control, capacity) = (shape.control_len as usize, shape.capacity as usize);
    let word = |area: NonNull<u8>, offset: usize| {
        // SAFETY: `Segment` says how long its areas are, and that they are aligned to a page; if that is not true we
        // want to crash here. Nobody else uses the segment now.
        let word: &Word = unsafe { area.add(offset).cast().as_ref() };
        let found = word.load(Ordering::Relaxed);
        word.store(!found, Ordering::Relaxed);
        word.store(found, Ordering::Relaxed);
        found
    };
    for offset in [0, control - 8] {
        word(segment.control(), offset);
    }
    for offset in [0, capacity - 8] {
        assert_eq!(word(segment.data(), offset), word(segment.data(), offset + capacity), "there twice");
    }
}

/// The same for one that is only looked at.
pub(crate) fn touch_view(view: &View) {
    let shape = view.shape();
    let (control, capacity) = (shape.control_len as usize, shape.capacity as usize);
    let look = |area: NonNull<u8>, offset: usize| {
        // SAFETY: as in `touch`; nothing is stored, and a relaxed load of 8 bytes is no more than a load also where the
        // page is readable only.
        let word: &Word = unsafe { area.add(offset).cast().as_ref() };
        word.load(Ordering::Relaxed)
    };
    for offset in [0, control - 8] {
        look(view.control(), offset);
    }
    for offset in [0, capacity - 8] {
        assert_eq!(look(view.data(), offset), look(view.data(), offset + capacity), "there twice");
    }
}
