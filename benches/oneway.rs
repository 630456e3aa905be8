//! One message from core to core, against one cache line: see README.md.

use std::process::ExitCode;
use std::time::Duration;

use ringway_benches::{beside_floor, run, two_cpus};
use ringway_cli::bench::{
    Comparison, Contender, Pair, Placement, Result, Size, Slice, Spread, Subject, Time, best_line, compare,
};

const SIZES: [usize; 3] = [8, 48, 64];
const RINGS: [Contender; 2] = [Contender::RingSpin, Contender::RingPark];
/// What a ring is made of, without the ring.
const BARE: Contender = Contender::TwoLines;

fn main() -> ExitCode {
    run(10, oneway)
}

fn oneway(time: Duration) -> Result<()> {
    let [spin, park] = RINGS;
    let mut pair = Pair::start(&[Contender::Line, Contender::LinePaused, BARE, spin, park])?;
    two_cpus(&pair)?;
    let line = best_line(&mut pair, time / 20)?;
    println!("{}", line.name());
    let mut others = vec![Subject::hand_over(BARE, 8)];
    others.extend(SIZES.iter().flat_map(|size| RINGS.map(|ring| Subject::hand_over(ring, *size))));
    let seen = compare(&mut pair, Subject::hand_over(line, 8), &others, time)?;
    for placement in Placement::ALL {
        print(&seen, placement);
    }
    let all = seen.slices().count();
    let unsteady = seen.slices().filter(|slice| slice.placement().is_none()).count();
    println!("\nleft out, because their floor was not steady: {unsteady} of {all} slices");
    Ok(())
}

/// What was seen while the CPUs were placed so; nothing if they never were.
fn print(seen: &Comparison, placement: Placement) {
    let here = |slice: &&Slice| slice.placement() == Some(placement);
    let Some(floor) = Spread::of(seen.slices().filter(here).map(Slice::floor)) else { return };
    let [median, p10, p90] = [floor.median, floor.p10, floor.p90].map(Time);
    println!("\n{}: the floor takes {median} (p10 {p10}, p90 {p90})", placement.name());
    for series in &seen.contenders {
        let Subject { contender, size, .. } = series.subject;
        println!(
            "  {:<6}{:<22}{}",
            Size(size),
            contender.name(),
            beside_floor(series.slices.iter().filter(here))
        );
    }
}
