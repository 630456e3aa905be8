//! Figures as people read them.

use std::fmt;

/// Nanoseconds, in a unit that suits them.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub f64);

/// How many, in thousands and so on if there are many.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub f64);

/// Bytes that somebody counted, in decimal units.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub f64);

/// Bytes that somebody chose, a multiple of a binary unit.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub usize);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&scaled(self.0, &["ns", "µs", "ms", "s"]))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&scaled(self.0, &["", "k", "M", "G"]))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&scaled(self.0, &["B", "kB", "MB", "GB", "TB"]))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self.0 {
            kibi if kibi % 1024 == 0 => format!("{} KiB", kibi / 1024),
            bytes => format!("{bytes} B"),
        })
    }
}

/// Three digits or so of `figure` in the unit that leaves the fewest in front of the point.
fn scaled(mut figure: f64, units: &[&str]) -> String {
    let mut units = units.iter().copied().peekable();
    let mut unit = units.next().unwrap_or_default();
    while figure >= 1000.0 && units.peek().is_some() {
        (figure, unit) = (figure / 1000.0, units.next().unwrap_or_default());
    }
    let places = usize::from(figure < 100.0);
    format!("{figure:.places$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_put_in_a_unit_that_suits_them() {
        assert_eq!(Time(37.12).to_string(), "37.1 ns");
        assert_eq!(Time(4_210.0).to_string(), "4.2 µs");
        assert_eq!(Time(2e12).to_string(), "2000 s");
        assert_eq!(Count(34_100_000.0).to_string(), "34.1 M");
        assert_eq!(Bytes(272e6).to_string(), "272 MB");
        assert_eq!(Size(64).to_string(), "64 B");
        assert_eq!(Size(4096).to_string(), "4 KiB");
    }
}
