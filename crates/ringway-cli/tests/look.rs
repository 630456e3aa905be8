//! `ringway ls` and `ringway stat` as a user meets them.

mod support;

use std::{
    fs::{self, File},
    io::Write,
    os::unix::{
        fs::{FileExt, PermissionsExt},
        process::CommandExt,
    },
    process::{Child, ChildStdin, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names,
    layout::{self, CONTROL_LEN, queue::Parts},
    mpmc, spsc,
};
use serde_json::Value;
use support::{PATIENCE, Place, end, fails, succeeds};

const HEADER: usize = 4096;

fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).output().unwrap()
}

/// What it prints, and what it says; it ends well.
#[track_caller]
fn prints(command: &mut Command) -> (String, String) {
    let output = output(command);
    let (printed, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{}: {said}", output.status);
    (printed, said)
}

/// What `stat --json` prints, and nothing else.
#[track_caller]
fn stat(place: &Place, name: &str) -> Value {
    let (printed, said) = prints(&mut place.ringway(&["stat", name, "--json"]));
    assert_eq!(said, "");
    serde_json::from_str(&printed).expect("one JSON document")
}

/// Looks until it is so.
fn stat_until(place: &Place, name: &str, so: impl Fn(&Value) -> bool) -> Value {
    let limit = Instant::now() + PATIENCE;
    loop {
        let found = output(&mut place.ringway(&["stat", name, "--json"]));
        if let Some(status) = serde_json::from_slice(&found.stdout).ok().filter(&so) {
            return status;
        }
        assert!(Instant::now() < limit, "does not come about: {found:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn options(place: &Place) -> spsc::Options {
    spsc::Options::new().names(Names::in_dir(place.path(""))).capacity(1 << 16)
}

/// A `ringway put` that has sent `bytes` and has not come to its end.
fn putting(place: &Place, bytes: &[u8]) -> (Child, ChildStdin) {
    let mut put = place.ringway(&["put", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = put.stdin.take().unwrap();
    input.write_all(bytes).unwrap();
    // A mark of 8 bytes, and a message.
    let sent = (8 + 8 + bytes.len().next_multiple_of(8)) as u64;
    stat_until(place, "x", |status| status["sender"]["position_bytes"] == sent);
    (put, input)
}

fn lines(printed: &str) -> Vec<String> {
    // As cells, whatever the space between them.
    printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn nothing_is_printed_where_there_is_nothing() {
    let place = Place::new();
    place.file("other", b"not of ours");
    assert_eq!(prints(&mut place.ringway(&["ls"])), (String::new(), String::new()));
    let (printed, said) = prints(&mut place.ringway(&["ls", "--json"]));
    assert_eq!(
        (serde_json::from_str(&printed).unwrap(), said.as_str()),
        (serde_json::json!({"rings": []}), "")
    );
}

#[test]
fn each_ring_has_a_line_in_order_of_the_names() {
    let place = Place::new();
    let mut first = options(&place).sender("b").unwrap();
    first.send(&[0; 100]).unwrap();
    let _second = options(&place).capacity(4096).receiver("a long name").unwrap();
    let (printed, said) = prints(&mut place.ringway(&["ls"]));
    assert_eq!(said, "");
    let pid = std::process::id();
    assert_eq!(
        lines(&printed),
        [
            format!("a long name 4 KiB pending 0 B sender never came receiver {pid} awake"),
            format!("b 64 KiB pending 112 B in 1 message sender {pid} awake receiver never came"),
        ]
    );
    let column = |line: &str| line.find("receiver").unwrap();
    assert!(printed.lines().all(|line| column(line) == column(printed.lines().next().unwrap())), "{printed}");

    let (printed, _) = prints(&mut place.ringway(&["ls", "--json"]));
    let all: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(all["rings"].as_array().unwrap().len(), 2);
    assert_eq!(all["rings"][1], stat(&place, "b"));
}

#[test]
fn the_directory_may_be_said_for_each_command() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let _tx = options(&elsewhere).sender("x").unwrap();
    let dir = elsewhere.path("").display().to_string();
    assert_eq!(lines(&prints(&mut place.ringway(&["ls", "--dir", &dir])).0).len(), 1);
    prints(&mut place.ringway(&["stat", "x", "--dir", &dir]));
    fails(place.ringway(&["stat", "x"]), 7, "ringway.x");
}

#[test]
fn stat_says_all_there_is_to_know_with_units() {
    let place = Place::new();
    let (put, input) = putting(&place, b"hello");
    let size = layout::shape(1 << 20, false).total().unwrap();
    let nobody = serde_json::json!({
        "state": "never_came", "held": false, "pid": null,
        "position_bytes": 0, "sleeps": 0, "rings": 0, "processor": null,
    });
    let mut status = stat(&place, "x");
    assert!(status["layout_version"].take().is_u64());
    assert_eq!(
        status,
        serde_json::json!({
            "name": "x", "path": place.path("ringway.x"), "kind": "spsc", "layout_version": null,
            "never_sleeps": false, "capacity_bytes": 1 << 20, "size_bytes": size, "allocated_bytes": size,
            "pending_bytes": 24, "pending_messages": 2, "sent_messages": 2, "closed": false, "attached": true,
            "sender": {
                "state": "awake", "held": true, "pid": put.id(),
                "position_bytes": 24, "sleeps": 0, "rings": 0, "processor": null,
            },
            "receiver": nobody, "queue": null,
        })
    );
    let (printed, _) = prints(&mut place.ringway(&["stat", "x"]));
    let sender = format!("sender process {}, awake; position 24, slept 0 times, rang 0 times", put.id());
    for line in [
        "ring x",
        "capacity 1 MiB",
        "pending 24 B in 2 messages",
        "sent 2 messages",
        &sender,
        "receiver never came",
    ] {
        assert!(lines(&printed).iter().any(|printed| printed == line), "{line} in\n{printed}");
    }
    drop(input);
    succeeds(put);
}

#[test]
fn one_who_waits_is_asleep_and_is_counted_when_woken() {
    let place = Place::new();
    // Not longer than the test.
    let get = place.ringway(&["get", "x", "--timeout", "60"]).spawn().unwrap();
    let status = stat_until(&place, "x", |status| status["receiver"]["state"] == "asleep");
    assert_eq!(status["receiver"]["held"], true);
    assert_eq!(status["receiver"]["pid"], get.id());
    assert!(status["receiver"]["processor"].is_u64(), "{status}");
    let (put, input) = putting(&place, b"hello");
    let status = stat_until(&place, "x", |status| status["pending_bytes"] == 0);
    assert!(
        status["sender"]["rings"].as_u64() >= Some(1) && status["receiver"]["sleeps"].as_u64() >= Some(1)
    );
    drop(input);
    succeeds(put);
    succeeds(get);
}

#[test]
fn a_killed_sender_is_dead_to_those_who_look() {
    let place = Place::new();
    let (mut put, _input) = putting(&place, b"hello");
    put.kill().unwrap();
    put.wait().unwrap();
    let status = stat(&place, "x");
    assert_eq!((&status["sender"]["state"], &status["sender"]["held"]), (&"dead".into(), &false.into()));
    assert_eq!((&status["sender"]["pid"], &status["closed"]), (&put.id().into(), &false.into()));
    assert_eq!(status["pending_bytes"], 24);
    let (printed, _) = prints(&mut place.ringway(&["ls"]));
    let line = format!(
        "x 1 MiB pending 24 B in 2 messages sender {} dead receiver never came nobody attached",
        put.id()
    );
    assert_eq!(lines(&printed), [line]);
}

#[test]
fn one_who_left_in_good_order_has_left_and_its_ring_is_closed() {
    let place = Place::new();
    succeeds(place.put(&place.file("original", b"hello")));
    let status = stat(&place, "x");
    assert_eq!((&status["sender"]["state"], &status["sender"]["pid"]), (&"left".into(), &Value::Null));
    assert_eq!(status["closed"], true);
    assert!(prints(&mut place.ringway(&["stat", "x"])).0.contains("closed by the sender"));
    let _tx = options(&place).sender("x").unwrap();
    let status = stat(&place, "x");
    assert_eq!((&status["sender"]["state"], &status["closed"]), (&"awake".into(), &false.into()));
}

#[test]
fn looking_changes_nothing_and_keeps_no_name() {
    let place = Place::new();
    succeeds(place.put(&place.file("original", b"hello")));
    let ring = place.path("ringway.x");
    let (before, changed) = (fs::read(&ring).unwrap(), ring.metadata().unwrap().modified().unwrap());
    prints(&mut place.ringway(&["stat", "x"]));
    prints(&mut place.ringway(&["ls"]));
    assert!(fs::read(&ring).unwrap() == before && ring.metadata().unwrap().modified().unwrap() == changed);
    // And whatever takes place meanwhile goes on.
    let looking = thread::spawn({
        let ls: Vec<_> = (0..20).map(|_| place.ringway(&["ls"])).collect();
        move || ls.into_iter().for_each(|mut ls| drop(prints(&mut ls)))
    });
    let copy = place.path("copy");
    succeeds(place.get(&copy));
    looking.join().unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"hello");
    assert!(!place.has_ring(), "the name is still there");
}

#[test]
fn what_is_no_ring_is_passed_over_with_a_word() {
    let place = Place::new();
    let _tx = options(&place).sender("good").unwrap();
    place.file("ringway.junk", b"junk");
    place.file("ringway.zeros", &[0; 20_000]);
    let good = fs::read(place.path("ringway.good")).unwrap();
    place.file("ringway.short", &good[..good.len() - 1]);
    let mut damaged = good.clone();
    damaged[0] = b'X';
    place.file("ringway.damaged", &damaged);
    let mut other = good;
    other[16] = 99;
    place.file("ringway.kind", &other);
    fs::create_dir(place.path("ringway.directory")).unwrap();
    std::os::unix::fs::symlink(place.path("ringway.good"), place.path("ringway.link")).unwrap();

    let (printed, said) = prints(&mut place.ringway(&["ls"]));
    assert_eq!(lines(&printed).len(), 1, "{printed}");
    for name in ["junk", "zeros", "short", "damaged", "kind"] {
        let words = format!("ringway.{name}: ");
        assert_eq!(said.lines().filter(|line| line.contains(&words)).count(), 1, "{name} in {said}");
    }
    assert_eq!(said.lines().count(), 5, "{said}");
    for name in ["junk", "zeros", "short", "damaged"] {
        fails(place.ringway(&["stat", name]), 5, name);
    }
    fails(place.ringway(&["stat", "kind"]), 1, "kind 99");
    fails(place.ringway(&["stat", "link"]), 1, "symbolic link");
}

#[test]
fn what_may_not_be_read_is_passed_over_with_a_word() {
    let place = Place::new();
    let _tx = options(&place).sender("x").unwrap();
    fs::set_permissions(place.path("ringway.x"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    // Nobody in particular, if we are root, whom nothing keeps from reading.
    let as_other = |args: &[&str]| {
        let mut command = place.ringway(args);
        if File::open(place.path("ringway.x")).is_ok() {
            command.uid(65534).gid(65534);
        }
        command
    };
    if let Err(error) = as_other(&["--version"]).output() {
        eprintln!("skipped: another user cannot run the command: {error}");
        return;
    }
    let (printed, said) = prints(&mut as_other(&["ls"]));
    assert_eq!(printed, "");
    assert!(said.contains("ringway.x: not permitted"), "{said}");
    fails(as_other(&["stat", "x"]), 6, "not permitted");
}

#[test]
fn a_ring_of_another_user_may_be_looked_at() {
    let place = Place::new();
    let _tx = options(&place).sender("x").unwrap();
    fs::set_permissions(place.path("ringway.x"), fs::Permissions::from_mode(0o644)).unwrap();
    if std::os::unix::fs::chown(place.path("ringway.x"), Some(65534), None).is_err() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    assert_eq!(stat(&place, "x")["sender"]["held"], true);
}

#[test]
fn whatever_the_words_hold_the_answer_is_sane() {
    let place = Place::new();
    let tx = options(&place).sender("x").unwrap();
    let ring = File::options().write(true).open(tx.path().unwrap()).unwrap();
    let mut state = 1u64;
    for round in 0..60 {
        let mut words = vec![0xff; CONTROL_LEN + (1 << 16)];
        if round > 0 {
            for byte in &mut words {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
        }
        ring.write_all_at(&words, HEADER as u64).unwrap();
        let status = stat(&place, "x");
        let pending = status["pending_bytes"].as_u64();
        assert!(pending.is_none_or(|pending| pending <= 1 << 16), "{status}");
        assert_eq!((&status["sender"]["held"], &status["receiver"]["held"]), (&true.into(), &false.into()));
        prints(&mut place.ringway(&["stat", "x"]));
        prints(&mut place.ringway(&["ls"]));
    }
}

fn queue(place: &Place) -> mpmc::Options {
    mpmc::Options::new().slots(64).slot_size(64).names(Names::in_dir(place.path("")))
}

#[test]
fn stat_says_who_has_a_queue_s_slots_and_who_waits() {
    let place = Place::new();
    let tx = queue(&place).sender("x").unwrap();
    let recv = place.ringway(&["recv", "x", "--count", "1", "--timeout", "60"]).spawn().unwrap();
    let mut status =
        stat_until(&place, "x", |status| status["queue"]["participants"][1]["awaits_message"] == true);
    let pid = std::process::id();
    let size = layout::queue::queue(64, 64, 0).total().unwrap();
    assert!(status["layout_version"].take().is_u64());
    let none = |state: &str, held: u32| {
        serde_json::json!({
            "state": state, "held": true, "pid": held,
            "position_bytes": null, "sleeps": null, "rings": null, "processor": null,
        })
    };
    assert_eq!(
        status,
        serde_json::json!({
            "name": "x", "path": place.path("ringway.x"), "kind": "mpmc", "layout_version": null,
            "never_sleeps": false, "capacity_bytes": 4096, "size_bytes": size, "allocated_bytes": size,
            "pending_bytes": 0, "pending_messages": 0, "sent_messages": 0, "closed": false, "attached": true,
            "sender": none("awake", pid), "receiver": none("asleep", recv.id()),
            "queue": {
                "slot_count": 64, "slot_size_bytes": 64, "redelivery": "at_least_once", "overwrites": false,
                "sole_sender": false, "sole_receiver": false, "lost_messages": 0,
                "slots": {"free": 64, "queued": 0, "holders": []},
                "participants": [
                    {"line": 0, "pid": pid, "alive": true, "sends": true, "receives": false,
                     "awaits_message": false, "awaits_slot": false},
                    {"line": 1, "pid": recv.id(), "alive": true, "sends": false, "receives": true,
                     "awaits_message": true, "awaits_slot": false},
                ],
            },
        })
    );
    tx.send(b"for it").unwrap();
    succeeds(recv);

    let rx = queue(&place).receiver("x").unwrap();
    (0..3).for_each(|_| tx.send(b"hello").unwrap());
    let message = rx.recv().unwrap();
    let loans = [tx.loan(1).unwrap(), tx.loan(1).unwrap()];
    let status = stat(&place, "x");
    assert_eq!(
        status["queue"]["slots"],
        serde_json::json!({"free": 59, "queued": 2, "holders": [
            {"line": 0, "pid": pid, "loans": 2, "taken": 0, "returning": 0},
            {"line": 1, "pid": pid, "loans": 0, "taken": 1, "returning": 0},
        ]})
    );
    assert_eq!((&status["pending_messages"], &status["sent_messages"]), (&2.into(), &4.into()));
    let (printed, _) = prints(&mut place.ringway(&["stat", "x"]));
    for line in [
        "queue x",
        "pending 2 of 64 slots",
        "sent 4 messages",
        "slots 64 of 64 B: 59 free, 2 filled, 3 in somebody's hands",
        "when full senders wait",
        "on death what a receiver had comes to another one",
        &format!("line 0 process {pid}, sends, 2 slots being filled"),
        &format!("line 1 process {pid}, receives, 1 slot being read"),
    ] {
        assert!(lines(&printed).iter().any(|printed| printed == line), "{line} in\n{printed}");
    }
    let (printed, _) = prints(&mut place.ringway(&["ls"]));
    assert_eq!(
        lines(&printed),
        [format!("x 4 KiB pending 2 of 64 slots sender {pid} awake receiver {pid} awake")]
    );
    drop((message, loans));
    drop((tx, rx));
    let (printed, _) = prints(&mut place.ringway(&["stat", "x"]));
    for line in ["pending 2 of 64 slots; closed by all senders", "senders left", "receivers left"] {
        assert!(lines(&printed).iter().any(|printed| printed == line), "{line} in\n{printed}");
    }
}

#[test]
fn what_a_killed_receiver_has_in_hand_is_seen_and_is_pending() {
    let place = Place::new();
    let queue = queue(&place).slots(4).slot_size(1 << 17);
    let tx = queue.sender("x").unwrap();
    (0..4).for_each(|_| tx.send(&[b'x'; 100_000]).unwrap());
    // No pipe takes a whole message.
    let mut recv = place.ringway(&["recv", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    stat_until(&place, "x", |status| status["queue"]["slots"]["holders"][0]["taken"] == 1);
    recv.kill().unwrap();
    recv.wait().unwrap();
    let status = stat(&place, "x");
    let dead = serde_json::json!({
        "line": 1, "pid": recv.id(), "alive": false, "sends": false, "receives": true,
        "awaits_message": false, "awaits_slot": false,
    });
    assert_eq!(status["queue"]["participants"][1], dead);
    assert_eq!((&status["receiver"]["state"], &status["pending_messages"]), (&"dead".into(), &4.into()));
    let holder = &status["queue"]["slots"]["holders"][0];
    assert_eq!((&holder["pid"], &holder["taken"]), (&recv.id().into(), &1.into()));
    let (printed, _) = prints(&mut place.ringway(&["stat", "x"]));
    let line = format!("line 1 process {}, dead, receives, 1 slot being read", recv.id());
    assert!(lines(&printed).contains(&line), "{printed}");
    // Whoever takes part next takes it back.
    let _rx = queue.receiver("x").unwrap();
    let status = stat(&place, "x");
    assert_eq!(status["queue"]["slots"], serde_json::json!({"free": 0, "queued": 4, "holders": []}));
    assert_eq!(status["queue"]["participants"].as_array().unwrap().len(), 2);
}

#[test]
fn looking_at_a_queue_changes_nothing() {
    let place = Place::new();
    let tx = queue(&place).sender("x").unwrap();
    tx.send(b"hello").unwrap();
    let file = place.path("ringway.x");
    let (before, changed) = (fs::read(&file).unwrap(), file.metadata().unwrap().modified().unwrap());
    prints(&mut place.ringway(&["stat", "x"]));
    prints(&mut place.ringway(&["ls"]));
    assert!(fs::read(&file).unwrap() == before && file.metadata().unwrap().modified().unwrap() == changed);
}

#[test]
fn whatever_a_queue_s_words_hold_the_answer_is_sane() {
    let place = Place::new();
    let tx = queue(&place).sender("x").unwrap();
    let file = File::options().write(true).open(tx.path().unwrap()).unwrap();
    let mut state = 1u64;
    for round in 0..30 {
        let mut words = vec![0xff; Parts::of(64).len + 4096];
        if round > 0 {
            for byte in &mut words {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
        }
        file.write_all_at(&words, HEADER as u64).unwrap();
        let status = stat(&place, "x");
        let slots = &status["queue"]["slots"];
        let held: u64 = slots["holders"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                ["loans", "taken", "returning"].map(|what| it[what].as_u64().unwrap()).iter().sum::<u64>()
            })
            .sum();
        assert_eq!(
            slots["free"].as_u64().unwrap() + slots["queued"].as_u64().unwrap() + held,
            64,
            "{status}"
        );
        assert!(status["pending_messages"].as_u64().unwrap() <= 64, "{status}");
        prints(&mut place.ringway(&["stat", "x"]));
        prints(&mut place.ringway(&["ls"]));
    }
}

#[test]
fn failures_have_their_codes() {
    let place = Place::new();
    fails(place.ringway(&["stat", "x"]), 7, "no such segment");
    fails(place.ringway(&["stat", "a/b"]), 2, "slash");
    fails(place.ringway(&["stat"]), 2, "NAME");
    let nowhere = place.path("nowhere").display().to_string();
    fails(place.ringway(&["ls", "--dir", &nowhere]), 7, "create the directory, or name another one");
    let _tx = options(&place).sender("x").unwrap();
    for command in ["ls", "stat"] {
        let mut command = place.ringway(&[command]);
        if command.get_args().next().unwrap() == "stat" {
            command.arg("x");
        }
        command.stdout(File::create("/dev/full").unwrap());
        let (status, said) = end(command.spawn().unwrap());
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("standard output"), "{said}");
    }
}
