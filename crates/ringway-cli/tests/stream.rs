//! `ringway put` and `ringway get` as a user meets them.

mod support;

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use support::{PATIENCE, Place, end, fails, succeeds};

/// Bytes that no run of anything repeats.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ state >> 31).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn a_file_arrives_as_it_was_whichever_side_starts() {
    for len in [0, 1, 7, 131_072, 1 << 20, 30_000_001] {
        let place = Place::new();
        let bytes = noise(len);
        let original = place.file("original", &bytes);
        for get_first in [true, false] {
            let copy = place.path("copy");
            let (put, get) = if get_first {
                let get = place.get(&copy);
                thread::sleep(Duration::from_millis(20));
                (place.put(&original), get)
            } else {
                let put = place.put(&original);
                thread::sleep(Duration::from_millis(20));
                (put, place.get(&copy))
            };
            succeeds(put);
            succeeds(get);
            assert!(fs::read(&copy).unwrap() == bytes, "{len} bytes, get first: {get_first}");
            assert!(!place.has_ring(), "the name is still there");
        }
    }
}

#[test]
fn what_was_put_waits_for_a_get_that_comes_later() {
    for bytes in [&b""[..], b"a", b"short"] {
        let place = Place::new();
        succeeds(place.put(&place.file("original", bytes)));
        assert!(place.has_ring());
        let copy = place.path("copy");
        succeeds(place.get(&copy));
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        assert!(!place.has_ring());
    }
}

#[test]
fn bytes_are_passed_on_as_they_come() {
    let place = Place::new();
    let mut put = place.ringway(&["put", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    let copy = place.path("copy");
    let get = place.get(&copy);
    let mut input = put.stdin.take().unwrap();
    for n in 1..=3 {
        input.write_all(b"line\n").unwrap();
        let limit = Instant::now() + PATIENCE;
        while fs::read(&copy).unwrap_or_default().len() < 5 * n {
            assert!(Instant::now() < limit, "held back");
            thread::sleep(Duration::from_millis(1));
        }
    }
    drop(input);
    succeeds(put);
    succeeds(get);
}

#[test]
fn flags_go_before_or_after_the_name() {
    let place = Place::new();
    for args in [["put", "-q", "--capacity", "64K", "x"], ["put", "x", "--capacity", "65536", "--quiet"]] {
        succeeds(place.ringway(&args).spawn().unwrap());
        succeeds(place.ringway(&["get", "x", "-q"]).spawn().unwrap());
    }
}

#[test]
fn nothing_in_time_is_exit_code_3() {
    let place = Place::new();
    fails(
        place.ringway(&["get", "x", "--timeout", "0.02"]),
        3,
        "x: the time was up after 20ms: the ring is empty",
    );
    let original = place.file("original", &noise(1 << 20));
    let mut put = place.ringway(&["put", "y", "--capacity", "4K", "--timeout", "0.02"]);
    put.stdin(File::open(&original).unwrap());
    fails(put, 3, "y: the time was up after 20ms: the ring is full");
}

#[test]
fn what_makes_no_sense_is_exit_code_2() {
    let place = Place::new();
    for args in [
        &["put"][..],
        &["put", ""],
        &["put", "a/b"],
        &["get", "a\nb"],
        &["put", "x", "--capacity", "1000"],
        &["put", "x", "--capacity", "many"],
        &["get", "x", "--timeout", "-1"],
        &["get", "x", "--timeout", "NaN"],
        &["nonsense"],
    ] {
        fails(place.ringway(args), 2, "");
    }
}

#[test]
fn a_broken_ring_is_exit_code_5() {
    let place = Place::new();
    place.file("ringway.x", &[0; 20000]);
    fails(place.ringway(&["get", "x"]), 5, "not a Ringway segment");
}

#[test]
fn a_directory_that_is_not_there_is_exit_code_7() {
    let place = Place::new();
    let nowhere = ["put", "x", "--dir", "/nonexistent"];
    fails(place.ringway(&nowhere), 7, "/nonexistent/ringway.x");
    fails(place.ringway(&nowhere), 7, "create the directory, or name another one");
}

#[test]
fn a_directory_that_does_not_admit_the_user_is_exit_code_6() {
    let place = Place::new();
    // Not even root may create files here.
    let mut put = place.ringway(&["put", "x", "--dir", "/proc/self"]);
    let output = put.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(1 | 6 | 7)), "{said}");
    assert!(said.contains("/proc/self/ringway.x"), "{said}");
}

#[test]
fn a_second_put_is_refused_while_the_first_lives() {
    let place = Place::new();
    let mut first = place.ringway(&["put", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    let limit = Instant::now() + PATIENCE;
    while !place.has_ring() {
        assert!(Instant::now() < limit);
        thread::sleep(Duration::from_millis(1));
    }
    // The name is there a moment before the role is claimed; the first one has it by the time it is killed.
    thread::sleep(Duration::from_millis(50));
    fails(place.ringway(&["put", "x"]), 1, "has a living sender already");
    first.kill().unwrap();
    first.wait().unwrap();
    succeeds(place.ringway(&["put", "x"]).spawn().unwrap());
}

#[test]
fn what_get_could_not_write_stays_in_the_ring() {
    let place = Place::new();
    let bytes = noise(300_000);
    succeeds(place.put(&place.file("original", &bytes)));
    let mut get = place.ringway(&["get", "x"]);
    get.stdout(File::create("/dev/full").unwrap());
    fails(get, 1, "stays in the ring");
    let copy = place.path("copy");
    succeeds(place.get(&copy));
    assert!(fs::read(&copy).unwrap() == bytes);
}

#[test]
fn put_says_so_when_nobody_receives_any_more() {
    let place = Place::new();
    let mut put = place.ringway(&["put", "x", "--capacity", "4K"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut get = place.ringway(&["get", "x"]);
    get.stdout(File::create("/dev/full").unwrap());
    let get = get.spawn().unwrap();
    let mut input = put.stdin.take().unwrap();
    input.write_all(b"something").unwrap();
    let (status, said) = end(get);
    assert_eq!(status.code(), Some(1), "{said}");
    let _ = input.write_all(b"more");
    drop(input);
    let (status, said) = end(put);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("stopped receiving"), "{said}");
}

#[test]
fn get_is_told_when_put_could_not_read_to_the_end() {
    let place = Place::new();
    let mut put = place.ringway(&["put", "x"]);
    put.stdin(File::open("/").unwrap());
    fails(put, 1, "cannot read standard input");
    fails(place.ringway(&["get", "x"]), 1, "could not read its input");
    assert!(!place.has_ring());
}

#[test]
fn a_put_after_a_get_that_failed_waits_for_the_next_get() {
    let place = Place::new();
    let original = place.file("original", b"first, ");
    succeeds(place.put(&original));
    let mut get = place.ringway(&["get", "x"]);
    get.stdout(File::create("/dev/full").unwrap());
    fails(get, 1, "stays in the ring");
    let original = place.file("original", b"second");
    succeeds(place.put(&original));
    let copy = place.path("copy");
    succeeds(place.get(&copy));
    assert_eq!(fs::read(&copy).unwrap(), b"first, second");
    assert!(!place.has_ring());
}

/// A `put` that has sent `begin` and waits for more input, until it is killed.
fn begin_and_be_killed(place: &Place, sent: impl FnOnce()) {
    let mut put = place.ringway(&["put", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    put.stdin.as_mut().unwrap().write_all(b"begin").unwrap();
    sent();
    put.kill().unwrap();
    put.wait().unwrap();
}

#[test]
fn get_is_told_that_put_was_killed_after_what_it_sent() {
    let place = Place::new();
    let copy = place.path("copy");
    let get = place.get(&copy);
    begin_and_be_killed(&place, || await_content(&copy, b"begin"));
    let (status, said) = end(get);
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("not whole"), "{said}");
    assert_eq!(fs::read(&copy).unwrap(), b"begin");
    assert!(!place.has_ring());
}

#[test]
fn get_is_told_that_put_was_killed_before_it_came() {
    let place = Place::new();
    begin_and_be_killed(&place, || await_messages(&place, 2));
    let copy = place.path("copy");
    let (status, said) = end(place.get(&copy));
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("not whole"), "{said}");
    assert_eq!(fs::read(&copy).unwrap(), b"begin");
}

#[test]
fn get_waits_for_a_slow_put_that_succeeds_to_a_dead_one() {
    let place = Place::new();
    let copy = place.path("copy");
    let mut first = place.get(&copy);
    begin_and_be_killed(&place, || {
        await_content(&copy, b"begin");
        first.kill().unwrap();
    });
    first.wait().unwrap();
    let get = place.get(&copy);
    await_stat(&place, &format!("\"pid\":{},", get.id()));
    let mut put = place.ringway(&["put", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = put.stdin.take().unwrap();
    input.write_all(b"slow").unwrap();
    await_content(&copy, b"slow");
    input.write_all(b" and sure").unwrap();
    drop(input);
    succeeds(put);
    succeeds(get);
    assert_eq!(fs::read(&copy).unwrap(), b"slow and sure");
}

#[test]
fn get_is_told_that_put_gave_up() {
    let place = Place::new();
    let mut put = place.ringway(&["put", "x", "--capacity", "4K", "--timeout", "0"]);
    put.stdin(File::open(place.file("original", &noise(8 << 10))).unwrap());
    fails(put, 3, "the time was up");
    fails(place.ringway(&["get", "x"]), 1, "gave up before its input had ended");
    assert!(!place.has_ring());
}

#[test]
fn get_is_told_that_the_beginning_went_to_another() {
    let place = Place::new();
    succeeds(place.put(&place.file("original", &noise(800_000))));
    // It reads more than it can write, and waits.
    let mut first = place.ringway(&["get", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    first.stdout.as_mut().unwrap().read_exact(&mut [0; 300_000]).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    fails(place.ringway(&["get", "x"]), 1, "the beginning went to another");
    assert!(!place.has_ring());
}

#[test]
fn put_is_told_that_get_was_killed_half_way_and_leaves_nothing() {
    let place = Place::new();
    let put = place.put(&place.file("original", &noise(8 << 20)));
    // It reads more than it can write, and waits.
    let mut get = place.ringway(&["get", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    get.stdout.as_mut().unwrap().read_exact(&mut [0; 1000]).unwrap();
    get.kill().unwrap();
    get.wait().unwrap();
    let (status, said) = end(put);
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains("was killed before it had received everything"), "{said}");
    assert!(!place.has_ring());
}

#[test]
fn get_does_not_take_a_successor_for_the_rest_of_a_killed_put() {
    let place = Place::new();
    begin_and_be_killed(&place, || await_messages(&place, 2));
    let put = place.put(&place.file("original", b"another"));
    let copy = place.path("copy");
    let (status, said) = end(place.get(&copy));
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("not whole"), "{said}");
    assert_eq!(fs::read(&copy).unwrap(), b"begin");
    end(put);
}

/// Waits until so many messages are in the ring.
fn await_messages(place: &Place, pending: u64) {
    await_stat(place, &format!("\"pending_messages\":{pending},"));
}

/// Waits until `stat` says so.
fn await_stat(place: &Place, wanted: &str) {
    let limit = Instant::now() + PATIENCE;
    let stat = || place.ringway(&["stat", "x", "--json"]).stdout(Stdio::piped()).output().unwrap().stdout;
    while !String::from_utf8(stat()).unwrap().replace(' ', "").contains(wanted) {
        assert!(Instant::now() < limit, "no {wanted}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn await_content(path: &Path, content: &[u8]) {
    let limit = Instant::now() + PATIENCE;
    while fs::read(path).unwrap() != content {
        assert!(Instant::now() < limit, "held back");
        thread::sleep(Duration::from_millis(1));
    }
}
