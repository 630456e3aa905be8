//! Two processes on two CPUs and every channel between them.

use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::carrier::Half;
use super::ends::Ends;
use super::foreign::{Open, Opener};
use super::job::{Control, Job, Reply};
use super::launch::{Launch, Side};
use super::thread::Thread;
use super::{Contender, Error, Result, sys};

/// How long a process that failed has to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// This process and a second one that answers it.
///
/// Each is pinned to a CPU of its own: the two lowest this process may run on, so `taskset -c` chooses.
/// Where there is only one, both share it unpinned, and contenders that spin are left out.
///
/// Contenders that reach no further than a process have a thread of this one on the other side, on the CPU of the other
/// process.
///
/// The other side ends when this value is dropped, or with the thread that made it. If it ends by itself,
/// whatever waits for it here returns an error.
#[derive(Debug)]
pub struct Pair {
    ends: Ends,
    control: Control,
    child: Child,
    heir: Option<JoinHandle<()>>,
    thread: Option<Thread>,
    /// The contenders that the thread answers.
    threaded: Vec<Contender>,
    /// Where this process could run before.
    allowed: Vec<usize>,
}

impl Pair {
    /// Starts the other process and opens a channel for each of `contenders` that makes sense here.
    ///
    /// # Errors
    /// The system or a ring refuses something, or the other process does not come up.
    pub fn start(contenders: &[Contender]) -> Result<Self> {
        Self::start_with(contenders, &[])
    }

    /// [`start`](Self::start), where foreign contenders are among those that `openers` open. The program has called
    /// [`serve_if_child_with`](super::serve_if_child_with) with the same ones.
    ///
    /// # Errors
    /// As for [`start`](Self::start), or a foreign contender refuses something.
    pub fn start_with(contenders: &[Contender], openers: &[Opener]) -> Result<Self> {
        let allowed = sys::cpus()?;
        let cpus = two(&allowed);
        let makes_sense = |contender: &Contender| cpus.is_some() || contender.can_share_a_cpu();
        let (threaded, contenders): (Vec<_>, Vec<_>) = contenders
            .iter()
            .copied()
            .filter(makes_sense)
            .partition(|contender| matches!(contender.open(openers), Some(Open::Threads(_))));

        let (control, childs) = UnixStream::pair()?;
        let mut launch = Launch::new(childs.into())?;
        let ends = Ends::open(Side::Parent(&mut launch), &contenders, openers)?;
        let (child, heir) = launch.start(Arc::clone(&ends.shared))?;
        let heir = thread::Builder::new().name("heir".into()).spawn(|| heir.wait())?;
        let control = Control::new(control);
        let mut pair = Self { ends, control, child, heir: Some(heir), thread: None, threaded, allowed };
        if let Some([ours, _]) = cpus {
            sys::pin(&[ours])?;
        }
        let cpu = cpus.map(|[_, theirs]| theirs);
        let contenders = contenders.iter().map(|contender| contender.name().to_owned()).collect();
        pair.control.tell(&Job::Begin { cpu, contenders })?;
        pair.hear(false, Ok(Duration::ZERO))?;
        if !pair.threaded.is_empty() {
            let carriers = pair.ends.open_threads(&pair.threaded, openers)?;
            pair.thread = Some(Thread::start(cpu, Arc::clone(&pair.ends.shared), carriers)?);
        }
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
    /// The channel broke, or the other side failed.
    pub fn round_trips(&mut self, contender: Contender, size: usize, rounds: u64) -> Result<Duration> {
        Ok(self.run(contender, size, Half::Ask(rounds), rounds)?.0)
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
        let mut note = |time: Duration| {
            seen.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        };
        self.run(contender, size, Half::AskClocked(rounds, &mut note), rounds)?;
        Ok(())
    }

    /// Sends messages one behind the other and returns the time until the last one was received; of
    /// [`Contender::Memcpy`], whatever the size, the time its copies took.
    ///
    /// # Errors
    /// As for [`round_trips`](Self::round_trips).
    pub fn stream(&mut self, contender: Contender, size: usize, count: u64) -> Result<Duration> {
        Ok(self.run(contender, size, Half::Stream(count), count)?.0)
    }

    /// Lets the other process wait for a message for `time` and returns the share of a CPU it used.
    ///
    /// # Errors
    /// As for [`round_trips`](Self::round_trips).
    pub fn idle(&mut self, contender: Contender, time: Duration) -> Result<f64> {
        let (_, [wall, cpu]) = self.run(contender, 8, Half::Idle(time), 1)?;
        Ok(cpu.as_secs_f64() / wall.as_secs_f64())
    }

    /// Does one half of a job while the other side does the other one, with so many messages. Also returns the time and
    /// the processor time that took there.
    fn run(
        &mut self,
        contender: Contender,
        size: usize,
        half: Half<'_>,
        messages: u64,
    ) -> Result<(Duration, [Duration; 2])> {
        let name = contender.name().to_owned();
        let job = match half {
            Half::Stream(_) | Half::Idle(_) => Job::Drain { contender: name, size, count: messages },
            _ => Job::Answer { contender: name, size, rounds: messages },
        };
        let thread = self.threaded.contains(&contender);
        let told = match self.control(thread) {
            Some(control) => control.tell(&job).map_err(Error::from),
            None => Err(Error::Gone),
        };
        let outcome = told.and_then(|()| self.ends.run(contender.name(), size, half));
        self.hear(thread, outcome)
    }

    /// The socket to the other thread or to the other process.
    fn control(&mut self, thread: bool) -> Option<&mut Control> {
        if thread { self.thread.as_mut().and_then(Thread::control) } else { Some(&mut self.control) }
    }

    /// Hears what came of a job there, `outcome` being what came of it here.
    fn hear(&mut self, thread: bool, outcome: Result<Duration>) -> Result<(Duration, [Duration; 2])> {
        let Some(control) = self.control(thread) else { return Err(Error::Gone) };
        if outcome.is_err() {
            control.wait_at_most(LAST_WORDS)?;
        }
        match (control.hear(), outcome) {
            (Ok(Some(Reply::Done { wall, cpu })), Ok(result)) => Ok((result, [wall, cpu])),
            (Ok(Some(Reply::Failed(why))), _) => Err(Error::Failed(why)),
            (Ok(None), _) if thread => Err(Error::Gone),
            (Ok(None), _) => Err(Error::Died(self.child.wait()?)),
            (_, Err(error)) => Err(error),
            (Err(error), Ok(_)) => Err(error.into()),
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.thread = None;
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
