//! A record and its header word.

use crate::{At, Corrupt};

/// Bytes of a header, and what positions and sizes are multiples of.
pub(super) const GRANULE: u64 = 8;

const RECORD: u64 = 1 << 48;
const CLOSED: u64 = 2 << 48;

/// What a header word says.
pub(super) enum Header {
    /// Nothing yet.
    Empty,
    /// The producer closed here.
    Closed,
    /// A committed record.
    Record { len: u32, kind: u16 },
    /// No correct producer writes this.
    Unknown,
}

impl Header {
    /// The word that says "nothing yet".
    pub(super) const EMPTY: u64 = 0;
    /// The word that says "closed".
    pub(super) const CLOSED: u64 = CLOSED;

    /// The word of a committed record: never 0.
    #[inline(always)]
    pub(super) fn record(len: u32, kind: u16) -> u64 {
        RECORD | u64::from(kind) << 32 | u64::from(len)
    }

    #[inline(always)]
    pub(super) fn decode(word: u64) -> Self {
        if word & !0xffff_ffff_ffff == RECORD {
            return Self::Record { len: word as u32, kind: (word >> 32) as u16 };
        }
        match word {
            Self::EMPTY => Self::Empty,
            Self::CLOSED => Self::Closed,
            _ => Self::Unknown,
        }
    }
}

/// Bytes that a record with `len` bytes of payload takes: header and payload, rounded up.
#[inline(always)]
pub(super) fn size(len: u32) -> u64 {
    (u64::from(len) + (2 * GRANULE - 1)) & !(GRANULE - 1)
}

/// A record that a consumer has taken and not yet released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Where its header lies.
    pub(crate) position: u64,
    /// Bytes of payload.
    pub(crate) len: u32,
    /// The sender's.
    pub(crate) kind: u16,
}

impl Record {
    /// Bytes of payload.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a record with no bytes is a record")]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The number the sender gave it.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// What to say of a record that is too short to be one of its ring's.
    #[must_use]
    pub fn too_short(&self) -> Corrupt {
        Corrupt { at: At::Header { position: self.position }, found: Header::record(self.len, self.kind) }
    }

    /// Granule of the first byte of payload, and how many granules the payload takes: for models and tests
    /// that look at words.
    #[must_use]
    pub fn granules(&self) -> (u64, u64) {
        (self.position / GRANULE + 1, size(self.len) / GRANULE - 1)
    }
}
