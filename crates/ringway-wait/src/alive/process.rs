//! The keepers of this process, and how a forked child is told from it: a room with unsafe code.
//!
//! All hangs on one word, the *mark*: the address of the process's [`Process`], on a page that the kernel wipes in a
//! forked child. In a child it is 0, until the child makes its own, at another address: that of its parent is never
//! freed.
#![allow(unsafe_code, clippy::disallowed_types)]

use core::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::ThreadId,
};

use super::{class::Class, keeper::Keeper};

/// Holds and watches that one keeper has at most. The kernel walks 2048 nodes.
pub(super) const ROOM: usize = 1000;

/// Where the mark is: null before the first use. Set once, and the same in a forked child.
static MARK: AtomicPtr<AtomicPtr<Process>> = AtomicPtr::new(ptr::null_mut());

/// The keepers of a process. Lives as long as it.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Whoever wants something of a keeper holds the lock until it is done, and so has each of them to itself.
    keepers: Mutex<Vec<Keeper>>,
}

impl Process {
    /// The one that runs this.
    pub(super) fn current() -> io::Result<&'static Process> {
        let mark = mark()?;
        // Acquire: pairs with the Release below; what it leads to is complete.
        let mut process = mark.load(Ordering::Acquire);
        if process.is_null() {
            let new = Box::into_raw(Box::<Process>::default());
            // Release: pairs with the Acquire above and in this line.
            match mark.compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Acquire) {
                Ok(_) => process = new,
                Err(other) => {
                    // SAFETY: made by `into_raw` above, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    process = other;
                }
            }
        }
        // SAFETY: what the mark leads to was made by `into_raw`, in this process, and is never freed.
        Ok(unsafe { &*process })
    }

    /// Whether this is the process that runs, not one that it was forked from.
    pub(super) fn is_current(&self) -> bool {
        // Acquire: pairs with the Release in `mark`.
        let mark = MARK.load(Ordering::Acquire);
        // SAFETY: a `Process` is made after the mark's page, which is never unmapped.
        let process = unsafe { &*mark }.load(Ordering::Relaxed);
        // Relaxed above: only the address counts.
        ptr::eq(process, self)
    }

    /// Has a keeper do what a hold (of a class) or a watch (`None`) begins with.
    pub(super) fn enter(
        &'static self,
        class: Option<Class>,
        task: impl FnOnce(&mut Keeper) -> io::Result<()>,
    ) -> io::Result<Seat> {
        let mut keepers = self.lock();
        let has_room = |keeper: &Keeper| keeper.seats < ROOM && keeper.suits(class);
        let place = match keepers.iter().position(has_room) {
            Some(place) => place,
            None => {
                keepers.push(Keeper::start(class.unwrap_or_else(Class::usual))?);
                keepers.len() - 1
            }
        };
        let keeper = &mut keepers[place];
        let answer = task(keeper);
        if answer.is_ok() {
            keeper.seats += 1;
        }
        let seat = Seat { process: self, keeper: keeper.id() };
        stop_if_idle(&mut keepers, place);
        answer.map(|()| seat)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Keeper>> {
        // Nothing in it is ever half done where there could be a panic.
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stop_if_idle(keepers: &mut Vec<Keeper>, place: usize) {
    if keepers[place].seats == 0 {
        keepers.swap_remove(place).stop();
    }
}

/// That a keeper has a hold, or a watch.
#[derive(Debug)]
pub(super) struct Seat {
    process: &'static Process,
    keeper: ThreadId,
}

impl Seat {
    /// Whether it is this process's, and not a copy that came by fork.
    pub(super) fn is_ours(&self) -> bool {
        self.process.is_current()
    }

    /// Has the keeper do what ends a hold or a watch.
    pub(super) fn leave(&self, task: impl FnOnce(&Keeper) -> io::Result<()>) -> io::Result<()> {
        let mut keepers = self.process.lock();
        let Some(place) = keepers.iter().position(|keeper| keeper.id() == self.keeper) else {
            return Ok(());
        };
        let answer = task(&keepers[place]);
        keepers[place].seats -= 1;
        stop_if_idle(&mut keepers, place);
        answer
    }
}

/// The mark, which a forked child finds wiped.
fn mark() -> io::Result<&'static AtomicPtr<Process>> {
    // Acquire: pairs with the Release below.
    let mut mark = MARK.load(Ordering::Acquire);
    if mark.is_null() {
        let new = wiped_in_children()?;
        // Release: pairs with the Acquire above and in this line, and with the one in `is_current`: the advice comes
        // first.
        match MARK.compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Acquire) {
            Ok(_) => mark = new,
            Err(other) => {
                unmap(new);
                mark = other;
            }
        }
    }
    // SAFETY: the beginning of a page of zeros, which is aligned and is a null pointer; never unmapped.
    Ok(unsafe { &*mark })
}

const PAGE: usize = size_of::<AtomicPtr<Process>>();

fn wiped_in_children() -> io::Result<*mut AtomicPtr<Process>> {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: maps new memory where the kernel finds room: a whole page, however few bytes are asked for.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, rights, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page just mapped, of which nobody knows.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        let error = io::Error::last_os_error();
        unmap(page.cast());
        return Err(error);
    }
    Ok(page.cast())
}

fn unmap(page: *mut AtomicPtr<Process>) {
    // SAFETY: mapped by `wiped_in_children`, and nobody else has seen it.
    unsafe {
        libc::munmap(page.cast(), PAGE);
    }
}
