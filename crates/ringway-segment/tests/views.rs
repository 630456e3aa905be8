//! Who looks sees everything and changes nothing.
#![allow(unsafe_code)]

mod common;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::atomic::Ordering::SeqCst;

use common::{Running, in_forked_child, is_child, names, program, say, shape, word};
use ringway_segment::{Names, Offer, OpenError, Role, Shape, View};

/// A word of the control area, as the view has it.
fn seen(view: &View, index: usize) -> u64 {
    assert!(index < 1024);
    // SAFETY: inside the control area of 8192 bytes and aligned; volatile, because others write there.
    unsafe { view.control().cast::<u64>().as_ptr().add(index).read_volatile() }
}

/// A byte of the data, as the view has it.
fn byte(view: &View, at: u64) -> u8 {
    assert!(at < 2 * view.shape().capacity);
    // SAFETY: inside the data; as above.
    unsafe { view.data().as_ptr().add(usize::try_from(at).unwrap()).read_volatile() }
}

fn write(segment: &ringway_segment::Segment, at: u64, value: u8) {
    // SAFETY: the callers stay inside the data; volatile, because a view looks there.
    unsafe { segment.data().as_ptr().add(usize::try_from(at).unwrap()).write_volatile(value) };
}

#[test]
fn a_view_follows_what_is_written_in_both_images() {
    let offer = Offer::create(&shape()).unwrap();
    let (segment, view) = (offer.attach().unwrap(), offer.observe().unwrap());
    assert_eq!((view.shape(), view.size()), (shape(), shape().total().unwrap()));
    word(&segment, 1023).store(5, SeqCst);
    assert_eq!(seen(&view, 1023), 5);
    for at in [0, 4096, shape().capacity - 1] {
        write(&segment, at, 9);
        assert_eq!((byte(&view, at), byte(&view, at + shape().capacity)), (9, 9));
    }
}

#[test]
fn a_view_tells_who_holds_which_role_without_being_in_the_way() {
    let (_directory, names) = names();
    let (segment, _) = names.open_or_create("x", &shape(), |_| {}).unwrap();
    let view = names.observe("x").unwrap();
    for role in [Role::FIRST, Role::new(63).unwrap()] {
        assert!(!view.is_held(role).unwrap());
        segment.claim(role).unwrap();
        assert!(view.is_held(role).unwrap());
    }
    assert!(!view.is_held(Role::SECOND).unwrap());
    drop(segment);
    assert!(!view.is_held(Role::FIRST).unwrap());
}

#[test]
fn a_view_keeps_no_name_and_outlives_it() {
    let (_directory, names) = names();
    let (segment, _) = names.open_or_create("x", &shape(), |_| {}).unwrap();
    word(&segment, 7).store(7, SeqCst);
    let view = names.observe("x").unwrap();
    assert_eq!(view.path(), segment.path());
    segment.leave(|_| true);
    assert!(!view.path().unwrap().exists());
    assert_eq!(seen(&view, 7), 7);
    assert!(matches!(names.observe("x"), Err(OpenError::NotFound { .. })));
}

#[test]
fn looking_takes_no_memory_that_was_given_back() {
    let (_directory, names) = names();
    let large = Shape { capacity: 1 << 22, ..shape() };
    let (segment, _) = names.open_or_create("x", &large, |_| {}).unwrap();
    let file = fs::File::options().write(true).open(segment.path().unwrap()).unwrap();
    let total = i64::try_from(large.total().unwrap()).unwrap();
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: plain numbers; the file is open.
    assert_eq!(unsafe { libc::fallocate(file.as_raw_fd(), mode, total - (1 << 20), 1 << 20) }, 0);
    let view = names.observe("x").unwrap();
    assert_eq!(view.allocated().unwrap(), large.total().unwrap() - (1 << 20));
    assert_eq!(file.metadata().unwrap().blocks() * 512, view.allocated().unwrap());
}

#[test]
fn a_view_of_a_file_is_checked_as_any_opener_does() {
    use std::os::unix::fs::FileExt;
    let (_directory, names) = names();
    drop(names.open_or_create("x", &shape(), |_| {}).unwrap());
    let file = fs::File::options().write(true).open(names.path_of("x").unwrap()).unwrap();
    let total = shape().total().unwrap();
    file.set_len(total - 4096).unwrap();
    assert!(matches!(names.observe("x"), Err(OpenError::Truncated { .. })));
    file.set_len(total).unwrap();
    file.write_all_at(&u64::MAX.to_ne_bytes(), 40).unwrap();
    assert!(matches!(names.observe("x"), Err(OpenError::Geometry { .. })));
    fs::create_dir(names.path_of("directory").unwrap()).unwrap();
    assert!(matches!(names.observe("directory"), Err(OpenError::NotRegular { .. })));
    assert!(matches!(names.observe("a/b"), Err(OpenError::InvalidName(_))));
}

#[test]
fn writing_through_a_view_ends_the_writer_and_harms_nobody() {
    let offer = Offer::create(&shape()).unwrap();
    let (segment, view) = (offer.attach().unwrap(), offer.observe().unwrap());
    let code = in_forked_child(|| {
        // Of the child's own, made after the fork.
        let own = offer.observe().unwrap();
        // SAFETY: the page is mapped; that it may not be written is what is tested.
        unsafe { own.control().as_ptr().write_volatile(1) };
        0
    });
    assert_eq!(code, -libc::SIGSEGV);
    assert_eq!((word(&segment, 0).load(SeqCst), seen(&view, 0)), (0, 0));
}

#[test]
fn in_a_forked_child_a_view_is_a_husk() {
    let offer = Offer::create(&shape()).unwrap();
    let (segment, view) = (offer.attach().unwrap(), offer.observe().unwrap());
    word(&segment, 0).store(5, SeqCst);
    let code = in_forked_child(|| {
        // These take the number that was the view's.
        let _others = [fs::File::open("/dev/null").unwrap(), fs::File::open("/dev/null").unwrap()];
        let zeros = seen(&view, 0) == 0 && byte(&view, 2 * shape().capacity - 1) == 0;
        i32::from(!zeros || view.is_held(Role::FIRST).is_ok() || view.allocated().is_ok())
    });
    assert_eq!(code, 0);
    assert_eq!(seen(&view, 0), 5);
}

#[test]
fn a_file_of_another_user_can_be_seen_if_it_can_be_read() {
    let (directory, names) = names();
    let (segment, _) = names.open_or_create("x", &shape(), |_| {}).unwrap();
    word(&segment, 0).store(5, SeqCst);
    let open_to =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open_to(directory.path(), 0o755);
    if chown(segment.path().unwrap(), Some(4711), None).is_err() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    let look = |mode| {
        open_to(segment.path().unwrap(), mode);
        let mut child =
            Running::start(program("child_looks_as_nobody").env("RINGWAY_TEST_DIR", directory.path()));
        let said = child.hear();
        child.finish();
        said
    };
    assert_eq!(look(0o644), "5");
    assert!(look(0o600).ends_with("not permitted to open it; run as its owner or have its mode changed"));
}

#[test]
#[ignore = "run by another test"]
fn child_looks_as_nobody() {
    if is_child() {
        // SAFETY: sets a number of this process.
        assert_eq!(unsafe { libc::setuid(65534) }, 0);
        match Names::in_dir(std::env::var_os("RINGWAY_TEST_DIR").unwrap()).observe("x") {
            Ok(view) => say(&seen(&view, 0).to_string()),
            Err(error) => say(&error.to_string()),
        }
    }
}

#[test]
fn the_names_of_a_directory_are_listed_in_order_and_nothing_else() {
    let (directory, names) = names();
    for name in ["b", "a", "a b", "ü"] {
        drop(names.open_or_create(name, &shape(), |_| {}).unwrap());
    }
    fs::create_dir(names.path_of("directory").unwrap()).unwrap();
    std::os::unix::fs::symlink(names.path_of("a").unwrap(), names.path_of("link").unwrap()).unwrap();
    fs::write(directory.path().join("ringway."), "").unwrap();
    fs::write(directory.path().join("other"), "").unwrap();
    let listed = names.list().unwrap();
    assert_eq!(listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "a b", "b", "ü"]);
    assert!(listed.iter().all(|(name, path)| names.path_of(name).as_ref() == Ok(path) && path.exists()));
}

#[test]
fn a_directory_that_cannot_be_listed_is_told_with_its_path() {
    let (_directory, names) = names();
    let error = Names::in_dir(names.dir().join("absent")).list().unwrap_err().to_string();
    assert!(error.contains("/absent: cannot list the names in it"), "{error}");
}

#[test]
fn a_view_says_what_it_is_but_not_what_is_in_it() {
    let offer = Offer::create(&shape()).unwrap();
    let text = format!("{:?}", offer.observe().unwrap());
    assert!(text.contains("capacity: 65536") && text.contains("Memfd"), "{text}");
}
