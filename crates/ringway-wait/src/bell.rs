//! Sleeping without losing a wake, and ringing only when somebody sleeps.
//!
//! # The protocol
//!
//! Each side owns two words and writes no others:
//!
//! - `asleep`: even while awake, odd while asleep; every sleep has a number of its own. It changes only around
//!   a sleep, so the other side's copy of the line stays valid and looking at it costs next to nothing.
//!   Bit 31: *retired*, its owner left in good order; the word is odd then, too: "look closer".
//! - `bell`: bumped by its owner when it has news; the *other* side sleeps on it. (So a side can sleep on memory
//!   that it can only read.)
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
//! W5: news that nobody rings for; the sleeper meets them at its next look. (Learning of the death itself is
//! not this module's business.)
//!
//! # Sources
//!
//! The flag-fence-look pattern is Dekker's; with futexes as in `io_uring`'s NEED_WAKEUP and the Linux BPF ring
//! buffer. Ulrich Drepper, *Futexes Are Tricky* (2011).

use std::time::Instant;

use crate::{
    Wait, Whose, Words,
    primitive::{Ordering, Woken, full_fence},
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
    spinner: Spinner,
}

impl<W: Words> Bell<W> {
    /// Takes up a side's words where the last owner left them (new ones: all 0). The caller is their only owner.
    pub fn attach(words: W, wait: Wait) -> Self {
        // Relaxed: only owners write it; what proves that the last one stopped carries the edge.
        let left = words.asleep(Whose::Mine).load(Ordering::Relaxed);
        let awake = (left & !RETIRED).wrapping_add(1) & !(RETIRED | ATTENTION);
        // Relaxed: a waker that still sees the old value rings for nobody.
        words.asleep(Whose::Mine).store(awake, Ordering::Relaxed);
        Self { words, awake, rung: 0, spinner: Spinner::new(wait) }
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
        let bell = self.words.bell(Whose::Mine);
        // Relaxed load: the own word. Release: pairs with the Acquire of S1.
        bell.store(bell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        bell.wake();
    }

    /// Waits until `look` finds something, or until the deadline: `None`.
    ///
    /// `look` is called at least once, and once more after the deadline. Signals do not show. At most one
    /// system call a sleep.
    #[inline]
    pub fn wait<R>(
        &mut self,
        deadline: Option<Instant>,
        mut look: impl FnMut(Peer<'_, W>) -> Option<R>,
    ) -> Option<R> {
        let found = self.spinner.spin(deadline, || look(Peer(&self.words)));
        if found.is_some() || !self.spinner.parks() {
            return found;
        }
        self.sleep(deadline, look)
    }

    fn sleep<R>(
        &mut self,
        deadline: Option<Instant>,
        mut look: impl FnMut(Peer<'_, W>) -> Option<R>,
    ) -> Option<R> {
        loop {
            // Acquire: pairs with the Release in `ring` (S1): a bell that was rung before comes with its news.
            let bell = self.words.bell(Whose::Peers).load(Ordering::Acquire);
            // Relaxed: the full fence orders it before the look (S2, S3).
            self.words.asleep(Whose::Mine).store(self.awake | ATTENTION, Ordering::Relaxed);
            full_fence();
            let mut found = look(Peer(&self.words));
            let mut woken = Woken::LookAgain;
            if found.is_none() {
                woken = self.words.bell(Whose::Peers).wait(bell, deadline);
            }
            self.awake = self.awake.wrapping_add(2) & !RETIRED;
            // Relaxed: a waker that still sees the sleep rings once for nobody (S6).
            self.words.asleep(Whose::Mine).store(self.awake, Ordering::Relaxed);
            if found.is_none() {
                found = look(Peer(&self.words));
            }
            if found.is_some() || woken == Woken::TimedOut {
                return found;
            }
        }
    }

    /// The other side.
    #[inline(always)]
    pub fn peer(&self) -> Peer<'_, W> {
        Peer(&self.words)
    }

    /// Leaves in good order: the other side sees [`Peer::retired`] and is woken if asleep.
    pub fn retire(&mut self) {
        // Release: who sees it sees what was done before. The fence in `notify` orders it before the look.
        self.words.asleep(Whose::Mine).store(RETIRED | ATTENTION | self.awake, Ordering::Release);
        self.notify();
    }
}

/// The other side, as far as its words tell.
#[derive(Debug)]
pub struct Peer<'a, W>(&'a W);

impl<W: Words> Peer<'_, W> {
    /// Whether it retired and no successor has come.
    ///
    /// Relaxed: it says nothing about what the peer did before.
    #[inline(always)]
    #[must_use]
    pub fn retired(&self) -> bool {
        self.0.asleep(Whose::Peers).load(Ordering::Relaxed) & RETIRED != 0
    }
}
