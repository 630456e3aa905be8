//! Contenders beside one of them, size by size and placement by placement, each bar with its verdict.

use std::fmt;
use std::time::Duration;

use ringway_cli::bench::{
    Comparison, Contender, Count, Pair, Placement, Result, Series, Shape, Size, Slice, Spread, Subject, Time,
    compare_placed,
};

/// Fewer slices than this say nothing.
pub(crate) const FEW: usize = 5;

/// Subjects of one shape, at several sizes, against a floor.
#[derive(Debug)]
pub struct Table {
    /// What it is about.
    pub title: &'static str,
    /// How messages follow each other.
    pub shape: Shape,
    /// Their bytes.
    pub sizes: &'static [usize],
    /// What the others are compared with.
    pub floor: Contender,
    /// The same thing, used in another way. What is compared is held to the faster of the two.
    pub floor_otherwise: Option<Contender>,
    /// The others.
    pub contenders: &'static [Contender],
    /// What is asked of one of them, at this size and placement.
    pub bar: fn(Contender, usize, Placement) -> Option<Bar>,
}

/// What is asked of a speed, in those of the floor.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// As fast as this, or faster.
    AtLeast(f64),
    /// Slower than this.
    Below(f64),
}

/// Measures all tables in about `time`, and prints them.
///
/// # Errors
/// As for [`Pair::round_trips`].
pub fn measure(pair: &mut Pair, tables: &[Table], time: Duration) -> Result<()> {
    let comparisons: usize = tables.iter().map(|table| table.sizes.len()).sum();
    for table in tables {
        println!("\n{}; {} is 1", table.title, table.floor.name());
        for size in table.sizes {
            let subject = |contender| Subject { shape: table.shape, contender, size: *size };
            let contenders: Vec<_> =
                table.contenders.iter().chain(&table.floor_otherwise).copied().map(subject).collect();
            let (gauge, time) = (Subject::hand_over(Contender::Line, 8), time / comparisons as u32);
            let seen = compare_placed(pair, gauge, subject(table.floor), &contenders, time)?;
            for placement in Placement::ALL {
                print(table, &seen, placement);
            }
        }
    }
    Ok(())
}

/// What was seen while the CPUs were placed so; nothing if that was hardly ever.
fn print(table: &Table, seen: &Comparison, placement: Placement) {
    let here = |slice: &&Slice| slice.placement() == Some(placement);
    let few = |series: &Series| series.slices.iter().filter(here).count() < FEW;
    if seen.contenders.iter().any(few) {
        return;
    }
    let Some(floor) = Spread::of(seen.slices().filter(here).map(Slice::floor)) else { return };
    let Subject { size, contender, .. } = seen.floor.subject;
    println!(
        "  {:<7}{:<10}{:<22}{:<20}{}",
        Size(size).to_string(),
        placement.name(),
        contender.name(),
        contender.waiting().name(),
        figure(table.shape, floor.median)
    );
    let speed = |series: &Series| Spread::of(series.slices.iter().filter(here).map(|it| 1.0 / it.ratio()));
    let otherwise = seen.contenders.iter().find(|it| Some(it.subject.contender) == table.floor_otherwise);
    let faster = otherwise.and_then(speed).map_or(1.0, |speed| speed.median.max(1.0));
    for series in &seen.contenders {
        let contender = series.subject.contender;
        let slices = || series.slices.iter().filter(here);
        let Some((time, speed)) = Spread::of(slices().map(|slice| slice.ns)).zip(speed(series)) else {
            continue;
        };
        let verdict = (table.bar)(contender, size, placement).map_or_else(String::new, |bar| {
            let bar = bar.times(faster);
            format!("   {bar}: {}", if bar.holds(speed.median) { "holds" } else { "missed" })
        });
        println!(
            "  {:<17}{:<22}{:<20}{}   {:>6.3} x (p10 {:.3}, p90 {:.3}) in {}{verdict}",
            "",
            contender.name(),
            contender.waiting().name(),
            figure(table.shape, time.median),
            speed.median,
            speed.p10,
            speed.p90,
            slices().count()
        );
    }
}

/// Nanoseconds a message, or messages a second, as it suits.
fn figure(shape: Shape, ns: f64) -> String {
    match shape {
        Shape::HandOver => format!("{:>10}", Time(ns).to_string()),
        Shape::Stream => format!("{:>8}/s", Count(1e9 / ns).to_string()),
    }
}

impl Bar {
    fn times(self, factor: f64) -> Self {
        match self {
            Self::AtLeast(speed) => Self::AtLeast(speed * factor),
            Self::Below(speed) => Self::Below(speed * factor),
        }
    }

    pub(crate) fn holds(self, seen: f64) -> bool {
        match self {
            Self::AtLeast(speed) => seen >= speed,
            Self::Below(speed) => seen < speed,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(speed) => write!(f, "at least {speed:.2}"),
            Self::Below(speed) => write!(f, "below {speed:.2}"),
        }
    }
}
