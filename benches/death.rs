//! From a kill to the waking of the peer, which sleeps: see README.md.

use std::error::Error;
use std::hint::black_box;
use std::process::{Child, Command, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringway::spsc::{Options, Receiver, Sender};
use ringway::{Offer, RecvTimeoutError, Wait};
use ringway_benches::finish;
use ringway_cli::bench::Time;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KILLS: usize = 300;
/// What the news may take, median and 99th percentile.
const BARS: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(20)];
/// Until a receiver is asleep.
const SETTLED: Duration = Duration::from_millis(3);
const PATIENCE: Duration = Duration::from_secs(10);
const RING: &str = "RINGWAY_BENCH_DEATH_RING";
/// What a child is for.
const PART: &str = "RINGWAY_BENCH_DEATH_PART";

fn main() -> ExitCode {
    finish(match std::env::var(PART).as_deref() {
        Ok("busy") => loop {
            black_box(());
        },
        Ok(_) => victim(),
        Err(_) => news(),
    })
}

/// Says that it is there, and waits for its end.
fn victim() -> Result<()> {
    let mut tx = Sender::attach(&Offer::from_env(RING)?)?;
    tx.send(b"here")?;
    loop {
        thread::park();
    }
}

fn news() -> Result<()> {
    println!("from the kill of a sender to the news at its receiver, asleep; {KILLS} kills each");
    measure("idle host", 0)?;
    measure("as many busy processes as CPUs", thread::available_parallelism()?.get())
}

fn measure(host: &str, busy: usize) -> Result<()> {
    let busy =
        (0..busy).map(|_| again("busy", |command| Ok(command.spawn()?))).collect::<Result<Vec<_>>>()?;
    let mut times = (0..KILLS).map(|_| kill()).collect::<Result<Vec<_>>>()?;
    drop(busy);
    times.sort();
    let [median, p99] = [times[KILLS / 2], times[KILLS * 99 / 100]];
    let verdict = if median <= BARS[0] && p99 <= BARS[1] { "holds" } else { "missed" };
    let time = |time: Duration| Time(time.as_nanos() as f64);
    println!(
        "  {host:<32}median {:>9}   p99 {:>9}   max {:>9}   at most {} and {}: {verdict}",
        time(median),
        time(p99),
        time(times[KILLS - 1]),
        time(BARS[0]),
        time(BARS[1])
    );
    Ok(())
}

/// How long the news took of one that was killed.
fn kill() -> Result<Duration> {
    let offer = Options::new().capacity(4096).wait(Wait::Park { spin: Duration::ZERO }).offer()?;
    let mut rx = Receiver::attach(&offer)?;
    let mut sender = again("victim", |command| {
        offer.give_to(command, RING)?;
        Ok(command.spawn()?)
    })?;
    drop(rx.recv_timeout(PATIENCE)?);
    let (told, tells) = mpsc::channel();
    let sleeper = thread::spawn(move || {
        let why = rx.recv_timeout(PATIENCE).map(|message| message.len());
        let _ = told.send(Instant::now());
        why
    });
    thread::sleep(SETTLED);
    let killed = Instant::now();
    sender.0.kill()?;
    let time = tells.recv_timeout(PATIENCE)?.duration_since(killed);
    match sleeper.join() {
        Ok(Err(RecvTimeoutError::PeerDied(_))) => Ok(time),
        other => Err(format!("the receiver was told: {other:?}").into()),
    }
}

/// A child, killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program once more, for this part.
fn again(part: &str, start: impl FnOnce(&mut Command) -> Result<Child>) -> Result<Killed> {
    start(Command::new(std::env::current_exe()?).env(PART, part)).map(Killed)
}
