//! Two processes on two CPUs and every channel between them.

use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::ends::Ends;
use super::job::{Control, Job, Reply, WARM_UP};
use super::launch::{Launch, Side};
use super::{Contender, Error, Message, Result, sys};

/// How long a process that failed has to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// This process and a second one that answers it.
///
/// Each is pinned to a CPU of its own: the two lowest this process may run on, so `taskset -c` chooses.
/// Where there is only one, both share it unpinned, and contenders that spin are left out.
///
/// The other process ends when this value is dropped, or with the thread that made it. If it ends by itself,
/// whatever waits for it here returns an error.
#[derive(Debug)]
pub struct Pair {
    ends: Ends,
    control: Control,
    child: Child,
    heir: Option<JoinHandle<()>>,
    /// Where this process could run before.
    allowed: Vec<usize>,
}

impl Pair {
    /// Starts the other process and opens a channel for each of `contenders` that makes sense here.
    ///
    /// # Errors
    /// The system or a ring refuses something, or the other process does not come up.
    pub fn start(contenders: &[Contender]) -> Result<Self> {
        let allowed = sys::cpus()?;
        let cpus = two(&allowed);
        let contenders: Vec<_> =
            contenders.iter().copied().filter(|it| cpus.is_some() || it.can_share_a_cpu()).collect();

        let (control, childs) = UnixStream::pair()?;
        let mut launch = Launch::new(childs.into())?;
        let ends = Ends::open(Side::Parent(&mut launch), &contenders)?;
        let (child, heir) = launch.start(Arc::clone(&ends.shared))?;
        let heir = thread::Builder::new().name("heir".into()).spawn(|| heir.wait())?;
        let mut pair = Self { ends, control: Control::new(control), child, heir: Some(heir), allowed };
        if let Some([ours, _]) = cpus {
            sys::pin(&[ours])?;
        }
        pair.run(&Job::Begin { cpu: cpus.map(|[_, childs]| childs), contenders }, |_| Ok(()))?;
        Ok(pair)
    }

    /// The CPU this process is pinned to and that of the other; `None` if they share one.
    #[must_use]
    pub fn cpus(&self) -> Option<[usize; 2]> {
        two(&self.allowed)
    }

    /// Makes round trips and returns the time they took: two hand-overs each.
    ///
    /// # Errors
    /// The channel broke, or the other process failed.
    pub fn round_trips(&mut self, contender: Contender, size: usize, rounds: u64) -> Result<Duration> {
        let (elapsed, _) = self.run(&Job::Answer { contender, size, rounds }, |ends| {
            let (channel, message) = (ends.channel(contender)?, &mut Message::new(size));
            channel.ask(message, WARM_UP)?;
            let start = Instant::now();
            channel.ask(message, rounds)?;
            Ok(start.elapsed())
        })?;
        Ok(elapsed)
    }

    /// Makes round trips and notes the nanoseconds of each in `seen`.
    ///
    /// # Errors
    /// As for [`round_trips`](Self::round_trips).
    pub fn clock_round_trips(
        &mut self,
        contender: Contender,
        size: usize,
        rounds: u64,
        seen: &mut Histogram<u64>,
    ) -> Result<()> {
        self.run(&Job::Answer { contender, size, rounds }, |ends| {
            let (channel, message) = (ends.channel(contender)?, &mut Message::new(size));
            channel.ask(message, WARM_UP)?;
            channel.ask_clocked(message, rounds, seen)
        })?;
        Ok(())
    }

    /// Sends messages one behind the other and returns the time until the last one was received; of
    /// [`Contender::Memcpy`], whatever the size, the time its copies took.
    ///
    /// # Errors
    /// As for [`round_trips`](Self::round_trips).
    pub fn stream(&mut self, contender: Contender, size: usize, count: u64) -> Result<Duration> {
        let (elapsed, _) = self.run(&Job::Drain { contender, size, count }, |ends| {
            let (channel, message) = (ends.channel(contender)?, &mut Message::new(size));
            channel.ask(message, WARM_UP)?;
            channel.stream(message, count)
        })?;
        Ok(elapsed)
    }

    /// Lets the other process wait for a message for `time` and returns the share of a CPU it used.
    ///
    /// # Errors
    /// As for [`round_trips`](Self::round_trips).
    pub fn idle(&mut self, contender: Contender, time: Duration) -> Result<f64> {
        let ((), [wall, cpu]) = self.run(&Job::Drain { contender, size: 8, count: 1 }, |ends| {
            let (channel, message) = (ends.channel(contender)?, &mut Message::new(8));
            channel.ask(message, WARM_UP)?;
            thread::sleep(time);
            channel.ask(message, 1)
        })?;
        Ok(cpu.as_secs_f64() / wall.as_secs_f64())
    }

    /// Has the other process do `job` while this one does `half` of it. Also returns the time and the
    /// processor time that took there.
    fn run<T>(&mut self, job: &Job, half: impl FnOnce(&mut Ends) -> Result<T>) -> Result<(T, [Duration; 2])> {
        let outcome = self.control.tell(job).map_err(Error::from).and_then(|()| half(&mut self.ends));
        if outcome.is_err() {
            self.control.wait_at_most(LAST_WORDS)?;
        }
        match (self.control.hear(), outcome) {
            (Ok(Some(Reply::Done { wall, cpu })), Ok(result)) => Ok((result, [wall, cpu])),
            (Ok(Some(Reply::Failed(why))), _) => Err(Error::Failed(why)),
            (Ok(None), _) => Err(Error::Died(self.child.wait()?)),
            (_, Err(error)) => Err(error),
            (Err(error), Ok(_)) => Err(error.into()),
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // It may have ended already, or been told to run elsewhere: neither matters any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.heir.take().map(JoinHandle::join);
        let _ = sys::pin(&self.allowed);
    }
}

/// The CPUs for the two processes, this one first.
fn two(allowed: &[usize]) -> Option<[usize; 2]> {
    allowed.first_chunk().copied()
}
