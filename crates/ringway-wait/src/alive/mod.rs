//! Who is alive: words that the kernel marks when this process dies, and processes whose end it tells.
//!
//! A [`Hold`] is a *liveness word* in a shared file, held by this process. A [`Watch`] is another process, watched by
//! this one. The two are independent sources of the same news. Neither is proof that nothing of the dead process
//! runs any more, but for a watch of a whole process (below).
//!
//! # The word
//!
//! | value | says | written by |
//! |---|---|---|
//! | 0 | nobody holds it | whoever made the file; the holder, at the end |
//! | thread id \| [`WAITERS`] | the process with that thread holds it | the holder |
//! | [`OWNER_DIED`] \| [`WAITERS`] | it has died with the word in its hands | the kernel |
//!
//! The thread is the *keeper*: a thread of this process that does nothing but hold. It has told the kernel of a
//! *robust list* (`set_robust_list`), which the kernel walks when the thread ends, however it ends: each word in it
//! that holds the thread's id is marked, and one sleeper on it is woken. `WAITERS` stands in it from the start,
//! because the kernel wakes nobody without. It wakes *one*: where several sleep on a word, the one that wakes looks
//! and wakes the others.
//!
//! The kernel compares the id as the dying thread's own pid namespace has it, which is where it was asked for; so the
//! marking works across namespaces, but an id means nothing to who reads it there. Whether two processes mean the same
//! by a number is told by [`pid_namespace`].
//!
//! # The list
//!
//! The kernel finds a word at a fixed distance from its node, one distance a list. Nodes that lie in shared memory
//! would do, and one that is scribbled on would hide the death from every word behind it. So each hold maps its word
//! anew:
//!
//! ```text
//!              | private page: the node | page of the file: the word |
//!              |          ^ N           |           ^ N + distance   |
//! ```
//!
//! Nobody else can write the node. The distance is a page; for a word at an odd multiple of 4 it is a page and 4 bytes,
//! because a node is 8 bytes that must be aligned, or a kill could find it half written. That a page of the file is
//! mapped elsewhere too does not matter to a sleeper: the kernel knows a shared word by file and offset.
//!
//! A word that cannot be read, because its file was truncated, ends the kernel's walk. So a list is of one
//! class: files that cannot be truncated are never in one list with others. And the kernel walks 2048
//! nodes at most: beyond a thousand there is another keeper.
//!
//! # What a kill leaves
//!
//! *Only the keeper changes its list, and the words in it.* Others ask it to, and wait. A kill reaches all threads of a
//! process, and while one of them still runs on another processor, the list of one that has ended has been walked
//! already: were it changed by others, a word could be taken for a thread that is no more, and would be held for ever.
//! The keeper's own changes come to an end with the keeper; the kernel walks afterwards. It finds what the keeper had
//! stored, in the order of the program, between two instructions of it; the compiler keeps that order, by a fence
//! after each store. `pending` is the list head's word for a node that may be in the list or not.
//!
//! | taking: after the step | a kill leaves |
//! |---|---|
//! | `pending` = node | the word as it was. If it names no thread one sleeper is woken, who looks and sleeps again |
//! | word = thread id \| `WAITERS` | the word, marked because of `pending` |
//! | node.next = first, first = node | the same: the kernel leaves out in the list what is pending |
//! | `pending` = none | the word, marked because it is in the list |
//!
//! | giving back: after the step | a kill leaves |
//! |---|---|
//! | `pending` = node | the word, marked because of `pending` |
//! | the node before points to the one behind | the same; the list is whole without it |
//! | word = 0, one sleeper woken | 0. That is one system call; a kernel that is told to kill in the midst of it ends it first |
//! | `pending` = none | 0, and nobody's node |
//!
//! Only then is the pair of pages unmapped. A word that others scribbled on is not marked (it does not name
//! the thread), the walk goes on, and giving it back stores 0 over whatever is there.
//!
//! When the memory runs out and the kernel kills, it may take private memory, the nodes, away before the walk
//! (2 s later, since Linux 5.18). That is a reason for the second source.
//!
//! # The second source
//!
//! A watch is a pidfd that the keeper polls. When it becomes readable *every* thread of that process has ended: that is
//! proof. Then the keeper stores 1 into the watch's word and wakes all threads of this process that sleep on it.
//!
//! # The keeper
//!
//! Made with the first hold or watch, joined with the last; one for each class of files, and for every
//! thousand. It blocks all signals that can be blocked (but those that the C library changes the ids of all threads
//! by, as `setuid` must), has ordinary scheduling and every processor it may have, whatever the thread that made it
//! was pinned to, and sleeps: in a channel while nothing is watched, so that a process that only holds has no
//! descriptor open for it, else in `poll`. It owns no robust mutex, so its list can take the place of the C library's.
//!
//! # What processes do
//!
//! - **fork**: the child has neither the thread nor the list nor, being `MADV_DONTFORK`, the pages. All of a
//!   process's keepers are known through one word on a page that the kernel wipes in a child (`MADV_WIPEONFORK`), by
//!   whatever call it was forked. So a copy of a hold finds that it is one, and does nothing: no word, no list, no
//!   lock that another thread had closed at the fork, no unmapping. A child that makes holds of its own begins anew.
//!   A copied [`Watch`] stays as it was. Descriptors of watches stay open in the child until it execs or exits.
//! - **vfork**, and what `posix_spawn` and `std::process::Command` do between fork and exec: memory is shared, so
//!   nothing is wiped. Such a child must not touch a hold; it has no occasion to.
//! - **exec** ends the other threads, the keeper among them: the words are marked. That is right, the program that held
//!   them is gone. An exec that fails for want of the file ends nothing.
//! - **exit**, `_exit`, `abort`, a signal: as a kill. A core dump comes first: the news is as late as it is long.
//! - **a thread ends**, be it the one that made a hold: nothing happens. If it was the main thread, by `pthread_exit`,
//!   the process lives, and by the keeper alone as long as there is a hold.
//! - **`unshare(CLONE_NEWPID)`**, `setns`: ids of this process stay what they were. The kernel makes no more threads
//!   in such a process, so a first hold fails; with a keeper already there it does not.
//! - **`unshare(CLONE_FILES)`**: a thread with descriptors of its own must make and drop no watch: the numbers differ.
//!   Holds have none.
//! - **all descriptors closed by force** (`closefrom`): a keeper that watches is deaf from then on. What it holds
//!   stays held until the process dies, dropped or not. One that only holds does not notice.
//!
//! # Example
//!
//! ```
//! use std::os::fd::AsFd;
//! use ringway_wait::alive::{Hold, Watch, lives};
//! # use std::os::unix::fs::FileExt;
//!
//! # fn main() -> std::io::Result<()> {
//! # let path = std::env::temp_dir().join(format!("ringway-alive-{}", std::process::id()));
//! # let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
//! # std::fs::remove_file(&path)?;
//! file.set_len(4096)?;
//! # let read = |at| {
//! #     let mut word = [0; 4];
//! #     file.read_exact_at(&mut word, at).map(|()| u32::from_ne_bytes(word))
//! # };
//! let hold = Hold::new(file.as_fd(), 128, false)?;
//! assert!(lives(read(128)?));
//! drop(hold);
//! assert_eq!(read(128)?, 0);
//!
//! let mut child = std::process::Command::new("true").spawn()?;
//! let watch = Watch::new(child.id())?;
//! child.wait()?;
//! while !watch.ended() {
//!     std::thread::yield_now();
//! }
//! # Ok(())
//! # }
//! ```

#[cfg(not(ringway_loom))]
mod class;
#[cfg(not(ringway_loom))]
mod hold;
#[cfg(not(ringway_loom))]
mod keeper;
#[cfg(not(ringway_loom))]
mod list;
#[cfg(not(ringway_loom))]
mod pair;
#[cfg(not(ringway_loom))]
mod process;
#[cfg(not(ringway_loom))]
mod watch;
#[cfg(not(ringway_loom))]
mod watches;

use std::{fs, os::unix::fs::MetadataExt};

#[cfg(not(ringway_loom))]
pub use hold::Hold;
#[cfg(not(ringway_loom))]
pub use watch::Watch;

/// In a liveness word: its holder has died. Set by the kernel.
pub const OWNER_DIED: u32 = 0x4000_0000;

/// In a liveness word: the kernel is to wake a sleeper when it sets [`OWNER_DIED`].
pub const WAITERS: u32 = 0x8000_0000;

/// The bits of a liveness word that name a thread.
const THREAD: u32 = 0x3fff_ffff;

/// Whether a liveness word with this value has a holder that died with it.
#[must_use]
pub fn died(word: u32) -> bool {
    word & OWNER_DIED != 0
}

/// Whether a liveness word with this value has a holder that lives. If not, and if it has not [`died`], nobody holds
/// it.
#[must_use]
pub fn lives(word: u32) -> bool {
    !died(word) && word & THREAD != 0
}

/// The inode of this process's pid namespace, 0 if not known: process ids mean the same only where it is the same.
#[must_use]
pub fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_one_of_three_things() {
        let says = |word| (lives(word), died(word));
        assert_eq!(says(0), (false, false));
        assert_eq!(says(WAITERS), (false, false));
        assert_eq!(says(WAITERS | 7), (true, false));
        assert_eq!(says(7), (true, false));
        assert_eq!(says(WAITERS | OWNER_DIED), (false, true));
        assert_eq!(says(u32::MAX), (false, true));
    }

    #[test]
    fn the_pid_namespace_is_known_where_proc_is() {
        if fs::exists("/proc/self/ns/pid").unwrap_or(false) {
            assert_ne!(pid_namespace(), 0);
        } else {
            eprintln!("skipped: /proc/self/ns/pid is not there");
        }
    }
}
