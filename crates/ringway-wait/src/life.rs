//! Whether the other side is alive.
//!
//! # News of a death
//!
//! Each side has four more words, written only when it is taken and left:
//!
//! - `alive`: held by the keeper thread of the process ([`alive`](mod@crate::alive)); the kernel marks it when that process dies, and
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
//! who takes a side (its lock in hand)       who looks
//! T1 pid = 0                                L0 generation, alive (Acquire), lock: once, when it comes
//! T2 alive = held; without a keeper 0
//!    (Release)                              L1 generation (Acquire)
//! T3 namespace, pid (Release)               L2 the watched process of that generation (Acquire); else alive: not
//! T4 generation + 1 (Release)                     marked → it lives
//! T5 full fence, rings if the other sleeps  L3 pid (Acquire)
//!                                           L4 alive (Acquire): not marked any more → a successor is coming
//! ```
//!
//! *No death of one that lives.* Who sees the new generation sees T2 or something later, so a predecessor's death is never taken for
//! the holder's. Who still sees the old generation may see T2, and take a dead one for one that lives; it is told at its
//! next look. Who has a successor's pid (L3) sees its T2, too, and names it only if it is marked itself (L4).
//!
//! *What it had sent comes first.* The kernel marks `alive` after the process has stopped sending, with release order
//! on every architecture; who sees the mark (L4) and then looks at the ring sees all of it.
//!
//! *A sleep cannot miss the news.* `alive` is loaded before the look, and the kernel does not let a thread sleep on a word that has
//! changed since; the private word is 0 until the process has ended, for good.
//!
//! *Nor a holder that comes.* A holder is watched from the first look on that sees its generation, and a sleeper looks behind the
//! fence by which it falls asleep (S3 in [`bell`](crate::Bell)): either it sees T4, or T5 sees it asleep, and rings. One that has died before T5 and
//! could not be marked (before T2, or without a keeper) is like one that has not come: its successor rings.
//!
//! *One sleeps on a word.* The kernel wakes one sleeper of `alive`, and no other than the other side sleeps on it: observers sleep on no
//! word of a ring. Should somebody break that rule, and take the wake, the second source remains.
//!
//! *A pid is used again*, but not while its process lives: a descriptor that was opened too late is another process's, and the end of
//! that one is told of a holder that is dead itself. It is believed of the generation only that was found before the pid was.
//!
//! *A peer that was gone before this side came* is like one that has not come yet: nobody's death is told twice. That it was
//! gone is known by its mark or its lock, both looked at after its generation (L0): whoever comes in between has another one. Of one
//! that has the lock already, and has not said so yet, there is the dead one's mark, or T1 and no process to watch. (Where the
//! dead one could not be marked, and its successor is between its lock and T1 at that very moment, the dead one is told of, once.)
//!
//! # What happens to a side
//!
//! - **Attach**: the side's lock, then T1 to T5. A kill before T2 leaves the predecessor's mark, after it one that the kernel makes
//!   anew: the death of one of them is told, if without a pid. Without a keeper a kill after T2 leaves the predecessor's generation, which
//!   without mark and pid is nobody's death, or, after T4, one that is known by its process only.
//! - **Detach**: leaving is said first (in the ring, or in `asleep`), then `alive` = 0 and one is woken, pid = 0, and last the lock goes.
//!   The generation stays, and a watch of it may end afterwards: so whoever finds the holder dead asks *then* whether it had left.
//!   A kill at any step is that of one who has left.
//! - **A successor that fails** for want of a keeper has not come. One that finds nonsense in the ring marks the word again, with the
//!   dead one's pid, before it gives the lock up. Its generation stays: so who came after that death is told of it now.
//! - **The words are used again** by the next holder. It has the lock, which is proof that no thread of the last one runs: nobody else
//!   writes them. What was seen or watched of the last one is of another generation (but for one 2³² holders later).
//! - **fork**: the child holds nothing, the lock, the keeper and the words being its parent's: of the parent's death the other side hears
//!   however long the child lives. A copy of this type sees zeros and tells of nobody.
//! - **exec**: the keeper ends, and the kernel marks the word, for the holder is gone. The process is not: who knows the holder
//!   by that alone hears only when the new program ends. The lock goes with its descriptor.
//! - **A thread ends**, whichever held or waited: nothing; only the process counts, and its keeper.
//! - **`unshare`, `setns`**: a process keeps its own pid and namespace; they change for its children.
//! - **Pid namespaces**: the mark needs no pid. A process is watched only by one of its own namespace, told by the inode;
//!   where that is unknown (no `/proc`) it is not watched. A pid that goes into an error message is the holder's own.

use core::{
    cell::{Cell, RefCell},
    fmt,
    time::Duration,
};
use std::time::Instant;

use crate::{
    alive,
    primitive::{Awaited, Flag, Futex, Ordering, Wide, wait_any},
};

/// Without `futex_waitv` (before Linux 5.16, or in a sandbox) a sleeper looks for news of a death so often.
pub(crate) const BLIND: Duration = Duration::from_millis(20);

/// What a side shows of its holder: words of its own, and a process.
pub trait Signs {
    /// A process that is watched.
    type Watch;

    /// The liveness word.
    fn alive(&self) -> &Futex;

    /// Counts the holders.
    fn generation(&self) -> &Flag;

    /// The holder's process; 0 if that is not known.
    fn pid(&self) -> &Flag;

    /// The pid namespace that it is numbered in; 0 if that is not known.
    fn namespace(&self) -> &Wide;

    /// Watches a process other than this one, so numbered there, if that can be done.
    fn watch(&self, pid: u32, namespace: u64) -> Option<Self::Watch>;

    /// Whether it has ended.
    fn ended(watch: &Self::Watch) -> bool;

    /// A word that changes, and wakes who sleeps on it, when it ends.
    fn end(watch: &Self::Watch) -> Awaited<'_>;
}

/// A side's life, as the other side sees it.
pub struct Life<S: Signs> {
    signs: S,
    /// The generation whose holder was gone when this side came, if it was.
    gone: Option<u32>,
    watched: RefCell<Option<Watched<S::Watch>>>,
    /// The process whose death was last told of; 0 if that is not known.
    dead: Cell<u32>,
}

/// A holder that is watched by its pidfd, if it can be.
pub(crate) struct Watched<T> {
    pub(crate) generation: u32,
    pid: u32,
    watch: Option<T>,
}

impl<T> Watched<T> {
    /// The holder of this generation. Nothing is known of one that is not `there`.
    pub(crate) fn new<S: Signs<Watch = T>>(signs: &S, generation: u32, there: bool) -> Self {
        // Relaxed: of a process only the end is believed, and that of this generation's only.
        let pid = signs.pid().load(Ordering::Relaxed);
        let namespace = signs.namespace().load(Ordering::Relaxed);
        // Somebody there whom nothing is known of, or who cannot be watched (a sandbox, too many descriptors): the first source
        // must do.
        let watch = if there && pid != 0 { signs.watch(pid, namespace) } else { None };
        Self { generation, pid, watch }
    }

    /// The process, if it has ended and was the holder of this generation.
    pub(crate) fn ended<S: Signs<Watch = T>>(&self, generation: u32) -> Option<u32> {
        let ended = self.generation == generation && self.watch.as_ref().is_some_and(S::ended);
        ended.then_some(self.pid)
    }

    /// A word that changes, and wakes who sleeps on it, when it ends.
    pub(crate) fn end<S: Signs<Watch = T>>(&self) -> Option<Awaited<'_>> {
        self.watch.as_ref().map(S::end)
    }
}

/// The present generation.
pub(crate) fn generation(signs: &impl Signs) -> u32 {
    // Acquire: pairs with the Release in `take` (L1 with T4).
    signs.generation().load(Ordering::Acquire)
}

/// The process that the kernel has marked, if it has (L2 to L4).
pub(crate) fn marked(signs: &impl Signs) -> Option<u32> {
    // Relaxed: only a mark counts, and that is looked at again.
    if !alive::died(signs.alive().load(Ordering::Relaxed)) {
        return None;
    }
    // Acquire: pairs with the Release in `take` (L3 with T3).
    let pid = signs.pid().load(Ordering::Acquire);
    // Acquire: pairs with the kernel's release when it marks the word.
    alive::died(signs.alive().load(Ordering::Acquire)).then_some(pid)
}

impl<S: Signs> Life<S> {
    /// Looks at the other side for the first time. `is_held`: whether somebody has its lock; if that cannot be told,
    /// somebody has.
    pub fn new(signs: S, is_held: impl FnOnce() -> bool) -> Self {
        // In this order (L0). Acquire: pairs with the Release in `take` (T4).
        let generation = signs.generation().load(Ordering::Acquire);
        // Acquire: pairs with the Release in `take` (T2).
        let had_died = alive::died(signs.alive().load(Ordering::Acquire));
        let gone = (had_died || !is_held()).then_some(generation);
        Self { signs, gone, watched: RefCell::new(None), dead: Cell::new(0) }
    }

    /// The liveness word, for [`sleep`](Self::sleep).
    pub(crate) fn word(&self) -> u32 {
        // Relaxed: it is compared by the kernel; the looks that follow load it themselves.
        self.signs.alive().load(Ordering::Relaxed)
    }

    /// The process whose death was last told of, as it said itself; 0 if it had said nothing.
    pub(crate) fn dead(&self) -> u32 {
        self.dead.get()
    }

    /// Whether the holder has died since this side came, and no other one has taken the side. Who is told sees all that
    /// the dead one did.
    pub(crate) fn died(&self) -> bool {
        let generation = generation(&self.signs);
        if self.gone == Some(generation) {
            return false;
        }
        let dead = self.ended(generation).or_else(|| marked(&self.signs));
        dead.inspect(|&pid| self.dead.set(pid)).is_some()
    }

    /// The process that was watched, if it has ended.
    fn ended(&self, generation: u32) -> Option<u32> {
        self.watched.borrow().as_ref().and_then(|watched| watched.ended::<S>(generation))
    }

    /// Sees to it that the present holder is watched by its pidfd. Costs next to nothing if it is already.
    pub(crate) fn watch(&self) {
        let generation = generation(&self.signs);
        let mut watched = self.watched.borrow_mut();
        if watched.as_ref().is_some_and(|watched| watched.generation == generation) {
            return;
        }
        *watched = Some(Watched::new(&self.signs, generation, self.gone != Some(generation)));
    }

    /// Sleeps while `bell` is as given, `alive` is as given, and the watched process has not ended; or until the deadline.
    pub(crate) fn sleep(&self, bell: &Futex, rung: u32, alive: u32, deadline: Option<Instant>) {
        let watched = self.watched.borrow();
        let end = watched.as_ref().and_then(Watched::end::<S>);
        let words = [Some(bell.awaited(rung)), Some(self.signs.alive().awaited(alive)), end];
        if !wait_any::<3>(words.into_iter().flatten(), deadline) {
            bell.wait(rung, Some(sooner(deadline, BLIND)));
        }
    }
}

impl<S: Signs> fmt::Debug for Life<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("gone", &self.gone).finish_non_exhaustive()
    }
}

/// The deadline, but no later than so long from now.
pub(crate) fn sooner(deadline: Option<Instant>, from_now: Duration) -> Instant {
    let then = Instant::now() + from_now;
    deadline.map_or(then, |deadline| deadline.min(then))
}

/// Says who takes a side (T1 to T4). `hold` holds its liveness word, if this process has a keeper. The caller is the side's only
/// holder.
///
/// # Errors
///
/// What `hold` fails with; then nobody has come.
pub fn take<T, E>(
    side: &impl Signs,
    pid: u32,
    namespace: u64,
    hold: impl FnOnce() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    // Relaxed: only holders write it.
    let predecessor = side.pid().load(Ordering::Relaxed);
    // Relaxed: ordered by the Release below, or the keeper's.
    side.pid().store(0, Ordering::Relaxed);
    // The predecessor's mark goes when this process's death would leave its own, not before.
    let held = hold().inspect_err(|_| side.pid().store(predecessor, Ordering::Relaxed))?;
    if held.is_none() {
        // Release: pairs with the Acquire in `Life::new` (T2 with L0), as the keeper's store does.
        side.alive().store(0, Ordering::Release);
    }
    // Relaxed: ordered by the Release below.
    side.namespace().store(namespace, Ordering::Relaxed);
    // Release: pairs with the Acquire in `Life::marked` (T3 with L3).
    side.pid().store(pid, Ordering::Release);
    let generation = side.generation();
    // Relaxed load: only holders write it. Release: pairs with the Acquire in `Life::generation` (T4 with L1).
    generation.store(generation.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    Ok(held)
}

/// Says that the process `pid` (0 if that is not known) held a side and has died, as the kernel does, and wakes who sleeps. The
/// caller is the side's only holder, and has not used it.
pub fn mark(side: &impl Signs, pid: u32) {
    // Relaxed: ordered by the Release below.
    side.pid().store(pid, Ordering::Relaxed);
    // Release: pairs with the Acquire in `Life::marked` (L4), as the kernel's does.
    side.alive().store(alive::OWNER_DIED | alive::WAITERS, Ordering::Release);
    side.alive().wake();
}
