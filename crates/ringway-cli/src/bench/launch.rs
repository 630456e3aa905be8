//! Starting the other process, and what it inherits.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ringway::Offer;

use super::heir::{Close, Heir};
use super::shared::Shared;
use super::{CHILD, PARENT, sys};

/// Present in the environment of a process that is the other side of a measurement.
pub(super) const MARK: &str = "RINGWAY_BENCH_PEER";

/// This program, about to be started once more as the other side.
///
/// Its standard input is the control socket. Its standard output is never written: the end of it is the
/// end of the process.
#[derive(Debug)]
pub(super) struct Launch {
    command: Command,
    /// Its ends of things: open here until it has them.
    passed: Vec<OwnedFd>,
    /// The rings of which it will hold an end.
    rings: Vec<(Offer, Close)>,
}

impl Launch {
    pub(super) fn new(control: OwnedFd) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(MARK, "1").stdin(Stdio::from(control)).stdout(Stdio::piped());
        Ok(Self { command, passed: Vec::new(), rings: Vec::new() })
    }

    /// Gives `fd` to the child, which finds it under `key`.
    pub(super) fn pass(&mut self, key: &str, fd: OwnedFd) -> io::Result<()> {
        sys::keep_over_exec(fd.as_fd())?;
        self.command.env(key, fd.as_raw_fd().to_string());
        self.passed.push(fd);
        Ok(())
    }

    /// Gives a text to the child, which finds it in its environment under `key`.
    pub(super) fn tell(&mut self, key: &str, text: &str) {
        self.command.env(key, text);
    }

    /// Gives a ring to the child, which finds it under this key; `close` takes the end that it will hold.
    pub(super) fn pass_ring(&mut self, key: &str, ring: Offer, close: Close) -> io::Result<()> {
        ring.give_to(&mut self.command, key)?;
        self.rings.push((ring, close));
        Ok(())
    }

    /// Starts it. `shared` is where its end will be written, by the heir.
    pub(super) fn start(mut self, shared: Arc<Shared>) -> io::Result<(Child, Heir)> {
        let mut child = self.command.spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((child, Heir { output, shared, rings: self.rings }))
    }
}

/// Which of the two processes this is, for what is set up in both.
#[derive(Debug)]
pub(super) enum Side<'a> {
    /// The one that asks and measures; it makes what connects them and passes the other ends on.
    Parent(&'a mut Launch),
    /// The one that answers; it takes what it was passed.
    Child,
}

impl Side<'_> {
    /// The same side, for a while.
    pub(super) fn reborrow(&mut self) -> Side<'_> {
        match self {
            Self::Parent(launch) => Side::Parent(launch),
            Self::Child => Side::Child,
        }
    }

    /// 0 for the parent, 1 for the child.
    pub(super) fn number(&self) -> usize {
        match self {
            Self::Parent(_) => PARENT,
            Self::Child => CHILD,
        }
    }
}

/// Takes what [`Launch::pass`] has put under `key`. Once only.
pub(super) fn inherited(key: &str) -> io::Result<OwnedFd> {
    let number: Option<RawFd> = std::env::var(key).ok().and_then(|text| text.parse().ok());
    number.map_or_else(
        || Err(io::Error::new(io::ErrorKind::NotFound, format!("{key} is not set"))),
        sys::inherited,
    )
}
