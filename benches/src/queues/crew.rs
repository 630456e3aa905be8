//! Those who use the queues: threads of this process, or processes. Each is pinned to one of two CPUs, and between slices it
//! sleeps until it is told, over a socket, what comes next.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, Child, Command, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use ringway_cli::bench::{Control, Error, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};

use super::task::{Tally, Task};
use super::window::Window;
use super::{Contender, Open, Shape};

/// How long members work in a slice.
const SLICE: Duration = Duration::from_millis(8);
/// How long it takes a member to come to work, and to be told.
const LEAD: Duration = Duration::from_micros(100);
/// How long members may be at it: one that failed leaves others waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Present in the environment of a process that is a member.
const MARK: &str = "RINGWAY_QUEUES_MEMBER";

/// What a process is told first.
#[derive(Debug, Serialize, Deserialize)]
struct Begin {
    shape: Shape,
    member: usize,
    cpu: usize,
    contenders: Vec<String>,
}

/// A slice, as a member is told.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    contender: usize,
    window: Window,
}

/// What a member replies to each.
type Reply = std::result::Result<Tally, String>;

/// All that have a part in a [`Shape`], with their ends of some contenders. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Crew {
    members: Vec<Control>,
    processes: Vec<Child>,
}

impl Crew {
    /// A crew for those of these contenders that open between threads.
    pub(super) fn threads(shape: Shape, cpus: [usize; 2], contenders: &[Contender]) -> Result<Self> {
        let mut tasks: Vec<Vec<Task>> = (0..shape.members()).map(|_| Vec::new()).collect();
        for contender in contenders {
            if let Open::Threads(open) = contender.open {
                tasks.iter_mut().zip(open(shape)?).for_each(|(of_member, task)| of_member.push(task));
            }
        }
        let mut members = Vec::new();
        for (member, mut tasks) in tasks.into_iter().enumerate() {
            let (ours, theirs) = UnixStream::pair()?;
            let cpu = cpus[shape.cpu(member)];
            thread::Builder::new().name(format!("member {member}")).spawn(move || {
                // An error was told, or nobody is left to tell it to.
                let _ = pin(cpu).and_then(|()| work(&mut Control::new(theirs), &mut tasks));
            })?;
            members.push(Control::new(ours));
        }
        Ok(Self { members, processes: Vec::new() })
    }

    /// A crew for those of these contenders that open between processes. The program has called [`serve_if_member`] with
    /// them.
    pub(super) fn processes(shape: Shape, cpus: [usize; 2], contenders: &[Contender]) -> Result<Self> {
        let mut commands = Vec::new();
        let mut crew = Self { members: Vec::new(), processes: Vec::new() };
        for _ in 0..shape.members() {
            let (ours, theirs) = UnixStream::pair()?;
            let mut command = Command::new(env::current_exe()?);
            command.env(MARK, "1").stdin(Stdio::from(OwnedFd::from(theirs)));
            commands.push(command);
            crew.members.push(Control::new(ours));
        }
        let mut names = Vec::new();
        for contender in contenders {
            if let Open::Processes(between) = contender.open {
                (between.offer)(shape, &mut commands)?;
                names.push(contender.name.to_owned());
            }
        }
        for command in &mut commands {
            crew.processes.push(command.spawn()?);
        }
        for (member, control) in crew.members.iter_mut().enumerate() {
            let cpu = cpus[shape.cpu(member)];
            control.tell(&Begin { shape, member, cpu, contenders: names.clone() })?;
        }
        crew.hear()?;
        Ok(crew)
    }

    /// Has all members use the contender of this number for a slice. Returns the nanoseconds a message.
    pub(super) fn slice(&mut self, contender: usize) -> Result<f64> {
        let window = Window::after(LEAD * self.members.len() as u32, SLICE);
        for member in &mut self.members {
            member.tell(&Job { contender, window })?;
        }
        let tallies = self.hear()?;
        let received: u64 = tallies.iter().map(|tally| tally.received).sum();
        let balance = tallies.iter().fold(0, |sum: u64, tally| sum.wrapping_add(tally.balance));
        if balance != 0 {
            return Err(Error::Failed(format!("of {received} messages, not each was received once")));
        }
        let end = tallies.iter().map(|tally| tally.end).max().unwrap_or_default();
        Ok((end - window.begin) as f64 / received as f64)
    }

    /// Hears what each member replies.
    fn hear(&mut self) -> Result<Vec<Tally>> {
        let mut stuck = None;
        let mut tallies = Vec::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            member.wait_at_most(PATIENCE)?;
            match member.hear::<Reply>() {
                Ok(Some(Ok(tally))) => tallies.push(tally),
                Ok(Some(Err(why))) => return Err(Error::Failed(why)),
                Ok(None) => return Err(Error::Gone),
                // It may wait for one that has failed, and that one says why.
                Err(error) => stuck = Some(format!("member {number} does not come to an end: {error}")),
            }
        }
        stuck.map_or(Ok(tallies), |why| Err(Error::Failed(why)))
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Serves as a member and never returns, if this process was started for that; else does nothing.
///
/// A program that holds a [`Contest`](super::Contest) between processes calls this first, with all contenders that it has.
pub fn serve_if_member(contenders: &[Contender]) {
    if env::var_os(MARK).is_some() {
        process::exit(serve(contenders).is_err().into());
    }
}

fn serve(contenders: &[Contender]) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut control = Control::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?));
    // If the parent was gone before it could be said to die with it, this ends at once.
    let Some(begin) = control.hear()? else { return Ok(()) };
    match attach(&begin, contenders) {
        Ok(mut tasks) => {
            control.tell(&Reply::Ok(Tally::default()))?;
            work(&mut control, &mut tasks)
        }
        Err(error) => control.tell(&Reply::Err(error.to_string())),
    }
}

fn attach(begin: &Begin, contenders: &[Contender]) -> Result<Vec<Task>> {
    pin(begin.cpu)?;
    let attach = |name: &String| match contenders.iter().find(|it| it.name == *name).map(|it| it.open) {
        Some(Open::Processes(between)) => (between.attach)(begin.shape, begin.member),
        _ => Err(Error::NotStarted(name.clone())),
    };
    begin.contenders.iter().map(attach).collect()
}

/// Does one job after the other, until there will be none.
fn work(control: &mut Control, tasks: &mut [Task]) -> io::Result<()> {
    while let Some(Job { contender, window }) = control.hear()? {
        let done = match tasks.get_mut(contender) {
            Some(task) => task(window),
            None => Err(Error::NotStarted(format!("contender {contender}"))),
        };
        control.tell(&done.map_err(|error| error.to_string()))?;
    }
    Ok(())
}

/// Lets the calling thread run on this CPU only.
fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use ringway_cli::bench::{Message, Waiting};

    use super::super::ends::{Queue, Receiver, Sender};
    use super::super::task::tasks;
    use super::super::{ARRAY_QUEUE, CROSSBEAM, KANAL, RING, SIZE};
    use super::*;

    /// A crew of threads, wherever they may run.
    fn crew(shape: Shape, contenders: &[Contender]) -> Crew {
        let cpu = rustix::thread::sched_getcpu();
        Crew::threads(shape, [cpu; 2], contenders).unwrap()
    }

    #[test]
    fn a_slice_leaves_nothing_for_the_next_one() {
        let contenders = [ARRAY_QUEUE, CROSSBEAM, KANAL];
        for shape in [Shape::Alone, Shape::Stream(2), Shape::Stream(8)] {
            let mut crew = crew(shape, &contenders);
            for contender in [0, 1, 2, 0, 1, 2] {
                crew.slice(contender).unwrap();
            }
        }
    }

    /// A queue from which the same message comes all the time, whatever was sent.
    #[derive(Clone, Debug)]
    struct Stuck([u8; SIZE]);

    impl Queue for Stuck {
        type Sender = Self;
        type Receiver = Self;

        fn sender(&self) -> Result<Self> {
            Ok(self.clone())
        }

        fn receiver(&self) -> Result<Self> {
            Ok(self.clone())
        }
    }

    impl Sender for Stuck {
        fn send(&mut self, _: &[u8; SIZE]) -> Result<()> {
            Ok(())
        }
    }

    impl Receiver for Stuck {
        fn receive(&mut self, mut read: impl FnMut(&[u8])) -> Result<()> {
            read(&self.0);
            Ok(())
        }
    }

    fn complaint(open: fn(Shape) -> Result<Vec<Task>>) -> String {
        let contender = Contender { name: "stuck", waiting: Waiting::Spins, open: Open::Threads(open) };
        crew(Shape::Alone, &[contender]).slice(0).unwrap_err().to_string()
    }

    #[test]
    fn a_message_that_comes_twice_is_noticed() {
        let said = complaint(|shape| tasks(shape, || Ok(Stuck(*Message::new().number(7)))));
        assert!(said.contains("not each was received once"), "{said}");
    }

    #[test]
    fn a_member_that_receives_what_nobody_wrote_says_so() {
        let said = complaint(|shape| tasks(shape, || Ok(Stuck([0; SIZE]))));
        assert!(said.contains("did not arrive as it was sent"), "{said}");
    }

    #[test]
    fn a_ring_of_one_sender_is_refused_to_two() {
        assert!(Crew::threads(Shape::Stream(2), [0; 2], &[RING]).is_err());
    }
}
