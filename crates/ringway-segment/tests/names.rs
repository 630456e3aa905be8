//! Meeting under a name, and leaving nothing behind.
#![allow(unsafe_code)]

mod common;

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{KIND, Running, await_line, is_child, names, program, say, shape, word};
use ringway_segment::{Names, OpenError, Role, Segment, Shape};

/// What a creator writes before anybody else may see the segment.
const WHOLE: u64 = 0x3A11_0F17;

fn fill(segment: &Segment) {
    for index in 1..1024 {
        word(segment, index).store(WHOLE, SeqCst);
    }
}

fn assert_whole(segment: &Segment) {
    assert_eq!(segment.shape(), shape());
    assert!((1..1024).all(|index| word(segment, index).load(SeqCst) == WHOLE), "seen half-made");
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn who_comes_second_joins_the_first() {
    let (_directory, names) = names();
    let (first, created) = names.open_or_create("x", &shape(), fill).unwrap();
    assert!(created);
    let (second, created) = names.open_or_create("x", &shape(), |_| panic!("there is one")).unwrap();
    assert!(!created);
    assert_whole(&second);
    word(&first, 0).store(5, SeqCst);
    assert_eq!(word(&names.open("x", Some(KIND)).unwrap(), 0).load(SeqCst), 5);
    assert_eq!(second.path(), Some(names.path_of("x").unwrap().as_path()));
}

#[test]
fn who_joins_takes_the_capacity_that_is_there() {
    let (_directory, names) = names();
    let _first = names.open_or_create("x", &shape(), fill).unwrap();
    let larger = Shape { capacity: 1 << 20, ..shape() };
    let (second, _) = names.open_or_create("x", &larger, |_| {}).unwrap();
    assert_eq!(second.shape(), shape());
}

#[test]
fn a_segment_is_its_owners_only_and_all_reserved() {
    let (_directory, names) = names();
    let (segment, _) = names.open_or_create("x", &shape(), fill).unwrap();
    let found = fs::metadata(segment.path().unwrap()).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
    assert_eq!(found.len(), shape().total().unwrap());
    assert!(found.blocks() * 512 >= found.len());
}

#[test]
fn what_was_punched_out_is_reserved_again_by_who_opens() {
    let (_directory, names) = names();
    let (segment, _) = names.open_or_create("x", &shape(), fill).unwrap();
    let file = OpenOptions::new().write(true).open(segment.path().unwrap()).unwrap();
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let (from, len) = (12288, 1 << 16);
    drop(segment);
    // SAFETY: plain numbers; the file is open.
    assert_eq!(unsafe { libc::fallocate(file.as_raw_fd(), mode, from, len) }, 0);
    assert!(file.metadata().unwrap().blocks() * 512 < shape().total().unwrap());
    let _again = names.open("x", None).unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 >= shape().total().unwrap());
}

#[test]
fn threads_that_race_for_a_name_end_in_one_whole_segment() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 150;
    let (directory, names) = names();
    let barrier = Barrier::new(THREADS);
    let created: usize = std::thread::scope(|scope| {
        let race = || {
            let mut created = 0;
            for _ in 0..ROUNDS {
                barrier.wait();
                let (segment, first) = names.open_or_create("x", &shape(), fill).unwrap();
                assert_whole(&segment);
                word(&segment, 0).fetch_add(1, SeqCst);
                created += usize::from(first);
                barrier.wait();
                assert_eq!(word(&segment, 0).load(SeqCst), THREADS as u64, "all are in the same memory");
                barrier.wait();
                segment.leave(|_| true);
            }
            created
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(race)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(created >= ROUNDS, "{created}");
    assert_eq!(files(directory.path()), Vec::<String>::new(), "the last one out removed it");
}

#[test]
fn processes_that_come_and_go_never_meet_a_half_made_segment_and_leave_nothing() {
    let (directory, names) = names();
    let mut child = Running::start(program("child_comes_and_goes").env("RINGWAY_TEST_DIR", directory.path()));
    assert_eq!(child.hear(), "ready");
    child.tell();
    come_and_go(&names);
    child.finish();
    assert_eq!(files(directory.path()), Vec::<String>::new());
}

fn come_and_go(names: &Names) {
    for _ in 0..1000 {
        let (segment, _) = names.open_or_create("x", &shape(), fill).unwrap();
        assert_whole(&segment);
        let place = fs::metadata(segment.path().unwrap()).expect("the name stays while somebody is attached");
        word(&segment, 0).compare_exchange(0, place.ino(), SeqCst, SeqCst).ok();
        assert_eq!(word(&segment, 0).load(SeqCst), place.ino(), "and means the same file");
        segment.leave(|_| true);
    }
}

#[test]
#[ignore = "run by another test"]
fn child_comes_and_goes() {
    if is_child() {
        say("ready");
        await_line();
        come_and_go(&Names::in_dir(std::env::var_os("RINGWAY_TEST_DIR").unwrap()));
    }
}

#[test]
fn a_creator_killed_at_any_moment_leaves_nothing_or_a_whole_segment() {
    let (directory, names) = names();
    for round in 0..30 {
        let mut child =
            Running::start(program("child_comes_and_goes").env("RINGWAY_TEST_DIR", directory.path()));
        assert_eq!(child.hear(), "ready");
        child.tell();
        // Somewhere in its thousand rounds.
        std::thread::sleep(Duration::from_micros(round * 100));
        child.kill();
        match names.open("x", Some(KIND)) {
            Ok(segment) => {
                assert_whole(&segment);
                segment.leave(|_| true);
            }
            Err(OpenError::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(files(directory.path()), Vec::<String>::new());
    }
}

#[test]
fn the_last_one_out_removes_the_name_only_if_finished() {
    let (_directory, names) = names();
    let path = names.path_of("x").unwrap();
    let (first, _) = names.open_or_create("x", &shape(), fill).unwrap();
    let second = names.open("x", None).unwrap();
    first.leave(|_| panic!("somebody is still there"));
    assert!(path.exists());
    second.leave(|_| false);
    assert!(path.exists());
    let (third, created) = names.open_or_create("x", &shape(), fill).unwrap();
    assert!(!created);
    third.leave(|segment| word(segment, 1).load(SeqCst) == WHOLE);
    assert!(!path.exists());
}

#[test]
fn who_joined_and_leaves_does_not_remove_the_name_from_under_its_creator() {
    let (_directory, names) = names();
    let (first, _) = names.open_or_create("x", &shape(), fill).unwrap();
    names.open("x", None).unwrap().leave(|_| panic!("its creator is still there"));
    assert!(first.path().unwrap().exists());
}

#[test]
fn a_segment_that_is_only_dropped_keeps_its_name_and_its_content() {
    let (_directory, names) = names();
    let (first, _) = names.open_or_create("x", &shape(), fill).unwrap();
    first.claim(Role::FIRST).unwrap();
    drop(first);
    let (second, created) = names.open_or_create("x", &shape(), |_| {}).unwrap();
    assert!(!created);
    assert_whole(&second);
    second.claim(Role::FIRST).unwrap();
}

#[test]
fn of_two_that_leave_at_once_one_removes_the_name() {
    let (directory, names) = names();
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0..1000 {
                    let name = format!("x{round}");
                    let (segment, _) = names.open_or_create(&name, &shape(), fill).unwrap();
                    barrier.wait();
                    segment.leave(|_| true);
                    barrier.wait();
                    assert!(!names.path_of(&name).unwrap().exists(), "round {round}");
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(files(directory.path()), Vec::<String>::new());
}

#[test]
fn a_name_that_means_another_segment_by_now_is_not_removed() {
    let (_directory, names) = names();
    let (first, _) = names.open_or_create("x", &shape(), fill).unwrap();
    fs::remove_file(first.path().unwrap()).unwrap();
    let (second, created) = names.open_or_create("x", &shape(), fill).unwrap();
    assert!(created);
    first.leave(|_| true);
    assert!(second.path().unwrap().exists());
}

#[test]
fn a_umask_that_takes_all_rights_does_not_take_the_owners() {
    Running::start(&mut program("child_creates_under_a_umask")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_creates_under_a_umask() {
    if is_child() {
        let (_directory, names) = names();
        // SAFETY: sets a number of this process, which runs nothing else.
        unsafe { libc::umask(0o777) };
        let (segment, _) = names.open_or_create("x", &shape(), fill).unwrap();
        assert_eq!(fs::metadata(segment.path().unwrap()).unwrap().mode() & 0o7777, 0o600);
        names.open("x", Some(KIND)).unwrap();
    }
}

#[test]
fn in_a_child_forked_while_it_is_filled_a_segment_gets_no_name() {
    let (directory, names) = names();
    let mut child = -1;
    let created = names.open_or_create("x", &shape(), |_| {
        // SAFETY: the child is a copy of this thread alone and takes no lock that another thread may hold, but for
        // the C library's, which it mends.
        child = unsafe { libc::fork() };
        if child == 0 {
            common::watchdog();
            // This takes the number that was the segment's.
            std::mem::forget(File::create(directory.path().join("other")).unwrap());
        }
    });
    if child == 0 {
        // SAFETY: ends the child at once, without running anything of the parent's.
        unsafe { libc::_exit(i32::from(created.is_ok())) };
    }
    let mut status = -1;
    // SAFETY: waits for the child just made; the pointer is to a local.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    let (segment, created) = created.unwrap();
    assert!(created);
    segment.leave(|_| true);
    assert_eq!(files(directory.path()), ["other"]);
}

#[test]
fn in_a_forked_child_leaving_removes_nothing() {
    let (_directory, names) = names();
    let mut segment = Some(names.open_or_create("x", &shape(), fill).unwrap().0);
    let code = common::in_forked_child(|| {
        segment.take().unwrap().leave(|_| true);
        0
    });
    assert_eq!(code, 0);
    assert!(segment.unwrap().path().unwrap().exists());
}

#[test]
fn who_finds_the_segment_held_alone_for_long_says_so() {
    let (_directory, names) = names();
    let (segment, _) = names.open_or_create("x", &shape(), fill).unwrap();
    let file = File::options().read(true).write(true).open(segment.path().unwrap()).unwrap();
    drop(segment);
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 64,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the structure is a local; the file is open.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }, 0);
    let busy = names.open("x", None).unwrap_err();
    assert!(matches!(busy, OpenError::Busy { .. }), "{busy}");
    drop(file);
    names.open("x", None).unwrap();
}
