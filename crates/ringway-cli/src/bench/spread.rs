//! How figures of many slices are put into three.

use serde::Serialize;

/// The middle of many figures, and the tenth and ninetieth percentile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Half of the figures are at most this.
    pub median: f64,
    /// A tenth of the figures are at most this.
    pub p10: f64,
    /// Nine tenths of the figures are at most this.
    pub p90: f64,
}

impl Spread {
    /// The spread of `figures`; `None` if there are none.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        let at = |share: f64| figures[(share * last as f64).round() as usize];
        Some(Self { median: at(0.5), p10: at(0.1), p90: at(0.9) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_there_is_none() {
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn of_one_figure_all_are_that() {
        assert_eq!(Spread::of([7.0]), Some(Spread { median: 7.0, p10: 7.0, p90: 7.0 }));
    }

    #[test]
    fn order_does_not_matter() {
        let spread = Spread::of((0..=100).rev().map(f64::from)).unwrap();
        assert_eq!(spread, Spread { median: 50.0, p10: 10.0, p90: 90.0 });
    }
}
