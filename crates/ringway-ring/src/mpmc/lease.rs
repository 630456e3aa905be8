//! Participants that come, leave and die; and the sweep.

use super::{
    Line, Pool, consumer, losses, survey,
    word::{State, Tag},
};
use crate::{
    Corrupt,
    primitive::{Common, Ordering, fence},
};

/// Bit of a lease: its line is held, or was by one that died.
const UNSWEPT: u64 = 1;

/// What becomes of a message that a dead participant had taken and not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It comes again: it goes back, behind all others.
    Again,
    /// It is lost, and counted.
    Lost,
}

/// How the caller's words say what is in a slot.
pub trait Notes {
    /// The note of what comes again.
    fn again(&self, note: u64) -> u64;

    /// How many messages are in a slot with this note that were not received. Its owner has stopped.
    fn messages(&self, slot: u32, note: u64) -> u32;
}

/// Bits, one a slot: how many words of 64 are enough for the slots.
///
/// ```
/// assert_eq!(ringway_ring::mpmc::scratch(65), 2);
/// ```
#[must_use]
pub const fn scratch(slots: u32) -> usize {
    slots.div_ceil(64) as usize
}

/// A sweep, by a participant, of what a line has left.
struct Sweep<'a, P, N> {
    pool: &'a P,
    notes: &'a N,
    sweeper: Line,
    line: Line,
    fate: Fate,
    /// A bit for each slot that a cell has.
    queued: &'a mut [u64],
}

/// Takes a line, for a participant that is its only holder: that its predecessor has stopped is the caller's proof. What is
/// left of that one is swept.
///
/// # Errors
///
/// If the memory holds what no participant writes.
///
/// # Panics
///
/// If `queued` has less than [`scratch`] words.
pub fn attach<P: Pool, N: Notes>(
    pool: &P,
    line: Line,
    fate: Fate,
    notes: &N,
    queued: &mut [u64],
) -> Result<(), Corrupt> {
    let lease = pool.lease(line);
    // Acquire: pairs with the Release of the sweep that ended the last one.
    let found = lease.load(Ordering::Acquire);
    // Release: pairs with the Acquire in `sweep`.
    lease.store((found & !UNSWEPT).wrapping_add(2) | UNSWEPT, Ordering::Release);
    // Release: pairs with the Acquire of a slot's state in `Sweep::slot` (R5): who sees a state of ours sees the lease.
    fence(Ordering::Release);
    if found & UNSWEPT != 0 {
        Sweep { pool, notes, sweeper: line, line, fate, queued }.all(|| true)?;
    }
    Ok(())
}

/// Gives a line up. What its holder has not given back (slots that were forgotten) is: loans unsent, messages as received.
///
/// # Errors
///
/// If the memory holds what no participant writes.
///
/// # Panics
///
/// If `queued` has less than [`scratch`] words.
pub fn detach<P: Pool, N: Notes>(pool: &P, line: Line, notes: &N, queued: &mut [u64]) -> Result<(), Corrupt> {
    for slot in 0..pool.slots() {
        let state = pool.state(slot);
        // Relaxed, both: the own word. Release: pairs with the Acquire in `Producer::loan`.
        let found = State(state.load(Ordering::Relaxed));
        if found.tag() == Some(Tag::Reading) && found.owner() == line {
            state.store(State::free(found.uses()).0, Ordering::Release);
        }
    }
    Sweep { pool, notes, sweeper: line, line, fate: Fate::Again, queued }.all(|| true)?;
    let lease = pool.lease(line);
    // Relaxed load: the own word. Release: pairs with the Acquire in `attach`.
    lease.store(lease.load(Ordering::Relaxed) & !UNSWEPT, Ordering::Release);
    Ok(())
}

/// Whether a line is held, or was by one that died and was not swept.
#[must_use]
pub fn is_unswept<P: Pool>(pool: &P, line: Line) -> bool {
    // Relaxed: only an answer.
    pool.lease(line).load(Ordering::Relaxed) & UNSWEPT != 0
}

/// Sweeps what a dead participant has left, if it is dead: `is_gone` says whether every thread of the line's last holder has
/// stopped, by the kernel's word. Lock-free. Any number may sweep at once, and be killed while they do. `true` if this one
/// came to the end: the line is swept.
///
/// # Errors
///
/// If the memory holds what no participant writes.
///
/// # Panics
///
/// If `queued` has less than [`scratch`] words.
pub fn sweep<P: Pool, N: Notes>(
    pool: &P,
    sweeper: Line,
    line: Line,
    fate: Fate,
    notes: &N,
    queued: &mut [u64],
    is_gone: impl FnOnce() -> bool,
) -> Result<bool, Corrupt> {
    let lease = pool.lease(line);
    // Acquire: pairs with the Release in `attach`. Before the proof: it is of this generation, or of an earlier one.
    let found = lease.load(Ordering::Acquire);
    if found & UNSWEPT == 0 || !is_gone() {
        return Ok(false);
    }
    // Relaxed: it comes behind the state's Acquire.
    let is_valid = || lease.load(Ordering::Relaxed) == found;
    let swept = Sweep { pool, notes, sweeper, line, fate, queued }.all(is_valid)?;
    // Release: pairs with the Acquire in `attach`.
    Ok(swept && lease.compare_exchange(found, found & !UNSWEPT, Ordering::Release, Ordering::Relaxed).is_ok())
}

impl<P: Pool, N: Notes> Sweep<'_, P, N> {
    /// `false` if somebody else has taken the line.
    fn all(self, is_valid: impl Fn() -> bool) -> Result<bool, Corrupt> {
        // Which of the line's slots were sent: a cell has them. The dead one fills no more, and one that is filled stays so until its
        // message is taken, which changes the slot's state. Acquire: pairs with the commit's Release: the state is as it was then, or
        // later.
        survey::mark_queued(self.pool, self.queued, Ordering::Acquire);
        for slot in 0..self.pool.slots() {
            if !self.slot(slot, &is_valid)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sweeps one slot; `false` if somebody else has taken the line.
    fn slot(&self, slot: u32, is_valid: &impl Fn() -> bool) -> Result<bool, Corrupt> {
        let state = self.pool.state(slot);
        loop {
            // Acquire: pairs, by way of the owner's fence, with the lease (A5 with R5), and with the Release in `reuse`.
            let found = State(state.load(Ordering::Acquire));
            if found.tag().is_none_or(|tag| tag == Tag::Free) || found.owner() != self.line {
                return Ok(true);
            }
            // Behind the load: who had the line before this state may have been another one.
            if !is_valid() {
                return Ok(false);
            }
            let uses = found.uses();
            let was_queued = survey::is_marked(self.queued, slot);
            match found.tag() {
                Some(Tag::Writing | Tag::Returning) if was_queued => return Ok(true),
                Some(Tag::Writing) => {
                    if change(state, found, State::free(uses + 1)) {
                        return Ok(true);
                    }
                }
                Some(Tag::Returning) => {
                    if let Some(done) = self.put_back(slot, found, uses + 1) {
                        return done;
                    }
                }
                Some(Tag::Reading) if self.is_lost(slot, found) => {
                    if change(state, found, State::free(uses)) {
                        return Ok(true);
                    }
                }
                Some(Tag::Reading) => {
                    if let Some(done) = self.put_back(slot, found, uses) {
                        return done;
                    }
                }
                Some(Tag::Free) | None => return Ok(true),
            }
        }
    }

    /// Whether what was being read is lost; then it is noted.
    fn is_lost(&self, slot: u32, found: State) -> bool {
        let uses = found.uses();
        if losses::is_noted(self.pool, slot, uses) {
            return true;
        }
        // Relaxed: its owner's last word, behind the proof.
        let messages = self.notes.messages(slot, self.pool.note(slot).load(Ordering::Relaxed));
        match (self.fate, messages) {
            (_, 0) => true,
            (Fate::Again, _) => false,
            (Fate::Lost, messages) => {
                // Relaxed: ordered by the note.
                let is_still = || self.pool.state(slot).load(Ordering::Relaxed) == found.0;
                losses::note(self.pool, slot, uses, messages, is_still);
                true
            }
        }
    }

    /// Puts a message back; `None` if somebody else was faster.
    fn put_back(&self, slot: u32, found: State, uses: u64) -> Option<Result<bool, Corrupt>> {
        let mine = State::new(uses, self.sweeper, Tag::Returning);
        if !change(self.pool.state(slot), found, mine) {
            return None;
        }
        // Relaxed: its last owner's word, behind the proof, or that of one who was killed while putting it back.
        let note = self.pool.note(slot).load(Ordering::Relaxed);
        Some(consumer::give(self.pool, slot, uses, self.notes.again(note)).map(|()| true))
    }
}

/// Decides every race of a sweep: with other sweeps, with takers.
fn change(state: &Common, from: State, to: State) -> bool {
    // Release: pairs with the Acquire in `Producer::loan`: what the dead one did, which the proof brought, comes before.
    state.compare_exchange(from.0, to.0, Ordering::Release, Ordering::Relaxed).is_ok()
}
