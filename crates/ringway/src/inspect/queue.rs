//! A queue seen from outside.

use std::path::Path;

use ringway_ring::{
    mpmc::{self, Line},
    primitive::Ordering,
};
use ringway_segment::{LAYOUT_VERSION, View};

use super::{End, State, Status};
use crate::{
    AttachError, OpenError,
    layout::queue::{FLAG_AT_MOST_ONCE, LINES, QUEUE_FLAGS, extent, line, role, shared},
    lend,
    mpmc::{
        Holder, Slots,
        census::{Census, Gone},
    },
};

/// What else there is to be said of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queue {
    /// How many slots it has.
    pub slot_count: u32,
    /// The longest message, in bytes.
    pub slot_size: u32,
    /// What becomes of its slots, and who has which. `None` if memory of it was given back: to look would take it again.
    pub slots: Option<Slots>,
    /// Messages that were lost since its birth: overwritten, or had by a receiver that was killed. `None` as of `slots`.
    pub lost: Option<u64>,
    /// Those who take part, or took part and have died and not been swept yet, in order of their lines.
    pub participants: Vec<Participant>,
}

/// A process that takes part in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// The number of its line.
    pub line: u16,
    /// The process, as it said itself, numbered in its own pid namespace.
    pub pid: Option<u32>,
    /// Whether it lives, by the kernel's word.
    pub alive: bool,
    /// Whether it sends.
    pub sends: bool,
    /// Whether it receives.
    pub receives: bool,
    /// Whether a thread of it sleeps until there is a message.
    pub awaits_message: bool,
    /// Whether a thread of it sleeps until there is a free slot.
    pub awaits_slot: bool,
}

/// Looks at a queue.
pub(super) fn look(view: &View) -> Result<Status, AttachError> {
    let shape = view.shape();
    let path = || view.path().map(Path::to_owned);
    let extent =
        extent(&shape).ok_or_else(|| AttachError::ControlArea { found: shape.control_len, path: path() })?;
    if shape.flags & !QUEUE_FLAGS != 0 {
        return Err(AttachError::Flags { found: shape.flags, known: QUEUE_FLAGS, path: path() });
    }
    let pool = lend::queue::seen_pool(view);
    let allocated = view.allocated().map_err(OpenError::from)?;
    let [senders, receivers] =
        [shared::SENDERS, shared::RECEIVERS].map(|offset| Census(lend::queue::seen(view, offset)));
    // Relaxed, all: what is seen is for people.
    let [items, room, attached] = [shared::ITEMS, shared::ROOM, shared::ATTACHED]
        .map(|offset| lend::queue::seen(view, offset).load(Ordering::Relaxed));
    let pid = |number| lend::queue::seen_flag(view, line(number).pid);
    let mut participants = Vec::new();
    for number in 0..LINES {
        let bit = 1 << number;
        if attached & bit == 0 && !mpmc::is_unswept(&pool, Line(number)) {
            continue;
        }
        let pid = pid(number);
        participants.push(Participant {
            line: number,
            pid: (pid != 0).then_some(pid),
            alive: view.is_held(role(number)).map_err(OpenError::from)?,
            sends: senders.lines() & bit != 0,
            receives: receivers.lines() & bit != 0,
            awaits_message: items & bit != 0,
            awaits_slot: room & bit != 0,
        });
    }
    let end = |census: Census<'_>, takes: fn(&Participant) -> bool, sleeps: fn(&Participant) -> bool| {
        let here = || participants.iter().filter(|it| takes(it));
        let first = here().find(|it| it.alive).or_else(|| here().next());
        let state = match census.gone() {
            Gone::NeverCame => State::NeverCame,
            Gone::Left => State::Left,
            Gone::Died => State::Dead,
            Gone::No if !here().any(|it| it.alive) => State::Dead,
            Gone::No if here().all(sleeps) => State::Asleep,
            Gone::No => State::Awake,
        };
        (state, first.and_then(|it| it.pid))
    };
    let sends = end(senders, |it| it.sends, |it| it.awaits_slot);
    let receives = end(receivers, |it| it.receives, |it| it.awaits_message);
    let whole = allocated >= view.size();
    let slots = whole.then(|| Slots::seen(&pool, pid));
    let queued = slots.as_ref().map(|slots| u64::from(slots.queued));
    // What a dead one had comes again, if it is to; what it was to give back does in any case.
    let again = shape.flags & FLAG_AT_MOST_ONCE == 0;
    let held: u64 = slots.as_ref().map_or(0, |slots| {
        let dead = |line| !participants.iter().any(|it| it.line == line && it.alive);
        let held = |it: &Holder| u64::from(if again { it.taken } else { 0 } + it.returning);
        slots.holders.iter().filter(|it| dead(it.line)).map(held).sum()
    });
    let sent = mpmc::sent(&pool);
    let at = |(state, pid), position| End { state, pid, position, sleeps: 0, rings: 0, processor: None };
    Ok(Status {
        path: path(),
        layout_version: LAYOUT_VERSION,
        kind: shape.kind,
        flags: shape.flags,
        capacity: shape.capacity,
        size: view.size(),
        allocated,
        pending: queued.map(|queued| (queued + held) * u64::from(extent.stride)),
        pending_messages: queued.map(|queued| queued + held),
        sent: Some(sent),
        closed: matches!(sends.0, State::Left),
        attached: participants.iter().any(|it| it.alive) || view.is_attached().map_err(OpenError::from)?,
        sender: at(sends, sent),
        receiver: at(receives, sent.wrapping_sub(mpmc::queued(&pool))),
        queue: Some(Queue {
            slot_count: extent.slots,
            slot_size: extent.size,
            slots,
            lost: whole.then(|| mpmc::lost(&pool)),
            participants,
        }),
    })
}
