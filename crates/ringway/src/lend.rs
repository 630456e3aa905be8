//! Lends a segment's memory to the ring and the bells: the one room of this crate with unsafe code.
//!
//! One rule: whoever keeps what is lent here keeps the segment beside it, and drops the segment last. Of a segment that is
//! only looked at nothing is lent: its words come out as values.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use ringway_ring::primitive::Word;
use ringway_segment::{Segment, View};
use ringway_wait::{
    SideWords,
    primitive::{Flag, Ordering},
};

use crate::{Side, layout::CONTROL_LEN};

/// The ring, for the holder of a side.
pub(crate) fn ring(segment: &Segment) -> ringway_ring::Lent {
    let (sender, receiver) = (Side::Sender.offsets(), Side::Receiver.offsets());
    let controls = ringway_ring::Controls {
        producer: word(segment, sender.position).cast(),
        consumer: word(segment, receiver.position).cast(),
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

/// The wait words, as `side` sees them.
pub(crate) fn words(segment: &Segment, side: Side) -> ringway_wait::Lent {
    let of = |side: Side| {
        let at = side.offsets();
        SideWords {
            asleep: word(segment, at.asleep).cast(),
            bell: word(segment, at.bell).cast(),
            processor: word(segment, at.processor).cast(),
        }
    };
    // SAFETY: inside the control area and aligned (`word`), used as atomic u32 by this crate only, and valid as
    // long as the segment, which is kept beside what is made of this (rule above).
    unsafe { ringway_wait::Lent::new(of(side), of(side.other())) }
}

/// The word that says whether `side` sleeps or has left.
pub(crate) fn asleep(segment: &Segment, side: Side) -> &Flag {
    // SAFETY: inside the control area and aligned (`word`), used as atomic u32 by this crate only, and valid as
    // long as `segment` is borrowed.
    unsafe { word(segment, side.offsets().asleep).cast().as_ref() }
}

/// The word that names the process that holds `side`.
pub(crate) fn alive(segment: &Segment, side: Side) -> &Flag {
    // SAFETY: inside the control area and aligned (`word`), used as atomic u32 by this crate only, and valid as
    // long as `segment` is borrowed.
    unsafe { word(segment, side.offsets().alive).cast().as_ref() }
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

/// How far `side` says that it has come, of a ring that is looked at.
pub(crate) fn seen_position(view: &View, side: Side) -> u64 {
    // SAFETY: an aligned word inside the control area (`seen`), valid as long as `view` is borrowed, accessed as an
    // atomic u64 by everyone. The page may be readable only: a relaxed load of 8 bytes at the most is guaranteed to be no
    // more than a load there. Relaxed: what is seen is for people.
    unsafe { seen(view, side.offsets().position).cast::<Word>().as_ref().load(Ordering::Relaxed) }
}

/// The 32-bit word at this offset of the control area of a ring that is looked at.
pub(crate) fn seen_flag(view: &View, offset: usize) -> u32 {
    // SAFETY: as in `seen_position`; accessed as an atomic u32 by everyone.
    unsafe { seen(view, offset).cast::<Flag>().as_ref().load(Ordering::Relaxed) }
}

/// What lies where the record at this position has its header, of a ring that is looked at.
pub(crate) fn seen_header(view: &View, position: u64) -> u64 {
    let place = position & (view.shape().capacity - 1) & !7;
    // SAFETY: less than the capacity, a power of two of 8 at least, and a multiple of 8: inside the data, which is aligned
    // to a page. Others access it as an atomic u64 or, if it is not a header now, as payload of theirs: then it says
    // nothing, and no more than a load is done. The rest as in `seen_position`.
    unsafe { view.data().add(place as usize).cast::<Word>().as_ref().load(Ordering::Relaxed) }
}

/// Address of a word of the control area of a ring that is looked at; aligned as in `word`.
///
/// # Panics
///
/// If the control area is not a ring's: `inspect` admits no such segment.
fn seen(view: &View, offset: usize) -> NonNull<u8> {
    assert!(view.shape().control_len == CONTROL_LEN as u64 && offset < CONTROL_LEN);
    // SAFETY: the control area has CONTROL_LEN bytes, more than `offset`: just checked.
    unsafe { view.control().add(offset) }
}
