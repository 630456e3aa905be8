//! Queues that many send to and many receive from, each bar with its verdict: see README.md.

use std::process::ExitCode;
use std::time::Duration;

use ringway_benches::queues::{
    ARRAY_QUEUE, ARRAY_QUEUE_YIELDING, CROSSBEAM, Contest, KANAL, QUEUE, QUEUE_BATCH, QUEUE_PARK,
    QUEUE_PROCESSES, QUEUE_YIELDING, RING, RING_PROCESSES, Shape, hold, serve_if_member,
};
use ringway_benches::{Bar, run, two_cpus};
use ringway_cli::bench::{Contender, Pair, Result};

const CONTESTS: [Contest; 6] = [
    Contest {
        title: "alone: one thread sends and receives in turn",
        shape: Shape::Alone,
        floor: ARRAY_QUEUE,
        contenders: &[CROSSBEAM, KANAL, QUEUE, QUEUE_PARK],
        bars: &[(QUEUE, Bar::AtLeast(0.6), ARRAY_QUEUE), (QUEUE_PARK, Bar::AtLeast(0.6), ARRAY_QUEUE)],
    },
    Contest {
        title: "one way",
        shape: Shape::HandOver,
        floor: ARRAY_QUEUE,
        contenders: &[CROSSBEAM, KANAL, QUEUE, QUEUE_PARK],
        bars: &[(QUEUE, Bar::AtLeast(1.0), ARRAY_QUEUE), (QUEUE_PARK, Bar::AtLeast(1.0), ARRAY_QUEUE)],
    },
    Contest {
        title: "one sends, one receives",
        shape: Shape::Stream(1),
        floor: ARRAY_QUEUE,
        contenders: &[CROSSBEAM, KANAL, RING, RING_PROCESSES, QUEUE, QUEUE_PARK, QUEUE_PROCESSES],
        bars: &[
            (QUEUE, Bar::AtLeast(1.0), ARRAY_QUEUE),
            (QUEUE_PARK, Bar::AtLeast(1.0), ARRAY_QUEUE),
            (QUEUE_PROCESSES, Bar::AtLeast(0.95), QUEUE),
        ],
    },
    Contest {
        title: "one sends, one receives, 16 at once",
        shape: Shape::Stream(1),
        floor: QUEUE,
        contenders: &[KANAL, QUEUE_BATCH],
        bars: &[(QUEUE_BATCH, Bar::AtLeast(3.0), QUEUE), (QUEUE_BATCH, Bar::AtLeast(1.0), KANAL)],
    },
    Contest {
        title: "two send, two receive",
        shape: Shape::Stream(2),
        floor: ARRAY_QUEUE,
        contenders: &[
            ARRAY_QUEUE_YIELDING,
            CROSSBEAM,
            KANAL,
            QUEUE,
            QUEUE_YIELDING,
            QUEUE_PARK,
            QUEUE_PROCESSES,
        ],
        bars: &[
            (QUEUE, Bar::AtLeast(1.2), ARRAY_QUEUE),
            (QUEUE, Bar::AtLeast(1.5), CROSSBEAM),
            (QUEUE_PARK, Bar::AtLeast(1.2), ARRAY_QUEUE),
            (QUEUE_PARK, Bar::AtLeast(1.5), CROSSBEAM),
            (QUEUE_PROCESSES, Bar::AtLeast(0.95), QUEUE),
        ],
    },
    Contest {
        title: "eight send, eight receive",
        shape: Shape::Stream(8),
        floor: ARRAY_QUEUE,
        contenders: &[ARRAY_QUEUE_YIELDING, CROSSBEAM, KANAL, QUEUE, QUEUE_YIELDING, QUEUE_PARK],
        bars: &[(QUEUE, Bar::AtLeast(1.0), ARRAY_QUEUE), (QUEUE_PARK, Bar::AtLeast(1.0), ARRAY_QUEUE)],
    },
];

fn main() -> ExitCode {
    serve_if_member(&[RING_PROCESSES, QUEUE_PROCESSES]);
    run(60, queues)
}

fn queues(time: Duration) -> Result<()> {
    let mut pair = Pair::start(&[Contender::Line])?;
    two_cpus(&pair)?;
    hold(&mut pair, &CONTESTS, time)
}
