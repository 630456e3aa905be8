//! The queue of many under the ends of `ringway-ring`: participants that come, leave, die and are swept, in one thread.
//!
//! Input: how the queue was born; whether words are overwritten; and steps: calls of a participant, and such words.
//!
//! Claims, if nothing is overwritten: what the tests of that crate hold the queue to, whose model this is. Every call gives what a
//! first-in, first-out queue gives, byte for byte; a slot is lent exactly if one is free; what the dead had is freed, comes again
//! or is counted; at the end every slot is.
//!
//! And whatever is overwritten: every call comes to an end, and payloads lie inside.

use arbitrary::{Arbitrary, Result, Unstructured};
use ringway_ring::mpmc::{Access, Many, Sole};

use crate::{
    STEPS, Seed, Target,
    scribble::{Scribble, Value},
};

#[path = "../../crates/ringway-ring/tests/queue/memory.rs"]
mod memory;
#[path = "../../crates/ringway-ring/tests/queue/model.rs"]
mod model;

use memory::Memory;
use model::{Birth, Call, LINES, Model, What};

/// The target.
pub const TARGET: Target = Target { name: "mpmc", run, seeds };

/// Bits of the input's first byte: words are overwritten; who sends is alone; who receives is. The next two say how often the
/// slots were used: never, or nearly as often as a note of losses counts, or a state.
const HOSTILE: u8 = 1;
const SOLE_SENDER: u8 = 2;
const SOLE_RECEIVER: u8 = 4;
const USED: [u64; 4] = [0, (1 << 32) - 9, (1 << 44) - 9, 1];

/// The most slots.
const SLOTS: u8 = 70;
/// The longest message is shorter.
const SIZES: u16 = 512;

/// One call, or one word overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Call(Call),
    Scribble(Scribble),
}

impl Step {
    fn encode(self, to: &mut Vec<u8>) {
        match self {
            Self::Call(Call { what, who, which, len }) => {
                let number = What::ALL.iter().position(|&other| other == what).expect("one of all");
                to.extend([number as u8, who, which]);
                to.extend(len.to_le_bytes());
            }
            Self::Scribble(scribble) => {
                to.push(u8::MAX);
                scribble.encode(to);
            }
        }
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        // As often this as that.
        Ok(match from.arbitrary()? {
            first @ 0..128u8 => Self::Call(Call {
                what: What::ALL[usize::from(first) % What::ALL.len()],
                who: from.arbitrary()?,
                which: from.arbitrary()?,
                len: from.arbitrary()?,
            }),
            _ => Self::Scribble(from.arbitrary()?),
        })
    }
}

fn run(input: &[u8]) -> usize {
    let &[mode, laps, slots, less, more, ref steps @ ..] = input else { return 0 };
    let alone = |bit| if mode & bit == 0 { LINES as u8 } else { 1 };
    let birth = Birth {
        slots: u32::from(slots % SLOTS) + 1,
        size: u32::from(u16::from_le_bytes([less, more]) % SIZES),
        laps: laps.into(),
        uses: USED[usize::from(mode >> 3 & 3)],
        senders: alone(SOLE_SENDER),
        receivers: alone(SOLE_RECEIVER),
        hostile: mode & HOSTILE != 0,
    };
    match (mode & SOLE_SENDER != 0, mode & SOLE_RECEIVER != 0) {
        (false, false) => play::<Many, Many>(birth, steps),
        (true, false) => play::<Sole, Many>(birth, steps),
        (false, true) => play::<Many, Sole>(birth, steps),
        (true, true) => play::<Sole, Sole>(birth, steps),
    }
}

fn play<S: Access, R: Access>(birth: Birth, steps: &[u8]) -> usize {
    let memory = Memory::new(birth.slots, birth.size, LINES);
    let mut model = Model::<S, R>::new(&memory, birth);
    let mut from = Unstructured::new(steps);
    for _ in 0..STEPS {
        if from.is_empty() {
            break;
        }
        match from.arbitrary().expect("no input is refused") {
            Step::Call(call) => model.call(call),
            Step::Scribble(Scribble { place, value }) if birth.hostile => {
                memory.change(place.into(), |found| value.of(found));
            }
            Step::Scribble(_) => {}
        }
    }
    model.end()
}

/// A call of a participant, with what is its only one, or its first.
fn by(who: u8, what: What) -> Step {
    Step::Call(Call { what, who, which: 0, len: 0 })
}

/// The same with another one, or with so many.
fn with(who: u8, what: What, which: u8) -> Step {
    Step::Call(Call { what, who, which, len: 0 })
}

/// One message, or one of several in a slot, of so many bytes.
fn of(who: u8, what: What, len: u16) -> Step {
    Step::Call(Call { what, who, which: 0, len })
}

/// A message that is sent, and as many more.
fn sent(who: u8, more: u16) -> Vec<Step> {
    let one = |n| [by(who, What::Loan), of(who, What::Write, 9 + n), by(who, What::Commit)];
    (0..=more).flat_map(one).collect()
}

/// A message that is taken, read and released, and as many more.
fn received(who: u8, more: usize) -> Vec<Step> {
    [by(who, What::Take), by(who, What::Read), by(who, What::Release)].repeat(more + 1)
}

fn seeds() -> Vec<Seed> {
    // Three messages in a slot, of which one is read.
    let packed = [
        by(0, What::Loan),
        of(0, What::Pack, 5),
        of(0, What::Pack, 0),
        of(0, What::Pack, 16),
        by(0, What::Commit),
        by(1, What::Take),
        by(1, What::Read),
    ];
    let batch =
        [vec![by(0, What::Loan); 5], vec![with(0, What::CommitAll, 4), with(1, What::TakeMany, 9)]].concat();
    let dead = [sent(0, 2), vec![by(0, What::Loan), by(1, What::Take), by(1, What::Take)]].concat();
    let die = |who| by(who, What::Die);
    let sweep = |who, whom, fate| Step::Call(Call { what: What::Sweep, who, which: whom, len: fate });
    let (again, lost) = (0, 1);
    let comes = |who, fate| of(who, What::Attach, fate);
    let born = |mode, laps, slots: u8| [mode, laps, slots - 1, 200, 0];
    let sole = SOLE_SENDER | SOLE_RECEIVER;

    let correct: Vec<(_, [u8; 5], Vec<Step>)> = vec![
        ("one-message", born(0, 0, 4), [sent(0, 0), received(1, 0)].concat()),
        ("one-slot", born(0, 0, 1), [sent(0, 1), received(1, 1), sent(2, 0), received(3, 0)].concat()),
        ("from-lap-to-lap", born(0, 200, 3), [sent(0, 1), received(1, 1)].concat().repeat(20)),
        (
            "full",
            born(0, 0, 5),
            [sent(0, 2), sent(1, 2), vec![by(2, What::LoanNear)], received(3, 5)].concat(),
        ),
        ("more-than-are-near", born(0, 3, 70), [sent(0, 68), vec![by(0, What::LoanNear); 3]].concat()),
        ("uses-wrap", born(16, 0, 1), [sent(0, 0), received(1, 0)].concat().repeat(12)),
        (
            "several-in-a-slot",
            born(0, 0, 4),
            [&packed[..], &[by(1, What::Read); 3], &[by(1, What::Release)]].concat(),
        ),
        ("several-of-which-one-is-read-by-one-that-dies", born(0, 0, 4), {
            [&packed[..], &[die(1), sweep(2, 1, again), by(3, What::Take), by(3, What::Read)]].concat()
        }),
        (
            "several-of-which-two-are-lost",
            born(8, 0, 4),
            [&packed[..], &[die(1), sweep(2, 1, lost)]].concat(),
        ),
        ("batches", born(0, 0, 6), [&batch[..], &[by(1, What::Release); 3], &batch].concat()),
        ("put-back", born(0, 0, 3), {
            [sent(0, 1), vec![by(1, What::Take), by(1, What::PutBack)], received(2, 1)].concat()
        }),
        ("given-back", born(0, 0, 2), [vec![by(0, What::Loan), by(0, What::GiveBack)], sent(1, 1)].concat()),
        ("written-over", born(0, 0, 2), {
            [
                sent(0, 1),
                vec![by(0, What::Take), by(0, What::Reuse), of(0, What::Write, 3), by(0, What::Commit)],
            ]
            .concat()
        }),
        ("given-up", born(8, 0, 3), [sent(0, 1), vec![by(1, What::Take), by(1, What::Lose)]].concat()),
        ("dead-and-swept", born(0, 0, 5), {
            [&dead[..], &[die(0), die(1), sweep(2, 0, again), sweep(3, 1, again)], &received(2, 2)].concat()
        }),
        ("dead-and-succeeded", born(0, 0, 5), {
            [&dead[..], &[die(1), comes(1, again), die(0), comes(0, lost)], &sent(0, 0), &received(1, 0)]
                .concat()
        }),
        ("leaves-with-all-it-has", born(0, 0, 5), {
            [&dead[..], &[by(0, What::Detach), by(1, What::Detach), comes(1, again)], &received(1, 0)]
                .concat()
        }),
        ("sweeper-dies", born(0, 0, 5), {
            [&dead[..], &[die(1), sweep(2, 1, again), die(2), sweep(3, 2, again)], &received(3, 2)].concat()
        }),
        ("alone", born(sole, 0, 5), {
            [
                &sent(0, 2)[..],
                &[by(0, What::Take), die(0), sweep(1, 0, again), comes(0, again)],
                &received(0, 2),
            ]
            .concat()
        }),
        (
            "one-sends",
            born(SOLE_SENDER, 5, 4),
            [sent(0, 2), received(1, 0), received(2, 0)].concat().repeat(3),
        ),
        (
            "one-receives",
            born(SOLE_RECEIVER, 5, 4),
            [sent(1, 1), sent(2, 0), received(0, 3)].concat().repeat(3),
        ),
    ];

    // Of four slots: hints, leases, states, losses, notes, cells.
    let [tail, head, lease, state, losses, note, cell] = [0, 1, 2, 6, 10, 14, 18];
    let scribble = |place, value| Step::Scribble(Scribble { place, value });
    let struck = [
        ("tail-at-its-end", vec![scribble(tail, Value::Any(u64::MAX))]),
        ("hints-apart", vec![scribble(tail, Value::Near(9)), scribble(head, Value::Near(-9))]),
        ("lap-that-cannot-be", vec![scribble(cell, Value::Bit(3)), scribble(cell + 1, Value::Bit(2))]),
        ("slot-that-is-not", vec![scribble(cell, Value::Bit(9)), scribble(cell + 1, Value::Bit(19))]),
        ("slot-of-nobody", vec![scribble(state, Value::Any(9)), scribble(state + 1, Value::Any(0))]),
        ("slot-of-a-dead-one", vec![die(3), scribble(state, Value::Any(3 << 4 | 2)), sweep(0, 3, again)]),
        (
            "longer-than-a-slot",
            vec![scribble(note, Value::Any(1 << 31)), scribble(note + 1, Value::Record(201))],
        ),
        (
            "records-of-nothing",
            vec![scribble(note, Value::Record(200)), scribble(losses, Value::Any(u64::MAX))],
        ),
        (
            "lease-of-another",
            vec![scribble(lease + 1, Value::Any(0)), die(1), sweep(0, 1, lost), comes(1, again)],
        ),
    ];
    let struck = struck.into_iter().map(|(name, words)| {
        let others = [by(3, What::Take), by(3, What::Read), die(2), sweep(1, 2, again), by(1, What::Detach)];
        let steps =
            [&sent(0, 2)[..], &words, &received(1, 1), &sent(2, 1), &others, &received(0, 0)].concat();
        (name, born(HOSTILE, 0, 4), steps)
    });
    let input = |born: [u8; 5], steps: &[Step]| {
        let mut input = born.to_vec();
        steps.iter().for_each(|step| step.encode(&mut input));
        input
    };
    correct
        .into_iter()
        .chain(struck)
        .map(|(name, born, steps)| Seed { name, input: input(born, &steps) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let scribble = Step::Scribble(Scribble { place: 300, value: Value::Near(-1) });
        let call = |what| Step::Call(Call { what, who: 3, which: 200, len: 0x1234 });
        let steps: Vec<_> = What::ALL.map(call).into_iter().chain([scribble]).collect();
        let mut input = Vec::new();
        steps.iter().for_each(|step| step.encode(&mut input));
        let mut from = Unstructured::new(&input);
        let mut read = Vec::new();
        while !from.is_empty() {
            read.push(from.arbitrary::<Step>().unwrap());
        }
        assert_eq!(read, steps);
    }
}
