//! Sleeping without losing a wake, and ringing only when somebody sleeps.
//!
//! # The protocol
//!
//! Each side owns three words and writes no others:
//!
//! - `asleep`: even while awake, odd while asleep; every sleep has a number of its own. It changes only around
//!   a sleep, so the other side's copy of the line stays valid and looking at it costs next to nothing.
//!   Bit 31: *retired*, its owner left in good order; the word is odd then, too: "look closer".
//! - `bell`: bumped by its owner when it has news; the *other* side sleeps on it. (So a side can sleep on memory
//!   that it can only read.)
//! - `processor`: where its owner ran when it last began to wait, or rang. Spinning on the processor that the other
//!   side needs keeps it from running; a waiter that sees its own number there does not spin.
//!
//! ```text
//! waker                                     sleeper
//! W1 make the news visible                  S1 b = waker's bell (Acquire)
//! W2 full fence                             S2 asleep = odd (the next number)
//! W3 if sleeper's asleep is odd             S3 full fence
//!       and was not rung for:               S4 look for news: there → S6
//! W4    bump own bell (Release)             S5 futex wait while bell == b
//! W5    futex wake                          S6 asleep = even
//!                                           S7 look for news: none → S1
//! ```
//!
//! # The races, and why they are safe
//!
//! - *News just before the sleep.* W1, W2, W3 against S2, S3, S4: store, full fence, load on both sides. At
//!   least one of the loads sees the other's store: either the waker sees the sleeper and rings, or the sleeper
//!   sees the news and does not sleep.
//! - *The ring comes before the wait.* W4 after S1: the kernel compares the word with `b` and does not sleep.
//!   W4 before S1: the Acquire of S1 sees W4's Release, hence W1; S4 finds the news.
//! - *A waker without the fence* (W2 left out, to be cheap). Its look may come before its news are visible, and miss a
//!   sleeper that has just looked (S4) before them: a window of nanoseconds, but whoever falls into it sleeps on. So
//!   a side whose peer rings without the fence sleeps a millisecond first, looks again *without having been awake in
//!   between*, and only then sleeps for good. What fell into the window is visible by then, and whoever looked later
//!   has seen it asleep.
//! - *One ring a sleep.* The waker remembers the number of the sleep it rang for, so a burst sent while the
//!   sleeper is on its way up costs one system call, not one a message. That is enough: after W4 the sleeper
//!   cannot stay in that sleep, and before its next sleep it looks (S7), seeing all that came before W4; for what
//!   came later the race is that of the next sleep, with its own number.
//! - *A number again.* Numbers have 31 bits. A waker would have to remember a sleep that lies exactly 2³⁰ sleeps
//!   of its peer back, none of them rung for since; at a timeout every 10 µs that is three hours of timeouts
//!   with no message, then a message within the very sleep. It would be met at the next timeout.
//! - *A successor.* Numbers go on where the predecessor's stopped (rounded up to even), so what the other side
//!   remembers stays true.
//!
//! # What a kill leaves
//!
//! A sleeper killed asleep: an odd number; it costs the waker one ring, no more. A waker killed between W1 and
//! W5: news that nobody rings for; the sleeper meets them at its next look. A sleeper sleeps on the word that
//! tells of its peer's death together with the bell ([`Life`]), and is told by `look` what to make of it
//! ([`Peer::died`]).
//!
//! # Sources
//!
//! The flag-fence-look pattern is Dekker's; with futexes as in `io_uring`'s NEED_WAKEUP and the Linux BPF ring
//! buffer. Ulrich Drepper, *Futexes Are Tricky* (2011).

use std::time::{Duration, Instant};

use crate::{
    Life, Wait, Whose, Words,
    life::sooner,
    primitive::{Flag, Ordering, full_fence, passed, processor},
    spinner::Spinner,
};

/// Bit of `asleep`: its owner left.
const RETIRED: u32 = 1 << 31;
/// Bit of `asleep`: asleep, or retired.
const ATTENTION: u32 = 1;

/// One side's end of the wait layer; see the top of the module for the protocol.
#[derive(Debug)]
pub struct Bell<W> {
    words: W,
    /// The own `asleep` word while awake: even, no more than 31 bits.
    awake: u32,
    /// The sleep of the peer that was last rung for; 0, which is even, for none.
    rung: u32,
    /// The peer's `asleep` word when this side came, if the peer had left by then: it has left someone else. Else 0.
    left_before: u32,
    place: Place,
    spinner: Spinner,
    /// How often this side slept, and rang.
    slept: u64,
    rings: u64,
}

/// How long a side sleeps at first whose peer rings without the fence.
pub(crate) const NAP: Duration = Duration::from_millis(1);

impl<W: Words> Bell<W> {
    /// Takes up a side's words where the last owner left them (new ones: all 0). The caller is their only owner.
    pub fn attach(words: W, wait: Wait) -> Self {
        // Relaxed: only owners write it; what proves that the last one stopped carries the edge.
        let left = words.asleep(Whose::Mine).load(Ordering::Relaxed);
        let awake = (left & !RETIRED).wrapping_add(1) & !(RETIRED | ATTENTION);
        // Relaxed: a waker that still sees the old value rings for nobody.
        words.asleep(Whose::Mine).store(awake, Ordering::Relaxed);
        // Relaxed: only whether it changes matters.
        let peer = words.asleep(Whose::Peers).load(Ordering::Relaxed);
        let left_before = if peer & RETIRED != 0 { peer } else { 0 };
        // Relaxed: a hint. Not known: it has not waited yet, and may be moved about until it does.
        words.processor(Whose::Mine).store(0, Ordering::Relaxed);
        Self {
            words,
            awake,
            rung: 0,
            left_before,
            place: Place(0),
            spinner: Spinner::new(wait),
            slept: 0,
            rings: 0,
        }
    }

    /// Whether this side's waits can end in sleep.
    pub fn parks(&self) -> bool {
        self.spinner.parks()
    }

    /// Wakes the other side if it is asleep. To be called after news were made visible.
    ///
    /// At most one system call; none if the other is awake. Ordering: a full fence, between the news and the
    /// look at the peer (W2).
    #[inline(always)]
    pub fn notify(&mut self) {
        full_fence();
        self.notify_unfenced();
    }

    /// [`notify`](Self::notify) without the fence: cheap, and in rare cases too early to see a peer that is just
    /// falling asleep. For a peer that never sleeps, or where a `notify` follows soon.
    #[inline(always)]
    pub fn notify_unfenced(&mut self) {
        // Relaxed: the full fences order it (W3 with S2).
        let asleep = self.words.asleep(Whose::Peers).load(Ordering::Relaxed);
        if asleep & ATTENTION != 0 {
            self.ring(asleep);
        }
    }

    #[cold]
    #[inline(never)]
    fn ring(&mut self, asleep: u32) {
        if asleep & RETIRED != 0 || asleep == self.rung {
            return;
        }
        self.rung = asleep;
        self.rings += 1;
        self.place.say(&self.words);
        let bell = self.words.bell(Whose::Mine);
        // Relaxed load: the own word. Release: pairs with the Acquire of S1.
        bell.store(bell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        bell.wake();
    }

    /// Waits until `look` finds something, or until the deadline: `None`. The peer announces its news by
    /// [`notify`](Self::notify).
    ///
    /// `look` is called at least once, and once more after the deadline. Signals do not show. One system call a
    /// sleep. A peer that rings for nothing, or a kernel that refuses to let this thread sleep, costs processor time
    /// but no deadline.
    #[inline]
    pub fn wait<R>(
        &mut self,
        deadline: Option<Instant>,
        look: impl FnMut(Peer<'_, W>) -> Option<R>,
    ) -> Option<R> {
        self.wait_for(deadline, false, look)
    }

    /// [`wait`](Self::wait) for a peer that may announce its news by [`notify_unfenced`](Self::notify_unfenced). A
    /// sleep of more than a millisecond costs two system calls; news that the peer's look came too early for are
    /// found after that millisecond.
    #[inline]
    pub fn wait_unfenced<R>(
        &mut self,
        deadline: Option<Instant>,
        look: impl FnMut(Peer<'_, W>) -> Option<R>,
    ) -> Option<R> {
        self.wait_for(deadline, true, look)
    }

    #[inline]
    fn wait_for<R>(
        &mut self,
        deadline: Option<Instant>,
        nap: bool,
        mut look: impl FnMut(Peer<'_, W>) -> Option<R>,
    ) -> Option<R> {
        let Self { words, left_before, place, spinner, .. } = self;
        let found = spinner.spin(
            deadline,
            || {
                // Who spins where the other side is to run keeps it from that.
                let shared = place.is_shared(words);
                if shared && !spinner.parks() {
                    std::thread::yield_now();
                }
                !(shared && spinner.parks())
            },
            || {
                let peer = Peer { words, left_before: *left_before };
                peer.watch();
                look(peer)
            },
        );
        if found.is_some() {
            return found;
        }
        if !self.spinner.parks() || passed(deadline) {
            return look(self.peer());
        }
        self.sleep(deadline, nap, look)
    }

    fn sleep<R>(
        &mut self,
        deadline: Option<Instant>,
        nap: bool,
        mut look: impl FnMut(Peer<'_, W>) -> Option<R>,
    ) -> Option<R> {
        loop {
            self.slept += 1;
            self.place.say(&self.words);
            // As with the bell: what tells of a death is loaded before the look.
            let alive = self.words.life().map_or(0, Life::word);
            // Acquire: pairs with the Release in `ring` (S1): a bell that was rung before comes with its news.
            let bell = self.words.bell(Whose::Peers).load(Ordering::Acquire);
            // Relaxed: the full fence orders it before the look (S2, S3).
            self.words.asleep(Whose::Mine).store(self.awake | ATTENTION, Ordering::Relaxed);
            full_fence();
            // Whoever comes from now on rings.
            self.peer().watch();
            let mut found = look(self.peer());
            if found.is_none() && nap {
                self.await_ring(bell, alive, Some(sooner(deadline, NAP)));
                found = look(self.peer());
            }
            if found.is_none() && !passed(deadline) {
                self.await_ring(bell, alive, deadline);
            }
            self.awake = self.awake.wrapping_add(2) & !RETIRED;
            // Relaxed: a waker that still sees the sleep rings once for nobody (S6).
            self.words.asleep(Whose::Mine).store(self.awake, Ordering::Relaxed);
            if found.is_none() {
                found = look(self.peer());
            }
            if found.is_some() || passed(deadline) {
                return found;
            }
        }
    }

    /// Sleeps while the peer's bell, and the word that tells of its death, are as given. One system call.
    fn await_ring(&self, rung: u32, alive: u32, deadline: Option<Instant>) {
        let bell = self.words.bell(Whose::Peers);
        match self.words.life() {
            Some(life) => life.sleep(bell, rung, alive, deadline),
            None => bell.wait(rung, deadline),
        }
    }

    /// How often this side went to sleep.
    #[must_use]
    pub fn slept(&self) -> u64 {
        self.slept
    }

    /// How often this side woke the other.
    #[must_use]
    pub fn rings(&self) -> u64 {
        self.rings
    }

    /// The other side.
    #[inline(always)]
    pub fn peer(&self) -> Peer<'_, W> {
        Peer { words: &self.words, left_before: self.left_before }
    }

    /// Leaves in good order: the other side sees [`Peer::left`] and is woken if asleep.
    pub fn retire(&mut self) {
        // Release: who sees it sees what was done before. The fence in `notify` orders it before the look.
        self.words.asleep(Whose::Mine).store(RETIRED | ATTENTION | self.awake, Ordering::Release);
        self.notify();
    }
}

/// The own `processor` word.
#[derive(Debug)]
struct Place(u32);

impl Place {
    /// Writes down where this side runs.
    fn say(&mut self, words: &impl Words) {
        let here = processor();
        if here != self.0 {
            self.0 = here;
            // Relaxed: a hint.
            words.processor(Whose::Mine).store(here, Ordering::Relaxed);
        }
    }

    /// Whether the other side was last seen there, too.
    fn is_shared(&mut self, words: &impl Words) -> bool {
        self.say(words);
        // Relaxed: a hint.
        self.0 != 0 && words.processor(Whose::Peers).load(Ordering::Relaxed) == self.0
    }
}

/// The other side, as far as its words tell.
#[derive(Debug)]
pub struct Peer<'a, W> {
    words: &'a W,
    left_before: u32,
}

impl<W: Words> Peer<'_, W> {
    /// Sees to it that its death will be told by [`died`](Self::died) even if it has no keeper. Costs next to nothing if that
    /// is so already. Every wait does this.
    #[inline]
    pub fn watch(&self) {
        if let Some(life) = self.words.life() {
            life.watch();
        }
    }

    /// Whether it has died since this side came, and no successor has come.
    ///
    /// Acquire: who is told sees all that it did.
    #[must_use]
    pub fn died(&self) -> bool {
        self.words.life().is_some_and(Life::died)
    }

    /// The process whose death was last told of, as it said itself; 0 if it had said nothing.
    #[must_use]
    pub fn dead(&self) -> u32 {
        self.words.life().map_or(0, Life::dead)
    }

    /// Whether it has left in good order since this side came, and no successor has come. One that had left before is
    /// like one that has not come yet.
    ///
    /// Relaxed: it says nothing about what the peer did before.
    #[inline(always)]
    #[must_use]
    pub fn left(&self) -> bool {
        let asleep = self.words.asleep(Whose::Peers).load(Ordering::Relaxed);
        asleep & RETIRED != 0 && asleep != self.left_before
    }
}

/// Whether the owner of an `asleep` word has left in good order and no successor has come.
#[must_use]
pub fn has_left(asleep: &Flag) -> bool {
    // Relaxed: as in `Peer::left`.
    asleep.load(Ordering::Relaxed) & RETIRED != 0
}
