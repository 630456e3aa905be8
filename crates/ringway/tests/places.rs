//! Rings wherever a segment can live, and how their memory is held.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ringway::{
    AttachError, Backend, CreateError, Names, NoHugePages, OpenError, Pages, Place, SharedMemory, Side,
    spsc::{Options, Receiver, Sender},
};

fn options() -> Options {
    Options::new().capacity(1 << 16)
}

/// Sends from one end to the other, more than the ring holds at once.
fn assert_carries(mut tx: Sender, mut rx: Receiver) {
    for n in 0..5_000u64 {
        tx.send(&n.to_le_bytes()).unwrap();
        let message = rx.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(message[..], n.to_le_bytes());
    }
    tx.close().unwrap();
}

/// Either side first, one holder an end, and a smaller ring is not taken for a larger one.
fn assert_a_ring_can_live_at(place: &dyn Backend) {
    let rx = options().receiver_at(place).unwrap();
    let tx = options().sender_at(place).unwrap();
    let held = options().sender_at(place).unwrap_err();
    assert!(matches!(held, AttachError::Held { side: Side::Sender, .. }), "{held}");
    let small = Options::new().capacity(1 << 20).sender_at(place).unwrap_err();
    assert!(matches!(small, AttachError::TooSmall { asked: 0x10_0000, found: 0x1_0000, .. }), "{small}");
    assert_carries(tx, rx);
}

#[test]
fn a_ring_can_live_in_a_file_and_is_gone_when_both_have_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ring");
    assert_a_ring_can_live_at(&Place::file(&path));
    assert!(!path.exists());
}

#[test]
fn a_name_is_a_place_too() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let rx = options().names(names.clone()).receiver("x").unwrap();
    assert_carries(options().sender_at(&names.at("x").unwrap()).unwrap(), rx);
    assert_eq!(names.list().unwrap(), []);
}

#[test]
fn an_offer_is_a_place_too() {
    assert_a_ring_can_live_at(&options().offer().unwrap());
}

#[test]
fn a_ring_can_live_in_an_object_of_shared_memory() {
    let object = SharedMemory::new(&format!("/ringway-test-{}", std::process::id())).unwrap();
    assert_a_ring_can_live_at(&object);
    assert!(!object.path().exists());
}

#[test]
fn a_place_that_holds_something_else_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [7; 8192]).unwrap();
    let error = options().sender_at(&Place::file(file.path())).unwrap_err();
    assert!(matches!(error, AttachError::Open(OpenError::NotRingway { .. })), "{error}");
}

#[test]
fn memory_can_be_held_as_one_likes_and_carries_the_same() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let options = options().names(names.clone()).populate(false).lock(true).mode(0o640);
    let rx = match options.receiver("x") {
        Err(AttachError::Create(CreateError::OutOfMemory(shortage))) => {
            return eprintln!("skipped: {shortage}");
        }
        other => other.unwrap(),
    };
    let mode = std::fs::metadata(rx.path().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_carries(options.sender("x").unwrap(), rx);
}

#[test]
fn a_ring_in_huge_pages_carries_the_same_and_one_without_says_why() {
    let options = Options::new().capacity(4 << 20).huge_pages(true);
    let offer = options.offer().unwrap();
    match offer.pages() {
        Pages::Huge { .. } => {}
        Pages::Instead(why) => {
            eprintln!("skipped: {why}");
            assert!(!matches!(why, NoHugePages::Backend | NoHugePages::Existing), "{why}");
        }
        pages => panic!("{pages}"),
    }
    assert_carries(Sender::attach(&offer).unwrap(), Receiver::attach(&offer).unwrap());
    let (tx, rx) = options.pair().unwrap();
    assert_carries(tx, rx);
}
