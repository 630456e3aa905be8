//! The robust list of a keeper: a room with unsafe code.
//!
//! The protocol, and what a kill after each step leaves, is at the top of [`mod@super`].
#![allow(unsafe_code, clippy::disallowed_types, clippy::disallowed_methods)]

use core::{
    marker::PhantomData,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, Ordering, compiler_fence},
};
use std::io;

use super::WAITERS;
use crate::futex;

/// `struct robust_list` of the kernel.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Node {
    next: AtomicPtr<Node>,
}

/// `struct robust_list_head` of the kernel.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Head {
    first: Node,
    distance: libc::c_long,
    pending: AtomicPtr<Node>,
}

impl Head {
    /// Of a list of words that are each so many bytes above their nodes.
    pub(super) fn new(distance: usize) -> Head {
        Head {
            first: Node { next: AtomicPtr::default() },
            distance: distance as libc::c_long,
            pending: AtomicPtr::default(),
        }
    }

    /// What the last node points to.
    fn end(&self) -> *mut Node {
        ptr::from_ref(self).cast_mut().cast()
    }
}

/// A word and its node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) node: NonNull<Node>,
    pub(super) word: NonNull<AtomicU32>,
}

// SAFETY: two addresses, which dereference nothing by themselves.
unsafe impl Send for Entry {}

/// The list of the calling thread, as long as this lives.
#[derive(Debug)]
pub(super) struct List<'a> {
    head: &'a Head,
    /// From the last to the first.
    nodes: Vec<NonNull<Node>>,
    /// The thread's id.
    thread: u32,
    /// It is one thread's list.
    here: PhantomData<*const ()>,
}

impl<'a> List<'a> {
    /// Makes an empty list that of the calling thread.
    pub(super) fn register(head: &'a Head) -> io::Result<List<'a>> {
        store(&head.first.next, head.end());
        // SAFETY: no memory is passed.
        let thread = unsafe { libc::gettid() } as u32;
        set(head)?;
        Ok(List { head, nodes: Vec::new(), thread, here: PhantomData })
    }

    /// Takes the word for the thread.
    ///
    /// # Safety
    /// Node and word are mapped, at the list's distance, until the entry is removed or the process ends; the node is
    /// in no list, and of interest to nobody else; the word is accessed atomically only.
    pub(super) unsafe fn insert(&mut self, entry: Entry) {
        // SAFETY: mapped and shared by nobody else, by the contract.
        let node = unsafe { entry.node.as_ref() };
        // SAFETY: mapped and accessed atomically, by the contract.
        let word = unsafe { entry.word.as_ref() };
        store(&self.head.pending, entry.node.as_ptr());
        // Release: pairs with the Acquire of whoever finds that this process lives.
        word.store(self.thread | WAITERS, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
        store(&node.next, self.nodes.last().map_or(self.head.end(), |first| first.as_ptr()));
        store(&self.head.first.next, entry.node.as_ptr());
        store(&self.head.pending, ptr::null_mut());
        self.nodes.push(entry.node);
    }

    /// Gives the word back, and wakes one who sleeps on it. Afterwards the list knows nothing of the entry.
    pub(super) fn remove(&mut self, entry: Entry) {
        let Some(place) = self.nodes.iter().rposition(|&node| node == entry.node) else { return };
        let behind = place.checked_sub(1).map_or(self.head.end(), |behind| self.nodes[behind].as_ptr());
        let before = match self.nodes.get(place + 1) {
            // SAFETY: what is in the list is mapped, by the contract of `insert`.
            Some(before) => unsafe { before.as_ref() },
            None => &self.head.first,
        };
        store(&self.head.pending, entry.node.as_ptr());
        store(&before.next, behind);
        futex::clear_and_wake(entry.word.as_ptr());
        store(&self.head.pending, ptr::null_mut());
        self.nodes.remove(place);
    }
}

impl Drop for List<'_> {
    /// The thread goes on without a list: the head's memory is about to go.
    fn drop(&mut self) {
        // The kernel refuses a length, never a place.
        let _ = set(ptr::null());
    }
}

/// One step that a kill finds done or not done, after all the steps before it and before all that follow.
fn store(place: &AtomicPtr<Node>, value: *mut Node) {
    // Relaxed: the kernel reads it on behalf of this very thread, which has stopped by then.
    place.store(value, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
}

fn set(head: *const Head) -> io::Result<()> {
    // SAFETY: the kernel keeps the address until the thread ends or sets another: the borrow in `List` covers that
    // time, and if a `List` were forgotten, the thread it is of (`PhantomData`) would end with its memory still
    // mapped, as `keeper.rs` has it. The C library's list, which it takes the place of, is empty and stays so: the
    // thread takes no robust mutex.
    let answer = unsafe { libc::syscall(libc::SYS_set_robust_list, head, size_of::<Head>()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
