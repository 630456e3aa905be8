//! What is to be said of a queue only, as `stat` and `clean` say it.

use std::fmt;

use ringway::{inspect, layout::queue as layout, mpmc};
use serde::Serialize;

use crate::ring::{Bytes, Messages};

/// A queue, for programs. Units are in the names.
#[derive(Debug, Serialize)]
pub(crate) struct Queue {
    pub(crate) slot_count: u32,
    slot_size_bytes: u32,
    /// What a receiver had when it was killed.
    redelivery: &'static str,
    /// A sender that finds no slot takes that of the oldest message.
    overwrites: bool,
    /// It has one sending, or receiving, end at a time.
    sole_sender: bool,
    sole_receiver: bool,
    /// `None` here and below: memory of it was given back.
    lost_messages: Option<u64>,
    slots: Option<Slots>,
    participants: Vec<Participant>,
}

/// What becomes of slots, for programs.
#[derive(Debug, Serialize)]
struct Slots {
    free: u32,
    queued: u32,
    /// Those who have slots in hand.
    holders: Vec<Holder>,
}

/// Who has slots in hand, for programs.
#[derive(Debug, Clone, Copy, Serialize)]
struct Holder {
    line: u16,
    pid: Option<u32>,
    /// Being filled.
    loans: u32,
    /// Being read.
    taken: u32,
    /// Had by a dead one, and being given back.
    returning: u32,
}

/// A process that takes part, or took part and has died, for programs.
#[derive(Debug, Serialize)]
struct Participant {
    line: u16,
    pid: Option<u32>,
    /// By the kernel's word.
    alive: bool,
    sends: bool,
    receives: bool,
    /// A thread of it sleeps until there is a message,
    awaits_message: bool,
    /// or a free slot.
    awaits_slot: bool,
}

impl Queue {
    pub(crate) fn new(queue: &inspect::Queue, flags: u32) -> Self {
        let flag = |flag| flags & flag != 0;
        let redelivery = if flag(layout::FLAG_AT_MOST_ONCE) { "at_most_once" } else { "at_least_once" };
        let slots = |slots: &mpmc::Slots| Slots {
            free: slots.free,
            queued: slots.queued,
            holders: slots.holders.iter().map(Holder::new).collect(),
        };
        Self {
            slot_count: queue.slot_count,
            slot_size_bytes: queue.slot_size,
            redelivery,
            overwrites: flag(layout::FLAG_OVERWRITES),
            sole_sender: flag(layout::FLAG_SOLE_SENDER),
            sole_receiver: flag(layout::FLAG_SOLE_RECEIVER),
            lost_messages: queue.lost,
            slots: queue.slots.as_ref().map(slots),
            participants: queue.participants.iter().map(Participant::new).collect(),
        }
    }

    /// Lines for people.
    pub(crate) fn lines(&self, line: &mut impl FnMut(&str, String) -> fmt::Result) -> fmt::Result {
        if let Some(lost) = self.lost_messages.filter(|lost| *lost > 0) {
            line("lost", Messages(lost).to_string())?;
        }
        let slots = format!("{} of {}", self.slot_count, Bytes(self.slot_size_bytes.into()));
        let holders = self.slots.as_ref().map_or(&[][..], |slots| &slots.holders);
        let became = match &self.slots {
            Some(Slots { free, queued, .. }) => {
                let held: u32 = holders.iter().map(|it| it.loans + it.taken + it.returning).sum();
                format!("{free} free, {queued} filled, {held} in somebody's hands")
            }
            None => "what became of them cannot be told".into(),
        };
        line("slots", format!("{slots}: {became}"))?;
        let full = if self.overwrites { "the oldest message is lost" } else { "senders wait" };
        line("when full", full.into())?;
        let had = if self.redelivery == "at_most_once" { "is lost" } else { "comes to another one" };
        line("on death", format!("what a receiver had {had}"))?;
        for (sole, only) in [(self.sole_sender, "sender"), (self.sole_receiver, "receiver")] {
            if sole {
                line("sole", format!("one {only} at a time"))?;
            }
        }
        for participant in &self.participants {
            let holder = holders.iter().find(|it| it.line == participant.line);
            let holds = holder.map(ToString::to_string).unwrap_or_default();
            line(&format!("line {}", participant.line), format!("{participant}{holds}"))?;
        }
        // Of no use to anybody: a scribbler's, or somebody's who has just left.
        for holder in holders.iter().filter(|it| !self.participants.iter().any(|other| other.line == it.line))
        {
            line(&format!("line {}", holder.line), format!("nobody{holder}"))?;
        }
        Ok(())
    }

    /// Who uses it, for people.
    pub(crate) fn users(&self) -> String {
        let those = |what: &str, does: fn(&Participant) -> bool| {
            let pids = self.participants.iter().filter(|it| it.alive && does(it)).filter_map(|it| it.pid);
            let pids: Vec<_> = pids.map(|pid| pid.to_string()).collect();
            let plural = if pids.len() > 1 { "s" } else { "" };
            (!pids.is_empty()).then(|| format!("{what}{plural} {}", pids.join(", ")))
        };
        let all = [those("sender", |it| it.sends), those("receiver", |it| it.receives)];
        let all: Vec<_> = all.into_iter().flatten().collect();
        if all.is_empty() { "somebody is just coming or going".into() } else { all.join("; ") }
    }
}

impl Holder {
    fn new(holder: &mpmc::Holder) -> Self {
        let mpmc::Holder { line, pid, loans, taken, returning, .. } = *holder;
        Self { line, pid, loans, taken, returning }
    }
}

/// What it has in hand.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (slots, what) in
            [(self.loans, "being filled"), (self.taken, "being read"), (self.returning, "being given back")]
        {
            match slots {
                0 => {}
                1 => write!(f, ", 1 slot {what}")?,
                slots => write!(f, ", {slots} slots {what}")?,
            }
        }
        Ok(())
    }
}

impl Participant {
    fn new(participant: &inspect::Participant) -> Self {
        let inspect::Participant { line, pid, alive, sends, receives, awaits_message, awaits_slot, .. } =
            *participant;
        Self { line, pid, alive, sends, receives, awaits_message, awaits_slot }
    }
}

impl fmt::Display for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("a process")?,
        }
        let all = [
            (!self.alive, "dead"),
            (self.sends, "sends"),
            (self.receives, "receives"),
            (self.awaits_message, "waits for a message"),
            (self.awaits_slot, "waits for a slot"),
        ];
        all.into_iter().filter(|(is, _)| *is).try_for_each(|(_, what)| write!(f, ", {what}"))
    }
}
