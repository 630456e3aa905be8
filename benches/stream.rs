//! Messages one behind the other, against memcpy: see README.md.

use std::process::ExitCode;
use std::time::Duration;

use ringway_benches::{run, two_cpus};
use ringway_cli::bench::{
    BLOCK, Bytes, Contender, Count, Pair, Result, Size, Slice, Spread, Subject, Time, compare,
};

const SIZES: [usize; 6] = [8, 64, 256, 1 << 10, 4 << 10, 64 << 10];
const STREAMS: [Contender; 5] =
    [Contender::RingSpin, Contender::RingPark, Contender::RingBatch, Contender::Pipe, Contender::Socket];

fn main() -> ExitCode {
    run(15, stream)
}

fn stream(time: Duration) -> Result<()> {
    let others = [Contender::Line, Contender::Memcpy];
    let mut pair = Pair::start(&[&others[..], &STREAMS].concat())?;
    two_cpus(&pair)?;
    for size in SIZES {
        let contenders = STREAMS.map(|contender| Subject::stream(contender, size));
        let before = Time(one_line_ns(&mut pair)?);
        let seen = compare(
            &mut pair,
            Subject::stream(Contender::Memcpy, BLOCK),
            &contenders,
            time / SIZES.len() as u32,
        )?;
        let after = Time(one_line_ns(&mut pair)?);

        let per_byte = |slice: &Slice| slice.floor() / BLOCK as f64;
        let memcpy = Spread::of(seen.slices().map(|slice| 1e9 / per_byte(slice))).map_or(0.0, |it| it.median);
        println!(
            "\n{}: memcpy {}/s; one cache line {before} before, {after} after",
            Size(size),
            Bytes(memcpy)
        );
        for series in &seen.contenders {
            let spread = |what: &dyn Fn(&Slice) -> f64| Spread::of(series.slices.iter().map(what));
            let rate = spread(&|slice| 1e9 / slice.ns);
            let percent = spread(&|slice| 100.0 * per_byte(slice) * size as f64 / slice.ns);
            let Some((rate, percent)) = rate.zip(percent) else { continue };
            println!(
                "  {:<22}{:>8}/s {:>10}/s   {:>5.2} % of memcpy (p10 {:.2}, p90 {:.2})",
                series.subject.contender.name(),
                Count(rate.median),
                Bytes(rate.median * size as f64),
                percent.median,
                percent.p10,
                percent.p90
            );
        }
    }
    Ok(())
}

/// How far apart the CPUs are now.
fn one_line_ns(pair: &mut Pair) -> Result<f64> {
    const HAND_OVERS: u64 = 20_000;
    let time = Subject::hand_over(Contender::Line, 8).run(pair, HAND_OVERS)?;
    Ok(time.as_nanos() as f64 / HAND_OVERS as f64)
}
