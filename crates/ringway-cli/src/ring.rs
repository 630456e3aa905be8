//! A ring or a queue seen from outside, as `ls` and `stat` say it.

use std::{fmt, path::PathBuf};

use ringway::{
    inspect::{self, State},
    layout,
};
use serde::Serialize;

use crate::look::Queue;

/// A ring or a queue, for programs. Units are in the names.
#[derive(Debug, Serialize)]
pub(crate) struct Ring {
    pub(crate) name: String,
    path: Option<PathBuf>,
    kind: &'static str,
    layout_version: u32,
    never_sleeps: bool,
    pub(crate) capacity_bytes: u64,
    size_bytes: u64,
    allocated_bytes: u64,
    /// `None` here and below: that cannot be told.
    pub(crate) pending_bytes: Option<u64>,
    pub(crate) pending_messages: Option<u64>,
    sent_messages: Option<u64>,
    closed: bool,
    /// Somebody who lives holds an end, or is about to take one.
    pub(crate) attached: bool,
    /// Of a queue: all that send, and all that receive.
    pub(crate) sender: End,
    pub(crate) receiver: End,
    /// `None` of a ring.
    pub(crate) queue: Option<Queue>,
}

/// An end of a ring, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct End {
    state: &'static str,
    /// A process that lives holds it: the kernel says so.
    held: bool,
    pid: Option<u32>,
    /// `None` of a queue, here and below.
    position_bytes: Option<u64>,
    sleeps: Option<u32>,
    rings: Option<u32>,
    processor: Option<u32>,
}

impl Ring {
    pub(crate) fn new(name: String, status: inspect::Status) -> Self {
        Self {
            name,
            kind: match (status.kind, status.overwrites()) {
                (layout::KIND_SLOTS, _) => "slots",
                (layout::KIND_LOSSY, true) => "lossy, oldest",
                (layout::KIND_LOSSY, false) => "lossy, newest",
                (layout::queue::KIND_QUEUE, _) => "mpmc",
                _ => "spsc",
            },
            layout_version: status.layout_version,
            never_sleeps: status.never_sleeps(),
            capacity_bytes: status.capacity,
            size_bytes: status.size,
            allocated_bytes: status.allocated,
            pending_bytes: status.pending,
            pending_messages: status.pending_messages,
            sent_messages: status.sent,
            closed: status.closed,
            attached: status.attached,
            sender: End::new(&status.sender, status.queue.is_none()),
            receiver: End::new(&status.receiver, status.queue.is_none()),
            queue: status.queue.as_ref().map(|queue| Queue::new(queue, status.flags)),
            path: status.path,
        }
    }

    /// What is pending, for people.
    pub(crate) fn pending(&self) -> Pending {
        Pending {
            bytes: self.pending_bytes,
            messages: self.pending_messages,
            slots: self.queue.as_ref().map(|queue| queue.slot_count),
        }
    }
}

impl End {
    /// The process that holds it, as it says itself, if one does.
    pub(crate) fn holder(&self) -> Option<u32> {
        self.pid.filter(|_| self.held)
    }

    fn new(end: &inspect::End, of_ring: bool) -> Self {
        Self {
            state: match end.state {
                State::NeverCame => "never_came",
                State::Awake => "awake",
                State::Asleep => "asleep",
                State::Leaving => "leaving",
                State::Left => "left",
                State::Dead => "dead",
                _ => "unknown",
            },
            held: end.state.is_held(),
            pid: end.pid,
            position_bytes: of_ring.then_some(end.position),
            sleeps: of_ring.then_some(end.sleeps),
            rings: of_ring.then_some(end.rings),
            processor: end.processor,
        }
    }
}

/// A few aligned lines.
impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, says: String| writeln!(f, "{what:<10}{says}");
        line(if self.queue.is_some() { "queue" } else { "ring" }, self.name.clone())?;
        if let Some(path) = &self.path {
            line("file", path.display().to_string())?;
        }
        let sleeps = if self.never_sleeps { ", its ends never sleep" } else { "" };
        line("layout", format!("version {}, {}{sleeps}", self.layout_version, self.kind))?;
        line("capacity", Bytes(self.capacity_bytes).to_string())?;
        let size = Bytes(self.size_bytes);
        line(
            "memory",
            match self.allocated_bytes {
                allocated if allocated >= self.size_bytes => format!("{size}, all of it there"),
                allocated => format!("{size}, of which {} there: the rest was given back", Bytes(allocated)),
            },
        )?;
        let closed = match (self.closed, &self.queue) {
            (false, _) => "",
            (true, None) => "; closed by the sender",
            (true, Some(_)) => "; closed by all senders",
        };
        line("pending", format!("{}{closed}", self.pending()))?;
        if let Some(sent) = self.sent_messages {
            line("sent", Messages(sent).to_string())?;
        }
        if let Some(queue) = &self.queue {
            queue.lines(&mut line)?;
            // Those who are there have lines of their own.
            for (what, end) in [("senders", &self.sender), ("receivers", &self.receiver)] {
                if !end.held {
                    line(what, end.to_string())?;
                }
            }
        }
        if self.queue.is_none() {
            line("sender", format!("{:#}", self.sender))?;
            line("receiver", format!("{:#}", self.receiver))?;
        }
        if !self.attached {
            line("attached", "nobody: `ringway clean` is for such rings".into())?;
        }
        Ok(())
    }
}

/// In two words; with `#`, all that is known.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            "never_came" => "never came",
            other => other,
        };
        match self.pid {
            Some(pid) if f.alternate() => write!(f, "process {pid}, {state}")?,
            Some(pid) => write!(f, "{pid} {state}")?,
            None => f.write_str(state)?,
        }
        if let (true, Some(position), Some(sleeps), Some(rings)) = (
            f.alternate() && self.state != "never_came",
            self.position_bytes,
            self.sleeps.map(Times),
            self.rings.map(Times),
        ) {
            write!(f, "; position {position}, slept {sleeps}, rang {rings}")?;
            if let Some(processor) = self.processor {
                write!(f, ", last seen on processor {processor}")?;
            }
        }
        Ok(())
    }
}

/// What is pending, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    bytes: Option<u64>,
    messages: Option<u64>,
    /// How many there are, of a queue.
    slots: Option<u32>,
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes, self.messages) {
            (_, Some(filled)) if self.slots.is_some() => {
                write!(f, "{filled} of {} slots", self.slots.unwrap_or_default())
            }
            (Some(bytes), Some(messages)) if messages > 0 => {
                write!(f, "{} in {}", Bytes(bytes), Messages(messages))
            }
            (Some(bytes), _) => Bytes(bytes).fmt(f),
            (None, _) => f.write_str("not known"),
        }
    }
}

pub(crate) struct Messages(pub(crate) u64);

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 message"),
            messages => write!(f, "{messages} messages"),
        }
    }
}

/// Bytes for people, none of them rounded away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 != 0 && self.0.trailing_zeros() >= *shift) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} B", self.0),
        }
    }
}

struct Times(u32);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{times} times"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn bytes_are_said_exactly_in_the_unit_that_fits() {
        for (bytes, said) in
            [(0, "0 B"), (1000, "1000 B"), (4096, "4 KiB"), (5 << 20, "5 MiB"), (1 << 40, "1024 GiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), said);
        }
    }
}
