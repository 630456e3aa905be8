//! What keeps a forked child from being mistaken for its parent.
//!
//! # The trouble
//!
//! A role is a lock that belongs to an *open file description*. `fork` does not copy descriptions: parent and
//! child have descriptors of the same one. So a child would keep every role of its parent, also when the parent
//! is long dead, and nobody could ever succeed to it.
//!
//! The memory must not be shared either: a copy of a handle would write where its original writes. It is
//! `MADV_DONTFORK`; but that alone leaves a hole in the child, in which any other memory may come to lie, and what
//! still holds a pointer (a lent message, say) would end the child by a signal or write into a stranger's memory.
//!
//! # The protocol
//!
//! Every descriptor that bears locks and every mapping is listed in one registry of the process. Who makes one holds
//! the latch over *make and list*; who ends one holds it over *strike and end*. To make a mapping is to map it whole
//! and to keep it from forked children. Three handlers run around each fork:
//!
//! | when | who | does |
//! |---|---|---|
//! | before | the thread that forks | closes the latch: nothing is half made or half listed, the list is not being changed |
//! | after, parent | the same thread | opens the latch |
//! | after, child | the copy of that thread, the child's only one | closes every listed descriptor, maps zeros of its own where listed memory was, empties the list, counts the generation up, opens the latch |
//!
//! Each handle remembers the generation it was made in. If that is not the present one, the handle is a copy
//! that came by fork: it does nothing on drop (its descriptor's number may be another file's by now), and what it
//! lends is the zeros: private memory that nobody but the child sees, writable, and there until the child execs or
//! exits. So whatever a child does with copies of handles, and with what they had lent before the fork, it does to
//! itself alone.
//!
//! Why it is safe:
//! - *No descriptor escapes.* One that is open at the fork is listed, because opening and listing are one step
//!   under the latch that the fork holds too. So the child closes it, before any code of the user runs there.
//! - *No memory escapes.* In the same way: at the fork a mapping is listed and `MADV_DONTFORK`, or is not there.
//! - *No stranger is closed.* A listed number is open and ours, because striking and closing are one step.
//! - *No stranger is overwritten.* The zeros go only where nothing is mapped (`MAP_FIXED_NOREPLACE`).
//! - *No deadlock.* Under the latch nobody allocates, locks or calls the user: the list's storage is made and
//!   freed outside of it. The child's handler closes, maps and stores, no more: it may run in a process of which
//!   only one thread is left, at any point of the others' work.
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
//! - Handlers of others that were registered before the first segment was made run in the child before ours. They
//!   must touch no handle; and where one of them maps memory in the hole, that memory stays and the zeros do not come.
//! - Where the kernel has no such memory to promise (`RLIMIT_DATA`, `vm.overcommit_memory` 2) the child gets a
//!   mapping without any rights instead: to touch it ends the child by SIGSEGV, and no stranger's memory is hit.
//! - `fork` in a signal handler that interrupted the latch's holder waits for ever; POSIX does not hold `fork` to
//!   be safe there either.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;

use memmap2::MmapRaw;

use crate::primitive::{Counter, Latch};

static REGISTRY: Registry =
    Registry { latch: Latch::new(), listed: UnsafeCell::new(Vec::new()), generation: Counter::new() };

struct Registry {
    latch: Latch,
    /// Owned by handles of this generation. Touched only while the latch is closed.
    listed: UnsafeCell<Vec<Entry>>,
    generation: Counter,
}

/// What a forked child does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// An open descriptor.
    File(RawFd),
    /// Mapped memory that is `MADV_DONTFORK`.
    Memory { address: usize, len: usize },
}

impl Entry {
    /// In the child's handler: ends the child's part in what was listed. Only system calls.
    fn disown(self) {
        match self {
            // SAFETY: it was listed, so it was open at the fork and a handle owned it. This process's copy of that
            // handle, being of an older generation than the one that begins here, never uses the number again.
            Entry::File(fd) => unsafe {
                libc::close(fd);
            },
            Entry::Memory { address, len } => {
                let place = std::ptr::without_provenance_mut(address);
                let flags =
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
                for rights in [libc::PROT_READ | libc::PROT_WRITE, libc::PROT_NONE] {
                    // SAFETY: maps new memory, and only where nothing is mapped, so nobody's memory changes.
                    let zeros = unsafe { libc::mmap(place, len, rights, flags, -1, 0) };
                    if zeros != libc::MAP_FAILED {
                        break;
                    }
                }
            }
        }
    }
}

/// What can be kept from a forked child. Dropping it neither allocates nor frees.
pub(crate) trait Keepable {
    fn entry(&self) -> Entry;
}

impl Keepable for File {
    fn entry(&self) -> Entry {
        Entry::File(self.as_raw_fd())
    }
}

impl Keepable for MmapRaw {
    fn entry(&self) -> Entry {
        Entry::Memory { address: self.as_ptr().addr(), len: self.len() }
    }
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
    fn with_room() -> (Listed, Vec<Entry>) {
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

    fn get(&mut self) -> &mut Vec<Entry> {
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

/// A file or a mapping that is this process's alone: a forked child does not keep it.
#[derive(Debug)]
pub(crate) struct Private<T: Keepable> {
    kept: ManuallyDrop<T>,
    /// The generation in which it was made.
    birth: u64,
}

impl<T: Keepable> Private<T> {
    /// Calls `make`, which must not allocate, and lists what it returns.
    pub(crate) fn make(make: impl FnOnce() -> io::Result<T>) -> io::Result<Private<T>> {
        install()?;
        let (mut listed, spare) = Listed::with_room();
        let made = make();
        if let Ok(kept) = &made {
            listed.get().push(kept.entry());
        }
        // Still under the latch, so that this is the generation it is listed in.
        let birth = REGISTRY.generation.get();
        drop(listed);
        drop(spare);
        Ok(Private { kept: ManuallyDrop::new(made?), birth })
    }

    /// What is kept. When `!self.is_ours()` a descriptor's number may be another file's, and memory the child's own.
    pub(crate) fn get(&self) -> &T {
        &self.kept
    }

    /// Whether this process has made it: no fork lies between then and now.
    pub(crate) fn is_ours(&self) -> bool {
        self.birth == REGISTRY.generation.get()
    }
}

impl<T: Keepable> Drop for Private<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        let entry = self.kept.entry();
        let mut listed = Listed::take();
        let list = listed.get();
        if let Some(place) = list.iter().position(|&other| other == entry) {
            list.swap_remove(place);
        }
        // SAFETY: this is the only place that drops it, it runs once, and `kept` is not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.kept) };
    }
}

/// Which process this is, counted in forks.
pub(crate) fn generation() -> u64 {
    REGISTRY.generation.get()
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
    listed.get().drain(..).for_each(Entry::disown);
    REGISTRY.generation.bump();
}
