//! What both ends have in common: the segment, the role, the leaving.

use ringway_ring::spsc::Consumer;
use ringway_segment::{ClaimError, Segment};
use ringway_wait::{Wait, primitive::Ordering};

use crate::{
    AttachError, Side,
    layout::{self, CONTROL_LEN},
    lend,
};

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
        let path = || segment.path().map(Into::into);
        let shape = segment.shape();
        if shape.control_len != CONTROL_LEN as u64 {
            return Err(AttachError::ControlArea { found: shape.control_len, path: path() });
        }
        let sleepers = shape.flags & layout::FLAG_SLEEPLESS == 0;
        let wait = match (sleepers, wait) {
            (true, wait) => wait.unwrap_or_default(),
            (false, None | Some(Wait::Spin)) => Wait::Spin,
            (false, Some(Wait::Park { .. })) => return Err(AttachError::Sleepless { path: path() }),
        };
        // Relaxed: the word is for people only.
        match segment.claim(side.role()) {
            Ok(()) => lend::alive(&segment, side).store(std::process::id(), Ordering::Relaxed),
            Err(ClaimError::Held { .. }) => {
                let pid = lend::alive(&segment, side).load(Ordering::Relaxed);
                return Err(AttachError::Held { side, pid, path: path() });
            }
            Err(error) => return Err(AttachError::Claim(error)),
        }
        Ok(Self { segment: Some(segment), side, wait, sleepers })
    }

    pub(super) fn segment(&self) -> &Segment {
        self.segment.as_ref().expect("who has left does not look back")
    }

    /// Leaves, after closing. A name goes with the last to leave if the receiver has left and nothing is pending.
    ///
    /// That is asked once this process is known to be alone with the segment; before, the answer could still
    /// change, and both ends leaving at once could each leave the name to the other.
    pub(super) fn leave(&mut self, receiver_left: impl FnOnce() -> bool) {
        let Some(segment) = self.segment.take() else { return };
        // Relaxed: the word is for people only.
        lend::alive(&segment, self.side).store(0, Ordering::Relaxed);
        segment.leave(|segment| {
            receiver_left()
                && Consumer::resume(lend::ring(segment)).is_ok_and(|ring| ring.is_empty() || ring.is_closed())
        });
    }
}
