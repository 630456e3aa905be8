//! What was done, and what of it no queue does.
//!
//! For a queue whose messages differ, whether a history can be put in order needs no search through orders. It can be, exactly if none of four
//! things is found in it (Henzinger, Sezgin and Vafeiadis, *Aspect-Oriented Linearizability Proofs*, CONCUR 2013; Bouajjani,
//! Emmi, Enea and Hamza, *On Reducing Linearizability to State Reachability*, ICALP 2015); *before* means that one operation was
//! over when the other one was called:
//!
//! 1. A message is received that was not sent, or before it was sent.
//! 2. A message is received twice.
//! 3. `a` is sent before `b`, and `b` is received before `a`, or `b` is and `a` never.
//! 4. There was nothing, it was said, while at each instant of that call some message must have been there. One must be there from the
//!    end of its send to the beginning of its receive; one after the other, overlapping, such times may cover a call.
//!
//! Each is found by sorting and one pass: n log n for n operations.
//!
//! Messages that are put back are sent again. A message is in one place at a time, and who puts it back had received it before: so the
//! sends of a message come one after the other, and so do the ends of its receives. The nth receive is that of the nth send, and
//! each such pair is a message of its own.

use std::fmt;

/// An operation: what it did, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Just before it was called.
    pub(crate) from: u64,
    /// Just after it came back.
    pub(crate) to: u64,
    pub(crate) what: What,
}

/// What an operation did, with which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Send(u64),
    Receive(u64),
    /// It found nothing.
    Nothing,
}

impl Operation {
    /// Whether it was over when the other one was called. Times that are equal say nothing.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.to < other.from
    }
}

/// What no queue does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// This was received, and was never sent, or as often before.
    NotSent(Operation),
    /// The receive was over before the send was called.
    ReceivedBeforeSent { sent: Operation, received: Operation },
    /// The first of these was sent before, and received after the second one, or not at all.
    Overtaken(Box<[Message; 2]>),
    /// Some message was there all the time from `from` to `to`.
    NotNothing { found: Operation, from: u64, to: u64 },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no queue does this: {self:#x?}")
    }
}

/// A message, from its send to its receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) sent: Operation,
    pub(crate) received: Option<Operation>,
}

impl Message {
    /// When its receive was called; never, if it was not.
    fn leaves(&self) -> u64 {
        self.received.map_or(u64::MAX, |received| received.from)
    }
}

/// How often what was done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent: usize,
    put_back: usize,
    nothing: usize,
    /// Messages that were sent while another send went on.
    beside: usize,
}

impl Tally {
    /// Whether there was some of everything.
    pub(crate) fn is_telling(&self) -> bool {
        self.put_back.min(self.nothing).min(self.beside) > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, put_back, nothing, beside } = self;
        write!(
            f,
            "{sent} sends, {beside} of them beside others, {put_back} put back, nothing {nothing} times"
        )
    }
}

/// Looks for what no queue does.
pub(crate) fn check(history: &[Operation]) -> Result<Tally, Wrong> {
    let mut messages = pair(history)?;
    if let Some(message) = messages.iter().find(|message| is_early(message)) {
        let received = message.received.expect("it came early");
        return Err(Wrong::ReceivedBeforeSent { sent: message.sent, received });
    }
    messages.sort_unstable_by_key(|message| message.sent.to);
    check_order(&messages)?;
    let nothing: Vec<_> = history.iter().copied().filter(|it| it.what == What::Nothing).collect();
    check_nothing(&messages, &nothing)?;
    Ok(tally(&messages, nothing.len()))
}

fn is_early(message: &Message) -> bool {
    message.received.is_some_and(|received| received.is_before(&message.sent))
}

/// Finds each send's receive.
fn pair(history: &[Operation]) -> Result<Vec<Message>, Wrong> {
    let mut sends = Vec::new();
    let mut receives = Vec::new();
    for it in history {
        match it.what {
            What::Send(message) => sends.push((message, it.from, *it)),
            What::Receive(message) => receives.push((message, it.to, *it)),
            What::Nothing => {}
        }
    }
    sends.sort_unstable_by_key(|&(message, from, _)| (message, from));
    receives.sort_unstable_by_key(|&(message, to, _)| (message, to));
    let mut receives = receives.into_iter().peekable();
    let mut messages = Vec::with_capacity(sends.len());
    for (message, _, sent) in sends {
        let received = receives.next_if(|&(of, ..)| of <= message);
        match received {
            Some((of, _, received)) if of < message => return Err(Wrong::NotSent(received)),
            _ => messages.push(Message { sent, received: received.map(|(_, _, received)| received) }),
        }
    }
    match receives.next() {
        Some((_, _, received)) => Err(Wrong::NotSent(received)),
        None => Ok(messages),
    }
}

/// Looks for a message that was overtaken; they are in the order of the ends of their sends.
fn check_order(messages: &[Message]) -> Result<(), Wrong> {
    let mut later: Vec<_> = messages.iter().collect();
    later.sort_unstable_by_key(|message| message.sent.from);
    let mut sent_before = messages.iter().peekable();
    // Of those that were sent before, the one whose receive was called last.
    let mut last: Option<&Message> = None;
    for second in later {
        while let Some(first) = sent_before.next_if(|first| first.sent.is_before(&second.sent)) {
            if last.is_none_or(|last| last.leaves() < first.leaves()) {
                last = Some(first);
            }
        }
        if let (Some(first), Some(received)) = (last, second.received) {
            if received.to < first.leaves() {
                return Err(Wrong::Overtaken(Box::new([*first, *second])));
            }
        }
    }
    Ok(())
}

/// Looks for one that found nothing where something was; messages are in the order of the ends of their sends.
fn check_nothing(messages: &[Message], nothing: &[Operation]) -> Result<(), Wrong> {
    // Times in which the queue was never empty, in order, with gaps between them.
    let mut filled: Vec<(u64, u64)> = Vec::new();
    for message in messages {
        let (from, to) = (message.sent.to, message.leaves());
        if from >= to {
            continue;
        }
        match filled.last_mut() {
            // Where one's receive may come just when the other's send is over, it may have been empty in between.
            Some((_, last)) if from < *last => *last = to.max(*last),
            _ => filled.push((from, to)),
        }
    }
    for &found in nothing {
        let after = filled.partition_point(|&(from, _)| from < found.from);
        if let Some(&(from, to)) = after.checked_sub(1).and_then(|at| filled.get(at)) {
            if found.to < to {
                return Err(Wrong::NotNothing { found, from, to });
            }
        }
    }
    Ok(())
}

fn tally(messages: &[Message], nothing: usize) -> Tally {
    let mut tally = Tally { sent: messages.len(), nothing, ..Tally::default() };
    let mut numbers: Vec<_> = messages.iter().map(|message| number(message.sent.what)).collect();
    numbers.sort_unstable();
    tally.put_back = numbers.windows(2).filter(|pair| pair[0] == pair[1]).count();
    tally.beside = messages.windows(2).filter(|pair| !pair[0].sent.is_before(&pair[1].sent)).count();
    tally
}

fn number(what: What) -> u64 {
    match what {
        What::Send(message) | What::Receive(message) => message,
        What::Nothing => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::{What::*, *};

    /// A history by hand.
    fn history(operations: &[(u64, u64, What)]) -> Vec<Operation> {
        operations.iter().map(|&(from, to, what)| Operation { from, to, what }).collect()
    }

    fn wrong(operations: &[(u64, u64, What)]) -> Option<Wrong> {
        check(&history(operations)).err()
    }

    #[test]
    fn what_happens_one_after_the_other_in_order_is_right() {
        assert_eq!(
            wrong(&[
                (1, 2, Nothing),
                (3, 4, Send(1)),
                (5, 6, Send(2)),
                (7, 8, Receive(1)),
                (9, 10, Receive(2)),
                (11, 12, Nothing)
            ]),
            None
        );
    }

    #[test]
    fn what_overlaps_may_have_been_in_either_order() {
        assert_eq!(wrong(&[(1, 5, Send(1)), (2, 4, Send(2)), (6, 7, Receive(2)), (8, 9, Receive(1))]), None);
        assert_eq!(wrong(&[(1, 2, Send(1)), (3, 4, Send(2)), (5, 9, Receive(1)), (6, 8, Receive(2))]), None);
        assert_eq!(wrong(&[(1, 3, Send(1)), (3, 5, Nothing), (5, 6, Receive(1))]), None);
        assert_eq!(wrong(&[(1, 4, Send(1)), (2, 3, Receive(1))]), None);
    }

    #[test]
    fn a_message_that_was_never_sent_is_wrong() {
        assert!(matches!(wrong(&[(1, 2, Receive(7))]), Some(Wrong::NotSent(_))));
        assert!(matches!(
            wrong(&[(1, 2, Send(8)), (3, 4, Receive(7)), (5, 6, Receive(8))]),
            Some(Wrong::NotSent(_))
        ));
    }

    #[test]
    fn a_message_that_comes_twice_is_wrong() {
        assert!(matches!(
            wrong(&[(1, 2, Send(1)), (3, 4, Receive(1)), (5, 6, Receive(1)), (7, 8, Send(2))]),
            Some(Wrong::NotSent(_))
        ));
    }

    #[test]
    fn a_message_that_comes_before_it_was_sent_is_wrong() {
        assert!(matches!(
            wrong(&[(1, 2, Receive(1)), (3, 4, Send(1))]),
            Some(Wrong::ReceivedBeforeSent { .. })
        ));
    }

    #[test]
    fn a_message_that_overtakes_is_wrong() {
        let sends = [(1, 2, Send(1)), (3, 4, Send(2))];
        let overtaken = |receives: &[_]| {
            matches!(wrong(&[&sends[..], receives].concat()), Some(Wrong::Overtaken(both))
                if both.map(|message| message.sent.what) == [Send(1), Send(2)])
        };
        assert!(overtaken(&[(5, 6, Receive(2)), (7, 8, Receive(1))]));
        assert!(overtaken(&[(5, 6, Receive(2))]), "the first one was lost");
        assert!(!overtaken(&[(5, 6, Receive(1))]), "the second one is still there");
    }

    #[test]
    fn to_find_nothing_where_a_message_was_all_the_time_is_wrong() {
        let nothing = |from, to| {
            let operations = [(1, 2, Send(1)), (from, to, Nothing), (7, 8, Receive(1))];
            matches!(wrong(&operations), Some(Wrong::NotNothing { .. }))
        };
        assert!(nothing(3, 6));
        assert!(!nothing(2, 6), "it may have been there just before");
        assert!(!nothing(3, 7), "and just after");
        assert!(
            matches!(wrong(&[(1, 2, Send(1)), (3, 9, Nothing)]), Some(Wrong::NotNothing { .. })),
            "never received"
        );
    }

    #[test]
    fn to_find_nothing_where_one_message_followed_the_other_without_a_gap_is_wrong() {
        let nothing = |sent| {
            let operations = [
                (1, 2, Send(1)),
                (3, 20, Nothing),
                (10, 30, Receive(1)),
                (4, sent, Send(2)),
                (31, 32, Receive(2)),
            ];
            matches!(wrong(&operations), Some(Wrong::NotNothing { .. }))
        };
        assert!(nothing(9));
        assert!(!nothing(10));
    }

    #[test]
    fn a_message_that_was_put_back_is_behind_the_others() {
        let first = [(1, 2, Send(1)), (3, 4, Send(2)), (5, 6, Receive(1)), (7, 8, Send(1))];
        let with = |rest: &[_]| wrong(&[&first[..], rest].concat());
        assert_eq!(with(&[(9, 10, Receive(2)), (11, 12, Receive(1))]), None);
        assert!(matches!(with(&[(9, 10, Receive(1)), (11, 12, Receive(2))]), Some(Wrong::Overtaken(_))));
        assert!(matches!(with(&[(9, 10, Receive(2)), (11, 12, Nothing)]), Some(Wrong::NotNothing { .. })));
    }
}
