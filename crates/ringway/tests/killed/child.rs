//! Forked children: the only processes that are ever killed here, each by its id and by who made it.
#![allow(unsafe_code)]

use std::{
    io,
    panic::{self, AssertUnwindSafe},
};

/// A forked child that has not been waited for. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    id: libc::pid_t,
    gone: bool,
}

/// How a child ended, or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Exited(i32),
    Killed(i32),
    /// Stopped by a signal, which it has not met yet if it is traced.
    Stopped(i32),
}

impl Child {
    /// Forks a child that does `work` and exits: with 0, or if it panics or fails, with 1. It dies with this thread.
    ///
    /// Other threads of this process must not hold what `work` needs; those of a test that runs here alone do not.
    pub(crate) fn start(work: impl FnOnce() -> bool) -> Self {
        // SAFETY: the child has this thread alone; the C library puts its allocator in order, and what else the work uses
        // is this thread's.
        let id = unsafe { libc::fork() };
        assert!(id >= 0, "fork: {}", io::Error::last_os_error());
        if id == 0 {
            // SAFETY: no pointers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let done = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(false);
            // SAFETY: ends the process, without any of what its parent would do at its own end.
            unsafe { libc::_exit(i32::from(!done)) };
        }
        Self { id, gone: false }
    }

    pub(crate) fn id(&self) -> libc::pid_t {
        self.id
    }

    pub(crate) fn signal(&self, signal: i32) {
        assert!(!self.gone);
        // SAFETY: no pointers. The id is that of a child that nobody else waits for, so it cannot be anybody else's.
        assert_eq!(unsafe { libc::kill(self.id, signal) }, 0, "{}", io::Error::last_os_error());
    }

    /// SIGKILLs it and waits until it is gone. How it ended: it may have done so before.
    pub(crate) fn kill(mut self) -> Event {
        self.signal(libc::SIGKILL);
        loop {
            // A traced one may have a stop to tell of first.
            match self.wait() {
                Event::Stopped(_) => {}
                end => return end,
            }
        }
    }

    /// Waits until it ends or stops.
    pub(crate) fn wait(&mut self) -> Event {
        self.wait_with(0).expect("waited for")
    }

    /// Whether it has ended or stopped.
    pub(crate) fn try_wait(&mut self) -> Option<Event> {
        self.wait_with(libc::WNOHANG)
    }

    fn wait_with(&mut self, options: i32) -> Option<Event> {
        assert!(!self.gone);
        let mut status = 0;
        // SAFETY: `status` is a place for the result.
        let id = unsafe { libc::waitpid(self.id, &mut status, options | libc::WUNTRACED) };
        if id == 0 {
            return None;
        }
        assert_eq!(id, self.id, "{}", io::Error::last_os_error());
        if libc::WIFSTOPPED(status) {
            return Some(Event::Stopped(libc::WSTOPSIG(status)));
        }
        self.gone = true;
        Some(if libc::WIFEXITED(status) {
            Event::Exited(libc::WEXITSTATUS(status))
        } else {
            Event::Killed(libc::WTERMSIG(status))
        })
    }

    /// Whether it sleeps in the kernel, waiting for something.
    pub(crate) fn sleeps(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        // The name, in brackets, may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.gone {
            // SAFETY: as in `signal`, and `waitpid` without a place for its result.
            unsafe {
                libc::kill(self.id, libc::SIGKILL);
                while libc::waitpid(self.id, std::ptr::null_mut(), 0) == -1
                    && *libc::__errno_location() == libc::EINTR
                {}
            }
        }
    }
}

/// In a child: stops until its parent goes on with it.
pub(crate) fn stop() {
    // SAFETY: no pointers.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
}

/// In a child: ends as if somebody had killed it.
pub(crate) fn die() -> ! {
    // SAFETY: no pointers.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("killed")
}
