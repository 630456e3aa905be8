//! How memory is held: lazily, locked, in huge pages, for whom.
#![allow(unsafe_code)]

mod common;

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Running, in_forked_child, is_child, names, program, say, shape, word};
use ringway_segment::{
    Backend, Error, Limit, Memory, Names, NoHugePages, Offer, OpenError, Pages, Place, Segment, Shape,
    Shortage,
};

fn large() -> Shape {
    Shape { capacity: 4 << 20, ..shape() }
}

/// The mappings of a segment as `/proc/self/smaps` has them: each a list of lines.
fn mappings(segment: &Segment) -> Vec<Vec<String>> {
    let (from, to) = (segment.control().as_ptr().addr() as u64 - 4096, segment.data().as_ptr().addr() as u64);
    let to = to + 2 * segment.shape().capacity;
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut inside = false;
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let first = line.split_whitespace().next().unwrap();
        if let Some((start, end)) = first.split_once('-') {
            let number = |digits| u64::from_str_radix(digits, 16).unwrap();
            inside = number(start) >= from && number(end) <= to;
            if inside {
                found.push(Vec::new());
            }
        } else if inside {
            found.last_mut().unwrap().push(line.to_owned());
        }
    }
    found
}

/// A figure of a mapping, in bytes.
fn figure(mapping: &[String], key: &str) -> u64 {
    let line = mapping.iter().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Such a figure of all of a segment.
fn sum(segment: &Segment, key: &str) -> u64 {
    mappings(segment).iter().map(|mapping| figure(mapping, key)).sum()
}

fn locked(segment: &Segment) -> u64 {
    let is_locked = |mapping: &&Vec<String>| {
        let flags = mapping.iter().find(|line| line.starts_with("VmFlags:")).unwrap();
        flags.split_whitespace().any(|flag| flag == "lo")
    };
    mappings(segment).iter().filter(is_locked).map(|mapping| figure(mapping, "Size:")).sum()
}

#[test]
fn pages_are_brought_in_at_once_or_when_they_are_touched() {
    let offer = Offer::create(&large()).unwrap();
    let at_once = offer.attach().unwrap();
    assert!(sum(&at_once, "Rss:") >= large().total().unwrap());
    let lazily = offer.attach_with(&Memory::new().populate(false)).unwrap();
    assert_eq!(sum(&lazily, "Rss:"), 0);
    word(&lazily, 0).store(5, SeqCst);
    assert!(sum(&lazily, "Rss:") > 0 && sum(&lazily, "Rss:") < large().capacity);
    assert_eq!(word(&at_once, 0).load(SeqCst), 5);
}

#[test]
fn what_is_locked_is_all_of_it_once() {
    let (_directory, names) = names();
    let place = names.at("x").unwrap();
    let (segment, _) = match place.open_or_create(&shape(), &Memory::new().lock(true), &mut |_| {}) {
        Err(Error::Create(error)) => return eprintln!("skipped: {error}"),
        other => other.unwrap(),
    };
    assert_eq!(locked(&segment), shape().total().unwrap());
    assert_eq!(locked(&names.open("x", None).unwrap()), 0, "who did not ask for it");
}

#[test]
fn what_may_not_be_locked_is_an_error_with_figures_and_leaves_nothing() {
    let (directory, _names) = names();
    Running::start(program("child_may_lock_little").env("RINGWAY_TEST_DIR", directory.path())).finish();
}

/// Gives up the right to lock any amount, if this process has it.
fn drop_exemption() {
    const CAP_IPC_LOCK: u32 = 1 << 14;
    let mut header = [0x2008_0522u32, 0];
    let mut sets = [0u32; 6];
    // SAFETY: both point to as much as this version of the calls reads and writes.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()), 0);
        // Effective and permitted.
        sets[0] &= !CAP_IPC_LOCK;
        sets[1] &= !CAP_IPC_LOCK;
        assert_eq!(libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()), 0);
    }
}

#[test]
#[ignore = "run by another test"]
fn child_may_lock_little() {
    if !is_child() {
        return;
    }
    drop_exemption();
    let most = libc::rlimit { rlim_cur: 100 << 10, rlim_max: 100 << 10 };
    // SAFETY: the pointer is to a local.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const most) }, 0);
    let total = shape().total().unwrap();
    let left = |shortage: &Shortage| {
        assert_eq!((shortage.asked, &shortage.limit), (total, &Limit::Locked), "{shortage}");
        shortage.available.unwrap()
    };
    let lock = Memory::new().lock(true);
    // The first fits, the second does not.
    let offer = Offer::create(&shape()).unwrap();
    let _first = offer.attach_with(&lock).unwrap();
    match offer.attach_with(&lock) {
        Err(OpenError::OutOfMemory(shortage)) => assert_eq!(left(&shortage), (100 << 10) - total),
        other => panic!("{other:?}"),
    }
    let directory = std::env::var_os("RINGWAY_TEST_DIR").unwrap();
    match Names::in_dir(&directory).at("x").unwrap().open_or_create(&shape(), &lock, &mut |_| {}) {
        Err(Error::Create(ringway_segment::CreateError::OutOfMemory(shortage))) => {
            assert!(shortage.to_string().contains("ulimit -l"), "{shortage}");
            left(&shortage);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
    offer.attach().unwrap();
}

/// There is one pool for all.
static POOL: Mutex<()> = Mutex::new(());

fn pool() -> MutexGuard<'static, ()> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An offer in huge pages, unless the pool has too few: then it is said why.
fn huge() -> Option<Offer> {
    let offer = Offer::create_with(&large(), &Memory::new().huge_pages(true)).unwrap();
    match offer.pages() {
        Pages::Huge { size } => {
            assert!(*size > 4096 && large().capacity % size == 0);
            Some(offer)
        }
        Pages::Instead(why) => {
            eprintln!("skipped: {why}");
            assert!(matches!(
                why,
                NoHugePages::Pool { .. } | NoHugePages::Unknown | NoHugePages::TooSmall { .. }
            ));
            None
        }
        other => panic!("{other}"),
    }
}

fn byte(segment: &Segment, at: u64) -> *mut u8 {
    assert!(at < 2 * segment.shape().capacity);
    segment.data().as_ptr().wrapping_add(usize::try_from(at).unwrap())
}

/// Writes through one image and reads through the other, here and there.
fn assert_mirrored(segment: &Segment) {
    let capacity = segment.shape().capacity;
    for at in [0, 4095, capacity / 2, capacity - 1] {
        // SAFETY: inside the data; volatile, so that the two images of a byte are not taken for two bytes; the test
        // alone has the segment.
        unsafe {
            byte(segment, at).write_volatile(0xA5);
            assert_eq!(byte(segment, at + capacity).read_volatile(), 0xA5);
            byte(segment, at + capacity).write_volatile(0);
            assert_eq!(byte(segment, at).read_volatile(), 0);
        }
    }
}

#[test]
fn an_offer_in_huge_pages_is_as_any_other() {
    let _pool = pool();
    let Some(offer) = huge() else { return };
    let (first, second) = (offer.attach().unwrap(), offer.attach().unwrap());
    assert!(matches!(first.pages(), Pages::Huge { .. }));
    assert_eq!(first.shape(), large());
    assert_mirrored(&first);
    word(&first, 1023).store(5, SeqCst);
    assert_eq!(word(&second, 1023).load(SeqCst), 5);
    assert!(sum(&first, "Shared_Hugetlb:") + sum(&first, "Private_Hugetlb:") >= 2 * large().capacity);
    let view = offer.observe().unwrap();
    assert_eq!(
        (view.size(), view.allocated().unwrap()),
        (large().total().unwrap(), large().total().unwrap())
    );
    // SAFETY: inside the data; volatile, because others write there.
    unsafe {
        byte(&first, 7).write_volatile(9);
        assert_eq!(view.data().as_ptr().add(7).read_volatile(), 9);
    }
    let code = in_forked_child(|| {
        // SAFETY: memory of the child's own by now.
        let zeros = unsafe { byte(&first, 7).read_volatile() } == 0 && word(&first, 1023).load(SeqCst) == 0;
        i32::from(!zeros || first.is_ours())
    });
    assert_eq!(code, 0);
    let locked = offer.attach_with(&Memory::new().lock(true).populate(false));
    if let Ok(locked) = &locked {
        assert_mirrored(locked);
    }
    drop((first, second, locked));
    assert_mirrored(&offer.attach().unwrap());
}

#[test]
fn an_offer_in_huge_pages_travels_as_two_descriptors() {
    let _pool = pool();
    let Some(offer) = huge() else { return };
    let segment = offer.attach().unwrap();
    let mut command = program("child_takes_huge_pages");
    offer.give_to(&mut command, "X").unwrap();
    Running::start(&mut command).finish();
    Running::start(&mut command).finish();
    assert_eq!(word(&segment, 0).load(SeqCst), 2);

    let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    let (first, data) = (copy(offer.as_fd()), copy(offer.data_fd().unwrap()));
    let error = Offer::from_fd(first.try_clone().unwrap()).unwrap_err();
    assert!(matches!(error, OpenError::DataMissing { .. }) && error.to_string().contains("Offer::data_fd"));
    // Not in the place of the other, and not of another size.
    Offer::from_fds(data.try_clone().unwrap(), Some(first.try_clone().unwrap())).unwrap_err();
    let swapped = Offer::from_fds(first.try_clone().unwrap(), Some(first.try_clone().unwrap())).unwrap_err();
    assert!(matches!(swapped, OpenError::Truncated { .. }), "{swapped}");
    let unsealed: OwnedFd = tempfile::tempfile().unwrap().into();
    let file = Offer::from_fds(first.try_clone().unwrap(), Some(unsealed)).unwrap_err();
    assert!(matches!(file, OpenError::NotMemfd { .. }), "{file}");
    let again = Offer::from_fds(first, Some(data)).unwrap();
    assert_eq!(again.pages(), offer.pages());
    word(&again.attach().unwrap(), 0).store(7, SeqCst);
    assert_eq!(word(&segment, 0).load(SeqCst), 7);
}

#[test]
#[ignore = "run by another test"]
fn child_takes_huge_pages() {
    if is_child() {
        let segment = Offer::from_env("X").unwrap().attach().unwrap();
        assert!(matches!(segment.pages(), Pages::Huge { .. }));
        word(&segment, 0).fetch_add(1, SeqCst);
        assert_mirrored(&segment);
    }
}

#[test]
fn huge_pages_that_were_given_back_are_reserved_anew_or_an_error() {
    let _pool = pool();
    let Some(offer) = huge() else { return };
    let data = offer.data_fd().unwrap().as_raw_fd();
    let punch = |len: u64| {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: plain numbers; the file is open.
        assert_eq!(unsafe { libc::fallocate(data, mode, 0, i64::try_from(len).unwrap()) }, 0);
    };
    let Pages::Huge { size } = *offer.pages() else { panic!() };
    punch(size);
    assert_mirrored(&offer.attach().unwrap());
    punch(large().capacity);
    // All that is free goes to others.
    let mut others = Vec::new();
    while let Some(other) = huge() {
        others.push(other);
    }
    let one = Shape { capacity: size, ..large() };
    while let Pages::Huge { .. } = others.last().map_or(&Pages::Ordinary, Offer::pages) {
        others.push(Offer::create_with(&one, &Memory::new().huge_pages(true)).unwrap());
    }
    match offer.attach() {
        Err(OpenError::OutOfMemory(shortage)) => {
            assert_eq!((shortage.asked, shortage.limit), (large().capacity, Limit::HugePages));
        }
        other => panic!("{other:?}"),
    }
    drop(others);
    assert_mirrored(&offer.attach().unwrap());
}

#[test]
fn huge_pages_that_are_not_to_be_had_are_replaced_and_the_reason_told() {
    let (_pool, huge) = (pool(), Memory::new().huge_pages(true));
    let offer = Offer::create_with(&shape(), &huge).unwrap();
    let Pages::Instead(why) = offer.pages() else { panic!("64 KiB are no huge page") };
    assert!(matches!(why, NoHugePages::TooSmall { capacity: 65536, .. } | NoHugePages::Unknown), "{why}");
    assert!(offer.data_fd().is_none());
    assert_eq!(offer.attach().unwrap().pages(), offer.pages());
    // More than any pool of a host that runs tests, and as much as the host has in ordinary pages.
    let most = Shape { capacity: 1 << 28, ..shape() };
    let offer = Offer::create_with(&most, &huge).unwrap();
    if let Pages::Instead(why) = offer.pages() {
        assert!(matches!(why, NoHugePages::Pool { asked, free } if asked > free), "{why}");
    }
    let plain = Offer::create(&shape()).unwrap();
    assert_eq!((plain.pages(), plain.attach().unwrap().pages()), (&Pages::Ordinary, &Pages::Ordinary));
    assert_eq!(*plain.attach_with(&huge).unwrap().pages(), Pages::Instead(NoHugePages::Existing));
}

#[test]
fn a_mode_is_set_whatever_the_umask_and_left_alone_by_who_joins() {
    let (_directory, names) = names();
    let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for (name, mode) in [("a", 0o600), ("b", 0o660), ("c", 0o644)] {
        let place = names.at(name).unwrap();
        let (segment, _) = place.open_or_create(&shape(), &Memory::new().mode(mode), &mut |_| {}).unwrap();
        assert_eq!(mode_of(place.path()), mode);
        drop(segment);
        let (_, created) = place.open_or_create(&shape(), &Memory::new().mode(0o666), &mut |_| {}).unwrap();
        assert!(!created);
        assert_eq!(mode_of(place.path()), mode);
    }
}

#[test]
fn a_file_of_another_user_is_joined_by_who_shares_with_others() {
    let (_directory, names) = names();
    let place = names.at("x").unwrap();
    drop(place.open_or_create(&shape(), &Memory::new().mode(0o660), &mut |_| {}).unwrap());
    if chown(place.path(), Some(4711), None).is_err() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    assert!(matches!(place.open(None, &Memory::new()), Err(OpenError::Owner { .. })));
    assert!(matches!(place.open(None, &Memory::new().mode(0o644)), Err(OpenError::Owner { .. })));
    place.open(None, &Memory::new().mode(0o660)).unwrap();
}

#[test]
fn a_mount_of_huge_pages_cannot_hold_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        Running::start(program("child_with_a_mount_of_huge_pages").env("RINGWAY_TEST_DIR", directory.path()));
    match child.hear().strip_prefix("skipped: ") {
        Some(reason) => eprintln!("skipped: {reason}"),
        None => child.finish(),
    }
}

#[test]
#[ignore = "run by another test"]
fn child_with_a_mount_of_huge_pages() {
    if !is_child() {
        return;
    }
    let directory = std::path::PathBuf::from(std::env::var_os("RINGWAY_TEST_DIR").unwrap());
    if let Err(error) = common::mount(&directory, c"hugetlbfs", c"") {
        say(&format!("skipped: a private mount is not permitted: {error}"));
        return;
    }
    say("mounted");
    let place = Place::file(directory.join("x"));
    let error = place.open_or_create(&large(), &Memory::new(), &mut |_| {}).unwrap_err().to_string();
    assert!(
        error.contains("on a mount of huge pages") && error.contains("use a directory on tmpfs"),
        "{error}"
    );
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}
