//! What a hostile or broken peer writes.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Writes something to a word; which one is up to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scribble {
    pub(crate) place: u16,
    pub(crate) value: Value,
}

/// What is written: the closer to what a correct peer writes, the deeper it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Anything.
    Any(u64),
    /// The header of a record of so many bytes.
    Record(u16),
    /// The header that says *closed*.
    Closed,
    /// What is there, and so many granules more or less.
    Near(i8),
    /// What is there, with this bit the other way.
    Bit(u8),
}

impl Value {
    /// What the word holds when it held `found`.
    pub(crate) fn of(self, found: u64) -> u64 {
        match self {
            Self::Any(value) => value,
            Self::Record(len) => 1 << 48 | u64::from(len),
            Self::Closed => 2 << 48,
            Self::Near(granules) => found.wrapping_add_signed(i64::from(granules) * 8),
            Self::Bit(bit) => found ^ 1 << (bit % 64),
        }
    }
}

impl Scribble {
    pub(crate) fn encode(self, to: &mut Vec<u8>) {
        to.extend(self.place.to_le_bytes());
        match self.value {
            Value::Any(value) => {
                to.push(0);
                to.extend(value.to_le_bytes());
            }
            Value::Record(len) => {
                to.push(1);
                to.extend(len.to_le_bytes());
            }
            Value::Closed => to.push(2),
            Value::Near(granules) => to.extend([3, granules as u8]),
            Value::Bit(bit) => to.extend([4, bit]),
        }
    }
}

impl<'a> Arbitrary<'a> for Scribble {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        let place = from.arbitrary()?;
        let value = match from.arbitrary::<u8>()? % 5 {
            0 => Value::Any(from.arbitrary()?),
            1 => Value::Record(from.arbitrary()?),
            2 => Value::Closed,
            3 => Value::Near(from.arbitrary()?),
            _ => Value::Bit(from.arbitrary()?),
        };
        Ok(Self { place, value })
    }
}
