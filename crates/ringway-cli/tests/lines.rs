//! `ringway send` and `ringway recv` as a user meets them.

mod support;

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{PATIENCE, Place, end, fails, succeeds};

/// A `ringway send` of a file's lines.
fn send(place: &Place, from: &Path, args: &[&str]) -> Child {
    let mut send = place.ringway(&["send", "x"]);
    send.args(args).stdin(File::open(from).unwrap()).spawn().unwrap()
}

/// A `ringway recv` into a file.
fn recv(place: &Place, to: &Path, args: &[&str]) -> Child {
    place.ringway(&["recv", "x"]).args(args).stdout(File::create(to).unwrap()).spawn().unwrap()
}

/// A `ringway send` whose input goes on.
fn sending(place: &Place, args: &[&str]) -> (Child, ChildStdin) {
    let mut send = place.ringway(&["send", "x"]).args(args).stdin(Stdio::piped()).spawn().unwrap();
    let input = send.stdin.take().unwrap();
    (send, input)
}

/// What is received until all senders have left; it ends well.
#[track_caller]
fn received(place: &Place, args: &[&str]) -> String {
    let copy = place.path("received");
    succeeds(recv(place, &copy, args));
    fs::read_to_string(&copy).unwrap()
}

/// Numbers, a line each.
fn numbers(from: u32, to: u32) -> String {
    (from..=to).map(|n| format!("{n}\n")).collect()
}

/// Looks until it is so.
fn stat_until(place: &Place, so: impl Fn(&Value) -> bool) -> Value {
    let limit = Instant::now() + PATIENCE;
    loop {
        let found = place.ringway(&["stat", "x", "--json"]).stdout(Stdio::piped()).output().unwrap();
        if let Some(status) = serde_json::from_slice(&found.stdout).ok().filter(&so) {
            return status;
        }
        assert!(Instant::now() < limit, "does not come about: {found:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn await_sent(place: &Place, messages: u64) {
    stat_until(place, |status| status["sent_messages"] == messages);
}

fn await_participants(place: &Place, senders: usize, receivers: usize) {
    stat_until(place, |status| {
        let all = status["queue"]["participants"].as_array();
        let count = |what: &str| all.map(|all| all.iter().filter(|it| it[what] == true).count());
        (count("sends"), count("receives")) == (Some(senders), Some(receivers))
    });
}

fn await_content(path: &Path, content: &str) {
    let limit = Instant::now() + PATIENCE;
    while fs::read(path).unwrap() != content.as_bytes() {
        assert!(Instant::now() < limit, "held back: {:?}", fs::read(path).unwrap());
        thread::sleep(Duration::from_millis(1));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn each_line_is_a_message_whichever_side_starts() {
    let long = "long ".repeat(200) + "\n";
    for (sent, arrives) in [
        ("\n", "\n"),
        ("a line\n", "a line\n"),
        ("without an end", "without an end\n"),
        ("\n\nafter empty ones\n\n", "\n\nafter empty ones\n\n"),
        ("\0and\r\u{fffd}\n", "\0and\r\u{fffd}\n"),
        (&long, &long),
        (&numbers(1, 30_000), &numbers(1, 30_000)),
    ] {
        let place = Place::new();
        let original = place.file("original", sent.as_bytes());
        for recv_first in [true, false] {
            let copy = place.path("copy");
            let (send, recv) = if recv_first {
                let recv = recv(&place, &copy, &[]);
                thread::sleep(Duration::from_millis(20));
                (send(&place, &original, &[]), recv)
            } else {
                let send = send(&place, &original, &[]);
                thread::sleep(Duration::from_millis(20));
                (send, recv(&place, &copy, &[]))
            };
            succeeds(send);
            succeeds(recv);
            assert!(fs::read(&copy).unwrap() == arrives.as_bytes(), "{sent:.20?}, recv first: {recv_first}");
            assert!(!place.has_ring(), "the name is still there");
        }
    }
}

#[test]
fn no_lines_are_no_messages_and_who_waits_for_some_ends() {
    let place = Place::new();
    let copy = place.path("copy");
    let recv = recv(&place, &copy, &[]);
    stat_until(&place, |status| status["queue"]["participants"][0]["awaits_message"] == true);
    succeeds(send(&place, &place.file("original", b""), &[]));
    succeeds(recv);
    assert_eq!(fs::read(&copy).unwrap(), b"");
    assert!(!place.has_ring());
}

#[test]
fn lines_are_passed_on_as_they_come_and_halves_of_them_are_not() {
    let place = Place::new();
    let (send, mut input) = sending(&place, &[]);
    let copy = place.path("copy");
    let recv = recv(&place, &copy, &[]);
    input.write_all(b"one\nt").unwrap();
    await_content(&copy, "one\n");
    input.write_all(b"w").unwrap();
    input.write_all(b"o\nthree\n").unwrap();
    await_content(&copy, "one\ntwo\nthree\n");
    drop(input);
    succeeds(send);
    succeeds(recv);
}

#[test]
fn what_was_sent_waits_and_is_received_in_order_however_many_at_a_time() {
    let place = Place::new();
    succeeds(send(&place, &place.file("original", numbers(1, 500).as_bytes()), &[]));
    assert_eq!(received(&place, &["--count", "1"]), "1\n");
    assert_eq!(received(&place, &["--count", "300"]), numbers(2, 301));
    assert!(place.has_ring());
    assert_eq!(received(&place, &["--count", "1000"]), numbers(302, 500));
    assert!(!place.has_ring());
}

#[test]
fn recv_ends_when_the_last_of_several_senders_has_left() {
    let place = Place::new();
    let (first, mut first_input) = sending(&place, &[]);
    let (second, mut second_input) = sending(&place, &[]);
    first_input.write_all(b"first\n").unwrap();
    await_sent(&place, 1);
    second_input.write_all(b"second\n").unwrap();
    await_sent(&place, 2);
    let copy = place.path("copy");
    let recv = recv(&place, &copy, &[]);
    drop(first_input);
    succeeds(first);
    await_content(&copy, "first\nsecond\n");
    second_input.write_all(b"third\n").unwrap();
    drop(second_input);
    succeeds(second);
    succeeds(recv);
    assert_eq!(fs::read_to_string(&copy).unwrap(), "first\nsecond\nthird\n");
}

#[test]
fn each_line_of_two_senders_comes_to_one_of_three_receivers() {
    let place = Place::new();
    let copies: Vec<_> = (0..3).map(|n| place.path(&format!("copy-{n}"))).collect();
    // All take part before the first line is sent: nobody comes too late, and nobody finds that all have left.
    let receivers: Vec<_> = copies.iter().map(|copy| recv(&place, copy, &[])).collect();
    let mut senders: Vec<_> = (0..2).map(|_| sending(&place, &[])).collect();
    await_participants(&place, 2, 3);
    let halves = [numbers(1, 20_000), numbers(20_001, 40_000)];
    thread::scope(|scope| {
        for ((_, input), half) in senders.iter_mut().zip(&halves) {
            scope.spawn(|| input.write_all(half.as_bytes()).unwrap());
        }
    });
    for (send, input) in senders {
        drop(input);
        succeeds(send);
    }
    receivers.into_iter().for_each(succeeds);
    let mut all = Vec::new();
    for copy in copies {
        let lines: Vec<u32> = fs::read_to_string(copy).unwrap().lines().map(|n| n.parse().unwrap()).collect();
        for half in [1..=20_000u32, 20_001..=40_000] {
            assert!(
                lines.iter().filter(|n| half.contains(*n)).is_sorted(),
                "one sender's lines are in order"
            );
        }
        all.extend(lines);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=40_000), "each of them, once");
    assert!(!place.has_ring());
}

#[test]
fn a_line_that_was_cut_off_by_a_kill_is_none_and_those_before_it_come() {
    let place = Place::new();
    let (first, mut input) = sending(&place, &[]);
    input.write_all(b"whole\nha").unwrap();
    await_sent(&place, 1);
    let copy = place.path("copy");
    let waiting = recv(&place, &copy, &[]);
    await_content(&copy, "whole\n");
    let pid = first.id();
    kill(first);
    let (status, said) = end(waiting);
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains(&format!("the last sender (process {pid}) was killed")), "{said}");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "whole\n");
    assert!(!place.has_ring());

    // And one that comes later is told the same.
    let (second, mut input) = sending(&place, &[]);
    input.write_all(b"again\nha").unwrap();
    await_sent(&place, 1);
    kill(second);
    let (status, said) = end(recv(&place, &copy, &[]));
    assert_eq!(status.code(), Some(4), "{said}");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "again\n");
}

#[test]
fn a_killed_sender_is_not_missed_while_another_sends() {
    let place = Place::new();
    let (killed, mut input) = sending(&place, &[]);
    input.write_all(b"first\n").unwrap();
    await_sent(&place, 1);
    let (other, mut input) = sending(&place, &[]);
    await_participants(&place, 2, 0);
    let copy = place.path("copy");
    let recv = recv(&place, &copy, &[]);
    await_content(&copy, "first\n");
    kill(killed);
    // Until it is buried, it is there.
    await_participants(&place, 1, 1);
    input.write_all(b"second\n").unwrap();
    drop(input);
    succeeds(other);
    succeeds(recv);
    assert_eq!(fs::read_to_string(&copy).unwrap(), "first\nsecond\n");
}

/// A queue with three lines, and what a `ringway recv` of them has written that was killed while it had the first in hand: no pipe
/// takes a whole one.
fn with_a_killed_receiver(place: &Place, args: &[&str]) -> ([String; 3], String) {
    let lines = ["1", "2", "3"].map(|digit| digit.repeat(100_000) + "\n");
    let original = place.file("original", lines.concat().as_bytes());
    succeeds(send(place, &original, &[&["--slots", "4", "--slot-size", "128K"], args].concat()));
    let mut recv = place.ringway(&["recv", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    let status = stat_until(place, |status| status["queue"]["slots"]["holders"][0]["taken"] == 1);
    assert_eq!(status["queue"]["slots"]["holders"][0]["pid"], recv.id());
    let mut output = recv.stdout.take().unwrap();
    kill(recv);
    let mut written = String::new();
    output.read_to_string(&mut written).unwrap();
    (lines, written)
}

#[test]
fn what_a_killed_receiver_had_and_had_not_written_comes_to_another() {
    let place = Place::new();
    let ([first, second, third], written) = with_a_killed_receiver(&place, &[]);
    assert!(first.starts_with(&written) && first != written);
    assert!(received(&place, &[]) == [second, third, first].concat(), "it comes behind all others");
    assert!(!place.has_ring());
}

#[test]
fn what_a_killed_receiver_had_is_lost_and_counted_if_the_queue_was_made_so() {
    let place = Place::new();
    let ([_, second, third], _) = with_a_killed_receiver(&place, &["--at-most-once"]);
    // As long as somebody takes part, there is something to be looked at.
    let (sender, input) = sending(&place, &[]);
    await_participants(&place, 1, 0);
    assert_eq!(stat_until(&place, |_| true)["queue"]["lost_messages"], 1);
    let copy = place.path("copy");
    let recv = recv(&place, &copy, &[]);
    drop(input);
    succeeds(sender);
    succeeds(recv);
    assert!(fs::read_to_string(&copy).unwrap() == [second, third].concat());
}

#[test]
fn what_recv_could_not_write_stays_in_the_queue() {
    let place = Place::new();
    succeeds(send(&place, &place.file("original", numbers(1, 100).as_bytes()), &[]));
    let mut recv = place.ringway(&["recv", "x"]);
    recv.stdout(File::create("/dev/full").unwrap());
    fails(recv, 1, "stays in the queue");
    assert_eq!(received(&place, &[]), numbers(1, 100));
}

#[test]
fn of_what_was_written_in_part_only_the_rest_stays_in_the_queue() {
    let place = Place::new();
    let [first, second, third] =
        [("1", 30_000), ("2", 35_535), ("3", 1)].map(|(digit, len)| digit.repeat(len) + "\n");
    let original = place.file("original", [first, second.clone(), third.clone()].concat().as_bytes());
    succeeds(send(&place, &original, &["--slot-size", "64K"]));
    // All three are written at once. A pipe takes all of the first, and all but the end of the second; then nobody reads any more.
    let mut recv = place.ringway(&["recv", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = recv.stdout.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    drop(output);
    let (status, said) = end(recv);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("stays in the queue"), "{said}");
    assert!(received(&place, &[]) == [second, third].concat());
}

#[test]
fn nothing_in_time_is_exit_code_3_and_something_is_0() {
    let place = Place::new();
    let mut nothing = place.ringway(&["recv", "x", "--timeout", "0.02"]);
    nothing.stdout(Stdio::null());
    fails(nothing, 3, "x: the time was up after 20ms: the queue is empty");
    let (sender, mut input) = sending(&place, &[]);
    input.write_all(b"something\n").unwrap();
    await_sent(&place, 1);
    assert_eq!(received(&place, &["--timeout", "0.02", "--count", "2"]), "something\n");
    drop(input);
    succeeds(sender);

    let original = place.file("original", numbers(1, 100).as_bytes());
    let mut full = place.ringway(&["send", "y", "--slots", "64", "--slot-size", "64", "--timeout", "0.02"]);
    full.stdin(File::open(&original).unwrap());
    fails(full, 3, "y: the time was up after 20ms: the queue is full");
    let mut full = place.ringway(&["send", "y", "--timeout", "0.02"]);
    full.stdin(File::open(&original).unwrap());
    fails(full, 3, "line 1 and what follows it was not sent");
}

#[test]
fn who_stays_outlasts_those_who_leave() {
    let place = Place::new();
    let copy = place.path("copy");
    let worker = recv(&place, &copy, &["--stay", "--count", "3"]);
    for (line, all) in [("one\n", "one\n"), ("two\n", "one\ntwo\n")] {
        succeeds(send(&place, &place.file("original", line.as_bytes()), &[]));
        await_content(&copy, all);
    }
    let (killed, mut input) = sending(&place, &[]);
    input.write_all(b"three\n").unwrap();
    succeeds(worker);
    kill(killed);
    assert_eq!(fs::read_to_string(&copy).unwrap(), "one\ntwo\nthree\n");
}

#[test]
fn send_says_which_line_was_not_sent_when_all_receivers_have_left() {
    for stays in [false, true] {
        let place = Place::new();
        let (sender, mut input) = sending(&place, if stays { &["--stay"] } else { &[] });
        input.write_all(b"one\n").unwrap();
        assert_eq!(received(&place, &["--count", "1"]), "one\n");
        input.write_all(b"two\n").unwrap();
        drop(input);
        if stays {
            succeeds(sender);
            assert_eq!(received(&place, &[]), "two\n");
        } else {
            let (status, said) = end(sender);
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains("all receivers have left") && said.contains("line 2 and"), "{said}");
        }
    }
}

#[test]
fn a_line_that_no_slot_holds_is_named_and_those_before_it_are_sent() {
    let place = Place::new();
    for (lines, end) in
        [("fits\ntoo long", ""), ("fits\ntoo long", "\nafter\n"), ("fits\n", &*"x".repeat(200_000))]
    {
        let mut send = place.ringway(&["send", "x", "--slot-size", "7"]);
        send.stdin(File::open(place.file("original", (lines.to_owned() + end).as_bytes())).unwrap());
        fails(send, 1, "line 2 is longer than the 7 bytes that the queue carries");
        assert_eq!(received(&place, &[]), "fits\n");
    }
    // It is said before the line has ended: there may be no end.
    let (send, mut input) = sending(&place, &["--slot-size", "7"]);
    input.write_all(b"too long").unwrap();
    let (status, said) = end(send);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("line 1 is longer"), "{said}");
    // What fits exactly does, whoever made the queue.
    let original = place.file("original", b"1234567");
    let mut send = place.ringway(&["send", "x", "--slot-size", "7"]);
    succeeds(send.stdin(File::open(original).unwrap()).spawn().unwrap());
    fails(place.ringway(&["recv", "x", "--slot-size", "8"]), 1, "for up to 8 bytes were asked for");
    assert_eq!(received(&place, &[]), "1234567\n");
}

#[test]
fn a_queue_that_is_overwritten_has_the_last_lines_and_counts_the_others() {
    let place = Place::new();
    let (sender, mut input) = sending(&place, &["--overwrite", "--slots", "64", "--slot-size", "64"]);
    input.write_all(numbers(1, 1000).as_bytes()).unwrap();
    let status = stat_until(&place, |status| status["sent_messages"] == 1000);
    let kept = status["pending_messages"].as_u64().unwrap() as u32;
    assert_eq!(status["queue"]["lost_messages"], 1000 - kept);
    drop(input);
    succeeds(sender);
    assert_eq!(received(&place, &["--overwrite"]), numbers(1001 - kept, 1000));
    succeeds(send(&place, &place.file("original", b"first\n"), &[]));
    fails(place.ringway(&["recv", "x", "--overwrite"]), 1, "no overwriting, but overwriting was asked for");
}

#[test]
fn what_makes_no_sense_is_exit_code_2() {
    let place = Place::new();
    for args in [
        &["send"][..],
        &["recv", ""],
        &["send", "a/b"],
        &["recv", "x", "--count", "0"],
        &["recv", "x", "--count", "-1"],
        &["recv", "x", "--timeout", "NaN"],
        &["send", "x", "--slots", "0"],
        &["send", "x", "--slots", "65537"],
        &["send", "x", "--slot-size", "2G"],
    ] {
        fails(place.ringway(args), 2, "");
    }
}

#[test]
fn a_name_of_something_else_is_refused_by_what_it_is() {
    let place = Place::new();
    succeeds(place.put(&place.file("original", b"bytes")));
    for command in ["send", "recv"] {
        fails(place.ringway(&[command, "x"]), 1, "is a byte ring (spsc), but a queue (mpmc) was asked for");
    }
    succeeds(place.get(&place.path("copy")));
    succeeds(send(&place, &place.file("original", b"a line"), &[]));
    for command in ["put", "get"] {
        fails(place.ringway(&[command, "x"]), 1, "is a queue (mpmc), but a byte ring (spsc) was asked for");
    }
    place.file("ringway.y", &[0; 20000]);
    fails(place.ringway(&["recv", "y"]), 5, "not a Ringway segment");
}
