//! How payloads get into a ring.
//!
//! The lines that a payload goes to are still in the other core's cache, from a lap ago. Three ways, by size:
//!
//! - [`Stores::Plain`]: copied. Its lines were touched or cleared ahead, or the consumer has taken them over and is done with
//!   them (see `Producer`).
//! - [`Stores::Touching`]: its lines are asked for in one burst, then copied to.
//! - [`Stores::Streaming`]: written past the caches, with non-temporal stores, which need no line from anybody; the consumer
//!   fetches them from memory. For payloads that no cache holds until they are read.

use core::ptr::NonNull;

use crate::{
    Mem,
    primitive::{Ordering, Word, compiler_fence},
    raw::Lent,
    spsc::Stores,
};

/// Copies a payload to its place.
///
/// # Safety
///
/// - `place` is aligned to 8, and valid for writes of so many bytes, rounded up to 8, that are initialised and that nobody
///   else reads or writes before they are handed over;
/// - it does not overlap `payload`.
#[inline(always)]
pub(super) unsafe fn into(place: NonNull<u8>, payload: &[u8], stores: Stores) {
    match stores {
        // SAFETY: valid and not overlapping (contract).
        Stores::Plain => unsafe { place.as_ptr().copy_from_nonoverlapping(payload.as_ptr(), payload.len()) },
        // SAFETY: the same contract.
        Stores::Touching => unsafe { touch(place, payload) },
        // SAFETY: the same contract.
        Stores::Streaming => unsafe { stream(place, payload) },
    }
}

/// Asks for all lines of the place, and copies.
///
/// # Safety
///
/// As for [`into`].
#[inline(never)]
unsafe fn touch(place: NonNull<u8>, payload: &[u8]) {
    for line in (0..payload.len()).step_by(Lent::LINE as usize) {
        // SAFETY: inside the place, which is valid for writes and initialised, and aligned, as lines are multiples of 8
        // (contract). Relaxed: it is written over at once.
        unsafe { place.add(line).cast::<Word>().as_ref().store(0, Ordering::Relaxed) };
    }
    // The copy may go over these stores through another image, where the compiler does not see that it does.
    compiler_fence();
    // SAFETY: valid and not overlapping (contract).
    unsafe { place.as_ptr().copy_from_nonoverlapping(payload.as_ptr(), payload.len()) };
}

/// Writes past the caches.
///
/// # Safety
///
/// As for [`into`].
#[cfg(target_arch = "x86_64")]
#[inline(never)]
unsafe fn stream(place: NonNull<u8>, payload: &[u8]) {
    use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si64, _mm_stream_si128};

    let head = place.as_ptr().align_offset(16).min(payload.len());
    let (head, rest) = payload.split_at(head);
    let blocks = rest.chunks_exact(64);
    let tail = blocks.remainder();
    // SAFETY:
    // - Everything goes as far from the beginning of the place as it lies from that of the payload, so it is valid for writes
    //   (contract).
    // - `head` is 0 or 8 bytes, or all of the payload and less than 16: to where the place is aligned to 16, as the blocks
    //   demand.
    // - SSE2 is part of the architecture. Nobody accesses what is streamed before the second fence (contract of `into`).
    unsafe {
        // Streaming stores may overtake the stores before them: a follower could see them before the claim (see `spsc`).
        _mm_sfence();
        match head.first_chunk() {
            Some(word) if head.len() == 8 => {
                _mm_stream_si64(place.as_ptr().cast(), i64::from_ne_bytes(*word))
            }
            _ => place.as_ptr().copy_from_nonoverlapping(head.as_ptr(), head.len()),
        }
        let mut to = place.as_ptr().add(head.len());
        for block in blocks {
            for part in (0..block.len()).step_by(size_of::<__m128i>()) {
                _mm_stream_si128(to.add(part).cast(), _mm_loadu_si128(block.as_ptr().add(part).cast()));
            }
            to = to.add(block.len());
        }
        to.copy_from_nonoverlapping(tail.as_ptr(), tail.len());
        // And the stores after them may overtake them: the consumer could see the header first.
        _mm_sfence();
    }
}

/// There are no such stores in this architecture's intrinsics: through the caches.
///
/// # Safety
///
/// As for [`into`].
#[cfg(not(target_arch = "x86_64"))]
unsafe fn stream(place: NonNull<u8>, payload: &[u8]) {
    // SAFETY: the same contract.
    unsafe { into(place, payload, Stores::Plain) }
}
