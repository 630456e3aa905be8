//! Queues that many send to and many receive from, each bar with its verdict: see README.md.

use std::process::ExitCode;
use std::time::Duration;

use ringway_benches::queues::{
    ARRAY_QUEUE, ARRAY_QUEUE_YIELDING, CROSSBEAM, Contest, KANAL, RING, RING_PROCESSES, Shape, hold,
    serve_if_member,
};
use ringway_benches::{Bar, run, two_cpus};
use ringway_cli::bench::{Contender, Pair, Result};

const CONTESTS: [Contest; 5] = [
    Contest {
        title: "alone: one thread sends and receives in turn",
        shape: Shape::Alone,
        floor: ARRAY_QUEUE,
        contenders: &[CROSSBEAM, KANAL],
        bars: &[],
    },
    Contest {
        title: "one way",
        shape: Shape::HandOver,
        floor: ARRAY_QUEUE,
        contenders: &[CROSSBEAM, KANAL],
        bars: &[],
    },
    Contest {
        title: "one sends, one receives",
        shape: Shape::Stream(1),
        floor: ARRAY_QUEUE,
        contenders: &[CROSSBEAM, KANAL, RING, RING_PROCESSES],
        bars: &[(RING_PROCESSES, Bar::AtLeast(0.95), RING)],
    },
    Contest {
        title: "two send, two receive",
        shape: Shape::Stream(2),
        floor: ARRAY_QUEUE,
        contenders: &[ARRAY_QUEUE_YIELDING, CROSSBEAM, KANAL],
        bars: &[],
    },
    Contest {
        title: "eight send, eight receive",
        shape: Shape::Stream(8),
        floor: ARRAY_QUEUE,
        contenders: &[ARRAY_QUEUE_YIELDING, CROSSBEAM, KANAL],
        bars: &[],
    },
];

fn main() -> ExitCode {
    serve_if_member(&[RING_PROCESSES]);
    run(60, queues)
}

fn queues(time: Duration) -> Result<()> {
    let mut pair = Pair::start(&[Contender::Line])?;
    two_cpus(&pair)?;
    hold(&mut pair, &CONTESTS, time)
}
