//! Calls of the two public ends of a ring, and of who looks on.

use arbitrary::{Arbitrary, Result, Unstructured};

/// What becomes of a guard: a loan, a message, a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent; received.
    Done,
    /// Dropped before it was sent; put back.
    Undone,
    /// `mem::forget`.
    Forgotten,
}

/// A call. `timed`: the form with a timeout, which may sleep, rather than the `try_` form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Send {
        timed: bool,
        len: u16,
    },
    /// A loan that is cut to `cut` bytes.
    Loan {
        timed: bool,
        fate: Fate,
        len: u16,
        cut: u16,
    },
    /// A batch of up to `count` messages.
    SendBatch {
        fate: Fate,
        len: u16,
        count: u8,
    },
    Receive {
        timed: bool,
        fate: Fate,
    },
    /// A batch of up to `max` messages, of which `iterated` are looked at.
    ReceiveBatch {
        timed: bool,
        fate: Fate,
        max: u8,
        iterated: u8,
    },
    /// The sender leaves, by `close` or by being dropped. The next call of a sender is another's.
    SenderLeaves {
        closes: bool,
    },
    /// The same for the receiver.
    ReceiverLeaves,
    /// Somebody begins to look on, in place of who does already.
    Tap,
    /// Who looks on looks for what is next.
    Look {
        timed: bool,
    },
}

const KINDS: u8 = 9;

impl Call {
    /// How many first bytes mean a call; a target may give others a meaning of its own.
    pub(crate) const FIRST_BYTES: u8 = KINDS * 6;

    pub(crate) fn encode(self, to: &mut Vec<u8>) {
        let first = |kind: u8, timed: bool, fate: Fate| kind + KINDS * (u8::from(timed) + 2 * fate as u8);
        match self {
            Self::Send { timed, len } => {
                to.push(first(0, timed, Fate::Done));
                to.extend(len.to_le_bytes());
            }
            Self::Loan { timed, fate, len, cut } => {
                to.push(first(1, timed, fate));
                to.extend(len.to_le_bytes());
                to.extend(cut.to_le_bytes());
            }
            Self::SendBatch { fate, len, count } => {
                to.push(first(2, false, fate));
                to.extend(len.to_le_bytes());
                to.push(count);
            }
            Self::Receive { timed, fate } => to.push(first(3, timed, fate)),
            Self::ReceiveBatch { timed, fate, max, iterated } => {
                to.extend([first(4, timed, fate), max, iterated]);
            }
            Self::SenderLeaves { closes } => to.push(first(5, closes, Fate::Done)),
            Self::ReceiverLeaves => to.push(first(6, false, Fate::Done)),
            Self::Tap => to.push(first(7, false, Fate::Done)),
            Self::Look { timed } => to.push(first(8, timed, Fate::Done)),
        }
    }

    /// Reads the rest of a call whose first byte was this.
    pub(crate) fn decode(first: u8, from: &mut Unstructured<'_>) -> Result<Self> {
        let first = first % Self::FIRST_BYTES;
        let timed = first / KINDS % 2 != 0;
        let fate = match first / KINDS / 2 {
            0 => Fate::Done,
            1 => Fate::Undone,
            _ => Fate::Forgotten,
        };
        Ok(match first % KINDS {
            0 => Self::Send { timed, len: from.arbitrary()? },
            1 => Self::Loan { timed, fate, len: from.arbitrary()?, cut: from.arbitrary()? },
            2 => Self::SendBatch { fate, len: from.arbitrary()?, count: from.arbitrary()? },
            3 => Self::Receive { timed, fate },
            4 => Self::ReceiveBatch { timed, fate, max: from.arbitrary()?, iterated: from.arbitrary()? },
            5 => Self::SenderLeaves { closes: timed },
            6 => Self::ReceiverLeaves,
            7 => Self::Tap,
            _ => Self::Look { timed },
        })
    }
}

impl<'a> Arbitrary<'a> for Call {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        let first = from.arbitrary()?;
        Self::decode(first, from)
    }
}

/// Ways through a ring that targets start from.
pub(crate) fn ways() -> Vec<(&'static str, Vec<Call>)> {
    use Call::{Loan, Look, Receive, ReceiveBatch, ReceiverLeaves, Send, SendBatch, SenderLeaves, Tap};
    use Fate::{Done, Forgotten, Undone};
    let send = |len| Send { timed: false, len };
    let receive = |fate| Receive { timed: false, fate };
    let batch = |fate, max, iterated| ReceiveBatch { timed: false, fate, max, iterated };
    let around = [send(1500), send(500), receive(Done), receive(Done)];
    let look = Look { timed: false };
    vec![
        ("one-message", vec![send(5), receive(Done), receive(Done)]),
        ("receiver-first", vec![Receive { timed: true, fate: Done }, send(0), receive(Done)]),
        (
            "full",
            vec![
                send(2000),
                send(2000),
                send(100),
                Send { timed: true, len: 100 },
                receive(Done),
                send(2000),
            ],
        ),
        (
            "as-large-as-the-ring",
            vec![send(4080), receive(Done), send(4080), receive(Undone), batch(Done, 9, 9), send(4081)],
        ),
        ("around-the-end", around.repeat(4)),
        (
            "loans",
            vec![
                Loan { timed: false, fate: Done, len: 100, cut: 10 },
                Loan { timed: true, fate: Undone, len: 3000, cut: 3000 },
                Loan { timed: false, fate: Forgotten, len: 50, cut: 0 },
                Loan { timed: true, fate: Done, len: 8, cut: 9 },
                receive(Undone),
                batch(Done, 5, 5),
            ],
        ),
        (
            "batches",
            vec![
                SendBatch { fate: Done, len: 10, count: 5 },
                SendBatch { fate: Undone, len: 20, count: 3 },
                SendBatch { fate: Forgotten, len: 30, count: 2 },
                SendBatch { fate: Done, len: 1000, count: 9 },
                batch(Done, 3, 2),
                batch(Undone, 3, 3),
                batch(Forgotten, 2, 1),
                ReceiveBatch { timed: true, fate: Done, max: 255, iterated: 255 },
            ],
        ),
        (
            "forgotten-messages",
            vec![
                send(1000),
                send(1000),
                send(1000),
                receive(Forgotten),
                receive(Forgotten),
                receive(Undone),
                send(2000),
                receive(Forgotten),
                receive(Done),
                send(3000),
            ],
        ),
        (
            "closed-and-taken-up-again",
            vec![
                send(1),
                SenderLeaves { closes: true },
                receive(Done),
                receive(Done),
                send(2),
                receive(Done),
                SenderLeaves { closes: false },
                receive(Done),
            ],
        ),
        (
            "receivers-come-and-go",
            vec![
                send(1),
                receive(Undone),
                ReceiverLeaves,
                send(2),
                receive(Forgotten),
                ReceiverLeaves,
                SenderLeaves { closes: false },
                send(3),
                batch(Done, 9, 9),
            ],
        ),
        (
            "both-sleep",
            vec![
                Receive { timed: true, fate: Done },
                SendBatch { fate: Done, len: 1000, count: 9 },
                Send { timed: true, len: 2000 },
                ReceiveBatch { timed: true, fate: Done, max: 2, iterated: 2 },
                Send { timed: true, len: 2000 },
                ReceiveBatch { timed: true, fate: Done, max: 9, iterated: 9 },
                Receive { timed: true, fate: Done },
            ],
        ),
        (
            "looked-on",
            vec![
                Tap,
                send(10),
                look,
                receive(Done),
                send(0),
                receive(Done),
                look,
                look,
                SendBatch { fate: Done, len: 50, count: 3 },
                SenderLeaves { closes: true },
                look,
                look,
                look,
                look,
                Send { timed: false, len: 7 },
                Look { timed: true },
                Look { timed: true },
            ],
        ),
        (
            "looked-on-and-lapped",
            [&[send(700), Tap][..], &around.repeat(4), &[look, look, send(3000), look, look]].concat(),
        ),
        (
            "looked-on-from-the-midst",
            vec![
                send(100),
                send(200),
                receive(Done),
                send(300),
                receive(Forgotten),
                Tap,
                look,
                look,
                look,
                receive(Done),
                send(3000),
                look,
                Tap,
                look,
            ],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_as_it_was_written() {
        for call in ways().into_iter().flat_map(|(_, calls)| calls) {
            let mut bytes = Vec::new();
            call.encode(&mut bytes);
            let mut from = Unstructured::new(&bytes);
            assert_eq!((call, 0), (from.arbitrary().unwrap(), from.len()));
        }
    }
}
