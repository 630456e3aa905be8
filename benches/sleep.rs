//! One message to a sleeping receiver, against a futex wake; and what the sleep costs: see README.md.

use std::process::ExitCode;
use std::time::Duration;

use ringway_benches::{beside_floor, run, two_cpus};
use ringway_cli::bench::{Contender, Pair, Result, Slice, Spread, Subject, Time, compare};

fn main() -> ExitCode {
    run(10, sleep)
}

fn sleep(time: Duration) -> Result<()> {
    let mut pair = Pair::start(&[Contender::Futex, Contender::RingSleep, Contender::RingPark])?;
    two_cpus(&pair)?;
    let [futex, ring] = [Contender::Futex, Contender::RingSleep].map(|it| Subject::hand_over(it, 8));
    let seen = compare(&mut pair, futex, &[ring], time)?;
    if let Some(floor) = Spread::of(seen.slices().map(Slice::floor)) {
        println!("{:<24}{:>9}", futex.contender.name(), Time(floor.median));
    }
    println!("{:<24}{}", ring.contender.name(), beside_floor(seen.slices()));

    println!("\none by one, half a round trip");
    for series in [&seen.floor].into_iter().chain(&seen.contenders) {
        print!("{:<24}", series.subject.contender.name());
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
            print!(
                "{name} {:<12}",
                Time(series.round_trips.value_at_quantile(quantile) as f64 / 2.0).to_string()
            );
        }
        println!();
    }

    println!("\na receiver that waits one second");
    for ring in [Contender::RingSleep, Contender::RingPark] {
        let percent = pair.idle(ring, Duration::from_secs(1))? * 100.0;
        println!("{:<24}{percent:.3} % of a CPU", ring.name());
    }
    Ok(())
}
