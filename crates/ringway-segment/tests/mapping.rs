//! What a segment's memory is like.
#![allow(unsafe_code)]

mod common;

use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering::SeqCst;

use common::{shape, word};
use ringway_segment::{Offer, Segment, Shape};

fn byte(segment: &Segment, at: u64) -> *mut u8 {
    assert!(at < 2 * segment.shape().capacity);
    segment.data().as_ptr().wrapping_add(usize::try_from(at).unwrap())
}

#[test]
fn the_data_is_there_twice_back_to_back() {
    let segment = Offer::create(&shape()).unwrap().attach().unwrap();
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
}

#[test]
fn what_crosses_the_end_goes_on_at_the_beginning() {
    let segment = Offer::create(&shape()).unwrap().attach().unwrap();
    let capacity = shape().capacity;
    let text = *b"contiguous";
    // SAFETY: 10 bytes from 4 before the end of the first image are inside the data; as above.
    unsafe {
        byte(&segment, capacity - 4).cast::<[u8; 10]>().write_volatile(text);
        assert_eq!(byte(&segment, 0).cast::<[u8; 6]>().read_volatile(), text[4..]);
    }
}

#[test]
fn a_new_segment_is_zero_and_of_the_shape_asked_for() {
    let wanted = Shape { flags: 0xF1A6, control_len: 12288, detail: 0xDE7A_1100_0000_0001, ..shape() };
    let offer = Offer::create(&wanted).unwrap();
    let segment = offer.attach().unwrap();
    assert_eq!((offer.shape(), segment.shape()), (wanted, wanted));
    assert!((0..1024).all(|index| word(&segment, index).load(SeqCst) == 0));
    // SAFETY: inside the data; as above.
    assert!((0..2 * wanted.capacity).all(|at| unsafe { byte(&segment, at).read_volatile() } == 0));
}

#[test]
fn two_attachments_see_the_same_memory_and_do_not_touch_the_header() {
    let offer = Offer::create(&shape()).unwrap();
    let (here, there) = (offer.attach().unwrap(), offer.attach().unwrap());
    for index in 0..1024 {
        word(&here, index).store(u64::MAX, SeqCst);
    }
    assert_eq!(word(&there, 1023).load(SeqCst), u64::MAX);
    let again = Offer::from_fd(offer.as_fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!(again.shape(), shape());
    // SAFETY: the first byte of the data; as above.
    assert_eq!(unsafe { byte(&there, 0).read_volatile() }, 0);
}

#[test]
fn the_size_is_sealed() {
    let offer = Offer::create(&shape()).unwrap();
    // SAFETY: asks for a number.
    let seals = unsafe { libc::fcntl(offer.as_fd().as_raw_fd(), libc::F_GET_SEALS) };
    let wanted = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    assert_eq!(seals & wanted, wanted);
    let file = std::fs::File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let total = shape().total().unwrap();
    for size in [0, total - 1, total + 1, total * 2] {
        assert_eq!(file.set_len(size).unwrap_err().raw_os_error(), Some(libc::EPERM), "{size}");
    }
    assert_eq!(file.metadata().unwrap().len(), total);
}

#[test]
fn all_of_the_memory_is_reserved_at_creation() {
    use std::os::unix::fs::MetadataExt;
    let offer = Offer::create(&Shape { capacity: 1 << 22, ..shape() }).unwrap();
    let file = std::fs::File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let found = file.metadata().unwrap();
    assert!(found.blocks() * 512 >= found.len(), "{} of {}", found.blocks() * 512, found.len());
}

#[test]
fn memory_goes_with_its_last_user() {
    let held_by_this_test = |offer: &Offer| {
        let path = format!("/proc/self/fd/{}", offer.as_fd().as_raw_fd());
        std::fs::metadata(path).map(|found| std::os::unix::fs::MetadataExt::ino(&found)).unwrap()
    };
    let mapped = |inode: u64| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines()
            .filter(|line| line.contains(&format!(" {inode} ")) && line.contains("memfd:ringway"))
            .count()
    };
    let offer = Offer::create(&shape()).unwrap();
    let inode = held_by_this_test(&offer);
    let segment = offer.attach().unwrap();
    drop(offer);
    assert_eq!(mapped(inode), 2, "the file up to its end, and the data once more");
    drop(segment);
    assert_eq!(mapped(inode), 0);
}

#[test]
fn handles_say_what_they_are_but_not_what_is_in_them() {
    let offer = Offer::create(&shape()).unwrap();
    let text = format!("{offer:?} {:?}", offer.attach().unwrap());
    assert!(text.contains("capacity: 65536") && text.contains("Memfd"), "{text}");
}
