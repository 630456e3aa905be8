//! Whether the other side is alive: a room with unsafe code.
//!
//! # News of a death
//!
//! Each side has four more words, written only when it is taken and left:
//!
//! - `alive`: held by the keeper thread of the process ([`alive`](crate::alive)); the kernel marks it when that process dies, and
//!   wakes one who sleeps on it.
//! - `generation`: counts the holders of the side.
//! - `pid` and `namespace`: who holds it, as numbered where.
//!
//! A sleeper sleeps on three words at once: the peer's bell, the peer's `alive`, and a private one that its own keeper sets when
//! the peer's process has ended, which it knows by a pidfd. The last is the second source: it tells also if somebody
//! wrote over the first, or cut the file off, or if the peer could have no keeper. It needs a pid that means the same here as
//! there.
//!
//! News is no proof: when the keeper is dead, other threads of that process may still be inside a system call that writes to the
//! ring. Whoever wants to take over what a dead one has left must have its lock first, which the kernel frees last.
//!
//! # The order
//!
//! ```text
//! who takes a side                    who looks
//! T1 alive = 0                        L1 generation (Acquire)
//! T2 pid, namespace                   L2 alive, or the watched process, of that generation
//! T3 generation + 1 (Release)
//! T4 alive = held
//! ```
//!
//! Who sees the new generation sees T1 or something later, so a predecessor's death is never taken for the holder's. Who still
//! sees the old generation may see T1 or T4, and take a dead one for one that lives; it is told at its next look.
//!
//! A sleep cannot miss the news: `alive` is loaded before the look, and the kernel does not let a thread sleep on a word that has
//! changed since; the private word is 0 until the process has ended, for good.
//!
//! *A pid is used again*, but not while its process lives: a descriptor that was opened too late is another process's, and the end of
//! that one is told of a holder that is dead itself. It is believed of the generation only that was found before the pid was.
//!
//! *A peer that was gone before this side came* is like one that has not come yet: nobody's death is told twice. Its
//! generation is given by who knows, by its lock or its mark, that it is not the holder any more.
#![allow(unsafe_code)]

use core::{cell::RefCell, fmt, ptr::NonNull, time::Duration};
use std::time::Instant;

use crate::{
    alive::{self, Watch},
    futex::{self, Awaited},
    primitive::{Flag, Futex, Ordering, Wide},
};

/// Without `futex_waitv` (before Linux 5.16, or in a sandbox) a sleeper looks for news of a death so often.
const BLIND: Duration = Duration::from_millis(20);

/// Where the words lie that tell of a side's life.
#[derive(Debug, Clone, Copy)]
pub struct LifeWords {
    /// The liveness word.
    pub alive: NonNull<u32>,
    /// Counts the holders.
    pub generation: NonNull<u32>,
    /// The holder's process.
    pub pid: NonNull<u32>,
    /// The pid namespace that it is numbered in; 0 if that is not known.
    pub namespace: NonNull<u64>,
}

/// A side's life, as the other side sees it.
pub struct Life {
    words: LifeWords,
    /// The generation whose holder was gone when this side came, if it was.
    gone: Option<u32>,
    watched: RefCell<Option<Watched>>,
}

/// A holder that is watched by its pidfd, if it can be.
#[derive(Debug)]
struct Watched {
    generation: u32,
    watch: Option<Watch>,
}

// SAFETY: addresses of words that are valid in the whole process and only ever accessed atomically; the rest is `Send`.
unsafe impl Send for Life {}

impl Life {
    /// Borrows the words of the other side. `gone`: the generation that was found there *before* it was found that nobody held
    /// that side.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives: all words are aligned, valid for reads, and accessed by
    /// everyone as atomics of their size only.
    #[must_use]
    pub unsafe fn new(words: LifeWords, gone: Option<u32>) -> Self {
        Self { words, gone, watched: RefCell::new(None) }
    }

    fn generation(&self) -> u32 {
        // SAFETY: valid, aligned, only used atomically (contract of `new`).
        // Acquire: pairs with the Release in `take` (L1 with T3).
        unsafe { self.words.generation.cast::<Flag>().as_ref() }.load(Ordering::Acquire)
    }

    fn alive(&self) -> &Futex {
        // SAFETY: valid, aligned, only used atomically (contract of `new`).
        unsafe { self.words.alive.cast::<Futex>().as_ref() }
    }

    /// The liveness word, for [`sleep`](Self::sleep).
    pub(crate) fn word(&self) -> u32 {
        // Relaxed: it is compared by the kernel; the looks that follow load it themselves.
        self.alive().load(Ordering::Relaxed)
    }

    /// The holder's process, 0 if nobody has said.
    pub(crate) fn pid(&self) -> u32 {
        // SAFETY: as in `generation`. Relaxed: for people, and for a pidfd, of which only the end is believed.
        unsafe { self.words.pid.cast::<Flag>().as_ref() }.load(Ordering::Relaxed)
    }

    fn namespace(&self) -> u64 {
        // SAFETY: as in `generation`. Relaxed: as in `pid`.
        unsafe { self.words.namespace.cast::<Wide>().as_ref() }.load(Ordering::Relaxed)
    }

    /// Whether the holder has died since this side came, and no other one has taken the side.
    pub(crate) fn died(&self) -> bool {
        let generation = self.generation();
        if self.gone == Some(generation) {
            return false;
        }
        alive::died(self.word()) || self.watched_end(generation)
    }

    fn watched_end(&self, generation: u32) -> bool {
        let watched = self.watched.borrow();
        watched.as_ref().is_some_and(|watched| {
            watched.generation == generation && watched.watch.as_ref().is_some_and(Watch::ended)
        })
    }

    /// Sees to it that the present holder is watched by its pidfd. Costs next to nothing if it is already.
    pub(crate) fn watch(&self) {
        let generation = self.generation();
        let mut watched = self.watched.borrow_mut();
        if watched.as_ref().is_some_and(|watched| watched.generation == generation) {
            return;
        }
        let (pid, here) = (self.pid(), alive::pid_namespace());
        let known = pid != 0 && pid != std::process::id() && here != 0 && here == self.namespace();
        // Somebody there whom nothing is known of, or who cannot be watched (a sandbox, too many descriptors): the first source
        // must do.
        let watch = if known && self.gone != Some(generation) { Watch::new(pid).ok() } else { None };
        *watched = Some(Watched { generation, watch });
    }

    /// Sleeps while `bell` is as given, `alive` is as given, and the watched process has not ended; or until the deadline.
    pub(crate) fn sleep(&self, bell: &Futex, rung: u32, alive: u32, deadline: Option<Instant>) {
        let watched = self.watched.borrow();
        let ended = watched.as_ref().and_then(|watched| watched.watch.as_ref()).map(Watch::word);
        let words =
            [Some(bell.awaited(rung)), Some(self.alive().awaited(alive)), ended.map(Awaited::private)];
        if !futex::wait_any(words, deadline) {
            let look = Instant::now() + BLIND;
            bell.wait(rung, Some(deadline.map_or(look, |deadline| deadline.min(look))));
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("gone", &self.gone).finish_non_exhaustive()
    }
}

/// Says who takes a side (T1 to T3); the liveness word is then to be held. The caller is the side's only holder.
pub fn take(alive: &Flag, generation: &Flag, pid: &Flag, namespace: &Wide) {
    // Relaxed: ordered by the Release below.
    alive.store(0, Ordering::Relaxed);
    pid.store(std::process::id(), Ordering::Relaxed);
    namespace.store(alive::pid_namespace(), Ordering::Relaxed);
    // Relaxed load: only holders write it. Release: pairs with the Acquire in `Life::generation`.
    generation.store(generation.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
}
