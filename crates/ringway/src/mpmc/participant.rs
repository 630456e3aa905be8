//! A process's part in a queue: its line, from coming to leaving; and what it does about others that have died.
//!
//! # Coming
//!
//! 1. The lock of a line that nobody has: it is proof that every thread of its last holder has stopped, and keeps others out.
//! 2. The line's bit in *attached*. From now on a kill leaves something that others look at.
//! 3. If its last holder died: the bits that say it sends, or receives, are taken off.
//! 4. The words of its life ([`ringway_wait::take`]).
//! 5. The lease, and what is left of the last holder's slots ([`mpmc::attach`]).
//! 6. Others that have died are swept, and all who sleep are woken: they have one more to watch.
//!
//! # Leaving
//!
//! Ends say that they leave when the last one of a side is dropped (`ends.rs`). The process, when the last end is: slots that were
//! forgotten go back, the lease ends, the words of life, the bit in *attached*, and last the lock.
//!
//! # Death
//!
//! Who finds nothing to receive, or no slot, looks whether somebody is dying ([`Crowd::dying`]), and if so:
//!
//! 1. On proof that its lock is free: sweeps its slots. Any number may do so at once.
//! 2. Takes the line's lock, for a moment; if the line is swept, takes its bits off, and what marks it as dead, and gives the lock
//!    back. Who comes later and finds the lock taken is too late, and looks again.
//! 3. Wakes all who sleep: what they sleep for may have become true, and what the dead one was to wake them for.
//!
//! A kill within 1 or 2 leaves the bit in *attached*, and the next one begins again. After 2: the death of the one that was killed
//! is heard of, and 3 is done for that.

use std::{
    fmt,
    path::PathBuf,
    process,
    sync::{Arc, OnceLock},
};

use ringway_ring::{
    Corrupt, LentPool,
    mpmc::{self, Fate, Line, scratch},
    primitive::{Common, Counter, Ordering},
};
use ringway_segment::{ClaimError, Role, Segment};
use ringway_wait::{
    Crowd, Event, LentEvent, LentSigns, Signs, Wait,
    alive::{Hold, pid_namespace},
    primitive,
};

use super::census::Census;
use crate::{
    AttachError, Side,
    layout::{
        self,
        queue::{self, LINES, shared},
    },
    lend,
};

/// A process's part in a queue, shared by its ends.
pub(super) struct Participant {
    /// By which this process's death is told.
    life: Option<Hold>,
    pub(super) pool: LentPool,
    pub(super) line: Line,
    /// That there is a message.
    pub(super) items: Event<LentEvent>,
    /// That there is a free slot.
    pub(super) room: Event<LentEvent>,
    pub(super) crowd: Crowd<LentSigns>,
    /// Numbers of its sending ends.
    pub(super) ends: Counter,
    /// Whether its ends wait for others when all on the other side have gone.
    pub(super) stays: bool,
    /// What no correct peer writes, once it was met.
    poison: OnceLock<Corrupt>,
    /// `None` only once it has left. Dropped last: all others use its memory.
    segment: Option<Segment>,
}

/// How a process takes part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) wait: Option<Wait>,
    pub(super) keeper: bool,
    /// Whether its ends wait for others when all on the other side have gone.
    pub(super) stays: bool,
    /// The lock of an end that is the only one of its side.
    pub(super) sole: Option<(Side, Role)>,
}

impl Participant {
    /// Takes a line of the queue in this segment, whose shape was checked.
    pub(super) fn come(segment: Segment, terms: Terms) -> Result<Arc<Self>, AttachError> {
        let flags = segment.shape().flags;
        let wait = match (flags & layout::FLAG_SLEEPLESS == 0, terms.wait) {
            (true, wait) => wait.unwrap_or_default(),
            (false, None | Some(Wait::Spin)) => Wait::Spin,
            (false, Some(Wait::Park { .. })) => {
                return refuse(segment, |path| AttachError::Sleepless { path });
            }
        };
        if let Some((side, role)) = terms.sole {
            match segment.claim(role) {
                Ok(()) => {}
                Err(ClaimError::Held { .. }) => {
                    return refuse(segment, |path| AttachError::Held { side, pid: 0, path });
                }
                Err(error) => return refuse(segment, |_| AttachError::Claim(error)),
            }
        }
        let line = match free_line(&segment) {
            Ok(Some(line)) => line,
            Ok(None) => return refuse(segment, |path| AttachError::NoLine { lines: LINES, path }),
            Err(error) => return refuse(segment, |_| AttachError::Claim(error)),
        };
        let then = ends(&segment);
        set(lend::queue::common(&segment, shared::ATTACHED), 1 << line.0);
        strike_off(&segment, line, then);
        let backing = segment.backing().filter(|_| terms.keeper);
        let hold = || {
            let held = backing.map(|backing| {
                let offset = backing.control + queue::line(line.0).alive as u64;
                Hold::new(backing.file, offset, backing.sealed)
            });
            held.transpose()
        };
        let signs = lend::queue::signs(&segment, line.0);
        let life = match ringway_wait::take(&signs, process::id(), pid_namespace(), hold) {
            Ok(life) => life,
            Err(source) => {
                if !mpmc::is_unswept(&lend::queue::pool(&segment), line) {
                    clear(lend::queue::common(&segment, shared::ATTACHED), 1 << line.0);
                }
                return refuse(segment, |path| AttachError::Keeper { source, path });
            }
        };
        let pool = lend::queue::pool(&segment);
        let attached =
            mpmc::attach(&pool, line, fate(flags), &pool, &mut vec![0; scratch(pool.extent().slots)]);
        let event = |of| Event::attach(lend::queue::event(&segment, of), line.0.into(), wait);
        let signs = (0..LINES).map(|line| lend::queue::signs(&segment, line)).collect();
        let it = Self {
            life,
            pool,
            line,
            items: event(lend::queue::Of::Items),
            room: event(lend::queue::Of::Room),
            crowd: Crowd::new(signs, line.0.into()),
            ends: Counter::new(),
            stays: terms.stays,
            poison: OnceLock::new(),
            segment: Some(segment),
        };
        attached.map_err(|corrupt| it.corrupt(corrupt))?;
        it.bury_all((0..LINES).map(Line).filter(|&line| it.is_left_by_the_dead(line)));
        it.wake_all();
        Ok(Arc::new(it))
    }

    /// The segment.
    pub(super) fn segment(&self) -> &Segment {
        self.segment.as_ref().expect("who has left does not look back")
    }

    /// Who sends.
    #[inline(always)]
    pub(super) fn senders(&self) -> Census<'_> {
        Census(self.common(shared::SENDERS))
    }

    /// Who receives.
    #[inline(always)]
    pub(super) fn receivers(&self) -> Census<'_> {
        Census(self.common(shared::RECEIVERS))
    }

    /// A word that all share.
    #[inline(always)]
    pub(super) fn common(&self, offset: usize) -> &Common {
        lend::queue::common(self.segment(), offset)
    }

    /// The lines that are taken.
    pub(super) fn present(&self) -> u64 {
        // Acquire: pairs with the Release in `set`.
        self.common(shared::ATTACHED).load(Ordering::Acquire)
    }

    /// Whether messages that are not received by a dead receiver's successor are lost.
    pub(super) fn flags(&self) -> u32 {
        self.segment().shape().flags
    }

    /// What poisoned this process's ends, if anything did.
    #[inline(always)]
    pub(super) fn corruption(&self) -> Option<Corrupt> {
        self.poison.get().copied()
    }

    /// Poisons this process's ends. Those of its threads that sleep hear of it.
    #[cold]
    pub(super) fn poison(&self, corrupt: Corrupt) -> Corrupt {
        if self.poison.set(corrupt).is_ok() {
            self.wake_all();
        }
        self.corruption().unwrap_or(corrupt)
    }

    fn corrupt(&self, corrupt: Corrupt) -> AttachError {
        AttachError::Corrupt { corrupt, path: self.segment().path().map(Into::into) }
    }

    /// Does what is to be done about those that have died, as far as it is proved.
    #[cold]
    #[inline(never)]
    pub(super) fn recover(&self) {
        let dying = self.crowd.dying(self.present());
        if dying != 0 {
            self.bury_all((0..LINES).map(Line).filter(|line| dying & 1 << line.0 != 0));
        }
    }

    fn bury_all(&self, lines: impl Iterator<Item = Line>) {
        // Each of them, whatever became of the one before.
        if lines.filter(|&line| self.bury(line)).count() > 0 {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        self.items.notify_all();
        self.room.notify_all();
    }

    /// Whether a line is not this process's, and nobody's who lives, but has something.
    fn is_left_by_the_dead(&self, line: Line) -> bool {
        let taken = self.present() & 1 << line.0 != 0 || mpmc::is_unswept(&self.pool, line);
        line != self.line && taken && self.is_gone(line)
    }

    fn is_gone(&self, line: Line) -> bool {
        !self.segment().is_held(queue::role(line.0)).unwrap_or(true)
    }

    /// Sweeps what a dead one has left and takes its line from it; says whether that came to its end.
    fn bury(&self, line: Line) -> bool {
        let segment = self.segment();
        let mut queued = vec![0; scratch(self.pool.extent().slots)];
        let is_gone = || self.is_gone(line);
        let swept =
            mpmc::sweep(&self.pool, self.line, line, fate(self.flags()), &self.pool, &mut queued, is_gone);
        if let Err(corrupt) = swept {
            self.poison(corrupt);
            return false;
        }
        let role = queue::role(line.0);
        let signs = lend::queue::signs(segment, line.0);
        // Acquire, here and below: pairs with the Release in `ringway_wait::take`.
        let generation = signs.generation().load(primitive::Ordering::Acquire);
        if !self.is_gone(line) {
            return false;
        }
        // Behind the proof, and before the lock: who leaves, and finds the lock taken by this one, is among them.
        let mut then = ends(segment);
        if mpmc::is_unswept(&self.pool, line) || segment.claim(role).is_err() {
            return false;
        }
        if signs.generation().load(primitive::Ordering::Acquire) != generation {
            then = ends(segment);
        }
        // It may have been taken since, and left in the same way.
        let swept = !mpmc::is_unswept(&self.pool, line);
        if swept {
            strike_off(segment, line, then);
            self.items.forget(line.0.into());
            self.room.forget(line.0.into());
            // Relaxed: for people. Release: pairs with the Acquire of who takes it for dead.
            signs.pid().store(0, primitive::Ordering::Relaxed);
            signs.alive().store(0, primitive::Ordering::Release);
            clear(self.common(shared::ATTACHED), 1 << line.0);
        }
        segment.give_up(role);
        swept
    }
}

/// What becomes of what a dead receiver had taken.
fn fate(flags: u32) -> Fate {
    if flags & queue::FLAG_AT_MOST_ONCE == 0 { Fate::Again } else { Fate::Lost }
}

/// Claims a line that nobody has.
fn free_line(segment: &Segment) -> Result<Option<Line>, ClaimError> {
    for line in 0..LINES {
        match segment.claim(queue::role(line)) {
            Ok(()) => return Ok(Some(Line(line))),
            Err(ClaimError::Held { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The lines that send, and those that receive.
fn ends(segment: &Segment) -> [u64; 2] {
    [shared::SENDERS, shared::RECEIVERS].map(|side| Census(lend::queue::common(segment, side)).lines())
}

/// A dead one neither sends nor receives. The caller has the line's lock. `then`: the [ends] that there were at some instant behind
/// the death.
fn strike_off(segment: &Segment, line: Line, then: [u64; 2]) {
    // Relaxed: for people.
    let pid = u64::from(lend::queue::signs(segment, line.0).pid().load(primitive::Ordering::Relaxed));
    let sides = [(shared::SENDERS, shared::DEAD_SENDER), (shared::RECEIVERS, shared::DEAD_RECEIVER)];
    for ((census, dead), then) in sides.into_iter().zip(then) {
        let census = Census(lend::queue::common(segment, census));
        if census.lines() & 1 << line.0 != 0 {
            // Relaxed: for people; ordered by what follows.
            lend::queue::common(segment, dead).store(pid, Ordering::Relaxed);
            census.lost(line, then);
        }
    }
}

fn set(word: &Common, bit: u64) {
    change(word, |old| old | bit);
}

fn clear(word: &Common, bit: u64) {
    change(word, |old| old & !bit);
}

fn change(word: &Common, to: impl Fn(u64) -> u64) {
    // Relaxed: the exchange is what counts.
    let mut old = word.load(Ordering::Relaxed);
    // Release: pairs with the Acquire in `present`.
    while let Err(now) = word.compare_exchange(old, to(old), Ordering::Release, Ordering::Relaxed) {
        old = now;
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        let Some(segment) = self.segment.take_if(|segment| segment.is_ours()) else {
            // A copy in a forked child holds nothing.
            return;
        };
        // Of memory that makes no sense nothing is given back.
        let _ =
            mpmc::detach(&self.pool, self.line, &self.pool, &mut vec![0; scratch(self.pool.extent().slots)]);
        // What was forgotten is there again; while this process's death would still be heard of.
        self.wake_all();
        self.life = None;
        let signs = lend::queue::signs(&segment, self.line.0);
        // Relaxed: for people, and for a pidfd, of which only the end is believed.
        signs.pid().store(0, primitive::Ordering::Relaxed);
        signs.namespace().store(0, primitive::Ordering::Relaxed);
        clear(lend::queue::common(&segment, shared::ATTACHED), 1 << self.line.0);
        segment.leave(is_drained);
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("line", &self.line.0)
            .field("segment", &self.segment)
            .field("keeper", &self.life.is_some())
            .finish_non_exhaustive()
    }
}

/// Parts from a segment in which no part was had, for the reason that `why` makes of the name's file.
pub(super) fn refuse<T>(
    segment: Segment,
    why: impl FnOnce(Option<PathBuf>) -> AttachError,
) -> Result<T, AttachError> {
    let path = segment.path().map(Into::into);
    segment.leave(|segment| queue::extent(&segment.shape()).is_some() && is_drained(segment));
    Err(why(path))
}

/// Whether a queue that nobody is attached to has no message, be it one that a dead receiver had.
fn is_drained(segment: &Segment) -> bool {
    let pool = lend::queue::pool(segment);
    let mut drained = true;
    mpmc::survey(&pool, &mut vec![0; scratch(pool.extent().slots)], |_, state, queued| {
        drained &= !queued && !matches!(state.tag(), Some(mpmc::Tag::Reading | mpmc::Tag::Returning));
    });
    drained
}
