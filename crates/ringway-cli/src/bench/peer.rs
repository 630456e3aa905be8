//! The side that answers.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;
use std::{env, io, process};

use super::carrier::Half;
use super::ends::Ends;
use super::job::{Control, Job, Reply};
use super::launch::{MARK, Side};
use super::{Contender, Error, Opener, Result, sys};

/// Serves measurements and never returns, if this process was started for that; else does nothing.
///
/// Every program that starts a [`Pair`](super::Pair) calls this first: the other process of the pair is
/// the same program once more.
pub fn serve_if_child() {
    serve_if_child_with(&[]);
}

/// [`serve_if_child`], where the pair is [started with](super::Pair::start_with) these.
pub fn serve_if_child_with(openers: &[Opener]) {
    if env::var_os(MARK).is_some() {
        process::exit(serve(openers).is_err().into());
    }
}

fn serve(openers: &[Opener]) -> io::Result<()> {
    sys::die_with_parent()?;
    let mut control = Control::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?));
    // If the parent was gone before it could be said to die with it, this ends at once.
    let Some(job) = control.hear()? else { return Ok(()) };
    let mut ends = None;
    reply(&mut control, || {
        ends = Some(begin(job, openers)?);
        Ok(())
    })?;
    ends.map_or(Ok(()), |mut ends| answer(&mut control, &mut ends))
}

fn begin(job: Job, openers: &[Opener]) -> Result<Ends> {
    let Job::Begin { cpu, contenders } = job else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    };
    if let Some(cpu) = cpu {
        sys::pin(&[cpu])?;
    }
    let find = |name: &String| Contender::find(name, openers).ok_or_else(|| Error::NotStarted(name.clone()));
    let contenders = contenders.iter().map(find).collect::<Result<Vec<_>>>()?;
    Ends::open(Side::Child, &contenders, openers)
}

/// Does one job after the other, until there will be none.
pub(super) fn answer(control: &mut Control, ends: &mut Ends) -> io::Result<()> {
    while let Some(job) = control.hear()? {
        reply(control, || match job {
            Job::Answer { contender, size, rounds } => {
                ends.run(&contender, size, Half::Answer(rounds)).map(drop)
            }
            Job::Drain { contender, size, count } => ends.run(&contender, size, Half::Drain(count)).map(drop),
            Job::Begin { .. } => Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
        })?;
    }
    Ok(())
}

/// Does `job` and tells the other side what came of it.
fn reply(control: &mut Control, job: impl FnOnce() -> Result<()>) -> io::Result<()> {
    let (start, used) = (Instant::now(), sys::cpu_time()?);
    match job() {
        Ok(()) => {
            control.tell(&Reply::Done { wall: start.elapsed(), cpu: sys::cpu_time()?.saturating_sub(used) })
        }
        Err(error) => {
            control.tell(&Reply::Failed(error.to_string()))?;
            Err(io::Error::other(error))
        }
    }
}
