//! What is done to a ring: a call, or a word overwritten.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::{call::Call, scribble::Scribble};

/// One call, or one word overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Call(Call),
    /// To a control word, or from `CONTROL_WORDS` on to a granule of the data.
    Scribble(Scribble),
}

impl Step {
    fn encode(self, to: &mut Vec<u8>) {
        match self {
            Self::Call(call) => call.encode(to),
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
            first @ 0..128 => Self::Call(Call::decode(first, from)?),
            _ => Self::Scribble(from.arbitrary()?),
        })
    }
}

/// An input that begins like that and goes on with these steps.
pub(crate) fn input(head: &[u8], steps: &[Step]) -> Vec<u8> {
    let mut input = head.to_vec();
    steps.iter().for_each(|step| step.encode(&mut input));
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::ways, scribble::Value};

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let values = [Value::Any(1 << 40), Value::Record(5), Value::Closed, Value::Near(-1), Value::Bit(63)];
        let scribbles = values.map(|value| Step::Scribble(Scribble { place: 300, value }));
        let calls = ways().into_iter().flat_map(|(_, way)| way).map(Step::Call);
        let steps: Vec<_> = scribbles.into_iter().chain(calls).collect();
        let input = input(&[], &steps);
        let mut from = Unstructured::new(&input);
        let mut read = Vec::new();
        while !from.is_empty() {
            read.push(from.arbitrary::<Step>().unwrap());
        }
        assert_eq!(read, steps);
    }
}
