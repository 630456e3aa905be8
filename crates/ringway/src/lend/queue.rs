//! A queue's memory.

use std::ptr::NonNull;

use ringway_ring::{LentPool, Places, primitive::Common};
use ringway_segment::{Segment, View};
use ringway_wait::{
    LentEvent, LentSigns, LifeWords, LineWords,
    primitive::{Flag, Ordering},
};

use crate::layout::queue::{LINE_STRIDE, LINES, Parts, extent, line, shared};

/// Which of a queue's events.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    /// That there is a message.
    Items,
    /// That there is a free slot.
    Room,
}

/// The queue itself.
///
/// # Panics
///
/// If the segment is not a queue's: nobody takes part in one that was not checked.
pub(crate) fn pool(segment: &Segment) -> LentPool {
    let extent = extent(&segment.shape()).expect("a queue's segment");
    let places = places(segment.control(), segment.data(), extent.slots);
    // SAFETY:
    // - `extent` holds the control area to its parts, which `places` are, aligned to 8 and apart; all of them are used as
    //   atomics of their size only, by this crate, and nobody else makes references there;
    // - data is aligned to a page and has `capacity` bytes and more, of which slots are no more (`extent`);
    // - the mapping lives as long as the segment, which is kept beside what is made of this (rule of this room);
    // - what is in the words is written by this crate; that others keep to it is what trust level *shared* means.
    unsafe { LentPool::new(places, extent) }
}

/// A queue that is looked at: for answers only.
///
/// # Panics
///
/// As [`pool`].
pub(crate) fn seen_pool(view: &View) -> LentPool {
    let extent = extent(&view.shape()).expect("a queue's segment");
    let places = places(view.control(), view.data(), extent.slots);
    // SAFETY: as in `pool`. It may be mapped for reading only: nothing is made of it but answers, by relaxed loads of 8 bytes,
    // guaranteed to be no more than loads there.
    unsafe { LentPool::new(places, extent) }
}

/// Where the words of a queue with so many slots lie.
fn places(control: NonNull<u8>, data: NonNull<u8>, slots: u32) -> Places {
    let parts = Parts::of(slots);
    // SAFETY: inside the control area, which has `parts.len` bytes (`extent`).
    let at = |offset: usize| unsafe { control.add(offset).cast::<u64>() };
    Places {
        tail: at(shared::TAIL),
        head: at(shared::HEAD),
        leases: at(line(0).lease),
        lease_stride: LINE_STRIDE,
        lines: LINES,
        slots: at(parts.slots),
        losses: at(parts.losses),
        cells: at(parts.cells),
        data,
    }
}

/// One of a queue's events.
pub(crate) fn event(segment: &Segment, of: Of) -> LentEvent {
    let at = |offset| place(segment.control(), offset);
    let lines = (0..LINES).map(|number| {
        let line = line(number);
        let words = match of {
            Of::Items => line.items,
            Of::Room => line.room,
        };
        LineWords {
            bell: at(words.bell).cast(),
            sleeps: at(words.sleeps).cast(),
            rung: at(words.rung).cast(),
        }
    });
    let sleepers = match of {
        Of::Items => shared::ITEMS,
        Of::Room => shared::ROOM,
    };
    // SAFETY: inside the control area and aligned, used as atomics of their size by this crate only, and valid as long as the
    // segment, which is kept beside what is made of this (rule of this room).
    unsafe { LentEvent::new(at(sleepers).cast(), lines.collect()) }
}

/// The words that say who holds a line.
pub(crate) fn signs(segment: &Segment, number: u16) -> LentSigns {
    let at = |offset| place(segment.control(), offset);
    let line = line(number);
    let words = LifeWords {
        alive: at(line.alive).cast(),
        generation: at(line.generation).cast(),
        pid: at(line.pid).cast(),
        namespace: at(line.namespace).cast(),
    };
    // SAFETY: as in `event`. They are written by who has claimed the line only.
    unsafe { LentSigns::new(words) }
}

/// A word that all share, by its offset in `shared`.
pub(crate) fn common(segment: &Segment, offset: usize) -> &Common {
    // SAFETY: inside the control area and aligned, used as an atomic u64 by this crate only, and valid as long as `segment` is borrowed.
    unsafe { place(segment.control(), offset).cast::<Common>().as_ref() }
}

/// A word that all share, for who keeps the segment beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared(NonNull<Common>);

// SAFETY: the address of a word that is valid in the whole process and only ever accessed atomically.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The word at this offset.
    pub(crate) fn new(segment: &Segment, offset: usize) -> Self {
        Self(NonNull::from(common(segment, offset)))
    }

    /// The word.
    #[inline(always)]
    pub(crate) fn word(&self) -> &Common {
        // SAFETY: it was valid when this was made, and is as long as the segment, which is kept beside it (rule of this room).
        unsafe { self.0.as_ref() }
    }
}

/// The same, of a queue that is looked at: for relaxed loads only.
pub(crate) fn seen(view: &View, offset: usize) -> &Common {
    // SAFETY: as in `common`; only ever loaded, see `seen_pool`.
    unsafe { place(view.control(), offset).cast::<Common>().as_ref() }
}

/// The 32-bit word at this offset of a queue that is looked at.
pub(crate) fn seen_flag(view: &View, offset: usize) -> u32 {
    // SAFETY: as in `common`. Relaxed: what is seen is for people.
    unsafe { place(view.control(), offset).cast::<Flag>().as_ref().load(Ordering::Relaxed) }
}

/// Address of a word of the part of the control area that all queues have.
fn place(control: NonNull<u8>, offset: usize) -> NonNull<u8> {
    assert!(offset < Parts::of(1).slots, "a queue's control area is larger");
    // SAFETY: a queue's control area is larger: just checked, and held to it by `extent`.
    unsafe { control.add(offset) }
}
