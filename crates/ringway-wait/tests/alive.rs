//! Words that are held, and the news of their holders' death, between real processes.
#![allow(unsafe_code, clippy::disallowed_types, clippy::disallowed_methods)]

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
    ptr,
    sync::{
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use ringway_wait::{
    alive::{Hold, OWNER_DIED, WAITERS, Watch, died, lives},
    host::Feature,
};

/// After so many seconds a process of a test is stuck; the kernel ends it.
const STUCK: u32 = 60;
const PATIENCE: Duration = Duration::from_secs(40);
const PAGE: usize = 4096;

/// A page of a memfd and this process's mapping of it, which forked children share.
struct Memory {
    file: OwnedFd,
    words: *mut AtomicU32,
}

// SAFETY: an address that stays mapped, of words that are accessed atomically only.
unsafe impl Sync for Memory {}

impl Memory {
    fn new() -> Memory {
        // SAFETY: the string ends in NUL; the descriptor is new and ours; maps new memory, whole.
        unsafe {
            let file = libc::memfd_create(c"alive".as_ptr(), libc::MFD_CLOEXEC);
            assert_ne!(file, -1);
            let file = OwnedFd::from_raw_fd(file);
            assert_eq!(libc::ftruncate(file.as_raw_fd(), 2 * PAGE as i64), 0);
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let page = libc::mmap(ptr::null_mut(), 2 * PAGE, rights, libc::MAP_SHARED, file.as_raw_fd(), 0);
            assert_ne!(page, libc::MAP_FAILED);
            Memory { file, words: page.cast() }
        }
    }

    fn word(&self, index: usize) -> &AtomicU32 {
        assert!(index < 2 * PAGE / 4);
        // SAFETY: inside the mapping, which is never unmapped, aligned, and accessed atomically only.
        unsafe { &*self.words.add(index) }
    }

    fn load(&self, index: usize) -> u32 {
        self.word(index).load(SeqCst)
    }

    fn hold(&self, index: usize) -> Hold {
        Hold::new(self.file.as_fd(), 4 * index as u64, true).unwrap()
    }

    /// Sets a word that another process waits for.
    fn say(&self, index: usize) {
        self.word(index).store(1, SeqCst);
    }

    fn hear(&self, index: usize) {
        until(|| self.load(index) == 1);
    }
}

fn until(done: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < limit, "does not come about");
        thread::sleep(Duration::from_micros(200));
    }
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

    /// One that does its work, says so by setting word `said`, and then sleeps.
    fn fork_and_wait(memory: &Memory, said: usize, body: impl FnOnce() -> Vec<Hold>) -> Process {
        let process = Process::fork(|| {
            let holds = body();
            memory.say(said);
            pause();
            drop(holds);
        });
        memory.hear(said);
        process
    }

    fn kill(&self) {
        // SAFETY: a child of ours that has not been waited for, so that the number is its.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGKILL) }, 0);
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
            self.kill();
            self.reap();
        }
    }
}

fn pause() {
    loop {
        // SAFETY: no memory is passed.
        unsafe { libc::pause() };
    }
}

/// `struct futex_waitv` of the kernel.
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// Sleeps while the words are what they were when it was called; panics when nobody wakes.
fn sleep_on(words: &[(&AtomicU32, u32)]) {
    if Feature::FutexWaitv.try_out().is_err() {
        eprintln!("futex_waitv is not there: sleeping on the first word only");
        return sleep_on_first(words[0].0, words[0].1);
    }
    let waiter = |&(word, value): &(&AtomicU32, u32)| Waiter {
        value: value.into(),
        address: word.as_ptr().expose_provenance() as u64,
        flags: 2,
        reserved: 0,
    };
    let waiters: Vec<Waiter> = words.iter().map(waiter).collect();
    let mut limit = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: pointers and length describe locals that live through the calls.
    let answer = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut limit);
        limit.tv_sec += PATIENCE.as_secs() as i64;
        let (len, clock) = (waiters.len(), libc::CLOCK_MONOTONIC);
        libc::syscall(libc::SYS_futex_waitv, waiters.as_ptr(), len, 0, &raw const limit, clock)
    };
    let error = io::Error::last_os_error().raw_os_error();
    assert!(answer >= 0 || error == Some(libc::EAGAIN), "nobody woke: {error:?}");
}

fn sleep_on_first(word: &AtomicU32, value: u32) {
    let limit = libc::timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    // SAFETY: the word and the time limit live through the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const limit) };
    let error = io::Error::last_os_error().raw_os_error();
    assert!(answer == 0 || error == Some(libc::EAGAIN), "nobody woke: {error:?}");
}

/// Has a thread sleep on words; when it is asleep calls `cause`, and returns when it has woken.
fn wakes(words: &[&AtomicU32], cause: impl FnOnce()) {
    // SAFETY: sets a timer of the process; no handler is installed, so the signal ends it.
    unsafe { libc::alarm(STUCK) };
    let words: Vec<_> = words.iter().map(|&word| (word, word.load(SeqCst))).collect();
    thread::scope(|scope| {
        let (tell, hear) = mpsc::channel();
        let sleeper = scope.spawn(move || {
            // SAFETY: no memory is passed.
            tell.send(unsafe { libc::gettid() }).unwrap();
            sleep_on(&words);
        });
        let stat = format!("/proc/self/task/{}/stat", hear.recv().unwrap());
        until(|| fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S ")));
        cause();
        sleeper.join().unwrap();
    });
}

/// How many keepers this process has.
fn keepers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.filter(|task| task.as_ref().is_ok_and(|task| is_keeper(&task.path()))).count()
}

/// A keeper's task of this process.
fn keeper() -> PathBuf {
    let mut tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    tasks.find(|task| is_keeper(task)).unwrap()
}

fn is_keeper(task: &Path) -> bool {
    fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim_end() == "ringway-keeper")
}

/// Whether the kernel marks words here.
fn marks() -> bool {
    Feature::RobustList.try_out().inspect_err(|error| eprintln!("skipped: no robust list: {error}")).is_ok()
}

const ALIVE: usize = 32;
const OTHER: usize = 64;
const SAID: usize = 1024;

#[test]
fn a_killed_holder_wakes_who_sleeps_on_its_word() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let holder = Process::fork_and_wait(&memory, SAID, || vec![memory.hold(ALIVE)]);
    assert!(lives(memory.load(ALIVE)));
    // Among other words that nobody touches.
    wakes(&[memory.word(0), memory.word(ALIVE), memory.word(2)], || holder.kill());
    assert_eq!(memory.load(ALIVE), OWNER_DIED | WAITERS);
    assert!(died(memory.load(ALIVE)));
}

#[test]
fn a_word_at_any_multiple_of_4_is_marked() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let places = [0, 1, 2, 3, 31, 512, 1021, 1022, 1023];
    let holder =
        Process::fork_and_wait(&memory, SAID, || places.iter().map(|&place| memory.hold(place)).collect());
    assert!(places.iter().all(|&place| lives(memory.load(place))));
    holder.kill();
    holder.end();
    assert!(places.iter().all(|&place| died(memory.load(place))));
}

#[test]
fn a_holder_that_exits_wakes_who_sleeps_on_its_word() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let holder = Process::fork(|| {
        let hold = memory.hold(ALIVE);
        memory.say(SAID);
        memory.hear(SAID + 1);
        std::mem::forget(hold);
    });
    memory.hear(SAID);
    wakes(&[memory.word(ALIVE)], || memory.say(SAID + 1));
    assert!(died(memory.load(ALIVE)));
    assert_eq!(holder.end(), 0);
}

#[test]
fn a_holder_that_execs_has_died_though_its_process_lives() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let holder = Process::fork(|| {
        let _hold = memory.hold(ALIVE);
        let exec = |path: &std::ffi::CStr| {
            let arguments = [path.as_ptr(), c"1000".as_ptr(), ptr::null()];
            // SAFETY: strings that end in NUL, and an array of them that ends in null.
            unsafe { libc::execvp(path.as_ptr(), arguments.as_ptr()) };
        };
        exec(c"/is/not/there");
        assert!(lives(memory.load(ALIVE)));
        memory.say(SAID);
        memory.hear(SAID + 1);
        exec(c"sleep");
    });
    memory.hear(SAID);
    wakes(&[memory.word(ALIVE)], || memory.say(SAID + 1));
    assert!(died(memory.load(ALIVE)));
    // SAFETY: signal 0 asks only.
    assert_eq!(unsafe { libc::kill(holder.pid, 0) }, 0);
}

#[test]
fn a_dropped_hold_is_nobodys_and_wakes_who_sleeps_on_the_word() {
    let memory = Memory::new();
    let hold = memory.hold(ALIVE);
    assert!(lives(memory.load(ALIVE)));
    wakes(&[memory.word(ALIVE)], || drop(hold));
    assert_eq!(memory.load(ALIVE), 0);
}

#[test]
fn holds_may_be_dropped_in_any_order() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let left = |place: usize| place % 3 == 0;
    let holder = Process::fork_and_wait(&memory, SAID, || {
        let mut holds: Vec<Option<Hold>> = (0..60).map(|place| Some(memory.hold(place))).collect();
        for place in (0..60).map(|step| step * 7 % 60).filter(|&place| !left(place)) {
            drop(holds[place].take());
            assert_eq!(memory.load(place), 0);
        }
        holds.into_iter().flatten().collect()
    });
    holder.kill();
    holder.end();
    for place in 0..60 {
        assert_eq!(memory.load(place), if left(place) { OWNER_DIED | WAITERS } else { 0 });
    }
}

#[test]
fn a_word_that_is_not_in_the_file_is_refused() {
    let memory = Memory::new();
    for offset in [2, 2 * PAGE as u64 - 2, 2 * PAGE as u64, u64::MAX - 3] {
        let error = Hold::new(memory.file.as_fd(), offset, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
}

#[test]
fn of_a_hundred_files_one_truncated_and_all_scribbled_on_the_others_hear() {
    if !marks() {
        return;
    }
    let memories: Vec<Memory> = (0..100).map(|_| Memory::new()).collect();
    const TRUNCATED: usize = 40;
    let holder = Process::fork_and_wait(&memories[0], SAID, || {
        let offset = 4 * ALIVE as u64;
        let hold =
            |(n, memory): (usize, &Memory)| Hold::new(memory.file.as_fd(), offset, n != TRUNCATED).unwrap();
        memories.iter().enumerate().map(hold).collect()
    });
    // SAFETY: no memory is passed. What is cut off is not touched any more.
    unsafe { libc::ftruncate(memories[TRUNCATED].file.as_raw_fd(), 0) };
    let others = || memories.iter().enumerate().filter(|&(n, _)| n != TRUNCATED).map(|(_, memory)| memory);
    for memory in others() {
        for index in (0..2 * PAGE / 4).filter(|&index| index != ALIVE) {
            memory.word(index).store(index as u32 | 0xdead_0000, SeqCst);
        }
    }
    // This one's holder does not find itself in it any more.
    memories[50].word(ALIVE).store(0x1234_5678, SeqCst);
    wakes(&[memories[99].word(ALIVE)], || holder.kill());
    holder.end();
    let marked = others().filter(|memory| memory.load(ALIVE) == OWNER_DIED | WAITERS).count();
    assert_eq!(marked, 98);
    assert_eq!(memories[50].load(ALIVE), 0x1234_5678);
}

#[test]
fn a_hold_on_a_file_that_was_truncated_can_be_dropped() {
    let memory = Memory::new();
    let holder = Process::fork(|| {
        let hold = Hold::new(memory.file.as_fd(), 4 * ALIVE as u64, false).unwrap();
        // SAFETY: no memory is passed.
        unsafe { libc::ftruncate(memory.file.as_raw_fd(), 0) };
        drop(hold);
    });
    assert_eq!(holder.end(), 0);
}

#[test]
fn a_forked_child_that_drops_its_copy_changes_nothing() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let holder = Process::fork_and_wait(&memory, SAID, || {
        let mut hold = Some(memory.hold(ALIVE));
        let before = memory.load(ALIVE);
        let child = Process::fork(|| {
            drop(hold.take());
            assert_eq!(memory.load(ALIVE), before);
        });
        assert_eq!(child.end(), 0);
        assert_eq!(memory.load(ALIVE), before);
        vec![hold.take().unwrap()]
    });
    wakes(&[memory.word(ALIVE)], || holder.kill());
    assert!(died(memory.load(ALIVE)));
}

#[test]
fn a_forked_child_holds_for_itself() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let _ours = memory.hold(ALIVE);
    let child = Process::fork_and_wait(&memory, SAID, || {
        assert_eq!(keepers(), 0);
        vec![memory.hold(OTHER)]
    });
    assert!(lives(memory.load(OTHER)));
    wakes(&[memory.word(OTHER)], || child.kill());
    assert!(died(memory.load(OTHER)));
    assert!(lives(memory.load(ALIVE)));
}

#[test]
fn forking_while_holds_are_made_and_dropped_hangs_no_child() {
    let memory = Memory::new();
    let stop = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while stop.load(SeqCst) == 0 {
                drop(memory.hold(ALIVE));
            }
        });
        for _ in 0..100 {
            assert_eq!(Process::fork(|| drop(memory.hold(OTHER))).end(), 0);
            assert_eq!(memory.load(OTHER), 0);
        }
        stop.store(1, SeqCst);
    });
}

#[test]
fn a_thousand_holds_and_more_are_all_marked() {
    if !marks() {
        return;
    }
    let memory = Memory::new();
    let holder = Process::fork_and_wait(&memory, 2047, || {
        let holds = (0..2040).step_by(2).chain((1..2040).step_by(2));
        let holds: Vec<Hold> = holds.map(|place| memory.hold(place)).collect();
        assert_eq!(keepers(), 4);
        holds
    });
    holder.kill();
    holder.end();
    assert!((0..2040).all(|place| died(memory.load(place))));
}

#[test]
fn a_watch_ends_with_its_process() {
    if let Err(error) = Feature::Pidfd.try_out() {
        return eprintln!("skipped: no pidfd: {error}");
    }
    let memory = Memory::new();
    let [one, two] = [SAID, SAID + 1].map(|said| Process::fork_and_wait(&memory, said, Vec::new));
    let [watch, other] = [&one, &two].map(|process| Watch::new(process.pid as u32).unwrap());
    let dropped = Watch::new(one.pid as u32).unwrap();
    assert!(!watch.ended() && !other.ended());
    drop(dropped);
    one.kill();
    until(|| watch.ended());
    assert_eq!(watch.word().load(SeqCst), 1);
    assert!(!other.ended());
    let pid = one.pid as u32;
    // A zombie has ended.
    let late = Watch::new(pid).unwrap();
    until(|| late.ended());
    one.end();
    assert!(Watch::new(pid).unwrap().ended());
    assert!(Watch::new(u32::MAX).unwrap().ended());
    two.kill();
    until(|| other.ended());
}

#[test]
fn who_sleeps_on_a_watchs_word_is_woken() {
    if let Err(error) = Feature::Pidfd.try_out() {
        return eprintln!("skipped: no pidfd: {error}");
    }
    let memory = Memory::new();
    let process = Process::fork_and_wait(&memory, SAID, Vec::new);
    let watch = Watch::new(process.pid as u32).unwrap();
    // SAFETY: sets a timer of the process; no handler is installed, so the signal ends it.
    unsafe { libc::alarm(STUCK) };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !watch.ended() {
                    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
                    let none = ptr::null::<libc::timespec>();
                    // SAFETY: the word lives through the call, and null is no time limit.
                    unsafe { libc::syscall(libc::SYS_futex, watch.word().as_ptr(), operation, 0, none) };
                }
            });
        }
        thread::sleep(Duration::from_millis(5));
        process.kill();
    });
}

#[test]
fn the_keeper_goes_with_the_last_hold_or_watch() {
    let memory = Memory::new();
    let child = Process::fork(|| {
        for _ in 0..20 {
            assert_eq!(keepers(), 0);
            let (one, other) = (memory.hold(ALIVE), memory.hold(ALIVE + 2));
            // SAFETY: no memory is passed.
            let watch = Watch::new(unsafe { libc::getppid() } as u32).unwrap();
            assert_eq!(keepers(), 1);
            drop(one);
            drop(other);
            assert_eq!(keepers(), 1);
            drop(watch);
        }
        assert_eq!(keepers(), 0);
    });
    assert_eq!(child.end(), 0);
}

#[test]
fn a_keeper_is_not_pinned_and_hears_no_signal_but_lets_the_process_change_its_ids() {
    let memory = Memory::new();
    let allowed = thread::available_parallelism().unwrap().get();
    let child = Process::fork(|| {
        // SAFETY: all zeros are an empty set; the pointers are to locals; an id that is kept changes nothing, but
        // every thread is told of it.
        let hold = unsafe {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(libc::sched_getcpu() as usize, &mut one);
            assert_eq!(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one), 0);
            let hold = memory.hold(ALIVE);
            assert_eq!(libc::setuid(libc::getuid()), 0);
            hold
        };
        let mut tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let status = fs::read_to_string(tasks.find(|task| is_keeper(task)).unwrap().join("status")).unwrap();
        let field = |text: &str, name| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        let blocked = u64::from_str_radix(&field(&status, "SigBlk:"), 16).unwrap();
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGALRM, libc::SIGCHLD, libc::SIGPROF] {
            assert_ne!(blocked & 1 << (signal - 1), 0, "signal {signal}");
        }
        // This thread is pinned to one.
        let mine = fs::read_to_string("/proc/thread-self/status").unwrap();
        if allowed > 1 {
            assert_ne!(field(&status, "Cpus_allowed_list:"), field(&mine, "Cpus_allowed_list:"));
        } else {
            eprintln!("skipped: one processor pins anybody");
        }
        drop(hold);
    });
    assert_eq!(child.end(), 0);
}

#[test]
fn who_closes_descriptors_by_force_hangs_nowhere() {
    let memory = Memory::new();
    let child = Process::fork(|| {
        // SAFETY: no memory is passed. Whoever owns them is not to use them any more.
        let close_all = || (3..1000).for_each(|fd| unsafe { _ = libc::close(fd) });
        let [hold, kept] = [ALIVE, OTHER].map(|place| memory.hold(place));
        close_all();
        drop(hold);
        assert_eq!(memory.load(ALIVE), 0);
        drop(kept);
        assert_eq!(memory.load(OTHER), 0);
        // SAFETY: no memory is passed.
        let watch = Watch::new(unsafe { libc::getppid() } as u32).unwrap();
        // Asleep in `poll`, which does not notice; the language's library ends a process that closes a descriptor
        // twice.
        let stat = keeper().join("stat");
        until(|| fs::read_to_string(&stat).unwrap().contains(") S "));
        close_all();
        drop(watch);
    });
    assert_eq!(child.end(), 0);
}

#[test]
fn a_hold_that_is_refused_because_descriptors_were_closed_by_force_is_not_taken_later() {
    if let Err(error) = Feature::Pidfd.try_out() {
        return eprintln!("skipped: no pidfd: {error}");
    }
    let memory = Memory::new();
    let watched = Process::fork_and_wait(&memory, SAID, Vec::new);
    let watcher = Process::fork(|| {
        let watch = Watch::new(watched.pid as u32).unwrap();
        let status = keeper().join("status");
        let sleeps = || {
            let status = fs::read_to_string(&status).unwrap();
            let sleeps = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            status.contains("S (sleeping)").then(|| sleeps.unwrap().to_owned())
        };
        until(|| sleeps().is_some());
        let before = sleeps();
        let fds = fs::read_dir("/proc/self/fd").unwrap().map(|fd| fd.unwrap().path());
        let is_ring = |fd: &Path| fs::read_link(fd).is_ok_and(|to| to.ends_with("anon_inode:[eventfd]"));
        for ring in fds.filter(|fd| is_ring(fd)).collect::<Vec<_>>() {
            let ring = ring.file_name().unwrap().to_str().unwrap().parse().unwrap();
            // SAFETY: no memory is passed. Its owner is not to use it any more.
            unsafe { libc::close(ring) };
        }
        Hold::new(memory.file.as_fd(), 4 * ALIVE as u64, true).unwrap_err();
        memory.say(SAID + 1);
        // The end of the other process wakes the keeper, which was asked for the hold.
        until(|| sleeps().is_some_and(|sleeps| Some(sleeps) != before));
        assert_eq!(memory.load(ALIVE), 0);
        drop(watch);
    });
    memory.hear(SAID + 1);
    watched.kill();
    assert_eq!(watcher.end(), 0);
}

#[test]
fn an_idle_keeper_uses_no_processor() {
    let memory = Memory::new();
    let child = Process::fork(|| {
        let _hold = memory.hold(ALIVE);
        // Ticks are coarse, so how often it was given a processor counts too.
        let used = || {
            let mut tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
            let keeper = tasks.find(|task| is_keeper(task)).unwrap();
            let stat = fs::read_to_string(keeper.join("stat")).unwrap();
            let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            let status = fs::read_to_string(keeper.join("status")).unwrap();
            let switches: Vec<_> = status.lines().filter(|line| line.contains("ctxt_switches")).collect();
            [fields[11], fields[12], switches[0], switches[1]].map(str::to_owned)
        };
        for watched in [false, true] {
            // SAFETY: no memory is passed.
            let _watch = watched.then(|| Watch::new(unsafe { libc::getppid() } as u32).unwrap());
            thread::sleep(Duration::from_millis(50));
            let before = used();
            thread::sleep(Duration::from_millis(200));
            assert_eq!(used(), before);
        }
    });
    assert_eq!(child.end(), 0);
}

#[test]
fn killed_at_any_moment_a_holder_leaves_no_word_held() {
    if !marks() {
        return;
    }
    let kills = std::env::var("RINGWAY_KILLS").map_or(300, |kills| kills.parse().unwrap());
    let memory = Memory::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let [mut nobody, mut marked] = [0; 2];
    for _ in 0..kills {
        memory.word(SAID).store(0, SeqCst);
        let places = [ALIVE, OTHER, ALIVE + 4];
        for place in places {
            memory.word(place).store(0, SeqCst);
        }
        let holder = Process::fork(|| {
            let _kept = (seed % 2 == 0).then(|| memory.hold(ALIVE + 6));
            memory.say(SAID);
            loop {
                let holds = places.map(|place| memory.hold(place));
                drop(holds);
            }
        });
        memory.hear(SAID);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = Instant::now() + Duration::from_nanos((seed >> 40) % 400_000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        holder.kill();
        for place in places {
            // No wake may be lost, whatever the kill was in the midst of.
            loop {
                match memory.load(place) {
                    word if lives(word) => sleep_on_first(memory.word(place), word),
                    _ => break,
                }
            }
        }
        assert_eq!(holder.end(), -libc::SIGKILL);
        for word in places.map(|place| memory.load(place)) {
            assert!(!lives(word), "held by nobody");
            if died(word) { marked += 1 } else { nobody += 1 }
        }
    }
    eprintln!("{kills} kills: {nobody} words nobody's, {marked} marked");
}

/// What a keeper does while a word is taken or given back, one instruction after the other.
struct Stepped {
    holder: Process,
    keeper: libc::pid_t,
    /// Where the kernel's `struct robust_list_head` of the keeper has `list_op_pending`.
    pending: usize,
}

impl Stepped {
    /// `None` if this process must not trace others.
    fn seize(holder: Process) -> Option<Stepped> {
        let mut tasks = fs::read_dir(format!("/proc/{}/task", holder.pid)).unwrap();
        let keeper = tasks.find_map(|task| task.ok().filter(|task| is_keeper(&task.path()))).unwrap();
        let keeper: libc::pid_t = keeper.file_name().to_str().unwrap().parse().unwrap();
        let (mut head, mut len) = (0usize, 0usize);
        // SAFETY: the pointers are to locals.
        let answer = unsafe { libc::syscall(libc::SYS_get_robust_list, keeper, &raw mut head, &raw mut len) };
        let pending = head + 2 * size_of::<usize>();
        let stepped = Stepped { holder, keeper, pending };
        if answer != 0 || stepped.ask(libc::PTRACE_SEIZE, 0) != 0 {
            eprintln!("skipped: tracing is not allowed: {}", io::Error::last_os_error());
            return None;
        }
        assert_eq!(stepped.ask(libc::PTRACE_INTERRUPT, 0), 0);
        stepped.stopped();
        Some(stepped)
    }

    fn ask(&self, request: libc::c_uint, address: usize) -> libc::c_long {
        // SAFETY: the requests in use write no memory of this process.
        unsafe { libc::ptrace(request, self.keeper, address, 0usize) }
    }

    fn stopped(&self) {
        // SAFETY: no memory is passed.
        let answer = unsafe { libc::waitpid(self.keeper, ptr::null_mut(), libc::__WALL) };
        assert_eq!(answer, self.keeper);
    }

    fn step(&self) {
        assert_eq!(self.ask(libc::PTRACE_SINGLESTEP, 0), 0);
        self.stopped();
    }

    fn is_pending(&self) -> bool {
        self.ask(libc::PTRACE_PEEKDATA, self.pending) != 0
    }

    /// Kills so many instructions after a word has become pending. `false` if it has long ceased to be by then.
    fn kill_after(self, instructions: u32) -> bool {
        while !self.is_pending() {
            self.step();
        }
        let mut over = 0;
        for _ in 0..instructions {
            self.step();
            over = if self.is_pending() { 0 } else { over + 1 };
        }
        self.holder.kill();
        self.stopped();
        assert_eq!(self.holder.end(), -libc::SIGKILL);
        over < 20
    }
}

/// Kills at each instruction of what is done to the word at `place`, while others are held.
fn killed_at_every_instruction(place: usize, task: impl Fn(&Memory, &mut Vec<Hold>)) {
    let before = [OTHER, ALIVE, OTHER + 2];
    let [mut nobody, mut marked] = [0; 2];
    for instructions in 0.. {
        let memory = Memory::new();
        let holder = Process::fork(|| {
            let mut holds = Vec::from(before.map(|place| memory.hold(place)));
            memory.say(SAID);
            memory.hear(SAID + 1);
            task(&memory, &mut holds);
            pause();
        });
        memory.hear(SAID);
        let Some(stepped) = Stepped::seize(holder) else { return };
        memory.say(SAID + 1);
        let goes_on = stepped.kill_after(instructions);
        for other in before.into_iter().filter(|&other| other != place) {
            assert!(died(memory.load(other)), "another word is not marked after {instructions}");
        }
        let word = memory.load(place);
        assert!(!lives(word), "held by nobody after {instructions}");
        if died(word) {
            marked += 1
        } else {
            nobody += 1
        }
        if !goes_on {
            return eprintln!(
                "{instructions} instructions: the word is nobody's {nobody}, marked {marked} times"
            );
        }
    }
}

#[test]
fn killed_at_any_instruction_of_taking_a_holder_leaves_no_word_held() {
    if marks() {
        killed_at_every_instruction(ALIVE + 2, |memory, holds| holds.push(memory.hold(ALIVE + 2)));
    }
}

#[test]
fn killed_at_any_instruction_of_giving_back_a_holder_leaves_no_word_held() {
    if marks() {
        killed_at_every_instruction(ALIVE, |_, holds| drop(holds.remove(1)));
    }
}
