//! How far apart the two CPUs are.

use serde::Serialize;

/// What lies between two CPUs, told by the time one cache line takes from one to the other.
///
/// On a virtual machine it may change from minute to minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Less than 25 ns: two threads of one core.
    Siblings,
    /// 25 to 100 ns: a common cache.
    Near,
    /// More than 100 ns: no common cache, or another socket.
    Far,
}

impl Placement {
    /// Every placement, nearest first.
    pub const ALL: [Self; 3] = [Self::Siblings, Self::Near, Self::Far];

    /// The placement where handing over one line takes `ns` nanoseconds.
    #[must_use]
    pub fn of(ns: f64) -> Self {
        if ns < 25.0 {
            Self::Siblings
        } else if ns <= 100.0 {
            Self::Near
        } else {
            Self::Far
        }
    }

    /// What tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Siblings => "siblings",
            Self::Near => "near",
            Self::Far => "far",
        }
    }
}
