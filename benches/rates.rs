//! The ring between processes, against rings between threads and against memcpy, each bar with its verdict: see README.md.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringway_benches::{
    ARRAY_QUEUE, Bar, RTRB, RTRB_CHUNKS, RTRB_FIXED, RTRB_IN_PLACE, THREADS, Table, measure, run_with,
    two_cpus,
};
use ringway_cli::bench::{BLOCK, Contender, Message, Pair, Placement, Result, Shape, Time};

const TABLES: [Table; 6] = [
    Table {
        title: "one behind the other",
        shape: Shape::Stream,
        sizes: &[8, 48, 64, 256, 1 << 10, 4 << 10],
        floor: RTRB,
        floor_otherwise: Some(RTRB_IN_PLACE),
        contenders: &[ARRAY_QUEUE, Contender::RingSpin, Contender::RingPark],
        bar: |contender, size, placement| match placement {
            Placement::Far if size >= 256 => ring(contender, 1.2),
            Placement::Far if size >= 48 => ring(contender, 1.0),
            Placement::Near if size >= 48 => ring(contender, 0.85),
            _ => None,
        },
    },
    Table {
        title: "one behind the other, 16 at once",
        shape: Shape::Stream,
        sizes: &[8, 64],
        floor: RTRB_CHUNKS,
        floor_otherwise: None,
        contenders: &[Contender::RingBatch],
        bar: |contender, size, _| if size == 8 { ring(contender, 1.0) } else { None },
    },
    Table {
        title: "one behind the other, all of one size",
        shape: Shape::Stream,
        sizes: &[8, 48, 64],
        floor: RTRB_FIXED,
        floor_otherwise: None,
        contenders: &[Contender::Slots],
        bar: |contender, _, _| ring(contender, 0.95),
    },
    Table {
        title: "able to sleep, against never",
        shape: Shape::Stream,
        sizes: &[8, 48, 64, 256],
        floor: Contender::RingSpin,
        floor_otherwise: None,
        contenders: &[Contender::RingPark],
        bar: |contender, _, _| ring(contender, 0.75),
    },
    Table {
        title: "one way",
        shape: Shape::HandOver,
        sizes: &[8, 48, 64],
        floor: RTRB,
        floor_otherwise: Some(RTRB_IN_PLACE),
        contenders: &[ARRAY_QUEUE, Contender::RingSpin, Contender::RingPark, Contender::Slots],
        bar: |contender, size, _| if size >= 48 { ring(contender, 1.0) } else { None },
    },
    Table {
        title: "bulk",
        shape: Shape::Stream,
        sizes: &[BLOCK],
        floor: Contender::Memcpy,
        floor_otherwise: None,
        contenders: &[
            Contender::Overwrite,
            RTRB_IN_PLACE,
            Contender::RingSpin,
            Contender::RingPark,
            Contender::RingRoomy,
            Contender::RingLarge,
        ],
        bar: |contender, _, _| ring(contender, 0.8),
    },
];

/// The bar for a ring, and none for anything else.
fn ring(contender: Contender, speed: f64) -> Option<Bar> {
    let ring = matches!(
        contender,
        Contender::RingSpin
            | Contender::RingRoomy
            | Contender::RingLarge
            | Contender::RingPark
            | Contender::RingBatch
            | Contender::Slots
    );
    ring.then_some(Bar::AtLeast(speed))
}

fn main() -> ExitCode {
    run_with(&THREADS, 50, rates)
}

fn rates(time: Duration) -> Result<()> {
    let own = [
        Contender::Line,
        Contender::Memcpy,
        Contender::Overwrite,
        Contender::RingRoomy,
        Contender::RingLarge,
        Contender::RingSpin,
        Contender::RingPark,
        Contender::RingBatch,
        Contender::Slots,
    ];
    let threads = THREADS.map(|opener| Contender::Foreign(opener.foreign));
    let mut pair = Pair::start_with(&[&own[..], &threads[..]].concat(), &THREADS)?;
    two_cpus(&pair)?;
    println!(
        "of every message's time, the harness itself takes {} at 8 B, {} at 64 B, {} at 1 KiB",
        Time(harness_ns::<8>()?),
        Time(harness_ns::<64>()?),
        Time(harness_ns::<1024>()?)
    );
    measure(&mut pair, &TABLES, time)
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
