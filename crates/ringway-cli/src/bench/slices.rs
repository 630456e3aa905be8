//! Short slices of floor and contenders, in turn.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Contender, Error, Pair, Placement, Result, Spread, Subject};

/// How long a slice should be. Where one was longer the next one does less.
const SLICE: Duration = Duration::from_millis(5);
/// Slices of every contender at least, however short the time.
const AT_LEAST: usize = 3;
/// Floors before and after a slice that differ by no more than this factor are the same floor.
const STEADY: f64 = 1.5;
/// A round trip that takes longer counts as this long.
const LONGEST_NS: u64 = 60_000_000_000;

/// One slice of a contender.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Nanoseconds a message, one way.
    pub ns: f64,
    /// The same for the floor, right before and right after.
    pub floor_ns: [f64; 2],
    /// The same for what tells the placement, before and after: the floor, or a line of its own.
    pub gauge_ns: [f64; 2],
}

impl Slice {
    /// Nanoseconds in those of the floor.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ns / self.floor()
    }

    /// Nanoseconds of the floor around this slice.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.floor_ns.iter().sum::<f64>() / 2.0
    }

    /// The placement during the slice if the floor, or the gauge, is a cache line; `None` if that changed by half or
    /// more: the CPUs were moved, or something else ran on them.
    #[must_use]
    pub fn placement(&self) -> Option<Placement> {
        let [before, after] = self.gauge_ns;
        let steady = before < after * STEADY && after < before * STEADY;
        steady.then(|| Placement::of((before + after) / 2.0))
    }
}

/// What was seen of one subject.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is.
    pub subject: Subject,
    /// Its slices in order; none of the floor, whose figures are in the slices of the others.
    pub slices: Vec<Slice>,
    /// Nanoseconds of round trips that were clocked one by one, in slices of their own; none of a stream.
    pub round_trips: Histogram<u64>,
}

impl Series {
    fn new(subject: Subject) -> Result<Self> {
        let round_trips = Histogram::new_with_max(LONGEST_NS, 3).map_err(Error::other)?;
        Ok(Self { subject, slices: Vec::new(), round_trips })
    }
}

/// Contenders and their floor.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What the others are compared with.
    pub floor: Series,
    /// The others.
    pub contenders: Vec<Series>,
}

impl Comparison {
    /// All slices of all contenders.
    pub fn slices(&self) -> impl Iterator<Item = &Slice> + Clone {
        self.contenders.iter().flat_map(|series| &series.slices)
    }
}

/// A subject, and how often a slice does it.
struct Track {
    subject: Subject,
    count: u64,
}

impl Track {
    /// Finds out how often a slice can do it.
    fn settle(subject: Subject, pair: &mut Pair) -> Result<Self> {
        let mut track = Self { subject, count: 4 };
        let mut before = 0;
        while track.count > before {
            before = track.count * 3 / 2;
            track.slice(pair)?;
        }
        Ok(track)
    }

    /// Runs one slice and returns the nanoseconds a message.
    fn slice(&mut self, pair: &mut Pair) -> Result<f64> {
        let start = Instant::now();
        let each = self.subject.run(pair, self.count)?.as_nanos() as f64 / self.count as f64;
        let change = (SLICE.as_secs_f64() / start.elapsed().as_secs_f64()).clamp(0.1, 10.0);
        self.count = ((self.count as f64 * change) as u64).max(1);
        Ok(each)
    }
}

/// Measures `contenders` for about `time`, in turn, each slice between two slices of `floor`.
///
/// # Errors
/// As for [`Pair::round_trips`].
pub fn compare(
    pair: &mut Pair,
    floor: Subject,
    contenders: &[Subject],
    time: Duration,
) -> Result<Comparison> {
    compare_gauged(pair, None, floor, contenders, time)
}

/// [`compare`], where the placement is told by slices of `gauge`, a cache line, around every turn of all contenders: for
/// floors that are no line themselves.
///
/// # Errors
/// As for [`Pair::round_trips`].
pub fn compare_placed(
    pair: &mut Pair,
    gauge: Subject,
    floor: Subject,
    contenders: &[Subject],
    time: Duration,
) -> Result<Comparison> {
    let gauge = Track::settle(gauge, pair)?;
    compare_gauged(pair, Some(gauge), floor, contenders, time)
}

fn compare_gauged(
    pair: &mut Pair,
    mut gauge: Option<Track>,
    floor: Subject,
    contenders: &[Subject],
    time: Duration,
) -> Result<Comparison> {
    let mut tracks = contenders.iter().map(|it| Track::settle(*it, pair)).collect::<Result<Vec<_>>>()?;
    let mut floor_track = Track::settle(floor, pair)?;
    let mut seen = Comparison {
        floor: Series::new(floor)?,
        contenders: contenders.iter().map(|it| Series::new(*it)).collect::<Result<_>>()?,
    };
    let start = Instant::now();
    let mut turns = 0;
    let mut gauge_before = gauge.as_mut().map(|gauge| gauge.slice(pair)).transpose()?;
    while turns < AT_LEAST || start.elapsed() < time {
        turns += 1;
        let mut before = floor_track.slice(pair)?;
        for (track, series) in tracks.iter_mut().zip(&mut seen.contenders) {
            let ns = track.slice(pair)?;
            let after = floor_track.slice(pair)?;
            let floor_ns = [before, after];
            series.slices.push(Slice { ns, floor_ns, gauge_ns: floor_ns });
            before = after;
        }
        let gauge_after = gauge.as_mut().map(|gauge| gauge.slice(pair)).transpose()?;
        if let Some(gauge_ns) = gauge_before.zip(gauge_after) {
            let turn = seen.contenders.iter_mut().filter_map(|series| series.slices.last_mut());
            turn.for_each(|slice| slice.gauge_ns = gauge_ns.into());
        }
        gauge_before = gauge_after;
        floor.clock(pair, floor_track.count, &mut seen.floor.round_trips)?;
        for (track, series) in tracks.iter().zip(&mut seen.contenders) {
            track.subject.clock(pair, track.count, &mut series.round_trips)?;
        }
    }
    Ok(seen)
}

/// The better floor of what spins on this machine: [`Contender::Line`] or [`Contender::LinePaused`].
///
/// # Errors
/// As for [`Pair::round_trips`].
pub fn best_line(pair: &mut Pair, time: Duration) -> Result<Contender> {
    let [tight, paused] =
        [Contender::Line, Contender::LinePaused].map(|line| Subject::hand_over(line, size_of::<u64>()));
    let ratio = Spread::of(compare(pair, tight, &[paused], time)?.slices().map(Slice::ratio));
    Ok(if ratio.is_some_and(|ratio| ratio.median < 1.0) { paused } else { tight }.contender)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(before: f64, after: f64) -> Option<Placement> {
        Slice { ns: 50.0, floor_ns: [1.0; 2], gauge_ns: [before, after] }.placement()
    }

    #[test]
    fn a_slice_is_where_its_gauges_are() {
        assert_eq!(placement(15.0, 16.0), Some(Placement::Siblings));
        assert_eq!(placement(35.0, 40.0), Some(Placement::Near));
        assert_eq!(placement(160.0, 190.0), Some(Placement::Far));
    }

    #[test]
    fn a_slice_between_different_gauges_is_nowhere() {
        assert_eq!(placement(35.0, 160.0), None);
        assert_eq!(placement(5_000.0, 160.0), None);
    }

    #[test]
    fn a_ratio_is_to_the_mean_of_both_floors() {
        assert_eq!(Slice { ns: 60.0, floor_ns: [20.0, 40.0], gauge_ns: [1.0; 2] }.ratio(), 2.0);
    }
}
