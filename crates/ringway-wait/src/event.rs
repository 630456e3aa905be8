//! Waiting for news that any of many processes may have, and that each is for one of many.
//!
//! # The protocol
//!
//! Each process has a *line*, and any number of its threads wait. An event has these words:
//!
//! - `sleepers`: a mask, one bit a line. Its bit is on while a thread of that line is, or is about to be, asleep. A line's bit is changed
//!   by threads of that line only. Everybody who has news looks at it, and 0 is all that a hot one ever sees.
//! - `sleeps`, of each line: counts what its threads have to be rung for anew. Changed by them only.
//! - `bell`, of each line: bumped by whoever rings; only threads of that line sleep on it.
//! - `rung`, of each line: what `sleeps` was when it was last rung for, written by whoever rang. So a burst sent while the
//!   sleeper is on its way up costs one system call, not one a message.
//!
//! and, private to each process, `here`: how many of its threads are between S2 and S6.
//!
//! ```text
//! waker                                     a thread of line p
//! W1 make the news visible                  S1 b = bell[p] (Acquire)
//! W2 full fence                             S2 here += 1; sleeps[p] += 1; sleepers |= p
//! W3 the lines of sleepers: none → done     S3 full fence
//! W4 n = sleeps[p], for one of them;        S4 who is present, and alive; look for news: there → S6
//!    n = rung[p] → the next one             S5 futex wait while bell[p] == b, and all of S4 are alive
//! W5 bell[p] += 1 (Release)                 S6 rung = (bell[p] != b) (Acquire)
//! W6 futex wake of one                         here -= 1; last = (here == 0); if so sleepers &= !p
//! W7 rung[p] = n                            S7 if rung or last, and here > 0: sleeps[p] += 1; sleepers |= p; full fence
//! W8 nobody woke → the next one             S8 unless found, look for news: none → S1
//!                                           S9 if rung or last, and there are more news: W2
//! ```
//!
//! `notify_all` does W2, W3, and for each line W5 and W6 for all.
//!
//! # The races, and why they are safe
//!
//! - *News just before the sleep.* As with two ([`Bell`](crate::Bell)): of W1, W2, W3 against S2, S3, S4 at least one side sees the other.
//!   What W4 loads lies behind W2 and what it compares before S3: a waker that takes an old `sleeps` for the present one is one whose
//!   news the look finds.
//! - *The ring comes before the wait.* Who loads the bell after W5 (S1 is an Acquire, W5 a Release) counts after W4, and is not what `rung`
//!   speaks of; and it looks at the news. Who is counted in what W4 loads has loaded the bell before W5 changes it: no sleep.
//! - *A ring for several.* The kernel wakes one thread of a line, and W7 says that the line was rung for, so that the others of its threads
//!   are hidden. The one woken finds the bell changed, and shows them again (S7), *behind a fence and before it looks*. Whoever has
//!   news from then on sees them; news from before then it finds itself, and if there are more than it takes, it
//!   passes them on (S9). So `more` has to see whatever `look` would find, what is found without being taken (*closed*) included.
//! - *The bit of the last.* A thread that comes between the last one's `here -= 1` and its `sleepers &= !p` is hidden, too. But `here`
//!   is loaded after that, it is shown again, and the rest is as before.
//! - *A ring that wakes nobody.* The line's threads were about to sleep, or on their way up; all of them find the bell changed and look.
//!   Or it is dead. Either way the waker goes on to the next line (W8), which is at worst woken for nothing; a line
//!   is tried once, so this ends.
//! - *The woken one finds nothing*, for one that was awake was faster: it sleeps again, by S1. *Its deadline has passed*: it looks
//!   once more (S8), after S6; had it been rung for, then by news that the look sees. What comes after that look meets no thread of this
//!   wait in the kernel's queue, so no ring is spent on it: nothing has to be passed on by who has found nothing.
//! - *A waker without the fence* (W2 left out, to be cheap) may miss a sleeper, as in [`Bell`](crate::Bell), and the cure is the
//!   same: who waits for such a one sleeps a millisecond first, and looks again before it sleeps for good.
//! - *A number again.* `sleeps` has 64 bits, and goes on with the next holder of the line.
//!
//! # Who is stopped
//!
//! Every step of a waker that hides somebody comes after the system call that wakes somebody: a waker that is stopped, or killed,
//! before W7 hides nobody, so the next one rings again, at worst once too often. What hides before it shows (S6, S7) is done by a thread of
//! the very process whose threads are hidden: a stop or a kill meets all of them. A woken process that is stopped before it
//! takes what it was woken for leaves that to the next arrival, which rings another line, whose thread sees that there are more
//! and rings on (S9).
//!
//! # What a kill leaves
//!
//! - *Killed asleep*: a bit. It is rung for once, with nobody woken; after that it costs a look, until it is swept ([`Event::forget`]).
//! - *Killed after it was woken*, or *between news and wake*: news that nobody is awake for. The death is heard of ([`Crowd`]); **whoever
//!   hears of it sweeps and then calls `notify_all`** on every event. Who is woken by that looks at everything.
//! - The next holder of the line takes the bit off when it comes.
//!
//! # What it costs
//!
//! To wake: the fence, and one load of a line that changes around sleeps only. A bit may stay on with nobody there, when one thread leaves
//! while another shows it: that costs a ring for nothing and a closer look each time, until the line's next sleep ends.
//!
//! # Sources
//!
//! As for [`Bell`](crate::Bell). That a receiver of a wake passes it on is the rule of condition variables that wake one: Mesa's
//! (Lampson and Redell, *Experience with Processes and Monitors in Mesa*, 1980) *covering conditions* say when all must be woken.

use std::time::Instant;

use crate::{
    Crowd, LINES, Signs, Wait,
    bell::NAP,
    crowd::{Patience, lines_of},
    life::sooner,
    primitive::{Common, Count, Futex, Ordering, fence_after_rmw, full_fence, one_processor, passed},
    spinner::Spinner,
};

/// Rounds of a spin, some microseconds, after which the processor is given away in between.
const ROUNDS: u32 = 3;

/// The shared words of an event.
///
/// `sleepers` lies on a cache line that nothing else changes; the words of a line change around sleeps only, and may share one.
pub trait EventWords {
    /// How many lines there are, [`LINES`](crate::LINES) at the most.
    fn lines(&self) -> usize;

    /// The lines of which somebody sleeps.
    fn sleepers(&self) -> &Common;

    /// Bumped by who has news for somebody of this line, who sleeps on it.
    fn bell(&self, line: usize) -> &Futex;

    /// Counts what is to be rung for.
    fn sleeps(&self, line: usize) -> &Common;

    /// What was last rung for.
    fn rung(&self, line: usize) -> &Common;
}

/// What many wait for, as one process sees it, shared by its threads; see the top of the module for the protocol.
#[derive(Debug)]
pub struct Event<W> {
    words: W,
    line: usize,
    /// How many threads of this process are, or are about to be, asleep.
    here: Common,
    /// What is learned is of the news, not of who waits: the threads share it.
    spinner: Spinner,
    /// Whether this process has one processor only, which the one that it waits for may need.
    one_processor: bool,
    /// How often threads of this process slept, and rang.
    slept: Count,
    rings: Count,
}

impl<W: EventWords> Event<W> {
    /// Takes up a line where its last holder left it (new words: all 0). The caller is the line's only holder.
    ///
    /// # Panics
    ///
    /// If there is no such line, or if there are more than [`LINES`].
    pub fn attach(words: W, line: usize, wait: Wait) -> Self {
        assert!(words.lines() <= LINES, "{} lines, of which there can be {LINES}", words.lines());
        assert!(line < words.lines(), "line {line} of {}", words.lines());
        let event = Self {
            words,
            line,
            here: Common::new(0),
            spinner: Spinner::new(wait),
            one_processor: one_processor(),
            slept: Count::default(),
            rings: Count::default(),
        };
        event.forget(line);
        event
    }

    /// Whether waits can end in sleep.
    pub fn parks(&self) -> bool {
        self.spinner.parks()
    }

    /// Wakes one who sleeps. To be called after news for one were made visible.
    ///
    /// No system call if nobody sleeps. Ordering: a full fence, between the news and the look at the sleepers (W2).
    #[inline(always)]
    pub fn notify(&self) {
        full_fence();
        self.notify_unfenced();
    }

    /// [`notify`](Self::notify) right behind the read-modify-write, of whatever order, by which the news became visible: cheaper where that
    /// is a full fence itself.
    #[inline(always)]
    pub fn notify_after_rmw(&self) {
        fence_after_rmw();
        self.notify_unfenced();
    }

    /// [`notify`](Self::notify) without the fence: cheap, and in rare cases too early to see one that is just falling asleep. For sleepers
    /// that [`wait_unfenced`](Self::wait_unfenced), or where a `notify` follows soon.
    #[inline(always)]
    pub fn notify_unfenced(&self) {
        // Acquire: pairs with the Release in `show`: who sees the bit sees what it is to ring for (W3 with S2). The full fences
        // order it behind the news.
        let sleepers = self.words.sleepers().load(Ordering::Acquire);
        if sleepers != 0 {
            self.ring_one(sleepers);
        }
    }

    /// Wakes all who sleep. For news for everybody: that it is closed, that somebody has come, that a dead one was swept.
    pub fn notify_all(&self) {
        full_fence();
        // Acquire: as in `notify_unfenced`.
        let sleepers = self.words.sleepers().load(Ordering::Acquire);
        for line in self.present(sleepers) {
            self.rings.add_one();
            let bell = self.words.bell(line);
            // Release: pairs with the Acquires of S1 and S6.
            bell.bump(Ordering::Release);
            self.words.bell(line).wake_all();
        }
    }

    /// Takes the sleep of a dead one off. The caller has the line's lock.
    pub fn forget(&self, line: usize) {
        // Relaxed: a waker that still sees the bit rings for nobody; whoever takes the line next has its lock behind this.
        self.words.sleepers().fetch_and(!(1 << line), Ordering::Relaxed);
    }

    /// The lines of a mask, beginning with one that moves on with each ring; those that there are, whatever the mask says.
    fn present(&self, sleepers: u64) -> impl Iterator<Item = usize> {
        let first = (self.line as u64 + 1 + self.rings.get()) % u64::BITS as u64;
        let there = sleepers & !(u64::MAX << self.words.lines());
        lines_of(there.rotate_right(first as u32)).map(move |line| (line + first as usize) % 64)
    }

    #[cold]
    #[inline(never)]
    fn ring_one(&self, sleepers: u64) {
        for line in self.present(sleepers) {
            if self.ring(line) {
                return;
            }
        }
    }

    /// Wakes one thread of a line, unless that was done; says whether it did.
    fn ring(&self, line: usize) -> bool {
        // Relaxed: what came with the bit, or something later (W3); nobody is in it who has seen the bell bumped below (S1 with W5).
        let sleeps = self.words.sleeps(line).load(Ordering::Relaxed);
        // Relaxed: if it says so the system call was before that.
        if self.words.rung(line).load(Ordering::Relaxed) == sleeps {
            return false;
        }
        self.rings.add_one();
        // Release: pairs with the Acquires of S1 and S6.
        self.words.bell(line).bump(Ordering::Release);
        let woken = self.words.bell(line).wake();
        // Relaxed: it is behind a system call; one that still sees the old number rings again (W7).
        self.words.rung(line).store(sleeps, Ordering::Relaxed);
        woken > 0
    }

    /// Waits until `look` finds something, or until the deadline: `None`. Others announce their news by
    /// [`notify`](Self::notify) or [`notify_all`](Self::notify_all).
    ///
    /// `look` takes what it finds, or tells of what is everybody's. `more` says whether another one would find something
    /// now; then another one is woken. `present` are the lines that are there: the death of one of `crowd` among them ends
    /// the sleep, and is for `look` to find ([`Crowd::dying`]).
    ///
    /// While it spins, it does nothing but `look`. `look` is called at least once, and once more after the deadline. Signals do not show. One
    /// system call a sleep. One that rings for nothing, or a kernel that refuses to let this thread sleep, costs
    /// processor time but no deadline.
    #[inline]
    pub fn wait<S: Signs, R>(
        &self,
        deadline: Option<Instant>,
        crowd: &Crowd<S>,
        present: impl Fn() -> u64,
        look: impl FnMut() -> Option<R>,
        more: impl Fn() -> bool,
    ) -> Option<R> {
        self.wait_for(deadline, false, crowd, present, look, more)
    }

    /// [`wait`](Self::wait) for those that may announce their news by [`notify_unfenced`](Self::notify_unfenced). A sleep of more
    /// than a millisecond costs two system calls; news that a look came too early for are found after that millisecond.
    #[inline]
    pub fn wait_unfenced<S: Signs, R>(
        &self,
        deadline: Option<Instant>,
        crowd: &Crowd<S>,
        present: impl Fn() -> u64,
        look: impl FnMut() -> Option<R>,
        more: impl Fn() -> bool,
    ) -> Option<R> {
        self.wait_for(deadline, true, crowd, present, look, more)
    }

    #[inline]
    fn wait_for<S: Signs, R>(
        &self,
        deadline: Option<Instant>,
        nap: bool,
        crowd: &Crowd<S>,
        present: impl Fn() -> u64,
        mut look: impl FnMut() -> Option<R>,
        more: impl Fn() -> bool,
    ) -> Option<R> {
        let mut rounds = 0u32;
        let go_on = || {
            rounds = rounds.saturating_add(1);
            // Whether those that it waits for run elsewhere cannot be told. Where it has but one processor they may need it; and if it
            // waits for long, they may be more than there are processors.
            if self.one_processor || rounds > ROUNDS {
                std::thread::yield_now();
            }
            true
        };
        let found = self.spinner.spin(deadline, go_on, &mut look);
        if found.is_some() {
            return found;
        }
        if !self.spinner.parks() || passed(deadline) {
            return look();
        }
        self.sleep(deadline, nap, crowd, present, look, more)
    }

    fn sleep<S: Signs, R>(
        &self,
        deadline: Option<Instant>,
        nap: bool,
        crowd: &Crowd<S>,
        present: impl Fn() -> u64,
        mut look: impl FnMut() -> Option<R>,
        more: impl Fn() -> bool,
    ) -> Option<R> {
        let mut patience = Patience::new();
        loop {
            self.slept.add_one();
            // Acquire: pairs with the Release of who rings (S1): a bell that was rung before comes with its news.
            let before = self.words.bell(self.line).load(Ordering::Acquire);
            // Relaxed: ordered by the Release in `show` (S2).
            self.here.fetch_add(1, Ordering::Relaxed);
            self.show();
            // Whoever comes from now on rings.
            let armed = crowd.arm(present());
            let bell = self.words.bell(self.line);
            let mut found = look();
            if found.is_none() && nap {
                armed.sleep(bell, before, Some(sooner(deadline, NAP)));
                found = look();
            }
            if found.is_none() && !passed(deadline) {
                let limit = if armed.unproven() { Some(sooner(deadline, patience.next())) } else { deadline };
                armed.sleep(bell, before, limit);
            }
            let passes_on = self.rise(before);
            if found.is_none() {
                found = look();
            }
            if found.is_some() && passes_on && more() {
                self.notify();
            }
            if found.is_some() || passed(deadline) {
                return found;
            }
        }
    }

    /// Has those rung for that are here (S2, S3; S7).
    fn show(&self) {
        // Relaxed: ordered by the Release below.
        self.words.sleeps(self.line).fetch_add(1, Ordering::Relaxed);
        // Release: pairs with the Acquires in `notify_unfenced` and `rise`: it brings the count, and who is here.
        self.words.sleepers().fetch_or(1 << self.line, Ordering::Release);
        full_fence();
    }

    /// Is here no longer, and shows those that are still (S6, S7). Says whether there may be some that were not rung for what came
    /// meanwhile.
    fn rise(&self, before: u32) -> bool {
        // Acquire: pairs with the Release of who rings.
        let rung = self.words.bell(self.line).load(Ordering::Acquire) != before;
        // Relaxed: whoever it hides is seen below.
        let last = self.here.fetch_sub(1, Ordering::Relaxed) == 1;
        if last {
            // Acquire: pairs with the Release in `show`: of whom it hides, it sees below that they are here.
            self.words.sleepers().fetch_and(!(1 << self.line), Ordering::Acquire);
        }
        // Relaxed: what was hidden is known by the Acquire above, or by what was there before it left.
        if (rung || last) && self.here.load(Ordering::Relaxed) > 0 {
            self.show();
            return true;
        }
        rung
    }

    /// How often threads of this process went to sleep.
    #[must_use]
    pub fn slept(&self) -> u64 {
        self.slept.get()
    }

    /// How often threads of this process rang.
    #[must_use]
    pub fn rings(&self) -> u64 {
        self.rings.get()
    }
}
