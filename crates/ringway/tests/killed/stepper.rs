//! A child that is run instruction by instruction.
//!
//! It asks to be traced, prepares, and stops: the beginning. Then it does its operation and stops again: the end. Points in
//! between are counted in steps from the beginning and met by stepping there again in a new child, so that it does not
//! matter where code and data lie, nor that a step more or less is made now and then: then another instruction is hit.
//!
//! A step takes some ten microseconds, so what makes system calls is brought forward to one of them first.
//!
//! An instruction that repeats itself (`rep movs`) is a step each time it does. One that is a system call is one step;
//! if it sleeps there, the caller is asked to wake it.
#![allow(unsafe_code)]

use std::{
    io, ptr, thread,
    time::{Duration, Instant},
};

use crate::child::{self, Child, Event};

/// How long a step may sleep in the kernel before it counts as waiting for somebody: longer than the naps after which the
/// library looks by itself.
const ASLEEP: Duration = Duration::from_millis(10);

/// Proof that the child is stopped.
#[derive(Debug)]
pub(crate) struct Stopped(());

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is stopped before the next instruction.
    Made,
    /// It is stopped at the end.
    End,
    /// It sleeps. Wake it and [`settle`](Stepper::settle) the step.
    Asleep,
}

/// A traced child between its beginning and its end.
#[derive(Debug)]
pub(crate) struct Stepper {
    child: Child,
    stopped: Stopped,
    /// Whether the child may sleep, so that waiting for it must not.
    sleeps: bool,
}

impl Stepper {
    /// Why children cannot be run instruction by instruction here, if they cannot.
    pub(crate) fn missing() -> Option<String> {
        if !cfg!(target_arch = "x86_64") {
            // A pair of exclusive accesses never succeeds with a stop in between.
            return Some("single steps are made on x86-64 only".into());
        }
        let child = Child::start(|| {
            let traced = ask_to_be_traced();
            child::stop();
            traced
        });
        let mut stepper = Self { child, stopped: Stopped(()), sleeps: false };
        match stepper.child.wait() {
            Event::Stopped(libc::SIGSTOP) if stepper.order(libc::PTRACE_SINGLESTEP).is_ok() => None,
            _ => Some("ptrace is not allowed".into()),
        }
    }

    /// Starts a child, which calls [`child::stop`] at the beginning and at the end of its operation. `sleeps`: whether it
    /// may have to be woken in between.
    pub(crate) fn start(sleeps: bool, work: impl FnOnce() -> bool) -> Result<Self, String> {
        let mut child = Child::start(|| ask_to_be_traced() && work());
        match child.wait() {
            Event::Stopped(libc::SIGSTOP) => Ok(Self { child, stopped: Stopped(()), sleeps }),
            event => Err(format!("the victim did not come to the beginning: {event:?}")),
        }
    }

    /// The proof that it is stopped.
    pub(crate) fn stopped(&self) -> &Stopped {
        &self.stopped
    }

    /// Lets it make one step.
    pub(crate) fn step(&mut self) -> Result<Step, String> {
        let may_sleep = self.sleeps && self.next().1;
        self.order(libc::PTRACE_SINGLESTEP).map_err(|error| format!("single step: {error}"))?;
        if !may_sleep {
            let event = self.child.wait();
            return self.made(event);
        }
        let limit = Instant::now() + ASLEEP;
        loop {
            match self.child.try_wait() {
                Some(event) => return self.made(event),
                None if Instant::now() > limit && self.child.sleeps() => return Ok(Step::Asleep),
                None => thread::yield_now(),
            }
        }
    }

    /// Lets it run until its next system call is made.
    pub(crate) fn call(&mut self) -> Result<Step, String> {
        // It stops where it enters the call and where it comes back.
        for _ in 0..2 {
            self.order(libc::PTRACE_SYSCALL).map_err(|error| format!("system call: {error}"))?;
            let event = self.child.wait();
            if self.made(event)? == Step::End {
                return Ok(Step::End);
            }
        }
        Ok(Step::Made)
    }

    /// Waits until a step that slept is made.
    pub(crate) fn settle(&mut self) -> Result<Step, String> {
        let limit = Instant::now() + crate::PROGRESS;
        loop {
            match self.child.try_wait() {
                Some(event) => return self.made(event),
                None if Instant::now() > limit => return Err("the victim sleeps though there is news".into()),
                None => thread::yield_now(),
            }
        }
    }

    fn made(&self, event: Event) -> Result<Step, String> {
        match event {
            Event::Stopped(libc::SIGTRAP) => Ok(Step::Made),
            Event::Stopped(libc::SIGSTOP) => Ok(Step::End),
            event => Err(format!("the victim came to grief: {event:?}")),
        }
    }

    /// Where the next instruction is, and whether it is a system call.
    pub(crate) fn next(&self) -> (u64, bool) {
        let at = self.instruction_pointer();
        // SAFETY: the child was forked from this process and has mapped no code since: what it executes lies here, too.
        let is_call = unsafe { ptr::read_unaligned(at as *const [u8; 2]) } == [0x0f, 0x05];
        (at, is_call)
    }

    #[cfg(target_arch = "x86_64")]
    fn instruction_pointer(&self) -> u64 {
        // SAFETY: registers are a plain structure of numbers, which the kernel fills in; the child is stopped.
        unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            let none = ptr::null_mut::<libc::c_void>();
            let done = libc::ptrace(libc::PTRACE_GETREGS, self.child.id(), none, &mut registers);
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
            registers.rip
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn instruction_pointer(&self) -> u64 {
        unreachable!("see `missing`")
    }

    /// SIGSTOPs it where it is, with all its threads, and follows it no more.
    pub(crate) fn halt(mut self) -> Result<Child, String> {
        let (none, stop) = (ptr::null_mut::<libc::c_void>(), libc::SIGSTOP as usize as *mut libc::c_void);
        // SAFETY: the request takes no pointers, but the number of a signal for one; the child is ours.
        let done = unsafe { libc::ptrace(libc::PTRACE_DETACH, self.child.id(), none, stop) };
        match self.child.wait() {
            Event::Stopped(libc::SIGSTOP) if done == 0 => Ok(self.child),
            event => Err(format!("the victim was not stopped: {event:?}")),
        }
    }

    /// SIGKILLs it where it is.
    pub(crate) fn kill(self) -> Result<(), String> {
        match self.child.kill() {
            Event::Killed(libc::SIGKILL) => Ok(()),
            event => Err(format!("the victim was not killed: {event:?}")),
        }
    }

    fn order(&mut self, request: libc::c_uint) -> io::Result<()> {
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: these requests take no pointers; the child is ours.
        match unsafe { libc::ptrace(request, self.child.id(), none, none) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Keeps this thread, and the children it makes, on the processor it runs on: the parent and its child take turns, and
/// handing over to another processor takes ten times as long. Dropped, it may run where it might before.
#[derive(Debug)]
pub(crate) struct Pin(libc::cpu_set_t);

impl Pin {
    pub(crate) fn here() -> Self {
        // SAFETY: sets of processors are plain bits, and of the size that is said.
        unsafe {
            let (mut before, mut here): (libc::cpu_set_t, libc::cpu_set_t) = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of_val(&before), &mut before);
            libc::CPU_SET(libc::sched_getcpu() as usize, &mut here);
            libc::sched_setaffinity(0, size_of_val(&here), &here);
            Self(before)
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::sched_setaffinity(0, size_of_val(&self.0), &self.0) };
    }
}

/// In the child.
fn ask_to_be_traced() -> bool {
    let none = ptr::null_mut::<libc::c_void>();
    // SAFETY: takes no pointers.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) == 0 }
}
