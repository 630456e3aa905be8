//! The rate of two participants of a queue while a third is stopped, beside that while it has nothing to do: see README.md.

use std::error::Error;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringway::inspect;
use ringway::mpmc::{Options, Receiver, Sender};
use ringway::{Offer, Wait};
use ringway_benches::finish;
use ringway_cli::bench::Spread;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const STOPS: usize = 300;
/// What the two should have of their rate, in the median.
const BAR: f64 = 0.9;
const SLICE: Duration = Duration::from_millis(15);
const WORK: Duration = Duration::from_millis(3);
const MESSAGE: [u8; 64] = [7; 64];
const QUEUE: &str = "RINGWAY_BENCH_STOPPED_QUEUE";
/// What a child is for.
const PART: &str = "RINGWAY_BENCH_STOPPED_PART";

fn main() -> ExitCode {
    finish(match std::env::var(PART).as_deref() {
        Ok("send") => send(),
        Ok("receive") => receive(),
        Ok(_) => both(),
        Err(_) => rates(),
    })
}

fn send() -> Result<()> {
    let tx = Sender::attach(&Offer::from_env(QUEUE)?)?;
    loop {
        tx.send(&MESSAGE)?;
    }
}

fn receive() -> Result<()> {
    let rx = Receiver::attach(&Offer::from_env(QUEUE)?)?;
    loop {
        if rx.recv()?[..] != MESSAGE {
            return Err("a message is not what was sent".into());
        }
    }
}

/// Sends and receives in turn, for a while each time that it is told to.
fn both() -> Result<()> {
    let offer = Offer::from_env(QUEUE)?;
    let (tx, rx) = (Sender::attach(&offer)?, Receiver::attach(&offer)?);
    let (mut orders, mut done) = (std::io::stdin().lock(), std::io::stdout().lock());
    loop {
        orders.read_exact(&mut [0])?;
        let end = Instant::now() + WORK;
        while Instant::now() < end {
            for _ in 0..16 {
                let _ = tx.try_send(&MESSAGE);
                let _ = rx.try_recv();
            }
        }
        done.write_all(&[0])?;
        done.flush()?;
    }
}

fn rates() -> Result<()> {
    let mine = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| mine.is_set(cpu)).take(2).collect();
    let &[first, second] = &cpus[..] else { return Err("two CPUs are needed".into()) };
    println!(
        "two participants, on CPU {first} and CPU {second}, while a third is stopped anywhere in a send or a receive;\n\
         their rate beside that while it sleeps, of {STOPS} stops each"
    );
    measure("able to sleep", Wait::default(), [first, second])?;
    measure("spinning", Wait::Spin, [first, second])
}

fn measure(name: &str, wait: Wait, cpus: [usize; 2]) -> Result<()> {
    let offer = Options::new().wait(wait).slot_size(MESSAGE.len()).offer()?;
    let _sender = again("send", &offer, Some(cpus[0]))?;
    let _receiver = again("receive", &offer, Some(cpus[1]))?;
    let mut third = Third::start(&offer)?;
    // Each end is a participant.
    while participants(&offer)? < 4 {
        thread::sleep(SLICE);
    }
    let (mut ratios, mut held) = (Vec::new(), 0);
    let mut before = rate(&offer)?;
    for stop in 0..STOPS {
        // Somewhere in its work, which begins a little later each time.
        third.work()?;
        thread::sleep(Duration::from_micros(200 + stop as u64 * 617 % 1500));
        third.stop()?;
        let stopped = rate(&offer)?;
        held += usize::from(third.holds_something(&offer)?);
        third.go_on()?;
        let after = rate(&offer)?;
        // If others had the CPUs before and after, nothing can be said.
        if before > 0.0 && after > 0.0 {
            ratios.push(2.0 * stopped / (before + after));
        }
        before = after;
    }
    let spread = Spread::of(ratios).ok_or("no slices")?;
    let verdict = if spread.median >= BAR { "holds" } else { "missed" };
    println!(
        "  {name:<16}median {:.2}   p10 {:.2}   p90 {:.2}   {held} times with a slot in hand   at least {BAR}: {verdict}",
        spread.median, spread.p10, spread.p90
    );
    Ok(())
}

/// Messages a second, for a slice.
fn rate(offer: &Offer) -> Result<f64> {
    let (start, before) = (Instant::now(), sent(offer)?);
    thread::sleep(SLICE);
    let (time, after) = (start.elapsed(), sent(offer)?);
    Ok((after - before) as f64 / time.as_secs_f64())
}

fn participants(offer: &Offer) -> Result<usize> {
    Ok(inspect::offered(offer)?.queue.map_or(0, |queue| queue.participants.len()))
}

fn sent(offer: &Offer) -> Result<u64> {
    inspect::offered(offer)?.sent.ok_or_else(|| "no count of messages".into())
}

/// The one that is stopped.
struct Third {
    process: Killed,
    orders: ChildStdin,
    done: ChildStdout,
}

impl Third {
    fn start(offer: &Offer) -> Result<Self> {
        let mut process = again("both", offer, None)?;
        let orders = process.0.stdin.take().ok_or("no pipe")?;
        let done = process.0.stdout.take().ok_or("no pipe")?;
        Ok(Self { process, orders, done })
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process.0)
    }

    fn work(&mut self) -> Result<()> {
        Ok(self.orders.write_all(&[0])?)
    }

    fn stop(&self) -> Result<()> {
        kill_process(self.pid(), Signal::STOP)?;
        match waitpid(Some(self.pid()), WaitOptions::UNTRACED)? {
            Some((_, status)) if status.stopped() => Ok(()),
            other => Err(format!("the third was to stop: {other:?}").into()),
        }
    }

    /// Lets it go on until it has nothing to do.
    fn go_on(&mut self) -> Result<()> {
        kill_process(self.pid(), Signal::CONT)?;
        Ok(self.done.read_exact(&mut [0])?)
    }

    fn holds_something(&self, offer: &Offer) -> Result<bool> {
        let queue = inspect::offered(offer)?.queue.ok_or("no queue")?;
        let slots = queue.slots.ok_or("no slots")?;
        Ok(slots.holders.iter().any(|it| it.pid == Some(self.process.0.id())))
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

/// This program once more, for this part, on this CPU.
fn again(part: &str, offer: &Offer, cpu: Option<usize>) -> Result<Killed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(PART, part).stdin(Stdio::piped()).stdout(Stdio::piped());
    offer.give_to(&mut command, QUEUE)?;
    let child = Killed(command.spawn()?);
    if let Some(cpu) = cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(Some(Pid::from_child(&child.0)), &set)?;
    }
    Ok(child)
}
