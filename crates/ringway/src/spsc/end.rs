//! What both ends have in common: the segment, the role, the life, the leaving.

use std::{
    fmt,
    path::PathBuf,
    process, thread,
    time::{Duration, Instant},
};

use ringway_ring::{
    Mem,
    slots::{self, Seen},
    spsc::{Follower, Look, Start},
};
use ringway_segment::{ClaimError, Segment};
use ringway_wait::{
    Life, Signs, Wait,
    alive::{Hold, died, pid_namespace},
    has_left,
    primitive::Ordering,
};

use super::Options;
use crate::{
    AttachError, Corrupt, Side,
    layout::{self, CONTROL_LEN},
    lend,
};

/// How long one who has said that it leaves, or has died, may take to give its role up.
const LEAVING: Duration = Duration::from_secs(1);

/// An end's hold on its ring: the role's lock, the words that say who holds it, the mapping.
pub(super) struct End {
    /// By which this process's death is told. Dropped before the segment: then nobody is there.
    life: Option<Hold>,
    /// `None` only once it has left.
    segment: Option<Segment>,
    side: Side,
    /// The process that held the side before, as it said itself, if it did not leave.
    dead: Option<u32>,
    /// How this end waits.
    pub(super) wait: Wait,
    /// Whether the ring's ends may sleep.
    pub(super) sleepers: bool,
    /// Whether nobody shall have what is pending.
    abandons: bool,
}

impl End {
    /// Claims `side` of a ring, to wait and to be watched over as `options` say.
    pub(super) fn claim(segment: Segment, side: Side, options: &Options) -> Result<Self, AttachError> {
        let shape = segment.shape();
        if shape.control_len != CONTROL_LEN as u64 {
            let path = segment.path().map(Into::into);
            return Err(AttachError::ControlArea { found: shape.control_len, path });
        }
        if shape.flags & !layout::flags(shape.kind) != 0 {
            let path = segment.path().map(Into::into);
            return Err(AttachError::Flags { found: shape.flags, known: layout::flags(shape.kind), path });
        }
        let sleepers = shape.flags & layout::FLAG_SLEEPLESS == 0;
        let wait = match (sleepers, options.wait) {
            (true, wait) => wait.unwrap_or_default(),
            (false, None | Some(Wait::Spin)) => Wait::Spin,
            (false, Some(Wait::Park { .. })) => {
                return refuse(segment, |path| AttachError::Sleepless { path });
            }
        };
        let patience = Instant::now() + LEAVING;
        loop {
            match segment.claim(side.role()) {
                Ok(()) => break,
                Err(ClaimError::Held { .. }) => {
                    if has_left(lend::asleep(&segment, side)) && Instant::now() < patience {
                        thread::sleep(Duration::from_micros(100));
                        continue;
                    }
                    // Relaxed: for people.
                    let pid = lend::signs(&segment, side).pid().load(Ordering::Relaxed);
                    return refuse(segment, |path| AttachError::Held { side, pid, path });
                }
                Err(error) => return refuse(segment, |_| AttachError::Claim(error)),
            }
        }
        let signs = lend::signs(&segment, side);
        // Relaxed, both: the lock is proof that their last writer has stopped.
        let pid = signs.pid().load(Ordering::Relaxed);
        let dead = (pid != 0 || died(signs.alive().load(Ordering::Relaxed))).then_some(pid);
        let backing = segment.backing().filter(|_| options.keeper);
        let hold = || {
            let held = backing.map(|backing| {
                let offset = backing.control + side.offsets().alive as u64;
                Hold::new(backing.file, offset, backing.sealed)
            });
            held.transpose()
        };
        match ringway_wait::take(&signs, process::id(), pid_namespace(), hold) {
            Ok(life) => {
                Ok(Self { life, segment: Some(segment), side, dead, wait, sleepers, abandons: false })
            }
            Err(source) => refuse(segment, |path| AttachError::Keeper { source, path }),
        }
    }

    /// The wait words, as this end sees them.
    pub(super) fn words(&self) -> ringway_wait::Lent {
        let peer = self.side.other();
        let is_held = || self.segment().is_held(peer.role()).unwrap_or(true);
        let life = Life::new(lend::signs(self.segment(), peer), is_held);
        lend::words(self.segment(), self.side, life)
    }

    /// What to say of a ring that is not as a correct peer leaves it.
    pub(super) fn corrupt(&self, corrupt: Corrupt) -> AttachError {
        AttachError::Corrupt { corrupt, path: self.segment().path().map(Into::into) }
    }

    pub(super) fn segment(&self) -> &Segment {
        self.segment.as_ref().expect("who has left does not look back")
    }

    /// Says that nobody holds the side any more.
    fn nobody(&self, segment: &Segment) {
        let signs = lend::signs(segment, self.side);
        // Relaxed: for people, and for a pidfd, of which only the end is believed.
        signs.pid().store(0, Ordering::Relaxed);
        signs.namespace().store(0, Ordering::Relaxed);
    }

    /// Leaves, after closing. A name goes with the last to leave if the receiver has left and nothing is pending.
    ///
    /// That is asked once this process is known to be alone with the segment; before, the answer could still
    /// change, and both ends leaving at once could each leave the name to the other.
    ///
    /// `died`: whether the peer is known to have died. The kernel says so before it has taken everything from the dead one; a name
    /// is worth waiting for that, for it would be left behind.
    pub(super) fn leave(&mut self, died: bool, receiver_left: impl FnOnce() -> bool) {
        self.life = None;
        if died {
            self.await_proof();
        }
        if let Some(segment) = self.segment.take().filter(Segment::is_ours) {
            self.nobody(&segment);
            segment.leave(|segment| self.abandons || receiver_left() && is_drained(segment));
        }
    }

    /// Waits until nobody holds the other side of a ring with a name, for a while.
    fn await_proof(&self) {
        let Some(segment) = self.segment.as_ref().filter(|segment| segment.path().is_some()) else { return };
        let patience = Instant::now() + LEAVING;
        while segment.is_held(self.side.other().role()).unwrap_or(false) && Instant::now() < patience {
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Lets the name go with the last to leave, whatever is pending.
    pub(super) fn abandon(&mut self) {
        self.abandons = true;
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("segment", &self.segment)
            .field("wait", &self.wait)
            .field("keeper", &self.life.is_some())
            .finish_non_exhaustive()
    }
}

/// An end that was claimed and could not be used leaves as it came: where one had died that did not leave, its death is still to
/// be told, and one who waits for it will not be told by anybody else.
impl Drop for End {
    fn drop(&mut self) {
        self.life = None;
        if let Some(segment) = self.segment.take().filter(Segment::is_ours) {
            self.nobody(&segment);
            if let Some(pid) = self.dead {
                ringway_wait::mark(&lend::signs(&segment, self.side), pid);
            }
            part(segment);
        }
    }
}

/// Parts from a segment of which no end was had, for the reason that `why` makes of the name's file.
///
/// Whoever left in the meantime was not the last to leave: so we may be.
pub(super) fn refuse<T>(
    segment: Segment,
    why: impl FnOnce(Option<PathBuf>) -> AttachError,
) -> Result<T, AttachError> {
    let path = segment.path().map(Into::into);
    part(segment);
    Err(why(path))
}

fn part(segment: Segment) {
    segment.leave(|segment| {
        // One whose control area is not a ring's has no words to look at; its name is not ours to take.
        let is_ring = segment.shape().control_len == CONTROL_LEN as u64;
        is_ring && has_left(lend::asleep(segment, Side::Receiver)) && is_drained(segment)
    });
}

/// Whether there is nothing to receive.
fn is_drained(segment: &Segment) -> bool {
    let (ring, shape) = (lend::ring(segment), segment.shape());
    if shape.kind == layout::KIND_SLOTS {
        // Relaxed: who is alone with the segment comes after all that the others did.
        let [producer, consumer] = [ringway_ring::Side::Producer, ringway_ring::Side::Consumer]
            .map(|side| ring.position(side).load(ringway_ring::primitive::Ordering::Relaxed));
        let seen = slots::look(producer, consumer, shape.detail, shape.capacity);
        return matches!(seen, Some(Seen { pending: 0, .. }));
    }
    // Of a ring that is overwritten the receiver's position may be no record's any more: then something is left.
    let mut follower = Follower::new(ring, Start::Unread);
    follower.as_mut().is_ok_and(|follower| matches!(follower.look(), Look::Empty | Look::Closed))
}
