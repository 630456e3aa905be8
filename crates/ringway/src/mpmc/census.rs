//! Who is there: a word a side, a bit a line.
//!
//! ```text
//! ever:1 died:1 lines:62
//! ```
//!
//! A line's bit is set while its process has ends of that side. Its own process sets it and takes it off; if that has died,
//! whoever has the line's lock does. *Died* says how the last one went, at the same instant at which it is gone; *ever* that there
//! was one.

use ringway_ring::{
    mpmc::Line,
    primitive::{Common, Ordering},
};

const EVER: u64 = 1 << 63;
const DIED: u64 = 1 << 62;
const LINES: u64 = DIED - 1;

/// Who is on one side.
#[derive(Clone, Copy)]
pub(crate) struct Census<'a>(pub(crate) &'a Common);

/// What became of a side where nobody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Somebody is there.
    No,
    /// Nobody has come yet.
    NeverCame,
    /// The last one has left in good order.
    Left,
    /// The last one has died.
    Died,
}

impl Census<'_> {
    /// Whether somebody is there.
    #[inline(always)]
    pub(crate) fn anybody(self) -> bool {
        // Relaxed: who finds nobody asks again, by `gone`.
        self.0.load(Ordering::Relaxed) & LINES != 0
    }

    /// What became of those who were there. Who has gone has done all that it did before.
    pub(crate) fn gone(self) -> Gone {
        // Acquire: pairs with the Release in `leave`.
        let word = self.0.load(Ordering::Acquire);
        match (word & LINES, word & DIED, word & EVER) {
            (0, _, 0) => Gone::NeverCame,
            (0, 0, _) => Gone::Left,
            (0, _, _) => Gone::Died,
            _ => Gone::No,
        }
    }

    /// The lines that are there.
    pub(crate) fn lines(self) -> u64 {
        // Relaxed: what is of interest of a line has its own words.
        self.0.load(Ordering::Relaxed) & LINES
    }

    /// A line comes.
    pub(crate) fn come(self, line: Line) {
        self.change(|word| Some((word | EVER | 1 << line.0) & !DIED));
    }

    /// A line goes, if it was there.
    pub(crate) fn leave(self, line: Line, died: bool) {
        let bit = 1 << line.0;
        self.change(|word| {
            (word & bit != 0).then_some(if died { word & !bit | DIED } else { word & !bit & !DIED })
        });
    }

    fn change(self, to: impl Fn(u64) -> Option<u64>) {
        // Relaxed: the exchange is what counts.
        let mut word = self.0.load(Ordering::Relaxed);
        while let Some(new) = to(word) {
            // Release: pairs with the Acquire in `gone`.
            match self.0.compare_exchange(word, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_go_decides_what_became_of_them() {
        let word = Common::new(0);
        let census = Census(&word);
        assert_eq!(census.gone(), Gone::NeverCame);
        census.come(Line(0));
        census.come(Line(61));
        assert_eq!((census.gone(), census.lines()), (Gone::No, 1 << 61 | 1));
        census.leave(Line(0), true);
        assert_eq!(census.gone(), Gone::No);
        census.leave(Line(61), false);
        assert_eq!(census.gone(), Gone::Left);
        census.leave(Line(61), true);
        assert_eq!(census.gone(), Gone::Left, "who was gone does not die");
        census.come(Line(3));
        census.leave(Line(3), true);
        assert_eq!(census.gone(), Gone::Died);
        census.come(Line(3));
        assert_eq!(census.gone(), Gone::No);
    }
}
