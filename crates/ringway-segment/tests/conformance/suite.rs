//! The claims, each for any backend.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use ringway_segment::{
    ClaimError, CreateError, Error, LAYOUT_VERSION, Limit, Memory, NoHugePages, OpenError, Pages, Role,
    Segment, Shape,
};

use crate::common::{
    KIND, Running, await_line, in_forked_child, is_child, program, say, shape, watchdog, word,
};
use crate::ground::Ground;

/// Makes of one line a module with all tests for one backend.
macro_rules! conformance {
    ($name:ident: $ground:ty) => {
        mod $name {
            use super::*;

            $crate::suite::conformance!(@tests $name, $ground:
                a_new_one_is_zero_and_of_the_shape_asked_for,
                its_data_is_there_twice,
                its_memory_is_reserved,
                who_comes_second_joins_the_first,
                either_side_may_come_first,
                nobody_sees_one_that_is_not_filled,
                of_two_that_make_it_at_once_one_does,
                a_creator_killed_at_any_moment_leaves_nothing_or_a_whole_one,
                roles_are_exclusive_across_processes_and_free_after_a_kill,
                another_kind_is_refused,
                a_damaged_header_is_refused,
                a_wrong_size_is_refused,
                the_last_one_out_leaves_nothing,
                who_is_killed_leaves_nothing_beside_the_segment,
                a_forked_child_has_no_part_in_it,
                a_child_forked_while_it_is_made_makes_nothing,
                running_out_is_an_error_with_figures,
                it_can_be_opened_lazily_and_locked,
                huge_pages_that_cannot_be_had_are_told);

            #[test]
            #[ignore = "run by another test"]
            fn child() {
                $crate::suite::child::<$ground>();
            }
        }
    };
    (@tests $name:ident, $ground:ty: $($test:ident),*) => {
        $(
            #[test]
            fn $test() {
                $crate::suite::$test::<$ground>(concat!(stringify!($name), "::child"));
            }
        )*
    };
}
pub(crate) use conformance;

/// What a creator writes before anybody else may see the segment.
const WHOLE: u64 = 0x3A11_0F17;
/// What the child is to do.
const TASK: &str = "RINGWAY_TEST_TASK";

fn fill(segment: &Segment) {
    for index in 1..1024 {
        word(segment, index).store(WHOLE, SeqCst);
    }
}

fn assert_whole(segment: &Segment) {
    assert_eq!(segment.shape(), shape());
    assert!((1..1024).all(|index| word(segment, index).load(SeqCst) == WHOLE), "seen half-made");
}

fn open_or_create<G: Ground>(ground: &G, mut fill: impl FnMut(&Segment)) -> (Segment, bool) {
    ground.backend().open_or_create(&shape(), &Memory::new(), &mut fill).unwrap()
}

/// One that is just made; where that is not the backend's to do, one that nobody has used.
fn first<G: Ground>(ground: &G) -> Segment {
    let (segment, created) = open_or_create(ground, |_| {});
    assert_eq!(created, G::CREATES);
    segment
}

fn byte(segment: &Segment, at: u64) -> *mut u8 {
    assert!(at < 2 * segment.shape().capacity);
    segment.data().as_ptr().wrapping_add(usize::try_from(at).unwrap())
}

fn start<G: Ground>(ground: &G, child: &str, task: &str) -> Running {
    let mut command: Command = program(child);
    ground.pass(&mut command);
    Running::start(command.env(TASK, task))
}

/// What the other process of a test does.
pub(crate) fn child<G: Ground>() {
    if !is_child() {
        return;
    }
    let ground = G::found();
    match std::env::var(TASK).unwrap().as_str() {
        "make" => {
            let (segment, created) = open_or_create(&ground, |_| {});
            assert_eq!(created, G::CREATES);
            word(&segment, 0).store(5, SeqCst);
            say("made");
            await_line();
        }
        "join" => {
            let (segment, created) = open_or_create(&ground, |_| panic!("there is one"));
            assert!(!created);
            assert_eq!(word(&segment, 0).fetch_add(1, SeqCst), 5);
        }
        "claim" => {
            let segment = ground.open(Some(KIND)).unwrap();
            segment.claim(Role::FIRST).unwrap();
            say("claimed");
            await_line();
        }
        "claim and fork" => {
            let segment = ground.open(Some(KIND)).unwrap();
            segment.claim(Role::FIRST).unwrap();
            in_forked_child(|| {
                say("forked");
                await_line();
                say("grandchild lives");
                0
            });
        }
        "come and go" => {
            say("ready");
            await_line();
            for _ in 0..1000 {
                let (segment, _) = open_or_create(&ground, fill);
                assert_whole(&segment);
                segment.leave(|_| true);
            }
        }
        task => panic!("{task}"),
    }
}

pub(crate) fn a_new_one_is_zero_and_of_the_shape_asked_for<G: Ground>(_child: &str) {
    let ground = G::new();
    let segment = first(&ground);
    assert_eq!(segment.shape(), shape());
    assert!((0..1024).all(|index| word(&segment, index).load(SeqCst) == 0));
    // SAFETY: inside the data, and this test's thread alone has it.
    assert!((0..2 * shape().capacity).all(|at| unsafe { byte(&segment, at).read_volatile() } == 0));
}

pub(crate) fn its_data_is_there_twice<G: Ground>(_child: &str) {
    let ground = G::new();
    let segment = first(&ground);
    let capacity = shape().capacity;
    for at in [0, 1, 4095, 4096, capacity / 2, capacity - 1] {
        // SAFETY: inside the data; volatile, so that the two images of a byte are not taken for two bytes; this
        // test's thread alone has the segment.
        unsafe {
            byte(&segment, at).write_volatile(0xA5);
            assert_eq!(byte(&segment, at + capacity).read_volatile(), 0xA5);
            byte(&segment, at + capacity).write_volatile(0x5A);
            assert_eq!(byte(&segment, at).read_volatile(), 0x5A);
        }
    }
    assert!((0..1024).all(|index| word(&segment, index).load(SeqCst) == 0), "and nowhere else");
}

pub(crate) fn its_memory_is_reserved<G: Ground>(_child: &str) {
    let ground = G::new();
    let (segment, _) =
        ground.backend().open_or_create(&shape(), &Memory::new().populate(false), &mut |_| {}).unwrap();
    assert!(ground.file().metadata().unwrap().blocks() * 512 >= shape().total().unwrap());
    drop(segment);
}

pub(crate) fn who_comes_second_joins_the_first<G: Ground>(_child: &str) {
    let ground = G::new();
    let first = first(&ground);
    let (second, created) = open_or_create(&ground, |_| panic!("there is one"));
    assert!(!created);
    word(&first, 0).store(5, SeqCst);
    assert_eq!(word(&second, 0).load(SeqCst), 5);
    assert_eq!(word(&ground.open(Some(KIND)).unwrap(), 0).load(SeqCst), 5);
    // A larger one is not made beside it.
    let larger = Shape { flags: 9, ..shape() };
    let (third, created) =
        ground.backend().open_or_create(&larger, &Memory::new(), &mut |_| panic!("there is one")).unwrap();
    assert_eq!((created, third.shape()), (false, shape()));
}

pub(crate) fn either_side_may_come_first<G: Ground>(child: &str) {
    let ground = G::new();
    let mut maker = start(&ground, child, "make");
    assert_eq!(maker.hear(), "made");
    let (here, created) = open_or_create(&ground, |_| panic!("there is one"));
    assert_eq!((created, word(&here, 0).load(SeqCst)), (false, 5));
    maker.tell();
    maker.finish();
    start(&ground, child, "join").finish();
    assert_eq!(word(&here, 0).load(SeqCst), 6);
}

pub(crate) fn nobody_sees_one_that_is_not_filled<G: Ground>(child: &str) {
    if !G::CREATES {
        return;
    }
    const THREADS: usize = 4;
    const ROUNDS: usize = 100;
    let ground = G::new();
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let race = || {
            for round in 0..ROUNDS {
                barrier.wait();
                let (segment, _) = open_or_create(&ground, fill);
                assert_whole(&segment);
                word(&segment, 0).fetch_add(1, SeqCst);
                barrier.wait();
                assert_eq!(word(&segment, 0).load(SeqCst) % THREADS as u64, 0, "one memory, round {round}");
                barrier.wait();
                segment.leave(|_| true);
            }
        };
        for _ in 0..THREADS {
            scope.spawn(race);
        }
    });
    let mut other = start(&ground, child, "come and go");
    assert_eq!(other.hear(), "ready");
    other.tell();
    for _ in 0..1000 {
        let (segment, _) = open_or_create(&ground, fill);
        assert_whole(&segment);
        segment.leave(|_| true);
    }
    other.finish();
}

pub(crate) fn of_two_that_make_it_at_once_one_does<G: Ground>(_child: &str) {
    if !G::CREATES {
        return;
    }
    let ground = G::new();
    std::thread::scope(|scope| {
        let mut other = None;
        let (ours, created) = open_or_create(&ground, |segment| {
            other.get_or_insert_with(|| {
                let other = scope.spawn(|| {
                    let made = open_or_create(&ground, fill);
                    assert_whole(&made.0);
                    made
                });
                // It is done by then, or waits until we are.
                for _ in 0..50 {
                    if !other.is_finished() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                other
            });
            fill(segment);
        });
        let (theirs, created_there) = other.unwrap().join().unwrap();
        assert_ne!(created, created_there);
        word(&ours, 0).store(5, SeqCst);
        assert_eq!(word(&theirs, 0).load(SeqCst), 5);
    });
}

pub(crate) fn a_creator_killed_at_any_moment_leaves_nothing_or_a_whole_one<G: Ground>(child: &str) {
    if !G::CREATES {
        return;
    }
    for round in 0..15 {
        let ground = G::new();
        let mut other = start(&ground, child, "come and go");
        assert_eq!(other.hear(), "ready");
        other.tell();
        // Somewhere in its thousand rounds.
        std::thread::sleep(Duration::from_micros(round * 200));
        other.kill();
        if let Ok(segment) = ground.open(Some(KIND)) {
            assert_whole(&segment);
        }
        let (segment, _) = open_or_create(&ground, fill);
        assert_whole(&segment);
    }
}

pub(crate) fn roles_are_exclusive_across_processes_and_free_after_a_kill<G: Ground>(child: &str) {
    let ground = G::new();
    let segment = first(&ground);
    let second = ground.open(None).unwrap();
    second.claim(Role::SECOND).unwrap();
    assert!(matches!(segment.claim(Role::SECOND), Err(ClaimError::Held { .. })), "within a process");

    let mut holder = start(&ground, child, "claim");
    assert_eq!(holder.hear(), "claimed");
    assert!(matches!(segment.claim(Role::FIRST), Err(ClaimError::Held { .. })), "across processes");
    holder.kill();
    segment.claim(Role::FIRST).unwrap();
    drop(segment);

    let segment = ground.open(None).unwrap();
    let mut holder = start(&ground, child, "claim and fork");
    assert_eq!(holder.hear(), "forked");
    holder.kill();
    segment.claim(Role::FIRST).expect("its forked child has no part in it");
    holder.tell();
    assert_eq!(holder.hear(), "grandchild lives");
}

pub(crate) fn another_kind_is_refused<G: Ground>(_child: &str) {
    let ground = G::new();
    let _segment = first(&ground);
    let wanted = KIND + 1;
    let error = ground.open(Some(wanted)).unwrap_err();
    assert!(matches!(error, OpenError::Kind { found: KIND, wanted: 8, .. }), "{error}");
    let other = Shape { kind: wanted, ..shape() };
    let error = ground.backend().open_or_create(&other, &Memory::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Open(OpenError::Kind { .. })), "{error}");
    ground.open(None).unwrap();
}

pub(crate) fn a_damaged_header_is_refused<G: Ground>(_child: &str) {
    let ground = G::new();
    let segment = first(&ground);
    let file = ground.file();
    let damaged = |at: u64, bytes: &[u8]| {
        let mut good = vec![0; bytes.len()];
        file.read_exact_at(&mut good, at).unwrap();
        file.write_all_at(bytes, at).unwrap();
        let error = ground.open(None).unwrap_err();
        file.write_all_at(&good, at).unwrap();
        error
    };
    assert!(matches!(damaged(0, b"ELF"), OpenError::NotRingway { .. }));
    let version = damaged(8, &9u32.to_ne_bytes());
    assert!(matches!(version, OpenError::LayoutVersion { found: 9, known: LAYOUT_VERSION, .. }));
    assert!(matches!(damaged(12, &0x0403_0201u32.to_ne_bytes()), OpenError::ByteOrder { .. }));
    for (at, value) in [(24, 4097), (32, u64::MAX), (40, 65537), (40, 1 << 63), (48, u64::MAX)] {
        let error = damaged(at, &u64::to_ne_bytes(value));
        assert!(matches!(error, OpenError::Geometry { .. }), "{at}: {error}");
    }
    // Sound in itself, and larger than what is there.
    let (capacity, total) = (1u64 << 30, shape().total().unwrap() - shape().capacity + (1 << 30));
    let both = [capacity.to_ne_bytes(), total.to_ne_bytes()].concat();
    assert!(matches!(damaged(40, &both), OpenError::Truncated { .. }));
    assert_eq!(segment.shape(), shape(), "who is attached is not deceived");
    ground.open(Some(KIND)).unwrap();
}

pub(crate) fn a_wrong_size_is_refused<G: Ground>(_child: &str) {
    let ground = G::new();
    drop(first(&ground));
    let error = ground.open_cut_off();
    assert!(
        matches!(error, OpenError::Truncated { expected, found, .. } if expected == found + 4096),
        "{error}"
    );
}

pub(crate) fn the_last_one_out_leaves_nothing<G: Ground>(_child: &str) {
    let ground = G::new();
    let (first, second) = (first(&ground), ground.open(None).unwrap());
    first.leave(|_| panic!("somebody is still there"));
    word(&second, 0).store(5, SeqCst);
    second.leave(|_| false);
    let third = ground.open(None).expect("it was not finished");
    assert_eq!(word(&third, 0).load(SeqCst), 5);
    third.leave(|_| true);
    assert_eq!(ground.files(), Vec::<std::path::PathBuf>::new());
}

pub(crate) fn who_is_killed_leaves_nothing_beside_the_segment<G: Ground>(child: &str) {
    let ground = G::new();
    let mut maker = start(&ground, child, "make");
    assert_eq!(maker.hear(), "made");
    maker.kill();
    assert!(ground.files().len() <= 1);
    let (segment, created) = open_or_create(&ground, |_| {});
    assert!(!created);
    assert_eq!(word(&segment, 0).load(SeqCst), 5, "what was in it is there still");
    segment.leave(|_| true);
    assert_eq!(ground.files(), Vec::<std::path::PathBuf>::new());
}

pub(crate) fn a_forked_child_has_no_part_in_it<G: Ground>(_child: &str) {
    let ground = G::new();
    let segment = first(&ground);
    segment.claim(Role::FIRST).unwrap();
    word(&segment, 0).store(5, SeqCst);
    let mut taken = Some(segment);
    let code = in_forked_child(|| {
        watchdog();
        let segment = taken.take().unwrap();
        let refused = matches!(segment.claim(Role::SECOND), Err(ClaimError::NotOurs { .. }));
        if segment.is_ours() || !refused {
            return 1;
        }
        if G::KEEPS_CHILDREN_OUT && word(&segment, 0).swap(7, SeqCst) != 0 {
            return 2;
        }
        segment.leave(|_| true);
        0
    });
    assert_eq!(code, 0);
    let segment = taken.unwrap();
    assert_eq!(word(&segment, 0).load(SeqCst), 5);
    let other = ground.open(None).expect("the child has removed nothing");
    assert!(matches!(other.claim(Role::FIRST), Err(ClaimError::Held { .. })), "the role is the parent's");
    other.claim(Role::SECOND).unwrap();
}

pub(crate) fn a_child_forked_while_it_is_made_makes_nothing<G: Ground>(_child: &str) {
    if !G::CREATES {
        return;
    }
    let ground = G::new();
    let mut child = -1;
    let made = ground.backend().open_or_create(&shape(), &Memory::new(), &mut |_| {
        // SAFETY: the child is a copy of this thread alone and takes no lock that another thread may hold, but for
        // the C library's, which it mends.
        child = unsafe { libc::fork() };
        if child == 0 {
            watchdog();
        } else {
            let mut status = -1;
            // SAFETY: waits for the child just made; the pointer is to a local.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    });
    if child == 0 {
        // SAFETY: ends the child at once, without running anything of the parent's.
        unsafe { libc::_exit(i32::from(made.is_ok())) };
    }
    let (segment, created) = made.expect("the child has taken nothing away");
    assert!(created);
    assert_eq!(ground.open(None).unwrap().shape(), segment.shape());
}

pub(crate) fn running_out_is_an_error_with_figures<G: Ground>(_child: &str) {
    let huge = Shape { capacity: 1 << 40, ..shape() };
    let error = G::create_too_large(&huge);
    let Error::Create(CreateError::OutOfMemory(shortage)) = &error else { panic!("{error}") };
    assert!(shortage.asked >= huge.capacity, "{shortage}");
    // No host that runs tests has a tebibyte to spare.
    assert!(shortage.available.is_some_and(|left| left < huge.capacity), "{shortage}");
    assert!(!matches!(shortage.limit, Limit::AddressSpace), "{shortage}");
}

pub(crate) fn it_can_be_opened_lazily_and_locked<G: Ground>(_child: &str) {
    let ground = G::new();
    let lazily = Memory::new().populate(false);
    let (segment, _) = ground.backend().open_or_create(&shape(), &lazily, &mut |_| {}).unwrap();
    word(&segment, 0).store(5, SeqCst);
    // As much as the least limit in use (64 KiB) may not hold: then the figures.
    match ground.backend().open(None, &lazily.lock(true)) {
        Ok(locked) => assert_eq!(word(&locked, 0).load(SeqCst), 5),
        Err(OpenError::OutOfMemory(shortage)) => assert_eq!(shortage.limit, Limit::Locked),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn huge_pages_that_cannot_be_had_are_told<G: Ground>(_child: &str) {
    let ground = G::new();
    let huge = Memory::new().huge_pages(true);
    let (segment, _) = ground.backend().open_or_create(&shape(), &huge, &mut |_| {}).unwrap();
    let told = matches!(
        segment.pages(),
        Pages::Instead(NoHugePages::Backend | NoHugePages::Existing) if segment.pages().to_string().contains("; ")
    );
    assert!(told, "{:?}", segment.pages());
    assert_eq!(*ground.open(None).unwrap().pages(), Pages::Ordinary);
}
