//! What a keeper polls: a room with unsafe code.
#![allow(unsafe_code, clippy::disallowed_types)]

use core::sync::atomic::{AtomicU32, Ordering};
use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::Arc,
};

use crate::futex;

/// What a watch says: 0, or 1 when the process has ended.
pub(super) type Told = Arc<AtomicU32>;

/// A descriptor that one thread rings and another polls.
#[derive(Clone, Debug)]
pub(super) struct Ring(Arc<OwnedFd>);

impl Ring {
    pub(super) fn new() -> io::Result<Ring> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        owned(fd.into()).map(|fd| Ring(Arc::new(fd)))
    }

    /// Fails only if somebody has closed the descriptor, which is not theirs.
    pub(super) fn ring(&self) -> io::Result<()> {
        let one = 1u64;
        // SAFETY: 8 bytes are read from a local.
        let written = unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
        if written == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn silence(&self) {
        let mut count = 0u64;
        // SAFETY: 8 bytes are written to a local. It does not block: where nobody has rung it fails.
        unsafe {
            libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>());
        }
    }
}

/// A descriptor of the process `pid`; `None` if there is none.
pub(super) fn open(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return Ok(None) };
    // SAFETY: no memory is passed. The kernel sets close-on-exec.
    match owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        other => other.map(Some),
    }
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, which is an `int`, for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// Processes that are watched, and have not ended.
#[derive(Debug)]
pub(super) struct Watches {
    /// The ring's, then those of the processes.
    polled: Vec<libc::pollfd>,
    processes: Vec<(OwnedFd, Told)>,
    ring: Option<Ring>,
}

impl Watches {
    pub(super) fn new() -> Watches {
        Watches { polled: Vec::new(), processes: Vec::new(), ring: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// `ring` is the same each time.
    pub(super) fn add(&mut self, process: OwnedFd, told: Told, ring: Ring) {
        if self.ring.is_none() {
            self.polled.push(readable(&ring.0));
            self.ring = Some(ring);
        }
        self.polled.push(readable(&process));
        self.processes.push((process, told));
    }

    pub(super) fn remove(&mut self, told: &Told) {
        if let Some(place) = self.processes.iter().position(|(_, other)| Arc::ptr_eq(other, told)) {
            self.strike(place);
        }
    }

    fn strike(&mut self, place: usize) -> (OwnedFd, Told) {
        self.polled.swap_remove(place + 1);
        self.processes.swap_remove(place)
    }

    /// Sleeps until it is rung or a process ends, and tells of those that have.
    ///
    /// A descriptor that is not open (`POLLNVAL`) was closed by somebody whose it is not. Its number may be another
    /// file's by now, so it is given up without closing it.
    pub(super) fn sleep(&mut self) {
        let Some(ring) = &self.ring else { return };
        // SAFETY: pointer and length describe `polled`, which is borrowed mutably.
        let answer = unsafe { libc::poll(self.polled.as_mut_ptr(), self.polled.len() as libc::nfds_t, -1) };
        let interrupted = || io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if answer == -1 && interrupted() {
            return;
        }
        if answer == -1 {
            // RLIMIT_NOFILE was lowered below what is open. Polling would fail again and again; the keeper stays
            // reachable without.
            self.polled.truncate(1);
            self.processes.clear();
            return;
        }
        if self.polled[0].revents & libc::POLLNVAL != 0 {
            self.polled.clear();
            mem::forget(self.ring.take());
            self.processes.drain(..).for_each(|(process, _)| mem::forget(process));
            return;
        }
        if self.polled[0].revents != 0 {
            ring.silence();
        }
        for place in (0..self.processes.len()).rev() {
            let events = self.polled[place + 1].revents;
            if events == 0 {
                continue;
            }
            let (process, told) = self.strike(place);
            if events & libc::POLLNVAL != 0 {
                mem::forget(process);
            } else {
                tell(&told);
            }
        }
    }
}

fn readable(fd: &OwnedFd) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

fn tell(told: &Told) {
    // Release: pairs with the Acquire in `Watch::ended`.
    told.store(1, Ordering::Release);
    futex::wake_all_private(told);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same file under a number so high that no other test of this process gets it after it was closed.
    fn high(fd: &OwnedFd) -> OwnedFd {
        // SAFETY: no memory is passed.
        owned(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 500) }.into()).unwrap()
    }

    #[test]
    fn what_was_closed_by_force_is_given_up_and_not_closed_again() {
        let Ok(Some(process)) = open(std::process::id()) else {
            return eprintln!("skipped: no pidfd");
        };
        let told = Told::default();
        let ring = Ring(Arc::new(high(&Ring::new().unwrap().0)));
        let mut watches = Watches::new();
        watches.add(high(&process), told.clone(), ring.clone());
        watches.add(high(&process), told.clone(), ring.clone());
        let close = |fd: &OwnedFd| {
            // SAFETY: no memory is passed. Its owner, under test, is to notice.
            unsafe { libc::close(fd.as_raw_fd()) };
        };
        close(&watches.processes[0].0);
        watches.sleep();
        assert_eq!(watches.processes.len(), 1);
        close(&ring.0);
        assert!(ring.ring().is_err());
        watches.sleep();
        assert!(watches.is_empty());
        drop(ring);
        assert_eq!(told.load(Ordering::Relaxed), 0);
    }
}
