//! Who waits costs nothing: in a process that sleeps for its peer no thread ever runs, nor in one that has nothing to do.

mod support;

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names, Wait,
    host::waiting::Feature,
    inspect::{self, State},
    spsc::Options,
};
use support::{PATIENCE, Peer, told};

/// How long nothing must run.
const WHILE: Duration = Duration::from_secs(2);

fn options() -> Options {
    Options::new().names(Names::in_dir(told("DIR"))).capacity(4096).wait(Wait::default())
}

#[test]
#[ignore = "run as a child process"]
fn child_waits_for_messages() {
    let mut rx = options().receiver(&told("NAME")).unwrap();
    let _ = rx.recv();
}

#[test]
#[ignore = "run as a child process"]
fn child_waits_for_room() {
    let mut tx = options().sender(&told("NAME")).unwrap();
    while tx.try_send(&[7; 100]).is_ok() {}
    let _ = tx.send(&[7; 100]);
}

#[test]
#[ignore = "run as a child process"]
fn child_holds_a_sender() {
    let _tx = options().sender(&told("NAME")).unwrap();
    loop {
        thread::park();
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_holds_a_receiver() {
    let _rx = options().receiver(&told("NAME")).unwrap();
    loop {
        thread::park();
    }
}

/// How often each thread of a process, by its name, was given a processor so far, by what it gave it up for.
fn turns(process: u32) -> Vec<(String, [u64; 2])> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut threads: Vec<_> = threads.map(|thread| turns_of(&thread.unwrap().path())).collect();
    threads.sort();
    threads
}

fn turns_of(thread: &Path) -> (String, [u64; 2]) {
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let is = |key| status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel says it").trim();
    let turns = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    (is("Name:").to_owned(), turns.map(|key| is(key).parse().unwrap()))
}

#[test]
fn processes_that_wait_and_those_that_are_waited_for_never_run() {
    if let Err(why) = Feature::FutexWaitv.try_out() {
        // Then they look now and then whether their peer has died.
        return eprintln!("skipped: no {}: {why}", Feature::FutexWaitv);
    }
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let pairs = [
        ("for messages", "child_holds_a_sender", "child_waits_for_messages"),
        ("for room", "child_waits_for_room", "child_holds_a_receiver"),
        ("for nothing", "child_holds_a_sender", "child_holds_a_receiver"),
    ];
    let start =
        |name, function| Peer::start(Peer::command(function).env("DIR", dir.path()).env("NAME", name));
    let processes: Vec<Peer> = pairs
        .iter()
        .flat_map(|(name, sender, receiver)| [sender, receiver].map(|function| start(name, function)))
        .collect();
    let limit = Instant::now() + PATIENCE;
    let is = |name, [sender, receiver]: [State; 2]| {
        inspect::named(&names, name)
            .is_ok_and(|found| (found.sender.state, found.receiver.state) == (sender, receiver))
    };
    while !is("for messages", [State::Awake, State::Asleep])
        || !is("for room", [State::Asleep, State::Awake])
        || !is("for nothing", [State::Awake, State::Awake])
    {
        assert!(Instant::now() < limit, "they do not come to rest");
        thread::sleep(Duration::from_millis(1));
    }
    // They have said that they sleep, and are about to; those that hold an end are about to have nothing to do.
    thread::sleep(WHILE / 4);
    let all = || processes.iter().map(|process| turns(process.id())).collect::<Vec<_>>();
    let before = all();
    let keeper = |(name, _): &(String, _)| name == "ringway-keeper";
    assert!(before.iter().all(|threads| threads.iter().any(keeper)), "each has a keeper: {before:?}");
    thread::sleep(WHILE);
    assert_eq!(all(), before, "turns of each thread of {pairs:?}");
}
