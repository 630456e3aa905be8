//! What `ringway bench` finds out.

use std::hint::black_box;
use std::iter;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    BLOCK, Comparison, Contender, Pair, Placement, Result, Series, Slice, Spread, Subject, Waiting,
    best_line, compare,
};

/// Bytes of a message that is handed over for its own sake.
const SMALL: usize = 8;
/// Bytes of the messages that are streamed.
const SIZES: [usize; 6] = [8, 64, 256, 1 << 10, 4 << 10, 64 << 10];

/// Everything one run has measured. Units are in the names.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    /// `None`: both processes share one CPU.
    pub(super) pinned_cpus: Option<[usize; 2]>,
    /// How far apart they were. Empty if they share one.
    pub(super) placements: Vec<Placed>,
    pub(super) clock_read_ns: f64,
    pub(super) hand_overs: Vec<HandOver>,
    pub(super) streams: Vec<Stream>,
    pub(super) idle: Idle,
}

/// What part of the slices had the CPUs this far apart.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Placed {
    pub(super) placement: Placement,
    pub(super) share_of_slices: f64,
    pub(super) one_line_ns: Spread,
}

/// How long one message takes to the other process.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HandOver {
    pub(super) contender: Contender,
    pub(super) waiting: Waiting,
    pub(super) message_bytes: usize,
    pub(super) one_way_ns: Spread,
    pub(super) floor: Contender,
    /// `None`: it is the floor.
    pub(super) ratio_to_floor: Option<Spread>,
    pub(super) clocked_one_way_ns: Clocked,
}

/// Percentiles of round trips that were clocked one by one, halved.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Clocked {
    pub(super) round_trips: u64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    #[serde(rename = "p99.9")]
    pub(super) p999: f64,
    pub(super) max: f64,
}

/// How many messages one behind the other reach the other process.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stream {
    pub(super) contender: Contender,
    pub(super) waiting: Waiting,
    pub(super) message_bytes: usize,
    pub(super) messages_per_second: Spread,
    pub(super) bytes_per_second: Spread,
    /// The pipe if both processes share one CPU: then nothing can spin.
    pub(super) floor: Contender,
    pub(super) floor_bytes_per_second: Spread,
    /// Bytes a second in those of the floor.
    pub(super) ratio_to_floor: Spread,
}

/// What a process uses that waits for a message.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Idle {
    pub(super) contender: Contender,
    pub(super) wait_seconds: f64,
    pub(super) cpu_percent: f64,
}

impl Report {
    /// Measures everything there is to report in about `time`; says on the way what it is at.
    pub(super) fn measure(time: Duration, mut say: impl FnMut(&str)) -> Result<Self> {
        use Contender::{
            Futex, Line, LinePaused, Memcpy, Pipe, RingPark, RingSleep, RingSpin, Socket, TwoLines,
        };

        let part = |share: f64| time.mul_f64(share);
        let mut pair = Pair::start(&[
            Line, LinePaused, TwoLines, Futex, Memcpy, RingSpin, RingPark, RingSleep, Pipe, Socket,
        ])?;
        let pinned_cpus = pair.cpus();
        let (mut placements, mut hand_overs, mut streams) = (Vec::new(), Vec::new(), Vec::new());

        let (sleeping, streaming, bulk): (&[_], &[_], _) = if pinned_cpus.is_some() {
            say("handing over, spinning");
            let line = best_line(&mut pair, part(0.05))?;
            let seen = compare_hand_overs(&mut pair, line, &[TwoLines, RingSpin, RingPark], part(0.2))?;
            placements = Placed::all(&seen);
            hand_overs = HandOver::all(&seen);
            (&[RingSleep, Pipe, Socket], &[RingSpin, RingPark, Pipe, Socket], Memcpy)
        } else {
            (&[RingPark, RingSleep, Pipe, Socket], &[RingPark, Pipe, Socket], Pipe)
        };

        say("handing over, sleeping");
        let seen = compare_hand_overs(&mut pair, Futex, sleeping, part(0.37))?;
        hand_overs.extend(HandOver::all(&seen));

        say("streaming");
        for size in SIZES {
            let subjects: Vec<_> = streaming.iter().map(|it| Subject::stream(*it, size)).collect();
            let time = part(0.3) / SIZES.len() as u32;
            streams.extend(Stream::all(&compare(&mut pair, Subject::stream(bulk, BLOCK), &subjects, time)?));
        }

        say("waiting");
        let wait = part(0.06);
        let cpu_percent = pair.idle(RingPark, wait)? * 100.0;
        let idle = Idle { contender: RingPark, wait_seconds: wait.as_secs_f64(), cpu_percent };

        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            pinned_cpus,
            placements,
            clock_read_ns: clock_read_ns(),
            hand_overs,
            streams,
            idle,
        })
    }
}

/// Hands small messages over by each of `contenders`, and by `floor` in between.
fn compare_hand_overs(
    pair: &mut Pair,
    floor: Contender,
    contenders: &[Contender],
    time: Duration,
) -> Result<Comparison> {
    let subjects: Vec<_> = contenders.iter().map(|it| Subject::hand_over(*it, SMALL)).collect();
    compare(pair, Subject::hand_over(floor, SMALL), &subjects, time)
}

impl Placed {
    /// The placements during a comparison whose floor is one line.
    fn all(seen: &Comparison) -> Vec<Self> {
        let placed = |placement| {
            let here = || seen.slices().filter(|slice| slice.placement() == Some(placement));
            Some(Self {
                placement,
                share_of_slices: here().count() as f64 / seen.slices().count() as f64,
                one_line_ns: Spread::of(here().map(Slice::floor))?,
            })
        };
        Placement::ALL.into_iter().filter_map(placed).collect()
    }
}

impl HandOver {
    /// The floor of a comparison and what was compared with it.
    fn all(seen: &Comparison) -> Vec<Self> {
        let row = |series: &Series, ns: Option<Spread>, ratio_to_floor| {
            let Subject { contender, size, .. } = series.subject;
            Some(Self {
                contender,
                waiting: contender.waiting(),
                message_bytes: size,
                one_way_ns: ns?,
                floor: seen.floor.subject.contender,
                ratio_to_floor,
                clocked_one_way_ns: Clocked::of(&series.round_trips),
            })
        };
        let floor = row(&seen.floor, Spread::of(seen.slices().map(Slice::floor)), None);
        let others = seen.contenders.iter().map(|series| {
            let spread = |what: fn(&Slice) -> f64| Spread::of(series.slices.iter().map(what));
            row(series, spread(|slice| slice.ns), spread(Slice::ratio))
        });
        iter::once(floor).chain(others).flatten().collect()
    }
}

impl Clocked {
    fn of(round_trips: &Histogram<u64>) -> Self {
        let at = |quantile| round_trips.value_at_quantile(quantile) as f64 / 2.0;
        Self { round_trips: round_trips.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

impl Stream {
    /// What was compared with the floor of a comparison.
    fn all(seen: &Comparison) -> Vec<Self> {
        let rate = |bytes: usize, ns: f64| bytes as f64 * 1e9 / ns;
        let floor = seen.floor.subject;
        let floor_rate = |slice: &Slice| rate(floor.size, slice.floor());
        let row = |series: &Series| {
            let Subject { contender, size, .. } = series.subject;
            let spread = |what: &dyn Fn(&Slice) -> f64| Spread::of(series.slices.iter().map(what));
            Some(Self {
                contender,
                waiting: contender.waiting(),
                message_bytes: size,
                messages_per_second: spread(&|slice| rate(1, slice.ns))?,
                bytes_per_second: spread(&|slice| rate(size, slice.ns))?,
                floor: floor.contender,
                floor_bytes_per_second: spread(&floor_rate)?,
                ratio_to_floor: spread(&|slice| rate(size, slice.ns) / floor_rate(slice))?,
            })
        };
        seen.contenders.iter().filter_map(row).collect()
    }
}

/// What one reading of the clock takes.
fn clock_read_ns() -> f64 {
    const READS: u32 = 10_000;
    let start = Instant::now();
    for _ in 0..READS {
        black_box(Instant::now());
    }
    start.elapsed().as_nanos() as f64 / f64::from(READS)
}
