//! What a queue must be able to do.

use ringway_cli::bench::{Message, Result};

use super::SIZE;

/// A queue, as members get their ends of it.
pub(super) trait Queue {
    type Sender: Sender;
    type Receiver: Receiver;

    fn sender(&self) -> Result<Self::Sender>;

    fn receiver(&self) -> Result<Self::Receiver>;
}

/// Where messages go in. It belongs to one member.
pub(super) trait Sender: Send + 'static {
    /// Hands a message over; waits for room if there is none.
    fn send(&mut self, message: &[u8; SIZE]) -> Result<()>;

    /// Composes and sends so many, one by one if it can do no better.
    fn send_many(&mut self, message: &mut Message<SIZE>, count: u64) -> Result<()> {
        for _ in 0..count {
            self.send(message.compose())?;
        }
        Ok(())
    }
}

/// Where messages come out. It belongs to one member.
pub(super) trait Receiver: Send + 'static {
    /// Waits for a message and has it read; if it can do better, all that are there, up to a batch.
    fn receive(&mut self, read: impl FnMut(&[u8])) -> Result<()>;
}
