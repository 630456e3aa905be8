//! What is in a ring of records: found by walking along it.
//!
//! The sender writes down only now and then how far it has come. That place is never far from the end of the records, so the
//! end is found from there; what lies between there and the receiver is counted afterwards, up to a place that is known
//! and not up to an end that moves on meanwhile.
//!
//! A ring that is being used may go away under the walk. Then it is begun anew, a few times; and what is looked at is
//! bounded in all, so that neither a fast ring nor a hostile one keeps anybody busy.

use ringway_ring::spsc::{Follower, Look, Start};
use ringway_segment::View;

use crate::lend;

/// Headers that are looked at, at the most.
const LOOKS: u32 = 1 << 21;
/// Walks that are begun, at the most.
const WALKS: u32 = 8;

/// What is in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    /// Where what is pending begins: where the receiver is, or the oldest record of a ring that is overwritten.
    pub(super) begin: u64,
    /// Where it ends: where the sender is.
    pub(super) end: u64,
    /// Whether the sender has closed there.
    pub(super) closed: bool,
    /// How many messages lie between.
    pub(super) messages: Option<u64>,
    /// How many messages were sent since the ring's birth.
    pub(super) sent: Option<u64>,
}

/// What is in a ring of records, from `start` on; `None` if that cannot be told.
pub(super) fn contents(view: &View, start: Start) -> Option<Contents> {
    let mut looks = LOOKS;
    let mut best = None;
    for _ in 0..WALKS {
        best = walk(view, start, &mut looks).or(best);
        if best.is_some_and(|found: Contents| found.messages.is_some()) {
            break;
        }
    }
    best
}

fn walk(view: &View, start: Start, looks: &mut u32) -> Option<Contents> {
    let capacity = view.shape().capacity;
    let shown = lend::shown(view);
    let mut follower = Follower::new(lend::observed(view), start).ok()?;
    let begin = follower.position();
    // The sender's word lags, so that the receiver may be ahead of it.
    let behind = begin.wrapping_sub(shown.position);
    let known = shown.position.wrapping_sub(begin);
    let (low, high) = match (known <= capacity, behind <= capacity) {
        (true, _) => (begin, shown.position),
        (_, true) => (shown.position, begin),
        _ => return None,
    };
    follower.go_to(high);
    let (newer, met) = count(&mut follower, None, capacity, looks)?;
    let end = follower.position();
    if end.wrapping_sub(begin) > capacity {
        return None;
    }
    // Once more: the sender writes its two words one after the other.
    let shown = Some(shown).filter(|shown| *shown == lend::shown(view));
    follower.go_to(low);
    let between = count(&mut follower, Some(high), capacity, looks).map(|(messages, _)| messages);
    let (before_shown, before_begin) = if low == begin { (Some(0), between) } else { (between, Some(0)) };
    Some(Contents {
        begin,
        end,
        closed: met == Look::Closed,
        messages: before_begin.map(|older| older + newer),
        sent: shown.zip(before_shown).map(|(shown, older)| shown.sent.wrapping_add(older + newer)),
    })
}

/// Goes along the records up to a position, or to their end; how many they are, and what is met there.
fn count(
    follower: &mut Follower<ringway_ring::Lent>,
    to: Option<u64>,
    most: u64,
    looks: &mut u32,
) -> Option<(u64, Look)> {
    let from = follower.position();
    let mut messages = 0;
    loop {
        let walked = follower.position().wrapping_sub(from);
        if to == Some(follower.position()) {
            return Some((messages, Look::Empty));
        }
        *looks = looks.checked_sub(1)?;
        match follower.look() {
            Look::Record(record) if walked <= most && follower.accept(record) => messages += 1,
            end @ (Look::Empty | Look::Closed) if to.is_none() => return Some((messages, end)),
            _ => return None,
        }
    }
}
