//! The ring between processes, against rings between threads and against memcpy, each bar with its verdict: see README.md.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringway_benches::{ARRAY_QUEUE, RTRB, RTRB_CHUNKS, RTRB_FIXED, RTRB_IN_PLACE, THREADS, run, two_cpus};
use ringway_cli::bench::{
    BLOCK, Comparison, Contender, Count, Message, Pair, Placement, Result, Series, Shape, Size, Slice,
    Spread, Subject, Time, compare_placed,
};

/// Fewer slices than this say nothing.
const FEW: usize = 5;

/// A table: subjects of one shape, at several sizes, against a floor.
struct Table {
    title: &'static str,
    shape: Shape,
    sizes: &'static [usize],
    floor: Contender,
    contenders: &'static [Contender],
    /// The speed, in those of the floor, that a ring should have at this size and placement.
    bar: fn(usize, Placement) -> Option<f64>,
}

const TABLES: [Table; 6] = [
    Table {
        title: "one behind the other",
        shape: Shape::Stream,
        sizes: &[8, 48, 64, 256, 1 << 10, 4 << 10],
        floor: RTRB,
        contenders: &[RTRB_IN_PLACE, ARRAY_QUEUE, Contender::RingSpin, Contender::RingPark],
        bar: |size, placement| match placement {
            Placement::Far if size >= 256 => Some(1.2),
            Placement::Far if size >= 48 => Some(1.0),
            Placement::Near if size >= 48 => Some(0.85),
            _ => None,
        },
    },
    Table {
        title: "one behind the other, 16 at once",
        shape: Shape::Stream,
        sizes: &[8, 64],
        floor: RTRB_CHUNKS,
        contenders: &[Contender::RingBatch],
        bar: |size, _| (size == 8).then_some(1.0),
    },
    Table {
        title: "one behind the other, all of one size",
        shape: Shape::Stream,
        sizes: &[8, 48, 64],
        floor: RTRB_FIXED,
        contenders: &[Contender::RingSpin],
        bar: |_, _| Some(0.95),
    },
    Table {
        title: "able to sleep, against never",
        shape: Shape::Stream,
        sizes: &[8, 48, 64, 256],
        floor: Contender::RingSpin,
        contenders: &[Contender::RingPark],
        bar: |_, _| Some(0.75),
    },
    Table {
        title: "one way",
        shape: Shape::HandOver,
        sizes: &[8, 48, 64],
        floor: RTRB,
        contenders: &[ARRAY_QUEUE, Contender::RingSpin, Contender::RingPark],
        bar: |size, _| (size >= 48).then_some(1.0),
    },
    Table {
        title: "bulk",
        shape: Shape::Stream,
        sizes: &[BLOCK],
        floor: Contender::Memcpy,
        contenders: &[RTRB_IN_PLACE, Contender::RingSpin, Contender::RingPark],
        bar: |_, _| Some(0.8),
    },
];

fn main() -> ExitCode {
    run(50, rates)
}

fn rates(time: Duration) -> Result<()> {
    let [line, spin, park, batch] =
        [Contender::Line, Contender::RingSpin, Contender::RingPark, Contender::RingBatch];
    let own = [line, Contender::Memcpy, spin, park, batch];
    let threads = THREADS.map(|opener| Contender::Foreign(opener.foreign));
    let mut pair = Pair::start_with(&[&own[..], &threads[..]].concat(), &THREADS)?;
    two_cpus(&pair)?;
    println!(
        "of every message's time, the harness itself takes {} at 8 B, {} at 64 B, {} at 1 KiB",
        Time(harness_ns::<8>()?),
        Time(harness_ns::<64>()?),
        Time(harness_ns::<1024>()?)
    );
    let comparisons: usize = TABLES.iter().map(|table| table.sizes.len()).sum();
    for table in &TABLES {
        println!("\n{}; {} is 1", table.title, table.floor.name());
        for size in table.sizes {
            let subject = |contender| Subject { shape: table.shape, contender, size: *size };
            let contenders: Vec<_> = table.contenders.iter().copied().map(subject).collect();
            let (gauge, time) = (Subject::hand_over(line, 8), time / comparisons as u32);
            let seen = compare_placed(&mut pair, gauge, subject(table.floor), &contenders, time)?;
            for placement in Placement::ALL {
                print(table, &seen, placement);
            }
        }
    }
    Ok(())
}

/// What was seen while the CPUs were placed so.
fn print(table: &Table, seen: &Comparison, placement: Placement) {
    let here = |slice: &&Slice| slice.placement() == Some(placement);
    let Subject { size, .. } = seen.floor.subject;
    let slices = || seen.slices().filter(here);
    let few = |series: &Series| series.slices.iter().filter(here).count() < FEW;
    if seen.contenders.iter().any(few) {
        return;
    }
    let Some(floor) = Spread::of(slices().map(Slice::floor)) else { return };
    println!(
        "  {:<7}{:<10}{:<22}{:<20}{}",
        Size(size).to_string(),
        placement.name(),
        table.floor.name(),
        table.floor.waiting().name(),
        figure(table.shape, floor.median)
    );
    let speed = |series: &Series| Spread::of(series.slices.iter().filter(here).map(|it| 1.0 / it.ratio()));
    // A ring is held to the faster way to use its peer.
    let in_place = seen.contenders.iter().find(|series| series.subject.contender == RTRB_IN_PLACE);
    let peer = in_place.filter(|_| table.floor == RTRB).and_then(speed).map_or(1.0, |it| it.median.max(1.0));
    for series in &seen.contenders {
        let contender = series.subject.contender;
        let slices = || series.slices.iter().filter(here);
        let Some((time, speed)) = Spread::of(slices().map(|slice| slice.ns)).zip(speed(series)) else {
            continue;
        };
        let bar = if is_ring(contender) { (table.bar)(size, placement) } else { None };
        let verdict = bar.map_or_else(String::new, |bar| {
            let holds = if speed.median >= bar * peer { "holds" } else { "missed" };
            format!("   bar {:.2} {holds}", bar * peer)
        });
        println!(
            "  {:<17}{:<22}{:<20}{}   {:>5.2} x (p10 {:.2}, p90 {:.2}) in {}{verdict}",
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

fn is_ring(contender: Contender) -> bool {
    matches!(contender, Contender::RingSpin | Contender::RingPark | Contender::RingBatch)
}

/// Nanoseconds a message, or messages a second, as it suits.
fn figure(shape: Shape, ns: f64) -> String {
    match shape {
        Shape::HandOver => format!("{:>10}", Time(ns).to_string()),
        Shape::Stream => format!("{:>8}/s", Count(1e9 / ns).to_string()),
    }
}

/// Nanoseconds to write a message and to read and check it, with nothing in between. Where a channel carries it the two
/// are done on different cores, so this is more than a message of a stream pays.
fn harness_ns<const N: usize>() -> Result<f64> {
    const MESSAGES: u32 = 1_000_000;
    let (mut sent, mut received) = (Message::<N>::new(), Message::<N>::new());
    let start = Instant::now();
    for _ in 0..MESSAGES {
        received.check(black_box(sent.compose()))?;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(MESSAGES))
}
