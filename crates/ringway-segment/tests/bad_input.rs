//! What is not a good segment gives the error that says so.

mod common;

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use common::{KIND, names, shape};
use ringway_segment::{CreateError, Error, LAYOUT_VERSION, Names, Offer, OpenError, Shape};

/// A good segment under the name `x`, tampered with.
fn tampered(tamper: impl FnOnce(&File)) -> OpenError {
    let (_directory, names) = names();
    drop(names.open_or_create("x", &shape(), |_| {}).unwrap());
    let file = OpenOptions::new().read(true).write(true).open(names.path_of("x").unwrap()).unwrap();
    tamper(&file);
    let error = names.open("x", Some(KIND)).unwrap_err();
    // The other door gives the same.
    let Err(Error::Open(same)) = names.open_or_create("x", &shape(), |_| {}) else { panic!("{error}") };
    assert_eq!(same.to_string(), error.to_string());
    assert!(error.to_string().contains("ringway.x"), "says where: {error}");
    error
}

fn overwritten(at: u64, bytes: &[u8]) -> OpenError {
    tampered(|file| file.write_all_at(bytes, at).unwrap())
}

fn total() -> u64 {
    shape().total().unwrap()
}

#[test]
fn a_truncated_segment_says_what_it_should_be() {
    let error = tampered(|file| file.set_len(total() - 1).unwrap());
    assert!(
        matches!(error, OpenError::Truncated { expected, found, .. } if (expected, found) == (total(), total() - 1))
    );
}

#[test]
fn an_oversized_segment_says_what_it_should_be() {
    let error = tampered(|file| file.set_len(total() + 1).unwrap());
    assert!(
        matches!(error, OpenError::Oversized { expected, found, .. } if (expected, found) == (total(), total() + 1))
    );
}

#[test]
fn what_is_shorter_than_a_header_is_foreign() {
    for len in [0, 8, 4095] {
        assert!(matches!(tampered(|file| file.set_len(len).unwrap()), OpenError::NotRingway { .. }));
    }
}

#[test]
fn what_begins_otherwise_is_foreign() {
    assert!(matches!(overwritten(0, b"ELF"), OpenError::NotRingway { .. }));
    assert!(matches!(overwritten(0, &[0; 64]), OpenError::NotRingway { .. }));
}

#[test]
fn another_layout_version_is_told_with_ours() {
    let error = overwritten(8, &9u32.to_ne_bytes());
    assert!(matches!(error, OpenError::LayoutVersion { found: 9, known: LAYOUT_VERSION, .. }));
}

#[test]
fn the_other_byte_order_is_told() {
    assert!(matches!(overwritten(12, &0x0403_0201u32.to_ne_bytes()), OpenError::ByteOrder { .. }));
}

#[test]
fn each_number_of_the_header_that_does_not_fit_is_named() {
    for (at, field, value) in [
        (24, "control_len", 0),
        (24, "control_len", 4097),
        (24, "control_len", u64::MAX - 4095),
        (40, "capacity", 0),
        (40, "capacity", 65537),
        (40, "capacity", 1 << 63),
        (32, "data_offset", 4096),
        (32, "data_offset", u64::MAX),
        (48, "total", 0),
        (48, "total", u64::MAX),
    ] {
        let error = overwritten(at, &u64::to_ne_bytes(value));
        let OpenError::Geometry { misfit, .. } = &error else { panic!("{error}") };
        assert_eq!((misfit.field, misfit.found), (field, value));
    }
}

#[test]
fn a_larger_capacity_than_the_file_has_is_not_mapped() {
    let error = tampered(|file| {
        file.write_all_at(&(1u64 << 30).to_ne_bytes(), 40).unwrap();
        let grown = total() - shape().capacity + (1 << 30);
        file.write_all_at(&grown.to_ne_bytes(), 48).unwrap();
    });
    assert!(matches!(error, OpenError::Truncated { .. }), "{error}");
}

#[test]
fn another_kind_is_told_with_ours() {
    let (_directory, names) = names();
    let _segment = names.open_or_create("x", &shape(), |_| {}).unwrap();
    let wanted = KIND + 1;
    let error = names.open("x", Some(wanted)).unwrap_err();
    assert!(matches!(error, OpenError::Kind { found: KIND, wanted: 8, .. }), "{error}");
    let other = Shape { kind: wanted, ..shape() };
    let error = names.open_or_create("x", &other, |_| {}).unwrap_err();
    assert!(matches!(error, Error::Open(OpenError::Kind { .. })), "{error}");
    names.open("x", None).unwrap();
}

/// What is under the name is not a file.
fn in_the_way(make: impl FnOnce(&std::path::Path)) -> &'static str {
    let (_directory, names) = names();
    make(&names.path_of("x").unwrap());
    match names.open_or_create("x", &shape(), |_| {}) {
        Err(Error::Open(OpenError::NotRegular { found, .. })) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let (_elsewhere, other) = names();
    drop(other.open_or_create("x", &shape(), |_| {}).unwrap());
    let good = other.path_of("x").unwrap();
    assert_eq!(in_the_way(|path| std::os::unix::fs::symlink(&good, path).unwrap()), "a symbolic link");
}

#[test]
fn a_directory_is_told() {
    assert_eq!(in_the_way(|path| fs::create_dir(path).unwrap()), "a directory");
}

#[test]
fn a_fifo_is_told_and_not_waited_for() {
    let found = in_the_way(|path| {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        common::make_fifo(&path);
    });
    assert_eq!(found, "a FIFO");
}

#[test]
fn a_socket_is_told() {
    let mut listener = None;
    let found = in_the_way(|path| listener = Some(std::os::unix::net::UnixListener::bind(path).unwrap()));
    assert_eq!(found, "a socket or a device");
}

#[test]
fn a_file_of_another_user_is_not_trusted() {
    let (_directory, names) = names();
    drop(names.open_or_create("x", &shape(), |_| {}).unwrap());
    if std::os::unix::fs::chown(names.path_of("x").unwrap(), Some(4711), None).is_err() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    let error = names.open("x", None).unwrap_err();
    assert!(matches!(error, OpenError::Owner { found: 4711, .. }), "{error}");
}

#[test]
fn a_name_without_a_segment_is_not_found() {
    let (_directory, names) = names();
    assert!(matches!(names.open("x", None), Err(OpenError::NotFound { .. })));
    let nowhere = Names::in_dir(names.dir().join("absent"));
    assert!(matches!(nowhere.open("x", None), Err(OpenError::NotFound { .. })));
    let error = nowhere.open_or_create("x", &shape(), |_| {}).unwrap_err();
    assert!(matches!(error, Error::Create(CreateError::Os(_))), "{error}");
    assert!(error.to_string().contains("create the directory, or name another one"), "{error}");
}

#[test]
fn a_file_system_that_cannot_hold_segments_is_told() {
    let error = Names::in_dir("/proc").open_or_create("x", &shape(), |_| {}).unwrap_err();
    assert!(matches!(error, Error::Create(_)), "{error}");
}

#[test]
fn a_bad_name_is_refused_at_every_door() {
    let (_directory, names) = names();
    for name in ["", "a/b", "a\0", &"x".repeat(248)] {
        assert!(matches!(names.open(name, None), Err(OpenError::InvalidName(_))));
        let created = names.open_or_create(name, &shape(), |_| {});
        assert!(matches!(created, Err(Error::Create(CreateError::InvalidName(_)))));
    }
    names.open_or_create(&"x".repeat(247), &shape(), |_| {}).unwrap();
}

#[test]
fn a_shape_that_no_segment_can_have_is_refused() {
    let (_directory, names) = names();
    for capacity in [0, 1, 1000, 65537, u64::MAX] {
        let bad = Shape { capacity, ..shape() };
        assert!(matches!(Offer::create(&bad), Err(CreateError::InvalidShape(_))));
        let created = names.open_or_create("x", &bad, |_| {});
        assert!(matches!(created, Err(Error::Create(CreateError::InvalidShape(_)))));
    }
}

#[test]
fn a_descriptor_that_is_no_memfd_is_refused() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(total()).unwrap();
    assert!(matches!(Offer::from_fd(file.into()), Err(OpenError::NotMemfd { .. })));
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(matches!(Offer::from_fd(socket.into()), Err(OpenError::NotMemfd { .. })));
}

#[test]
fn memory_whose_size_may_change_or_that_cannot_be_written_is_refused() {
    let all = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    for seals in
        [0, libc::F_SEAL_SHRINK, libc::F_SEAL_GROW, all | libc::F_SEAL_WRITE, all | libc::F_SEAL_FUTURE_WRITE]
    {
        let memory = common::memory(total(), seals, &common::header_of(&Offer::create(&shape()).unwrap()));
        let error = Offer::from_fd(memory).unwrap_err();
        assert!(matches!(error, OpenError::Seals { .. }), "{error}");
    }
    let good = common::memory(total(), all, &common::header_of(&Offer::create(&shape()).unwrap()));
    Offer::from_fd(good).unwrap().attach().unwrap();
}

#[test]
fn sealed_memory_with_a_bad_header_or_size_is_refused() {
    let all = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    let good = common::header_of(&Offer::create(&shape()).unwrap());
    let open = |len, header: &[u8]| Offer::from_fd(common::memory(len, all, header)).unwrap_err();
    assert!(matches!(open(100, &good), OpenError::NotRingway { .. }));
    assert!(matches!(open(total(), &[0; 64]), OpenError::NotRingway { .. }));
    assert!(matches!(open(total() - 4096, &good), OpenError::Truncated { .. }));
    assert!(matches!(open(total() + 4096, &good), OpenError::Oversized { .. }));
}

#[test]
fn a_header_rewritten_later_changes_nothing_for_who_is_attached() {
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    let memory = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    memory.write_all_at(&[0xFF; 4096], 0).unwrap();
    assert_eq!((offer.shape(), segment.shape()), (shape(), shape()));
    offer.attach().unwrap();
    assert!(Offer::from_fd(memory.into()).is_err());
}
