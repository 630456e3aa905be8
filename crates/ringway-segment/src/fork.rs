//! What keeps a forked child from being mistaken for its parent.
//!
//! # The trouble
//!
//! A role is a lock that belongs to an *open file description*. `fork` does not copy descriptions: parent and
//! child have descriptors of the same one. So a child would keep every role of its parent, also when the parent
//! is long dead, and nobody could ever succeed to it. The mapping is no trouble: it is `MADV_DONTFORK`, the child
//! has a hole there.
//!
//! # The protocol
//!
//! Every descriptor that bears locks is listed in one registry of the process. Who opens one holds the latch
//! over *open and list*; who closes one holds it over *strike and close*. Three handlers run around each fork:
//!
//! | when | who | does |
//! |---|---|---|
//! | before | the thread that forks | closes the latch: no descriptor is half listed, the list is not being changed |
//! | after, parent | the same thread | opens the latch |
//! | after, child | the copy of that thread, the child's only one | closes every listed descriptor, empties the list, counts the generation up, opens the latch |
//!
//! Each handle remembers the generation it was made in. If that is not the present one, the handle is a copy
//! that came by fork: it does nothing on drop (its descriptor's number may be another file's by now, and other
//! memory may have been mapped in the hole), and it lends nothing.
//!
//! Why it is safe:
//! - *No descriptor escapes.* One that is open at the fork is listed, because opening and listing are one step
//!   under the latch that the fork holds too. So the child closes it, before any code of the user runs there.
//! - *No stranger is closed.* A listed number is open and ours, because striking and closing are one step.
//! - *No deadlock.* Under the latch nobody allocates, locks or calls the user: the list's storage is made and
//!   freed outside of it. The child's handler closes and stores, no more: it may run in a process of which only
//!   one thread is left, at any point of the others' work.
//!
//! # What it does not do
//!
//! - A child made by raw `clone`, `clone3` or `_Fork` runs no handlers. It keeps its parent's roles until it
//!   execs or exits, and its copies of handles believe in themselves. Such a child must exec or exit and touch
//!   no handle. That is what the children of `vfork`, `posix_spawn` and `std::process::Command` do, and there the
//!   descriptors close on exec.
//! - Between fork and exec such a child holds the descriptions too. A handle that is dropped in that moment still
//!   frees its roles at once, because drop unlocks before it closes. After a *kill* in that moment the roles stay
//!   taken until the exec.
//! - `fork` in a signal handler that interrupted the latch's holder waits for ever; POSIX does not hold `fork` to
//!   be safe there either.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use crate::primitive::{Counter, Latch};
use crate::sys;

static REGISTRY: Registry =
    Registry { latch: Latch::new(), listed: UnsafeCell::new(Vec::new()), generation: Counter::new() };

struct Registry {
    latch: Latch,
    /// Open, bearing locks, owned by a handle of this generation. Touched only while the latch is closed.
    listed: UnsafeCell<Vec<RawFd>>,
    generation: Counter,
}

// SAFETY: `listed` is the only part that is not `Sync`; it is reached only through `Listed`, which exists only
// while its maker holds the latch, so never from two threads at once.
unsafe impl Sync for Registry {}

/// The list, while the latch is closed.
struct Listed(());

impl Listed {
    fn take() -> Listed {
        REGISTRY.latch.close();
        Listed(())
    }

    /// The same with room for one more. Storage is made before the latch is closed; what comes back beside the
    /// list is the old one, to be freed after the latch is opened.
    fn with_room() -> (Listed, Vec<RawFd>) {
        let mut spare = Vec::new();
        loop {
            let mut listed = Listed::take();
            let list = listed.get();
            if list.len() == list.capacity() && spare.capacity() > list.len() {
                spare.append(list);
                std::mem::swap(list, &mut spare);
            }
            if list.len() < list.capacity() {
                return (listed, spare);
            }
            let room = list.len() * 2 + 8;
            drop(listed);
            spare = Vec::with_capacity(room);
        }
    }

    fn get(&mut self) -> &mut Vec<RawFd> {
        // SAFETY: there is one `Listed` at a time (the latch), it is borrowed mutably, and the reference lives no
        // longer than that borrow: so it is the only one.
        unsafe { &mut *REGISTRY.listed.get() }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        REGISTRY.latch.open();
    }
}

/// The generation in which something was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth(u64);

impl Birth {
    pub(crate) fn now() -> Birth {
        Birth(REGISTRY.generation.get())
    }

    /// Whether no fork lies between then and now.
    pub(crate) fn is_ours(self) -> bool {
        self.0 == REGISTRY.generation.get()
    }
}

/// A file that is this process's alone: a forked child does not keep it.
#[derive(Debug)]
pub(crate) struct Private {
    file: ManuallyDrop<File>,
    birth: Birth,
}

impl Private {
    /// Calls `open`, which must not allocate, and lists what it returns.
    pub(crate) fn open(open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<Private> {
        install()?;
        let (mut listed, spare) = Listed::with_room();
        let opened = open();
        if let Ok(fd) = &opened {
            listed.get().push(fd.as_raw_fd());
        }
        // Still under the latch, so that this is the generation the descriptor is listed in.
        let birth = Birth::now();
        drop(listed);
        drop(spare);
        Ok(Private { file: ManuallyDrop::new(File::from(opened?)), birth })
    }

    /// The file. Not to be used when `!self.is_ours()`: the number may be another file's by then.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether this process opened it.
    pub(crate) fn is_ours(&self) -> bool {
        self.birth.is_ours()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        // Closing alone would leave the locks to a child that another thread is just starting and that has not
        // come to its exec. It cannot fail: the file is open and nothing is waited for.
        let _ = sys::unlock_all(&*self.file);
        let fd = self.file.as_raw_fd();
        let mut listed = Listed::take();
        let list = listed.get();
        if let Some(place) = list.iter().position(|&other| other == fd) {
            list.swap_remove(place);
        }
        // SAFETY: this is the only place that drops it, it runs once, and `file` is not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.file) };
    }
}

fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<i32> = OnceLock::new();
    // SAFETY: the three are `extern "C"` functions of this crate that take nothing, do not unwind and stay where
    // they are for as long as the code is loaded; if it is unloaded the C library strikes them.
    let install =
        || unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    match *INSTALLED.get_or_init(install) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

extern "C" fn before() {
    std::mem::forget(Listed::take());
}

extern "C" fn after_in_parent() {
    drop(Listed(()));
}

extern "C" fn after_in_child() {
    // `before` closed the latch on behalf of this thread's original.
    let mut listed = Listed(());
    for fd in listed.get().drain(..) {
        // SAFETY: it was listed, so it was open at the fork and a handle owned it. This process's copy of that
        // handle, being of an older generation than the one that begins here, never uses the number again.
        unsafe { libc::close(fd) };
    }
    REGISTRY.generation.bump();
}
