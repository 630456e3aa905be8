//! The process that answers.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;
use std::{env, io, process};

use super::ends::Ends;
use super::job::{Control, Job, Reply, WARM_UP};
use super::launch::{MARK, Side};
use super::{Message, Result, sys};

/// Serves measurements and never returns, if this process was started for that; else does nothing.
///
/// Every program that starts a [`Pair`](super::Pair) calls this first: the other process of the pair is
/// the same program once more.
pub fn serve_if_child() {
    if env::var_os(MARK).is_some() {
        process::exit(serve().is_err().into());
    }
}

fn serve() -> io::Result<()> {
    sys::die_with_parent()?;
    let mut control = Control::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?));
    let mut ends = None;
    // If the parent was gone before it could be said to die with it, this ends at once.
    while let Some(job) = control.hear()? {
        let (start, used) = (Instant::now(), sys::cpu_time()?);
        match run(job, &mut ends) {
            Ok(()) => control
                .tell(&Reply::Done { wall: start.elapsed(), cpu: sys::cpu_time()?.saturating_sub(used) })?,
            Err(error) => {
                control.tell(&Reply::Failed(error.to_string()))?;
                return Err(io::Error::other(error));
            }
        }
    }
    Ok(())
}

fn run(job: Job, ends: &mut Option<Ends>) -> Result<()> {
    match (job, ends) {
        (Job::Begin { cpu, contenders }, ends) => {
            if let Some(cpu) = cpu {
                sys::pin(&[cpu])?;
            }
            *ends = Some(Ends::open(Side::Child, &contenders)?);
            Ok(())
        }
        (Job::Answer { contender, size, rounds }, Some(ends)) => {
            ends.channel(contender)?.answer(&mut Message::new(size), WARM_UP + rounds)
        }
        (Job::Drain { contender, size, count }, Some(ends)) => {
            let (channel, message) = (ends.channel(contender)?, &mut Message::new(size));
            channel.answer(message, WARM_UP)?;
            channel.drain(message, count)
        }
        (_, None) => Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
    }
}
