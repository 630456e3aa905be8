//! The ring beside other ways to cross processes, in the same turns: see `../README.md`.

mod aeron;
mod iceoryx;

use std::process::ExitCode;
use std::time::Duration;

use ringway_benches::{Bar, Table, measure, run_with, two_cpus};
use ringway_cli::bench::{Contender, Opener, Pair, Result, Shape};

const OPENERS: [Opener; 2] = [iceoryx::OPENER, aeron::OPENER];
const ICEORYX2: Contender = Contender::Foreign(iceoryx::OPENER.foreign);
const AERON: Contender = Contender::Foreign(aeron::OPENER.foreign);

const SIZES: &[usize] = &[8, 48, 64, 256, 4 << 10, 64 << 10];
const PEERS: &[Contender] =
    &[Contender::RingPark, Contender::RingLarge, ICEORYX2, AERON, Contender::Pipe, Contender::Socket];

const TABLES: [Table; 2] = [
    Table {
        title: "one way",
        shape: Shape::HandOver,
        sizes: SIZES,
        floor: Contender::RingSpin,
        floor_otherwise: None,
        contenders: PEERS,
        bar: |contender, _, _| peer(contender),
    },
    Table {
        title: "one behind the other",
        shape: Shape::Stream,
        sizes: SIZES,
        floor: Contender::RingSpin,
        floor_otherwise: None,
        contenders: PEERS,
        bar: |contender, _, _| peer(contender),
    },
];

/// The bar for whatever is no ring: the ring is ahead.
fn peer(contender: Contender) -> Option<Bar> {
    let ring = matches!(contender, Contender::RingPark | Contender::RingLarge);
    (!ring).then_some(Bar::Below(1.0))
}

fn main() -> ExitCode {
    aeron::drive_if_driver();
    run_with(&OPENERS, 50, peers)
}

fn peers(time: Duration) -> Result<()> {
    let own = [Contender::Line, Contender::RingSpin];
    let mut pair = Pair::start_with(&[&own, PEERS].concat(), &OPENERS)?;
    two_cpus(&pair)?;
    measure(&mut pair, &TABLES, time)
}
