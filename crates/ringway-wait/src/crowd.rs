//! Which of many are alive.
//!
//! # Lines
//!
//! Of the processes that share something each has a *line*, [`LINES`] of them at the most, with the four words of a side
//! ([`Signs`]) of its own. They are taken and left as a side is, and mean the same: what is at the top of the module of
//! [`Life`](crate::Life) holds here, line by line, but for what follows.
//!
//! - *Who is there* is said by a mask of the caller's: the lines that somebody has, the dead among them, until they have been swept.
//!   A holder that was dead already when this process came is news, too: somebody has to sweep.
//! - *News is no proof.* [`Crowd::dying`] names lines whose holder's word is marked, or whose process has ended. Nothing
//!   of theirs is anybody's before the line's lock is free, which the kernel frees last and for which it wakes nobody. A line
//!   whose mark is there and whose proof is not ends sleeps early: after a millisecond, then after two, four, up to twenty,
//!   for a lock that a forked child has may stay for long.
//! - *All sleep on all words.* A sleeper sleeps on the `alive` words of all lines that are there, and on a private word for each process
//!   that is watched: with the bell 123 words at the most, of the 128 that the kernel takes.
//! - *The kernel wakes one.* Of all that sleep on an `alive` word one is woken by the mark. So **who has heard of a death looks
//!   at all lines, sweeps, and then calls [`Event::notify_all`](crate::Event::notify_all) on every event**. If it is killed before
//!   that, its own death is heard of, and the dead one's mark is there still. If it is stopped, the others have the second source: the
//!   keeper of each process wakes all threads of it when a watched process has ended.
//! - *Nor can a newcomer be missed.* It takes its line, then says that it is there, and then calls `notify_all`. A sleeper
//!   asks who is there after it has said that it sleeps: either it sees the newcomer, or the newcomer's ring ends the sleep.
//!   One that dies in between has done nothing yet that anybody waits for.
//! - *No allocation.* What a sleeper sleeps on lies on its stack. The processes that are watched are shared by all threads, behind a
//!   lock that nobody has while asleep, and that only those wait for who are about to sleep.

use core::{fmt, time::Duration};
use std::{
    sync::{Arc, PoisonError, TryLockError},
    time::Instant,
};

use crate::{
    Signs, alive,
    life::{BLIND, Watched, generation, marked, sooner},
    primitive::{Futex, Mutex, Ordering, wait_any},
};

/// How many processes can share an event: as many as there are bits of a mask, less two that are free for its owner's use.
pub const LINES: usize = 62;

/// A bell, and for each line but the own one its word and its process.
const WORDS: usize = 1 + 2 * (LINES - 1);

/// The process of a line, if it is watched.
type Slot<S> = Option<Arc<Watched<<S as Signs>::Watch>>>;

/// The holders of all lines, as one process sees them; shared by its threads.
pub struct Crowd<S: Signs> {
    lines: Vec<S>,
    /// All lines but the own one.
    others: u64,
    watched: Mutex<Vec<Slot<S>>>,
}

impl<S: Signs> Crowd<S> {
    /// Of these lines, of which `mine` is this process's. Without any nobody's death is heard of.
    ///
    /// # Panics
    ///
    /// If there are more than [`LINES`].
    #[must_use]
    pub fn new(lines: Vec<S>, mine: usize) -> Self {
        assert!(lines.len() <= LINES, "{} lines, of which there can be {LINES}", lines.len());
        let others = !(u64::MAX << lines.len()) & !(1 << mine);
        let watched = lines.iter().map(|_| None).collect();
        Self { lines, others, watched: Mutex::new(watched) }
    }

    /// Sees to it that the process of each line that is `present` will be known to have ended even if it has no keeper. Every
    /// sleep does this; who only spins, or looks now and then, has to ask for it.
    pub fn watch(&self, present: u64) {
        self.with_watched(present, |_| ());
    }

    fn with_watched<T>(&self, present: u64, use_it: impl FnOnce(&[Slot<S>]) -> T) -> T {
        // Nothing in it is ever half done where there could be a panic.
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines_of(self.others) {
            let slot = &mut watched[line];
            if present & 1 << line == 0 {
                *slot = None;
                continue;
            }
            let signs = &self.lines[line];
            let generation = generation(signs);
            if slot.as_ref().is_none_or(|watched| watched.generation != generation) {
                *slot = Some(Arc::new(Watched::new(signs, generation, true)));
            }
        }
        use_it(&watched)
    }

    /// Which of the lines that are `present` have a holder that has died, as far as is known: a few loads each, and no waiting.
    /// Who is told of a mark sees all that the dead one did.
    ///
    /// A process that has ended, and could not be marked, may be told of at the next look only, while another thread looks.
    #[must_use]
    pub fn dying(&self, present: u64) -> u64 {
        let present = present & self.others;
        let dying = lines_where(present, |line| marked(&self.lines[line]).is_some());
        if dying == present {
            return dying;
        }
        let watched = match self.watched.try_lock() {
            Ok(watched) => watched,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return dying,
        };
        let has_ended = |watched: &Arc<Watched<S::Watch>>, line: usize| {
            watched.ended::<S>(generation(&self.lines[line])).is_some()
        };
        dying
            | lines_where(present & !dying, |line| {
                watched[line].as_ref().is_some_and(|watched| has_ended(watched, line))
            })
    }

    /// The process that has a line, as it says itself; 0 if it has said nothing, or if there is no such line.
    #[must_use]
    pub fn pid(&self, line: usize) -> u32 {
        // Relaxed: for people.
        self.lines.get(line).map_or(0, |signs| signs.pid().load(Ordering::Relaxed))
    }

    /// What a sleep is to end for, as it is now: to be asked for before the look that the sleep follows.
    #[must_use]
    pub fn arm(&self, present: u64) -> Armed<'_, S> {
        let present = present & self.others;
        let mut armed = Armed {
            crowd: self,
            present,
            alive: [0; LINES],
            watched: [const { None }; LINES],
            unproven: false,
        };
        if self.others == 0 {
            return armed;
        }
        self.with_watched(present, |watched| {
            lines_of(present).for_each(|line| armed.watched[line].clone_from(&watched[line]));
        });
        for line in lines_of(present) {
            // Relaxed: it is compared by the kernel; the looks that follow load it themselves.
            armed.alive[line] = self.lines[line].alive().load(Ordering::Relaxed);
            let of = generation(&self.lines[line]);
            let ended = armed.watched[line].take_if(|watched| watched.ended::<S>(of).is_some()).is_some();
            armed.unproven |= ended || alive::died(armed.alive[line]);
        }
        armed
    }
}

impl<S: Signs> fmt::Debug for Crowd<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crowd").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

/// What a sleep is to end for; see [`Crowd::arm`].
pub struct Armed<'a, S: Signs> {
    crowd: &'a Crowd<S>,
    present: u64,
    /// Of each line that is present.
    alive: [u32; LINES],
    /// Of each line that is present, but for those that are known to have ended: a word that says so would end every sleep.
    watched: [Slot<S>; LINES],
    unproven: bool,
}

impl<S: Signs> Armed<'_, S> {
    /// Whether a line is dying: then the sleep should be short, for nobody wakes who waits for the proof.
    pub(crate) fn unproven(&self) -> bool {
        self.unproven
    }

    /// Sleeps while `bell` is as given and nothing has changed since this was made; or until the deadline.
    pub(crate) fn sleep(&self, bell: &Futex, rung: u32, deadline: Option<Instant>) {
        if self.present == 0 {
            return bell.wait(rung, deadline);
        }
        let alive =
            lines_of(self.present).map(|line| self.crowd.lines[line].alive().awaited(self.alive[line]));
        let ends = self.watched.iter().flatten().filter_map(|watched| watched.end::<S>());
        if !wait_any::<WORDS>([bell.awaited(rung)].into_iter().chain(alive).chain(ends), deadline) {
            bell.wait(rung, Some(sooner(deadline, BLIND)));
        }
    }
}

impl<S: Signs> fmt::Debug for Armed<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Armed").field("unproven", &self.unproven).finish_non_exhaustive()
    }
}

/// How long somebody sleeps who waits for the proof of a death: ever longer.
#[derive(Debug)]
pub(crate) struct Patience(Duration);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(Duration::from_millis(1))
    }

    pub(crate) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (2 * now).min(BLIND);
        now
    }
}

/// The lines of a mask, from the lowest on.
pub(crate) fn lines_of(mask: u64) -> impl Iterator<Item = usize> {
    let mut left = mask;
    core::iter::from_fn(move || {
        let line = (left != 0).then(|| left.trailing_zeros() as usize);
        // Of a mask that is not empty it takes the lowest bit away.
        left &= left.wrapping_sub(1);
        line
    })
}

/// Those lines of a mask of which it is so.
fn lines_where(mask: u64, is_so: impl Fn(usize) -> bool) -> u64 {
    lines_of(mask).filter(|&line| is_so(line)).fold(0, |found, line| found | 1 << line)
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_mask_are_its_bits() {
        assert_eq!(lines_of(0).count(), 0);
        assert_eq!(lines_of(1 << 63 | 0b101).collect::<Vec<_>>(), [0, 2, 63]);
        assert_eq!(lines_where(0b1101, |line| line != 2), 0b1001);
    }

    #[test]
    fn patience_grows_to_its_bound() {
        let mut patience = Patience::new();
        let waits: Vec<_> = (0..7).map(|_| patience.next().as_millis()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 20, 20]);
    }
}
