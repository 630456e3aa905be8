//! What travels: a payload that one side writes and the other reads in full.

use super::{Error, Result};

const WORD: usize = 8;
const FILLING: u64 = 0x0123_4567_89ab_cdef;

/// The payloads of one job, `N` bytes each, as one side writes and expects them.
///
/// The first word is the number of the message, the last its complement, all between is fixed. So the
/// exclusive or of everything behind the number tells whether each word arrived, and finding out takes a
/// look at every byte.
///
/// The compiler knows the size, as it would in a program that sends messages of one type: what is measured is the
/// channel, and not how long the C library takes to find out how little it has to copy.
#[derive(Debug)]
pub struct Message<const N: usize> {
    bytes: [u8; N],
    sent: u64,
    received: u64,
}

impl<const N: usize> Message<N> {
    const WHOLE_WORDS: () =
        assert!(N >= WORD && N % WORD == 0, "a message has one word at least, and no half one");

    /// Exclusive or of the fixed words.
    const FIXED: u64 = if N / WORD % 2 == 1 && N > WORD { FILLING } else { 0 };

    /// What of the complement takes part in that: nothing if the number is the whole message.
    const COMPLEMENT: u64 = if N > WORD { u64::MAX } else { 0 };

    /// Nothing sent, nothing received.
    #[must_use]
    pub fn new() -> Self {
        let () = Self::WHOLE_WORDS;
        let mut bytes = [0; N];
        for word in bytes.chunks_exact_mut(WORD) {
            word.copy_from_slice(&FILLING.to_le_bytes());
        }
        Self { bytes, sent: 0, received: 0 }
    }

    /// Writes the next message to be sent.
    #[inline]
    pub fn compose(&mut self) -> &[u8; N] {
        self.sent += 1;
        self.number(self.sent)
    }

    /// Writes the message of this number; none that is [composed](Self::compose) has number 0.
    #[inline]
    pub fn number(&mut self, number: u64) -> &[u8; N] {
        self.bytes[N - WORD..].copy_from_slice(&(!number).to_le_bytes());
        self.bytes[..WORD].copy_from_slice(&number.to_le_bytes());
        &self.bytes
    }

    /// The message that [`compose`](Self::compose) has written last.
    #[inline]
    #[must_use]
    pub fn composed(&self) -> &[u8; N] {
        &self.bytes
    }

    /// Reads a message that has arrived, every byte of it.
    ///
    /// # Errors
    /// [`Error::Garbled`] if it is not the one that comes next.
    #[inline]
    pub fn check(&mut self, arrived: &[u8]) -> Result<()> {
        self.received += 1;
        if Self::read(arrived) == Some(self.received) { Ok(()) } else { Err(self.garbled()) }
    }

    /// Reads a message of whatever number, every byte of it. Returns its number, if it arrived as it was written.
    #[inline]
    #[must_use]
    pub fn read(arrived: &[u8]) -> Option<u64> {
        let arrived = <&[u8; N]>::try_from(arrived).ok()?;
        let mut words = arrived.chunks_exact(WORD).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
        let number = words.next()?;
        let folded = words.fold(0, |folded, word| folded ^ word);
        (folded == Self::FIXED ^ (!number & Self::COMPLEMENT)).then_some(number)
    }

    #[cold]
    fn garbled(&self) -> Error {
        Error::Garbled { number: self.received, size: N }
    }
}

impl<const N: usize> Default for Message<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does `$claim` for messages of some sizes.
    macro_rules! for_sizes {
        ($claim:ident) => {
            $claim::<8>();
            $claim::<16>();
            $claim::<24>();
            $claim::<48>();
            $claim::<64>();
            $claim::<1024>();
        };
    }

    #[test]
    fn what_is_sent_is_what_is_expected() {
        fn claim<const N: usize>() {
            let (mut sender, mut receiver) = (Message::<N>::new(), Message::<N>::new());
            for _ in 0..3 {
                receiver.check(sender.compose()).unwrap();
            }
        }
        for_sizes!(claim);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        fn claim<const N: usize>() {
            for bit in 0..N * 8 {
                let mut arrived = *Message::<N>::new().compose();
                arrived[bit / 8] ^= 1 << (bit % 8);
                assert!(Message::<N>::new().check(&arrived).is_err(), "bit {bit} of {N} bytes");
            }
        }
        for_sizes!(claim);
    }

    #[test]
    fn the_number_of_a_message_is_read_whatever_it_is() {
        fn claim<const N: usize>() {
            for number in [0, 1, 7, u64::MAX] {
                assert_eq!(Message::<N>::read(Message::<N>::new().number(number)), Some(number));
            }
        }
        for_sizes!(claim);
    }

    #[test]
    fn a_lost_repeated_or_shortened_message_is_noticed() {
        let (mut sender, mut receiver) = (Message::<16>::new(), Message::<16>::new());
        let first = *sender.compose();
        assert!(receiver.check(&first[..8]).is_err());
        let mut receiver = Message::<16>::new();
        receiver.check(&first).unwrap();
        assert!(receiver.check(&first).is_err());
        assert!(Message::<16>::new().check(sender.compose()).is_err());
    }
}
