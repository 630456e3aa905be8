//! What is sent: messages every word of which tells their number, so that a torn one shows.

use zerocopy::FromBytes;

/// A message of the rings of slots.
pub(crate) type Slot = [u64; 8];

/// A message, made before it is sent, so that only sending is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// The message of this number; 8 bytes at least.
    pub(crate) fn new(number: u64, len: usize) -> Self {
        let mut bytes = vec![0; len];
        write(&mut bytes, number);
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn slot(&self) -> Slot {
        Slot::read_from_bytes(&self.0).expect("a message of a slot's size")
    }
}

/// Fills `bytes` with the message of this number.
pub(crate) fn write(bytes: &mut [u8], number: u64) {
    for (at, chunk) in (0..).zip(bytes.chunks_mut(8)) {
        chunk.copy_from_slice(&word(number, at).to_ne_bytes()[..chunk.len()]);
    }
}

/// The number of a message that is whole.
pub(crate) fn number(bytes: &[u8]) -> Result<u64, String> {
    let number = u64::read_from_prefix(bytes).map_err(|_| format!("{} bytes are no message", bytes.len()))?.0;
    let torn = (0..)
        .zip(bytes.chunks(8))
        .find(|(at, chunk)| chunk != &&word(number, *at).to_ne_bytes()[..chunk.len()]);
    match torn {
        Some((at, found)) => {
            Err(format!("message {number} is torn: its word {at} of {} bytes is {found:x?}", bytes.len()))
        }
        None => Ok(number),
    }
}

fn word(number: u64, at: u64) -> u64 {
    if at == 0 { number } else { (number ^ at << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) }
}
