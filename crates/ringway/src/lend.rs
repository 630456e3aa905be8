//! Lends a segment's memory to the ring and the bells: the one room of this crate with unsafe code.
//!
//! One rule: whoever keeps what is lent here keeps the segment, or its view, beside it, and drops that last. Of a segment that is
//! only looked at, words come out as values, and the ring is lent to followers, which only read.
#![allow(unsafe_code)]

pub(crate) mod queue;

use std::ptr::NonNull;

use ringway_ring::primitive::{Word, fence};
use ringway_segment::{Segment, View};
use ringway_wait::{
    LentSigns, Life, LifeWords, SideWords,
    primitive::{Flag, Ordering},
};

use crate::{Side, layout::CONTROL_LEN};

/// The ring, for the holder of a side.
pub(crate) fn ring(segment: &Segment) -> ringway_ring::Lent {
    let (sender, receiver) = (Side::Sender.offsets(), Side::Receiver.offsets());
    let controls = ringway_ring::Controls {
        producer: word(segment, sender.position).cast(),
        consumer: word(segment, receiver.position).cast(),
        taken: word(segment, receiver.taken).cast(),
        claim: word(segment, sender.claim).cast(),
        oldest: word(segment, sender.oldest).cast(),
        sent: word(segment, sender.sent).cast(),
    };
    // SAFETY:
    // - the words are inside the control area and aligned (`word`), and used as atomic u64 by this crate only;
    // - `data` is page-aligned and shows the same `capacity` bytes twice (contract of `Segment::data`);
    // - the mapping lives as long as the segment, which is kept beside what is made of this (rule above);
    // - nobody else makes references into it: segments give out pointers only, and this module alone asks;
    // - at most one producer and one consumer at a time: the role locks (see `spsc::end`) hold between processes
    //   and within one. (`End::leave` makes a second consumer for one look, when it is alone; it writes nothing.)
    unsafe { ringway_ring::Lent::new(controls, segment.data(), segment.shape().capacity as usize) }
}

/// The wait words, as `side` sees them, with the other one's life.
pub(crate) fn words(segment: &Segment, side: Side, life: Life<LentSigns>) -> ringway_wait::Lent {
    let of = |side: Side| {
        let at = side.offsets();
        SideWords {
            asleep: word(segment, at.asleep).cast(),
            bell: word(segment, at.bell).cast(),
            processor: word(segment, at.processor).cast(),
        }
    };
    // SAFETY: inside the control area and aligned (`word`), used as atomic u32 by this crate only, and valid as long as the
    // segment, which is kept beside what is made of this (rule above).
    unsafe { ringway_wait::Lent::new(of(side), of(side.other())).with_life(life) }
}

/// The word that says whether `side` sleeps or has left.
pub(crate) fn asleep(segment: &Segment, side: Side) -> &Flag {
    // SAFETY: inside the control area and aligned (`word`), used as atomic u32 by this crate only, and valid as
    // long as `segment` is borrowed.
    unsafe { word(segment, side.offsets().asleep).cast().as_ref() }
}

/// The words that say who holds `side`.
pub(crate) fn signs(segment: &Segment, side: Side) -> LentSigns {
    let at = side.offsets();
    let words = LifeWords {
        alive: word(segment, at.alive).cast(),
        generation: word(segment, at.generation).cast(),
        pid: word(segment, at.pid).cast(),
        namespace: word(segment, at.namespace).cast(),
    };
    // SAFETY: inside the control area and aligned (`word`), used as atomics of their size by this crate only, and valid as
    // long as the segment, which is kept beside what is made of this (rule above). They are written in `End` only, which has
    // claimed the side.
    unsafe { LentSigns::new(words) }
}

/// The word of `side` that says how far the numbers of the messages have come.
pub(crate) fn number(segment: &Segment, side: Side) -> &Word {
    // SAFETY: inside the control area and aligned (`word`), used as atomic u64 by this crate only, and valid as
    // long as `segment` is borrowed.
    unsafe { word(segment, side.offsets().number).cast().as_ref() }
}

/// Address of a word of the control area; its offset is a multiple of the word's size, so it is aligned.
///
/// # Panics
///
/// If the segment's control area is not a ring's: `End::claim` admits no such segment.
fn word(segment: &Segment, offset: usize) -> NonNull<u8> {
    assert!(segment.shape().control_len == CONTROL_LEN as u64 && offset < CONTROL_LEN);
    // SAFETY: the control area has CONTROL_LEN bytes, more than `offset`: just checked.
    unsafe { segment.control().add(offset) }
}

/// A ring that is looked at, for [`Follower`](ringway_ring::spsc::Follower)s only.
pub(crate) fn observed(view: &View) -> ringway_ring::Lent {
    let (sender, receiver) = (Side::Sender.offsets(), Side::Receiver.offsets());
    let controls = ringway_ring::Controls {
        producer: seen(view, sender.position).cast(),
        consumer: seen(view, receiver.position).cast(),
        taken: seen(view, receiver.taken).cast(),
        claim: seen(view, sender.claim).cast(),
        oldest: seen(view, sender.oldest).cast(),
        sent: seen(view, sender.sent).cast(),
    };
    // SAFETY:
    // - the words are inside the control area and aligned (`seen`), and used as atomic u64 by everyone;
    // - `data` is page-aligned and shows the same `capacity` bytes twice (contract of `View::data`);
    // - the mapping lives as long as the view, which is kept beside what is made of this (rule above);
    // - it may be mapped for reading only: nothing but followers is made of the result, which do relaxed loads of 8 bytes,
    //   guaranteed to be no more than loads there, and make neither producers nor consumers nor slices.
    unsafe { ringway_ring::Lent::new(controls, view.data(), view.shape().capacity as usize) }
}

/// What the sender of a ring that is looked at has written down last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// How far it has come.
    pub(crate) position: u64,
    /// How many records it has sent up to there.
    pub(crate) sent: u64,
}

/// Both words, which may be of different times.
pub(crate) fn shown(view: &View) -> Shown {
    let position = seen_position(view, Side::Sender);
    Shown { position, sent: seen_word(view, Side::Sender.offsets().sent) }
}

/// How far `side` says that it has come, of a ring that is looked at.
pub(crate) fn seen_position(view: &View, side: Side) -> u64 {
    seen_word(view, side.offsets().position)
}

/// The 64-bit word at this offset of the control area of a ring that is looked at.
fn seen_word(view: &View, offset: usize) -> u64 {
    // SAFETY: an aligned word inside the control area (`seen`), valid as long as `view` is borrowed, accessed as an
    // atomic u64 by everyone. The page may be readable only: a relaxed load of 8 bytes at the most is guaranteed to be no
    // more than a load there.
    let found = unsafe { seen(view, offset).cast::<Word>().as_ref().load(Ordering::Relaxed) };
    // Acquire: pairs with the Release in `Producer::show`: what lies before the position is seen.
    fence(Ordering::Acquire);
    found
}

/// The 32-bit word at this offset of the control area of a ring that is looked at.
pub(crate) fn seen_flag(view: &View, offset: usize) -> u32 {
    // SAFETY: as in `seen_word`; accessed as an atomic u32 by everyone. Relaxed: what is seen is for people.
    unsafe { seen(view, offset).cast::<Flag>().as_ref().load(Ordering::Relaxed) }
}

/// Address of a word of the control area of a ring that is looked at; aligned as in `word`.
///
/// # Panics
///
/// If the control area is not a ring's: `inspect::admit` admits no such segment.
fn seen(view: &View, offset: usize) -> NonNull<u8> {
    assert!(view.shape().control_len == CONTROL_LEN as u64 && offset < CONTROL_LEN);
    // SAFETY: the control area has CONTROL_LEN bytes, more than `offset`: just checked.
    unsafe { view.control().add(offset) }
}
