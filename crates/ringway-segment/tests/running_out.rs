//! Running out is an error with figures, and never a signal.
#![allow(unsafe_code)]

mod common;

use common::{Running, is_child, names, program, say, shape};
use ringway_segment::{
    Backend, CreateError, Error, Limit, Memory, Names, Offer, OpenError, Shape, SharedMemory, Shortage,
};

const HUGE: u64 = 1 << 40;

fn large(capacity: u64) -> Shape {
    Shape { capacity, ..shape() }
}

fn shortage(created: Result<Offer, CreateError>) -> Shortage {
    match created {
        Err(CreateError::OutOfMemory(shortage)) => shortage,
        other => panic!("{other:?}"),
    }
}

fn named_shortage(names: &Names, shape: &Shape) -> Shortage {
    match names.open_or_create("x", shape, |_| {}) {
        Err(Error::Create(CreateError::OutOfMemory(shortage))) => shortage,
        other => panic!("{other:?}"),
    }
}

/// No host that runs tests has a tebibyte to spare; one that does has nothing to show here.
fn host_is_smaller(available: Option<u64>) -> bool {
    available.is_some_and(|left| left < HUGE)
}

#[test]
fn more_than_there_is_gives_the_figures() {
    let shortage = shortage(Offer::create(&large(HUGE)));
    assert_eq!(shortage.asked, large(HUGE).total().unwrap());
    assert!(host_is_smaller(shortage.available), "{shortage}");
    assert!(matches!(shortage.limit, Limit::Host | Limit::Cgroup(_) | Limit::Commit), "{shortage}");
}

#[test]
fn more_than_there_is_leaves_no_name() {
    let (directory, names) = names();
    let shortage = named_shortage(&names, &large(HUGE));
    assert!(host_is_smaller(shortage.available), "{shortage}");
    assert!(shortage.to_string().contains("ringway.x"), "{shortage}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

fn limit(which: libc::__rlimit_resource_t, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the pointer is to a local.
    assert_eq!(unsafe { libc::setrlimit(which, &raw const limit) }, 0);
}

#[test]
fn the_file_size_limit_gives_an_error_and_no_signal() {
    Running::start(&mut program("child_with_a_file_size_limit")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_with_a_file_size_limit() {
    if is_child() {
        let (_directory, names) = names();
        limit(libc::RLIMIT_FSIZE, 1 << 20);
        let total = large(1 << 20).total().unwrap();
        for shortage in [shortage(Offer::create(&large(1 << 20))), named_shortage(&names, &large(1 << 20))] {
            assert_eq!(
                (shortage.asked, shortage.available, shortage.limit),
                (total, Some(1 << 20), Limit::FileSize)
            );
        }
        let object = SharedMemory::new(&format!("ringway-test-{}", std::process::id())).unwrap();
        match object.open_or_create(&large(1 << 20), &Memory::new(), &mut |_| {}) {
            Err(Error::Create(CreateError::OutOfMemory(shortage))) => {
                assert_eq!(shortage.limit, Limit::FileSize)
            }
            other => panic!("{other:?}"),
        }
        Offer::create(&large(1 << 19)).unwrap().attach().unwrap();
        names.open_or_create("x", &large(1 << 19), |_| {}).unwrap();
    }
}

#[test]
fn the_address_space_limit_gives_an_error() {
    Running::start(&mut program("child_with_little_address_space")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_with_little_address_space() {
    if is_child() {
        let (directory, names) = names();
        let offer = Offer::create(&large(64 << 20)).unwrap();
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
        // Enough for one image of the data and not for two.
        limit(libc::RLIMIT_AS, pages * 4096 + (100 << 20));
        let error = offer.attach().unwrap_err();
        let OpenError::OutOfMemory(shortage) = &error else { panic!("{error}") };
        assert_eq!(shortage.limit, Limit::AddressSpace);
        assert!(shortage.available.unwrap() < shortage.asked, "{shortage}");
        assert_eq!(named_shortage(&names, &large(64 << 20)).limit, Limit::AddressSpace);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        Offer::create(&shape()).unwrap().attach().unwrap();
    }
}

#[test]
fn a_full_mount_gives_the_figures() {
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        Running::start(program("child_with_a_small_mount").env("RINGWAY_TEST_DIR", directory.path()));
    match child.hear().strip_prefix("skipped: ") {
        Some(reason) => eprintln!("skipped: {reason}"),
        None => child.finish(),
    }
}

#[test]
#[ignore = "run by another test"]
fn child_with_a_small_mount() {
    if !is_child() {
        return;
    }
    let directory = std::path::PathBuf::from(std::env::var_os("RINGWAY_TEST_DIR").unwrap());
    if let Err(error) = common::mount(&directory, c"tmpfs", c"size=1m") {
        say(&format!("skipped: a private mount is not permitted: {error}"));
        return;
    }
    say("mounted");
    let names = Names::in_dir(&directory);
    let shortage = named_shortage(&names, &large(1 << 20));
    assert_eq!(shortage.asked, large(1 << 20).total().unwrap());
    assert_eq!(shortage.limit, Limit::Mount(directory.clone()));
    assert!(shortage.available.unwrap() <= 1 << 20, "{shortage}");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);

    // Half of it fits once; what is left is in the figures then.
    let (kept, _) = names.open_or_create("kept", &large(1 << 19), |_| {}).unwrap();
    let shortage = named_shortage(&names, &large(1 << 19));
    assert!(shortage.available.unwrap() < 1 << 19, "{shortage}");
    kept.leave(|_| true);
    names.open_or_create("x", &large(1 << 19), |_| {}).unwrap().0.leave(|_| true);
}
