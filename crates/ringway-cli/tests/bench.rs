//! `ringway bench` as a user meets it.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// One measurement at a time: they would all pin themselves to the same CPUs.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(["bench", "--quick"]);
    command
}

fn json(output: &Output) -> Value {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

fn names<'a>(report: &'a Value, section: &str) -> Vec<&'a str> {
    let rows = report[section].as_array().expect("an array");
    rows.iter().map(|row| row["contender"].as_str().expect("a name")).collect()
}

/// Starts a measurement and waits until it is under way. Returns the id of its second process besides.
fn started() -> (Child, String) {
    let parent = bench().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let child = second_process(&parent);
    sleep(Duration::from_millis(300));
    (parent, child)
}

fn second_process(parent: &Child) -> String {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let child = fs::read_to_string(&children).expect("a kernel that lists children");
        if let Some(child) = child.split_whitespace().next() {
            return child.to_owned();
        }
        sleep(Duration::from_millis(1));
    }
    panic!("no second process");
}

fn kill(process: &str) {
    assert!(Command::new("kill").args(["-KILL", process]).status().unwrap().success());
}

/// Waits until the process is gone or only waits to be reaped.
fn assert_ends(process: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "process {process} lives on");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn json_has_every_contender_beside_its_floor() {
    let _alone = alone();
    let report = json(&bench().arg("--json").output().unwrap());
    let pinned = !report["pinned_cpus"].is_null();
    let hand_overs = names(&report, "hand_overs");
    for contender in ["futex", "ring_park", "ring_sleep", "pipe", "socket"] {
        assert!(hand_overs.contains(&contender), "{contender} in {hand_overs:?}");
    }
    assert_eq!(hand_overs.contains(&"ring_spin"), pinned);
    for row in report["hand_overs"].as_array().unwrap() {
        assert!(row["one_way_ns"]["median"].as_f64().unwrap() > 0.0);
        assert!(row["clocked_one_way_ns"]["round_trips"].as_u64().unwrap() > 0);
        assert_eq!(row["ratio_to_floor"].is_null(), row["contender"] == row["floor"]);
    }
    let streams = names(&report, "streams");
    assert_eq!(streams.len(), if pinned { 4 * 6 } else { 3 * 6 });
    assert!(report["idle"]["cpu_percent"].as_f64().unwrap() < 50.0);
}

#[test]
fn table_goes_to_standard_output_and_words_to_standard_error() {
    let _alone = alone();
    let output = bench().output().unwrap();
    let (table, words) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{words}");
    for expected in ["hand-over", "x floor", "Unix stream socket", "stream", "idle"] {
        assert!(table.contains(expected), "{expected:?} in {table}");
    }
    assert!(words.contains("handing over"), "{words}");
}

#[test]
fn on_one_cpu_what_only_spins_is_left_out() {
    let _alone = alone();
    let mut command = Command::new("taskset");
    command.args(["-c", &first_cpu(), env!("CARGO_BIN_EXE_ringway"), "bench", "--quick", "--json"]);
    let Ok(output) = command.output() else {
        eprintln!("skipped: no taskset here");
        return;
    };
    let report = json(&output);
    assert!(report["pinned_cpus"].is_null());
    assert!(names(&report, "hand_overs").contains(&"ring_park"));
    assert!(!names(&report, "hand_overs").contains(&"ring_spin"));
    assert!(!names(&report, "streams").contains(&"ring_spin"));
}

fn first_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    allowed.trim().split(['-', ',']).next().unwrap().to_owned()
}

#[test]
fn a_killed_child_is_reported_and_fails_the_run() {
    let _alone = alone();
    let (parent, child) = started();
    kill(&child);
    let output = parent.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("the other process ended during the measurement: signal: 9"), "{words}");
}

#[test]
fn a_killed_parent_takes_the_child_with_it() {
    let _alone = alone();
    let (mut parent, child) = started();
    kill(&parent.id().to_string());
    parent.wait().unwrap();
    assert_ends(&child);
}
