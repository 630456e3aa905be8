//! Who is there: a word a side, a bit a line.
//!
//! ```text
//! ever:1 died:1 lines:62
//! ```
//!
//! A line's bit is set while its process has ends of that side. Its own process sets it and takes it off; if that has died,
//! whoever has the line's lock does. *Died* says how the last one went, at the same instant at which it is gone; *ever* that there
//! was one.
//!
//! A dead one is taken off some time after its death, and those who were alive then may have left meanwhile: then it was not the
//! last, though its bit is. So who takes it off says who was there *after* the death ([`Census::lost`]): if there were others, the last of
//! them to go came behind the dead one, and what is said of that one stays.

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

    /// A line goes, if it was there, in good order.
    pub(crate) fn leave(self, line: Line) {
        let bit = 1 << line.0;
        self.change(|word| (word & bit != 0).then_some(word & !bit & !DIED));
    }

    /// A line is gone, if it was there, for its process has died. `then`: the lines that were there at some instant behind its death.
    pub(crate) fn lost(self, line: Line, then: u64) {
        let bit = 1 << line.0;
        self.change(|word| {
            let outlived = then & !bit != 0 && word & LINES & !bit == 0;
            (word & bit != 0).then_some(word & !bit | if outlived { 0 } else { DIED })
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
        census.lost(Line(0), 1 << 61 | 1);
        assert_eq!(census.gone(), Gone::No);
        census.leave(Line(61));
        assert_eq!(census.gone(), Gone::Left);
        census.lost(Line(61), 1 << 61);
        assert_eq!(census.gone(), Gone::Left, "who was gone does not die");
        census.come(Line(3));
        census.lost(Line(3), 1 << 3);
        assert_eq!(census.gone(), Gone::Died);
        census.come(Line(3));
        assert_eq!(census.gone(), Gone::No);
    }
    #[test]
    fn who_leaves_behind_a_dead_one_is_the_last_though_that_one_is_taken_off_later() {
        let word = Common::new(0);
        let census = Census(&word);
        let (dead, living) = (Line(0), Line(1));
        [dead, living].into_iter().for_each(|line| census.come(line));
        let then = census.lines();
        census.leave(living);
        assert_eq!(census.gone(), Gone::No);
        census.lost(dead, then);
        assert_eq!(census.gone(), Gone::Left);
    }

    #[test]
    fn of_several_that_have_died_the_last_to_be_taken_off_has_died() {
        let word = Common::new(0);
        let census = Census(&word);
        let lines = [0, 1, 2].map(Line);
        lines.into_iter().for_each(|line| census.come(line));
        let then = census.lines();
        census.leave(lines[0]);
        lines.into_iter().for_each(|line| census.lost(line, then));
        assert_eq!(census.gone(), Gone::Died);
    }
}
