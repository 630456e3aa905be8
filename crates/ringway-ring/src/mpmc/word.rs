//! The two kinds of packed words: what becomes of a slot, and what a cell queues.

/// Bits below the use count, in both.
const USE: u32 = 20;
/// Bits below a state's owner.
const OWNER: u32 = 4;
/// Bits below a cell's slot.
const SLOT: u32 = 4;
/// Bits below a cell's lap.
const LAP: u32 = 1;
/// Laps are told apart modulo so many.
const LAPS: u64 = 8;
/// Bit of a cell that has been filled.
const FILLED: u64 = 1;

/// A participant of a queue, by the number of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line(pub u16);

/// What a slot is to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Nobody's.
    Free,
    /// Lent to be written; sent, if a cell has it.
    Writing,
    /// Being read.
    Reading,
    /// A message that its owner puts back; back, if a cell has it.
    Returning,
}

/// A slot's word: `use:44 owner:16 tag:4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State(pub(super) u64);

impl State {
    #[inline(always)]
    pub(super) fn new(uses: u64, owner: Line, tag: Tag) -> Self {
        Self(uses << USE | u64::from(owner.0) << OWNER | tag as u64)
    }

    /// That of a slot which is nobody's.
    #[inline(always)]
    pub(super) fn free(uses: u64) -> Self {
        Self(uses << USE)
    }

    /// How often the slot has been sent, or taken from its owner.
    #[inline(always)]
    #[must_use]
    pub fn uses(self) -> u64 {
        self.0 >> USE
    }

    /// Whose it is, if it is somebody's.
    #[inline(always)]
    #[must_use]
    pub fn owner(self) -> Line {
        Line((self.0 >> OWNER) as u16)
    }

    /// What it is to its owner; `None` if no participant writes this.
    #[inline(always)]
    #[must_use]
    pub fn tag(self) -> Option<Tag> {
        Some(match self.0 & 0xf {
            0 => Tag::Free,
            1 => Tag::Writing,
            2 => Tag::Reading,
            3 => Tag::Returning,
            _ => return None,
        })
    }

    /// Whether a cell with this use count queues what is in the slot: it has not been taken.
    #[inline(always)]
    pub(super) fn is_queued_by(self, cell: Cell) -> bool {
        // Tags 1 and 3 are the odd ones.
        (self.0 ^ cell.0) >> USE == 0 && matches!(self.0 & 0xf, 1 | 3)
    }
}

/// A cell's word: `use:44 slot:16 lap:3 filled:1`; 0, which matches no slot, is a cell of the lap before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell(pub(super) u64);

/// When a cell was filled, as seen from a position that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// A lap ago: the position is not filled.
    Before,
    /// For this position.
    Now,
    /// For the same place a lap later.
    After,
    /// At some other time.
    Unknown,
}

impl Cell {
    /// What fills the cell at a position, which lies so many laps behind the first.
    #[inline(always)]
    pub(super) fn new(uses: u64, slot: u32, lap: u64) -> Self {
        Self(uses << USE | u64::from(slot) << SLOT | (lap.wrapping_add(1) % LAPS) << LAP | FILLED)
    }

    /// Whether it queues something, or has.
    #[inline(always)]
    pub(super) fn is_filled(self) -> bool {
        self.0 & FILLED != 0
    }

    /// The slot that it queues.
    #[inline(always)]
    pub(super) fn slot(self) -> u32 {
        (self.0 >> SLOT) as u32 & 0xffff
    }

    /// When it was filled, as seen from that lap.
    #[inline(always)]
    pub(super) fn age(self, lap: u64) -> Age {
        match (self.0 >> LAP).wrapping_sub(lap) % LAPS {
            0 => Age::Before,
            1 => Age::Now,
            2 => Age::After,
            _ => Age::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_keeps_what_it_is_made_of() {
        for (uses, owner, tag) in
            [(0, 0, Tag::Free), (1, 61, Tag::Writing), ((1 << 44) - 1, 65535, Tag::Returning)]
        {
            let state = State::new(uses, Line(owner), tag);
            assert_eq!((state.uses(), state.owner(), state.tag()), (uses, Line(owner), Some(tag)));
        }
        assert_eq!(State::free(7).tag(), Some(Tag::Free));
        assert_eq!(State(9).tag(), None);
    }

    #[test]
    fn a_cell_tells_its_lap_from_the_two_beside_it() {
        assert_eq!(Cell(0).age(0), Age::Before);
        for lap in 0..20 {
            let cell = Cell::new(5, 65535, lap);
            assert_eq!((cell.slot(), cell.is_filled()), (65535, true));
            assert_eq!((cell.age(lap + 1), cell.age(lap)), (Age::Before, Age::Now));
            if lap > 0 {
                assert_eq!(cell.age(lap - 1), Age::After);
            }
            assert_eq!(cell.age(lap + 4), Age::Unknown);
        }
    }

    #[test]
    fn only_what_was_not_taken_is_queued() {
        let cell = Cell::new(5, 3, 0);
        for (state, queued) in [
            (State::new(5, Line(1), Tag::Writing), true),
            (State::new(5, Line(2), Tag::Returning), true),
            (State::new(5, Line(1), Tag::Reading), false),
            (State::new(6, Line(1), Tag::Reading), false),
            (State::new(6, Line(1), Tag::Writing), false),
            (State::free(5), false),
        ] {
            assert_eq!(state.is_queued_by(cell), queued, "{state:?}");
        }
    }
}
