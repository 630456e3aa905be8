//! From nothing to the first message, and what a ring takes: see README.md.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::{self, ExitCode};
use std::time::Instant;

use ringway::spsc::{Options, Receiver, Sender};
use ringway_benches::finish;
use ringway_cli::bench::{Size, Spread, Time};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CAPACITY: usize = 1 << 20;
const TIMES: usize = 500;
/// What a ring may take beside its capacity.
const OVERHEAD: u64 = 4 * 4096;

fn main() -> ExitCode {
    finish(open())
}

fn open() -> Result<()> {
    println!(
        "ring of {}: from nothing until the first message is received, both ends in one process",
        Size(CAPACITY)
    );
    first_message("pair", || Ok(options().pair()?))?;
    first_message("offer", || {
        let offer = options().offer()?;
        Ok((Sender::attach(&offer)?, Receiver::attach(&offer)?))
    })?;
    let name = format!("ringway-bench-{}", process::id());
    first_message("name", || Ok((options().sender(&name)?, options().receiver(&name)?)))?;
    memory()
}

fn options() -> Options {
    Options::new().capacity(CAPACITY)
}

fn first_message(way: &str, open: impl Fn() -> Result<(Sender, Receiver)>) -> Result<()> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let start = Instant::now();
        let (mut sender, mut receiver) = open()?;
        sender.send(b"first")?;
        drop(receiver.recv()?);
        times.push(start.elapsed().as_nanos() as f64);
    }
    times.sort_by(f64::total_cmp);
    let p99 = times[TIMES * 99 / 100];
    if let Some(spread) = Spread::of(times) {
        println!("  {way:<8}median {:>9}   p99 {:>9}   of {TIMES}", Time(spread.median), Time(p99));
    }
    Ok(())
}

fn memory() -> Result<()> {
    println!("\nbytes of a ring, the bar being capacity and four pages");
    for capacity in [4096, 64 << 10, CAPACITY, 16 << 20] {
        let offer = Options::new().capacity(capacity).offer()?;
        let bytes = File::from(offer.as_fd().try_clone_to_owned()?).metadata()?.len();
        let over = bytes.saturating_sub(capacity as u64);
        let verdict = if over <= OVERHEAD { "holds" } else { "broken" };
        println!("  {:<10}{bytes:>10} = capacity + {over}   {verdict}", Size(capacity));
        if over > OVERHEAD {
            return Err("a ring takes more than it may".into());
        }
    }
    Ok(())
}
