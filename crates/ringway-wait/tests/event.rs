//! Events and crowds, between threads and between real processes that are killed.
#![allow(unsafe_code, clippy::disallowed_types, clippy::disallowed_methods)]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    process,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use ringway_wait::{
    Crowd, Event, LentEvent, LentSigns, LifeWords, LineWords, Wait,
    alive::{Hold, pid_namespace},
    host::Feature,
    mark, take,
};

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };
/// After so many seconds a process of a test is stuck; the kernel ends it.
const STUCK: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(40);
const LINES: usize = 5;
const PAGE: usize = 4096;

/// Words that are used by the tests.
const NEWS: usize = 200;
const CLOSED: usize = 201;
const PRESENT: usize = 202;
const HEARD: usize = 203;
const READY: usize = 204;

/// A page of a memfd and this process's mapping of it, which forked children share. Never unmapped.
#[derive(Clone, Copy)]
struct Memory {
    file: &'static OwnedFd,
    words: *mut AtomicU64,
}

// SAFETY: an address that stays mapped, of words that are accessed atomically only.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

impl Memory {
    fn new() -> Memory {
        // SAFETY: the string ends in NUL; the descriptor is new and ours; maps new memory, whole.
        unsafe {
            let file = libc::memfd_create(c"event".as_ptr(), libc::MFD_CLOEXEC);
            assert_ne!(file, -1);
            let file = Box::leak(Box::new(OwnedFd::from_raw_fd(file)));
            assert_eq!(libc::ftruncate(file.as_raw_fd(), PAGE as i64), 0);
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let page = libc::mmap(ptr::null_mut(), PAGE, rights, libc::MAP_SHARED, file.as_raw_fd(), 0);
            assert_ne!(page, libc::MAP_FAILED);
            Memory { file, words: page.cast() }
        }
    }

    fn at(self, index: usize) -> NonNull<u64> {
        assert!(index < PAGE / 8);
        // SAFETY: inside the mapping.
        NonNull::new(unsafe { self.words.add(index) }).unwrap().cast()
    }

    /// A word that is used as 64 bits only.
    fn word(&self, index: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping, which is never unmapped, aligned, and accessed atomically only.
        unsafe { self.at(index).cast().as_ref() }
    }

    fn load(self, index: usize) -> u64 {
        self.word(index).load(SeqCst)
    }

    fn line_at(line: usize) -> usize {
        16 * (line + 1)
    }

    fn event(self, line: usize, wait: Wait) -> Event<LentEvent> {
        let words = |line| {
            let at = Self::line_at(line);
            LineWords { sleeps: self.at(at), rung: self.at(at + 1), bell: self.at(at + 2).cast() }
        };
        // SAFETY: aligned words that stay mapped and are accessed as atomics of their size only.
        Event::attach(unsafe { LentEvent::new(self.at(0), (0..LINES).map(words).collect()) }, line, wait)
    }

    fn sleeps(self, line: usize) -> u64 {
        self.load(Self::line_at(line))
    }

    fn bell(self, line: usize) -> u32 {
        // SAFETY: as in `word`; used as 32 bits only.
        unsafe { self.at(Self::line_at(line) + 2).cast::<std::sync::atomic::AtomicU32>().as_ref() }
            .load(SeqCst)
    }

    fn signs(self, line: usize) -> LentSigns {
        let at = Self::line_at(line);
        let words = LifeWords {
            alive: self.at(at + 3).cast(),
            generation: self.at(at + 4).cast(),
            pid: self.at(at + 5).cast(),
            namespace: self.at(at + 6),
        };
        // SAFETY: aligned words that stay mapped and are accessed as atomics of their size only.
        unsafe { LentSigns::new(words) }
    }

    fn crowd(self, mine: usize) -> Crowd<LentSigns> {
        Crowd::new((0..LINES).map(|line| self.signs(line)).collect(), mine)
    }

    /// Takes a line, as its process; with or without a keeper.
    fn come(self, line: usize, keeper: bool) -> Option<Hold> {
        let offset = 8 * (Self::line_at(line) + 3) as u64;
        let hold = || keeper.then(|| Hold::new(self.file.as_fd(), offset, true)).transpose();
        let hold = take(&self.signs(line), process::id(), pid_namespace(), hold).unwrap();
        self.word(PRESENT).fetch_or(1 << line, SeqCst);
        hold
    }

    /// Takes one of the news.
    fn take_news(self) -> Option<()> {
        self.word(NEWS).fetch_update(SeqCst, SeqCst, |news| news.checked_sub(1)).ok().map(drop)
    }

    fn look(self) -> Option<bool> {
        self.take_news().map(|()| true).or_else(|| (self.load(CLOSED) == 1).then_some(false))
    }

    fn more(self) -> bool {
        self.load(NEWS) > 0 || self.load(CLOSED) == 1
    }
}

/// Waits for news among threads, of whose death nobody hears: `false` if it is closed.
fn await_news(memory: Memory, event: &Event<LentEvent>) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let found = event.wait(Some(deadline), &nobody(), || 0, || memory.look(), || memory.more());
    found.expect("no news, and not closed")
}

fn nobody() -> Crowd<LentSigns> {
    Crowd::new(Vec::new(), 0)
}

fn until(done: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < limit, "does not come about");
        thread::sleep(Duration::from_micros(200));
    }
}

/// A line of which somebody is said to sleep, who is not there.
fn pretend(memory: Memory, line: usize) {
    memory.word(Memory::line_at(line)).fetch_add(1, SeqCst);
    memory.word(0).fetch_or(1 << line, SeqCst);
}

#[test]
fn nobody_asleep_rings_nothing() {
    let memory = Memory::new();
    let event = memory.event(0, SLEEP);
    (0..100).for_each(|_| event.notify());
    event.notify_after_rmw();
    event.notify_unfenced();
    event.notify_all();
    assert_eq!((0..LINES).map(|line| memory.bell(line)).max(), Some(0));
    assert_eq!(event.rings(), 0);
}

#[test]
fn what_is_found_at_once_is_no_sleep() {
    for wait in [SLEEP, Wait::default(), Wait::Spin] {
        let memory = Memory::new();
        let event = memory.event(1, wait);
        assert_eq!(event.wait(None, &nobody(), || 0, || Some(7), || false), Some(7));
        assert_eq!((memory.load(0), memory.sleeps(1), event.slept()), (0, 0, 0));
        assert_eq!(event.parks(), wait != Wait::Spin);
    }
}

#[test]
fn a_sleep_is_rung_for_once_and_the_next_one_again() {
    let memory = Memory::new();
    let event = memory.event(0, SLEEP);
    for rings in 1..=3 {
        pretend(memory, 2);
        (0..5).for_each(|_| event.notify());
        assert_eq!(memory.bell(2), rings);
    }
}

#[test]
fn a_ring_that_wakes_nobody_is_no_ring_for_those_that_sleep() {
    let memory = Memory::new();
    let waker = memory.event(0, SLEEP);
    [1, 2, 4].into_iter().for_each(|line| pretend(memory, line));
    thread::scope(|scope| {
        let sleeper = memory.event(3, SLEEP);
        let sleeper = scope.spawn(move || await_news(memory, &sleeper));
        until(|| memory.load(0) & 1 << 3 != 0);
        memory.word(NEWS).store(1, SeqCst);
        waker.notify();
        assert!(sleeper.join().unwrap());
    });
}

#[test]
fn bits_of_lines_that_there_are_not_are_nobodys() {
    let memory = Memory::new();
    let event = memory.event(0, SLEEP);
    memory.word(0).store(u64::MAX << LINES, SeqCst);
    event.notify();
    event.notify_all();
    assert_eq!(event.rings(), 0);
}

#[test]
fn a_successor_is_awake_and_counts_on() {
    let memory = Memory::new();
    pretend(memory, 1);
    pretend(memory, 2);
    drop(memory.event(1, SLEEP));
    assert_eq!((memory.load(0), memory.sleeps(1)), (1 << 2, 1));
    memory.event(0, SLEEP).forget(2);
    assert_eq!(memory.load(0), 0);
}

#[test]
fn a_line_is_visible_as_long_as_one_of_its_threads_sleeps() {
    let memory = Memory::new();
    let event = memory.event(1, SLEEP);
    let waker = memory.event(0, SLEEP);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| while await_news(memory, &event) {});
        }
        until(|| memory.sleeps(1) >= 3);
        for news in 1..=200 {
            memory.word(NEWS).fetch_add(1, SeqCst);
            waker.notify();
            if news % 8 == 0 {
                until(|| memory.load(NEWS) == 0);
            }
        }
        until(|| memory.load(NEWS) == 0);
        memory.word(CLOSED).store(1, SeqCst);
        waker.notify_all();
    });
}

#[test]
fn who_waits_in_vain_looks_once_more_and_is_awake() {
    let memory = Memory::new();
    let event = memory.event(1, SLEEP);
    let deadline = Instant::now() + Duration::from_millis(5);
    let found = event.wait(Some(deadline), &nobody(), || 0, || None::<()>, || unreachable!());
    assert_eq!((found, memory.load(0)), (None, 0));
    let found = event.wait_unfenced(
        Some(deadline + Duration::from_millis(10)),
        &nobody(),
        || 0,
        || (Instant::now() > deadline + Duration::from_millis(9)).then_some(()),
        || false,
    );
    assert_eq!(found, Some(()));
}

#[test]
fn who_rings_for_nothing_delays_no_deadline() {
    let memory = Memory::new();
    let (event, other) = (memory.event(1, SLEEP), memory.event(0, SLEEP));
    let deadline = Instant::now() + Duration::from_millis(20);
    let mut looks = 0;
    let look = || {
        looks += 1;
        other.notify_all();
        None::<()>
    };
    assert_eq!(event.wait(Some(deadline), &nobody(), || 0, look, || false), None);
    assert!(looks > 3);
}

#[test]
fn closing_wakes_every_thread_of_every_line() {
    let memory = Memory::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..LINES)
            .flat_map(|line| {
                let event = std::sync::Arc::new(memory.event(line, SLEEP));
                [event.clone(), event].map(|event| scope.spawn(move || await_news(memory, &event)))
            })
            .collect();
        until(|| (0..LINES).all(|line| memory.sleeps(line) >= 2));
        memory.word(CLOSED).store(1, SeqCst);
        memory.event(0, SLEEP).notify_all();
        assert!(threads.into_iter().all(|thread| !thread.join().unwrap()));
    });
}

/// A forked process. Killed at the end of the test if it has not ended.
struct Process {
    pid: libc::pid_t,
}

impl Process {
    fn fork(body: impl FnOnce()) -> Process {
        // SAFETY: the child is a copy of this thread alone. What is run there takes no lock that another
        // thread may hold, but for the C library's, which it mends.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", io::Error::last_os_error()),
            0 => {
                // SAFETY: sets a timer of the process; no handler is installed, so the signal ends it.
                unsafe { libc::alarm(STUCK) };
                let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
                // SAFETY: ends the child at once, without running anything of the parent's.
                unsafe { libc::_exit(if end.is_ok() { 0 } else { 99 }) }
            }
            pid => Process { pid },
        }
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: a child of ours that has not been waited for, so that the number is its.
        assert_eq!(unsafe { libc::kill(self.pid, signal) }, 0);
    }

    /// Stops it, and waits until all its threads have.
    fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: waits for a child of ours; the pointer is to a local.
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, libc::WUNTRACED) }, self.pid);
        assert!(libc::WIFSTOPPED(status));
    }

    /// Waits for its end: the exit code, or minus the signal.
    fn end(mut self) -> i32 {
        self.reap()
    }

    fn reap(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: waits for a child of ours; the pointer is to a local.
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }, self.pid);
        self.pid = 0;
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.pid != 0 {
            self.signal(libc::SIGKILL);
            self.reap();
        }
    }
}

/// A process of two threads that take news until it is closed.
fn taker(memory: Memory, line: usize) -> Process {
    Process::fork(|| {
        let (event, crowd) = (memory.event(line, SLEEP), memory.crowd(line));
        let _hold = memory.come(line, false);
        event.notify_all();
        let take = || {
            let present = || memory.load(PRESENT);
            while event.wait(None, &crowd, present, || memory.look(), || memory.more()) == Some(true) {}
        };
        thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(take)));
        });
    })
}

#[test]
fn no_news_are_left_whichever_of_many_is_killed_while_it_is_woken() {
    let memory = Memory::new();
    let waker = memory.event(0, SLEEP);
    let mut takers: Vec<_> = (1..LINES).map(|line| Some(taker(memory, line))).collect();
    let mut random = 1u64;
    let mut any = |below: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % below
    };
    for _ in 0..400 {
        let asleep = memory.load(0);
        for _ in 0..=any(4) {
            memory.word(NEWS).fetch_add(1, SeqCst);
            waker.notify_after_rmw();
        }
        // From one that is about to be woken to one that has been.
        (0..any(3000)).for_each(|_| std::hint::spin_loop());
        let victim = match asleep & !1 {
            0 => 1 + any(LINES as u64 - 1) as usize,
            asleep => asleep.trailing_zeros() as usize,
        };
        let killed = takers[victim - 1].take().unwrap();
        killed.signal(libc::SIGKILL);
        assert_eq!(killed.end(), -libc::SIGKILL);
        // Proof of its death; now it is swept.
        memory.word(PRESENT).fetch_and(!(1 << victim), SeqCst);
        waker.forget(victim);
        waker.notify_all();
        until(|| memory.load(NEWS) == 0);
        takers[victim - 1] = Some(taker(memory, victim));
    }
    memory.word(CLOSED).store(1, SeqCst);
    waker.notify_all();
    assert!(takers.into_iter().flatten().all(|taker| taker.end() == 0));
}

#[test]
fn one_that_is_stopped_while_it_is_woken_leaves_the_rest_to_others() {
    let memory = Memory::new();
    let waker = memory.event(0, SLEEP);
    let takers: Vec<_> = (1..LINES).map(|line| taker(memory, line)).collect();
    for round in 0..100 {
        until(|| (1..LINES).all(|line| memory.load(0) & 1 << line != 0));
        memory.word(NEWS).fetch_add(1, SeqCst);
        waker.notify();
        let stopped = &takers[round % takers.len()];
        stopped.stop();
        // It may have been woken for the first; the next arrivals wake others, which take all.
        for _ in 0..2 {
            memory.word(NEWS).fetch_add(1, SeqCst);
            waker.notify();
        }
        until(|| memory.load(NEWS) == 0);
        stopped.signal(libc::SIGCONT);
    }
    memory.word(CLOSED).store(1, SeqCst);
    waker.notify_all();
    assert!(takers.into_iter().all(|taker| taker.end() == 0));
}

/// A process of two threads, each of which counts itself in `HEARD` when line 1 is known to be dying.
fn mourner(memory: Memory, line: usize) -> Process {
    Process::fork(|| {
        let (event, crowd) = (memory.event(line, SLEEP), memory.crowd(line));
        let _hold = memory.come(line, false);
        event.notify_all();
        let mourn = || {
            let present = || memory.load(PRESENT);
            let dying = || (crowd.dying(present()) & 1 << 1 != 0).then_some(());
            let heard = event.wait(Some(Instant::now() + PATIENCE), &crowd, present, dying, || false);
            assert_eq!(heard, Some(()));
            event.notify_all();
            memory.word(HEARD).fetch_add(1, SeqCst);
        };
        thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(mourn)));
        });
    })
}

#[test]
fn every_thread_of_every_process_hears_of_a_death_by_either_source() {
    for keeper in [true, false] {
        let needed = if keeper { Feature::RobustList } else { Feature::Pidfd };
        if let Err(error) = needed.try_out() {
            eprintln!("skipped: no {needed}: {error}");
            continue;
        }
        let memory = Memory::new();
        let mortal = Process::fork(|| {
            let _hold = memory.come(1, keeper);
            memory.word(READY).store(1, SeqCst);
            loop {
                // SAFETY: no memory is passed.
                unsafe { libc::pause() };
            }
        });
        until(|| memory.load(READY) == 1);
        let mourners: Vec<_> = (2..LINES).map(|line| mourner(memory, line)).collect();
        until(|| (2..LINES).all(|line| memory.sleeps(line) >= 2));
        assert_eq!(memory.crowd(0).pid(1), mortal.pid as u32);
        mortal.signal(libc::SIGKILL);
        assert!(mourners.into_iter().all(|mourner| mourner.end() == 0));
        assert_eq!(memory.load(HEARD), 2 * (LINES as u64 - 2));
    }
}

#[test]
fn a_line_that_is_dying_and_not_swept_lets_others_sleep_and_look() {
    let memory = Memory::new();
    memory.come(1, false);
    mark(&memory.signs(1), 1);
    let (event, crowd) = (memory.event(0, SLEEP), memory.crowd(0));
    assert_eq!(crowd.dying(memory.load(PRESENT)), 1 << 1);
    assert_eq!(crowd.dying(0), 0);
    let start = Instant::now();
    let mut looks = 0;
    let look = || {
        looks += 1;
        None::<()>
    };
    let deadline = Some(start + Duration::from_millis(200));
    assert_eq!(event.wait(deadline, &crowd, || memory.load(PRESENT), look, || false), None);
    // Each sleep is longer than the last, from one millisecond on; and it does not sleep to the end.
    assert!(event.slept() > 4, "slept on");
    assert!(event.slept() < 100 && looks < 300, "does not sleep");
}
