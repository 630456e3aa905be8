//! What travels: a payload that one side writes and the other reads in full.

use super::{Error, Result};

const WORD: usize = 8;
const FILLING: u64 = 0x0123_4567_89ab_cdef;

/// The payloads of one job, as one side writes and expects them.
///
/// The first word is the number of the message, the last its complement, all between is fixed. So the
/// exclusive or of everything behind the number tells whether each word arrived, and finding out takes a
/// look at every byte.
#[derive(Debug)]
pub(super) struct Message {
    bytes: Box<[u8]>,
    /// Exclusive or of the fixed words.
    fixed: u64,
    /// What of the complement takes part in that: nothing if the number is the whole message.
    complement: u64,
    sent: u64,
    received: u64,
}

impl Message {
    /// Messages of `size` bytes, rounded up to whole words and at least one.
    pub(super) fn new(size: usize) -> Self {
        let words = size.div_ceil(WORD).max(1);
        let fixed = words.saturating_sub(2);
        Self {
            bytes: FILLING.to_le_bytes().repeat(words).into(),
            fixed: if fixed % 2 == 1 { FILLING } else { 0 },
            complement: if words > 1 { u64::MAX } else { 0 },
            sent: 0,
            received: 0,
        }
    }

    /// Bytes of every message.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the next message to be sent.
    #[inline]
    pub(super) fn compose(&mut self) -> &[u8] {
        self.sent += 1;
        let last = self.bytes.len() - WORD;
        self.bytes[last..].copy_from_slice(&(!self.sent).to_le_bytes());
        self.bytes[..WORD].copy_from_slice(&self.sent.to_le_bytes());
        &self.bytes
    }

    /// The message that [`compose`](Self::compose) has written last.
    pub(super) fn composed(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a message that has arrived, every byte of it; fails if it is not the one that comes next.
    #[inline]
    pub(super) fn check(&mut self, arrived: &[u8]) -> Result<()> {
        self.received += 1;
        let mut words = arrived.chunks_exact(WORD).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
        let number = words.next();
        let folded = words.fold(0, |folded, word| folded ^ word);
        let expected = self.fixed ^ (!self.received & self.complement);
        if arrived.len() != self.bytes.len() || number != Some(self.received) || folded != expected {
            return Err(Error::Garbled { number: self.received, size: self.bytes.len() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 6] = [8, 16, 24, 48, 64, 1024];

    #[test]
    fn what_is_sent_is_what_is_expected() {
        for size in SIZES {
            let (mut sender, mut receiver) = (Message::new(size), Message::new(size));
            for _ in 0..3 {
                receiver.check(sender.compose()).unwrap();
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for size in SIZES {
            for bit in 0..size * 8 {
                let mut arrived = Message::new(size).compose().to_vec();
                arrived[bit / 8] ^= 1 << (bit % 8);
                assert!(Message::new(size).check(&arrived).is_err(), "bit {bit} of {size} bytes");
            }
        }
    }

    #[test]
    fn a_lost_repeated_or_shortened_message_is_noticed() {
        let (mut sender, mut receiver) = (Message::new(16), Message::new(16));
        let first = sender.compose().to_vec();
        assert!(receiver.check(&first[..8]).is_err());
        let mut receiver = Message::new(16);
        receiver.check(&first).unwrap();
        assert!(receiver.check(&first).is_err());
        assert!(Message::new(16).check(sender.compose()).is_err());
    }
}
