//! What is in a slot: a message, or several.

/// Bit of the flags: the slot holds records, each with a header.
const PACKED: u64 = 1 << 48;
/// Bit of the flags: a receiver that was killed had it.
const AGAIN: u64 = 1 << 49;

/// What is in a slot: `flags:16 kind:16 len:32`; of records, the kind is how many there are, 0 if that is not known.
///
/// ```
/// use ringway_ring::mpmc::Note;
///
/// let note = Note::message(5, 7);
/// assert_eq!((note.len(), note.kind(), note.is_packed()), (5, 7, false));
/// assert!(note.again().comes_again());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note(pub u64);

impl Note {
    /// One message.
    #[inline(always)]
    #[must_use]
    pub fn message(len: u32, kind: u16) -> Self {
        Self(u64::from(kind) << 32 | u64::from(len))
    }

    /// Records that take so many bytes.
    #[inline(always)]
    #[must_use]
    pub fn packed(len: u32) -> Self {
        Self(PACKED | u64::from(len))
    }

    /// So many records, none of which was received. If they are more than 65535, it is not said how many.
    #[inline(always)]
    #[must_use]
    pub fn packed_fresh(len: u32, count: usize) -> Self {
        let count = u16::try_from(count).unwrap_or(0);
        Self(PACKED | u64::from(count) << 32 | u64::from(len))
    }

    /// How many records there are, if none was received and it is known.
    #[inline(always)]
    #[must_use]
    pub fn count(self) -> Option<u32> {
        let fresh = self.0 & (PACKED | AGAIN) == PACKED && self.kind() != 0;
        fresh.then(|| self.kind().into())
    }

    /// The same records, of which some may have been received.
    #[inline]
    #[must_use]
    pub fn used(self) -> Self {
        Self(self.0 & !(0xffff << 32))
    }

    /// The same, of what a receiver that was killed had.
    #[inline]
    #[must_use]
    pub fn again(self) -> Self {
        Self(self.0 | AGAIN)
    }

    /// Bytes in the slot.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a message with no bytes is a message")]
    pub fn len(self) -> u32 {
        self.0 as u32
    }

    /// The message's number of the user's own.
    #[inline(always)]
    #[must_use]
    pub fn kind(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// Whether there are records.
    #[inline(always)]
    #[must_use]
    pub fn is_packed(self) -> bool {
        self.0 & PACKED != 0
    }

    /// Whether a receiver that was killed had it.
    #[inline(always)]
    #[must_use]
    pub fn comes_again(self) -> bool {
        self.0 & AGAIN != 0
    }
}

/// Bytes of a record's header.
pub(crate) const HEADER: u32 = 8;

/// Bit of a record's header, `flags:16 kind:16 len:32`: it is one.
const RECORD: u64 = 1 << 48;
/// Bit of a record's header: its message was received and released.
const DONE: u64 = 1 << 49;

/// A message among several in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    pub(crate) slot: u32,
    /// Where its header lies in the slot.
    pub(crate) at: u32,
    /// Bytes of payload, which is inside the slot.
    pub(crate) len: u32,
    pub(crate) kind: u16,
    pub(crate) done: bool,
}

impl Packed {
    /// The header of a record.
    pub(crate) fn header(len: u32, kind: u16) -> u64 {
        RECORD | u64::from(kind) << 32 | u64::from(len)
    }

    /// That of one whose message was released.
    pub(crate) fn done(self) -> u64 {
        Self::header(self.len, self.kind) | DONE
    }

    /// What a header at this place says, of records that end at `end`; `None` if no sender writes that.
    pub(crate) fn decode(header: u64, slot: u32, at: u32, end: u32) -> Option<Self> {
        let (len, kind) = (header as u32, (header >> 32) as u16);
        let room = end.checked_sub(at)?.checked_sub(HEADER)?;
        let known = header & !0xffff_ffff_ffff & !DONE == RECORD;
        (known && len <= room).then_some(Self { slot, at, len, kind, done: header & DONE != 0 })
    }

    /// Where the next one begins.
    #[must_use]
    pub fn end(self) -> u32 {
        // What ends at the end of a slot does not come round: slots are shorter than 2³¹ bytes.
        (self.at + HEADER + self.len).next_multiple_of(HEADER)
    }

    /// The message's number of the user's own.
    #[inline]
    #[must_use]
    pub fn kind(self) -> u16 {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_keeps_what_it_is_made_of() {
        let note = Note::message(u32::MAX, 0xffff);
        assert_eq!(
            (note.len(), note.kind(), note.is_packed(), note.comes_again()),
            (u32::MAX, 0xffff, false, false)
        );
        let note = Note::packed(64).again();
        assert_eq!((note.len(), note.is_packed(), note.comes_again()), (64, true, true));
    }

    #[test]
    fn a_header_is_believed_only_if_its_record_ends_inside() {
        let header = Packed::header(8, 7);
        assert_eq!(
            Packed::decode(header, 3, 0, 16),
            Some(Packed { slot: 3, at: 0, len: 8, kind: 7, done: false })
        );
        assert!(Packed::decode(header, 3, 8, 24).unwrap().end() == 24);
        for (header, at, end) in
            [(header, 8, 16), (header, 16, 8), (0, 0, 64), (u64::MAX, 0, 64), (1 << 63 | header, 0, 64)]
        {
            assert_eq!(Packed::decode(header, 3, at, end), None);
        }
        let done = Packed::decode(header, 3, 0, 16).unwrap().done();
        assert!(Packed::decode(done, 3, 0, 16).unwrap().done);
    }
}
