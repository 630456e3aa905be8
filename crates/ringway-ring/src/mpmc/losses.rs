//! What was lost: counted exactly once, whoever is killed while counting.
//!
//! A slot has a word `uses:32 count:32`: how many messages were lost with it, and with which of its uses the last of them. A message
//! is noted as lost *before* its slot's state changes: who finds it noted already, because another one was killed in between,
//! does not count it again. Who is killed after the note leaves a message that a sweep finds noted: it is gone, never put back.

use super::Pool;
use crate::primitive::Ordering;

const COUNT: u32 = 32;

/// Notes messages of a slot as lost, while `is_still` says that its state is the one by which they are. Asked *after* the look at
/// the word: whoever changed the state since has noted them there (a sweep that was faster), and has, if somebody has noted a
/// later loss over it.
pub(super) fn note<P: Pool>(pool: &P, slot: u32, uses: u64, messages: u32, is_still: impl Fn() -> bool) {
    let word = pool.losses(slot);
    // Acquire, here and below: pairs with the Release of a note of a later use: who has that sees a later state.
    let mut found = word.load(Ordering::Acquire);
    while !is_of(found, uses) && is_still() {
        let count = (found as u32).wrapping_add(messages);
        let noted = uses << COUNT | u64::from(count);
        // AcqRel: who comes from here to the slot's state has seen what was before.
        match word.compare_exchange(found, noted, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(now) => found = now,
        }
    }
}

/// Whether the messages of this use are noted as lost.
pub(super) fn is_noted<P: Pool>(pool: &P, slot: u32, uses: u64) -> bool {
    // Relaxed: ordered by the slot's state.
    is_of(pool.losses(slot).load(Ordering::Relaxed), uses)
}

fn is_of(word: u64, uses: u64) -> bool {
    word >> COUNT == uses & ((1 << COUNT) - 1) && word as u32 != 0
}

/// How many messages were lost since the queue's birth, modulo 2³² a slot: what a killed receiver held, if that does not come
/// again, and what was overwritten. It looks at every slot.
#[must_use]
pub fn lost<P: Pool>(pool: &P) -> u64 {
    // Relaxed: only an answer.
    (0..pool.slots()).map(|slot| u64::from(pool.losses(slot).load(Ordering::Relaxed) as u32)).sum()
}
