//! What is said when shared memory holds a value that no correct peer writes.

use core::fmt;

/// Which word was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// The header of the record at this position (bytes since the ring was made).
    Header {
        /// Position of the header in the stream of bytes.
        position: u64,
    },
    /// The producer's position word, of a ring of slots.
    ProducerPosition,
    /// The consumer's position word.
    ConsumerPosition,
    /// The word that says what the consumer had taken.
    Taken,
    /// The word that says where the oldest record is.
    Oldest,
    /// The word that says up to where the producer may be writing.
    Claim,
    /// The cell of a queue at this position (counted from the queue's birth).
    Cell {
        /// Position of the cell.
        position: u64,
    },
    /// The state of a queue's slot.
    Slot {
        /// Its number.
        slot: u32,
    },
    /// A hint of a queue, which changes all the time though nobody comes on.
    Hint,
}

/// Shared memory holds a value that no correct peer writes there.
///
/// The endpoint that met it is poisoned: it gives the same error from then on, and takes and lends no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt {
    /// Which word.
    pub at: At,
    /// What it held.
    pub found: u64,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            At::Header { position } => write!(f, "the record header at position {position}")?,
            At::ProducerPosition => write!(f, "the sender's position")?,
            At::ConsumerPosition => write!(f, "the receiver's position")?,
            At::Taken => write!(f, "the word that says what the receiver had taken")?,
            At::Oldest => write!(f, "the position of the oldest record")?,
            At::Claim => write!(f, "the sender's claim")?,
            At::Cell { position } => write!(f, "the queue's cell at position {position}")?,
            At::Slot { slot } => write!(f, "the state of slot {slot}")?,
            At::Hint => write!(f, "the queue's hint")?,
        }
        write!(
            f,
            " holds {:#018x}, which no correct peer writes: some process with access to the ring is broken or \
             hostile; stop all who use this ring, remove it if it has a name, and make a new one",
            self.found
        )
    }
}

impl core::error::Error for Corrupt {}
