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
    println!("ring of {}: from nothing until the first message, the sender making the ring", Size(CAPACITY));
    let times = first_message(|| {
        let offer = options().offer()?;
        let sender = Sender::attach(&offer)?;
        Ok((sender, move || Ok(Receiver::attach(&offer)?)))
    })?;
    print("offer", times);
    let name = format!("ringway-bench-{}", process::id());
    let times = first_message(|| Ok((options().sender(&name)?, || Ok(options().receiver(&name)?))))?;
    print("name", times);
    memory()
}

fn options() -> Options {
    Options::new().capacity(CAPACITY)
}

/// How long it took until the first message was sent, and from then until a receiver had come and received it.
fn first_message<J>(make: impl Fn() -> Result<(Sender, J)>) -> Result<[Vec<f64>; 2]>
where
    J: FnOnce() -> Result<Receiver>,
{
    let mut times = [Vec::with_capacity(TIMES), Vec::with_capacity(TIMES)];
    for _ in 0..TIMES {
        let start = Instant::now();
        let (mut sender, join) = make()?;
        sender.send(b"first")?;
        let sent = Instant::now();
        let mut receiver = join()?;
        drop(receiver.recv()?);
        times[0].push((sent - start).as_nanos() as f64);
        times[1].push(sent.elapsed().as_nanos() as f64);
    }
    Ok(times)
}

fn print(way: &str, times: [Vec<f64>; 2]) {
    for (end, mut times) in ["made and sent", "joined and received"].into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let p99 = times[TIMES * 99 / 100];
        if let Some(spread) = Spread::of(times) {
            println!("  {way:<8}{end:<22}median {:>9}   p99 {:>9}", Time(spread.median), Time(p99));
        }
    }
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
