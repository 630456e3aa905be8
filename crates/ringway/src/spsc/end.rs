//! What both ends have in common: the segment, the role, the leaving.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ringway_ring::{
    Mem,
    slots::{self, Seen},
    spsc::{Follower, Look, Start},
};
use ringway_segment::{ClaimError, Segment};
use ringway_wait::{Wait, has_left, primitive::Ordering};

use crate::{
    AttachError, Corrupt, Side,
    layout::{self, CONTROL_LEN},
    lend,
};

/// How long one who has said that it leaves may take to give its role up.
const LEAVING: Duration = Duration::from_secs(1);

/// An end's hold on its ring: the role's lock, the process in the `alive` word, the mapping.
#[derive(Debug)]
pub(super) struct End {
    /// `None` only once it has left.
    segment: Option<Segment>,
    side: Side,
    /// How this end waits.
    pub(super) wait: Wait,
    /// Whether the ring's ends may sleep.
    pub(super) sleepers: bool,
}

impl End {
    /// Claims `side` of a ring. `wait`: how the user wants this end to wait, if they said.
    pub(super) fn claim(segment: Segment, side: Side, wait: Option<Wait>) -> Result<Self, AttachError> {
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
        let wait = match (sleepers, wait) {
            (true, wait) => wait.unwrap_or_default(),
            (false, None | Some(Wait::Spin)) => Wait::Spin,
            (false, Some(Wait::Park { .. })) => {
                return refuse(segment, |path| AttachError::Sleepless { path });
            }
        };
        let patience = Instant::now() + LEAVING;
        // Relaxed: the `alive` word is for people only.
        loop {
            match segment.claim(side.role()) {
                Ok(()) => break lend::alive(&segment, side).store(std::process::id(), Ordering::Relaxed),
                Err(ClaimError::Held { .. }) => {
                    if has_left(lend::asleep(&segment, side)) && Instant::now() < patience {
                        thread::sleep(Duration::from_micros(100));
                        continue;
                    }
                    let pid = lend::alive(&segment, side).load(Ordering::Relaxed);
                    return refuse(segment, |path| AttachError::Held { side, pid, path });
                }
                Err(error) => return refuse(segment, |_| AttachError::Claim(error)),
            }
        }
        Ok(Self { segment: Some(segment), side, wait, sleepers })
    }

    /// What to say of a ring that is not as a correct peer leaves it.
    pub(super) fn corrupt(&self, corrupt: Corrupt) -> AttachError {
        AttachError::Corrupt { corrupt, path: self.segment().path().map(Into::into) }
    }

    pub(super) fn segment(&self) -> &Segment {
        self.segment.as_ref().expect("who has left does not look back")
    }

    /// Leaves, after closing. A name goes with the last to leave if the receiver has left and nothing is pending.
    ///
    /// That is asked once this process is known to be alone with the segment; before, the answer could still
    /// change, and both ends leaving at once could each leave the name to the other.
    pub(super) fn leave(&mut self, receiver_left: impl FnOnce() -> bool) {
        if let Some(segment) = self.segment.take().filter(Segment::is_ours) {
            // Relaxed: the word is for people only.
            lend::alive(&segment, self.side).store(0, Ordering::Relaxed);
            segment.leave(|segment| receiver_left() && is_drained(segment));
        }
    }
}

/// An end that was claimed and could not be used leaves as it came.
impl Drop for End {
    fn drop(&mut self) {
        if let Some(segment) = self.segment.take().filter(Segment::is_ours) {
            // Relaxed: the word is for people only.
            lend::alive(&segment, self.side).store(0, Ordering::Relaxed);
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
