#![allow(unsafe_code)]

use std::{fs::File, os::fd::AsRawFd, process, ptr, ptr::NonNull};

use ringway::{
    AttachError, Backend, Lent, Names, Place as At, RecvError, SharedMemory, layout::queue::queue,
};

use crate::{Place, SIZE, SLOTS, all, options};

/// Any number of ends, in any order, and messages for all of them.
fn assert_a_queue_can_live_at(place: &dyn Backend) {
    let first = options().receiver_at(place).unwrap();
    let senders = [(); 2].map(|()| options().sender_at(place).unwrap());
    let second = options().receiver_at(place).unwrap();
    for n in 0..=255u8 {
        senders[usize::from(n % 2)].send(&[n; 100]).unwrap();
        let rx = if n % 3 == 0 { &first } else { &second };
        assert_eq!(rx.recv().unwrap()[..], [n; 100]);
    }
    let refused = options().slots(SLOTS + 1).sender_at(place).unwrap_err();
    assert!(matches!(refused, AttachError::SmallSlots { .. }), "{refused}");
    drop(senders);
    assert_eq!(first.recv().unwrap_err(), RecvError::Closed);
}

#[test]
fn a_queue_can_live_in_a_file_and_is_gone_when_all_have_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("queue");
    assert_a_queue_can_live_at(&At::file(&path));
    assert!(!path.exists());
}

#[test]
fn a_queue_can_live_under_a_name_and_in_an_offer() {
    let place = Place::new();
    assert_a_queue_can_live_at(&Names::in_dir(place.0.path()).at("x").unwrap());
    assert!(place.is_empty());
    assert_a_queue_can_live_at(&options().offer().unwrap());
}

#[test]
fn a_queue_can_live_in_an_object_of_shared_memory() {
    let object = SharedMemory::new(&format!("/ringway-queue-test-{}", process::id())).unwrap();
    assert_a_queue_can_live_at(&object);
    assert!(!object.path().exists());
}

/// A queue's memory as somebody maps it who lends it: its file, and behind it once more what it carries.
fn mapped(file: &File) -> (NonNull<u8>, usize) {
    let shape = queue(SLOTS, SIZE, 0);
    let (total, capacity) = (shape.total().unwrap() as usize, shape.capacity as usize);
    file.set_len(total as u64).unwrap();
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, at an address of the kernel's choice; and one that replaces the second half of that.
    unsafe {
        let fd = file.as_raw_fd();
        let memory = libc::mmap(ptr::null_mut(), total + capacity, access, libc::MAP_SHARED, fd, 0);
        assert_ne!(memory, libc::MAP_FAILED);
        let (again, from) = (memory.byte_add(total), (total - capacity) as i64);
        let again = libc::mmap(again, capacity, access, libc::MAP_SHARED | libc::MAP_FIXED, fd, from);
        assert_ne!(again, libc::MAP_FAILED);
        (NonNull::new(memory.cast()).unwrap(), total + capacity)
    }
}

#[test]
fn a_queue_can_live_in_memory_that_is_lent() {
    let file = tempfile::tempfile_in("/dev/shm").unwrap();
    let (base, len) = mapped(&file);
    // SAFETY: laid out as demanded for this shape, never unmapped, and used through Ringway only.
    assert_a_queue_can_live_at(&unsafe { Lent::new(base, len, file.into()) });
}

#[test]
fn the_last_to_leave_takes_the_name_if_all_was_received() {
    let place = Place::new();
    let (tx, rx) = (place.options().sender("x").unwrap(), place.options().receiver("x").unwrap());
    let (other, clone) = (place.options().receiver("x").unwrap(), rx.clone());
    tx.send(b"1").unwrap();
    drop(rx.recv().unwrap());
    drop((rx, tx, other));
    assert!(!place.is_empty());
    drop(clone);
    assert!(place.is_empty());
    drop(place.options().sender("x").unwrap());
    assert!(place.is_empty(), "nobody has sent anything");
}

#[test]
fn a_queue_with_something_to_receive_outlives_its_ends() {
    let place = Place::new();
    let tx = place.options().sender("x").unwrap();
    assert!(tx.path().unwrap().starts_with(place.0.path()));
    let mut batch = tx.batch();
    (0..3u8).for_each(|n| batch.push(&[n]).unwrap());
    batch.send();
    drop(tx);
    assert!(!place.is_empty());
    // What of a slot is not received goes back.
    drop(place.options().receiver("x").unwrap().recv().unwrap());
    assert!(!place.is_empty());
    let rx = place.options().receiver("x").unwrap();
    assert_eq!(all(&rx), [1, 2]);
    drop(rx);
    assert!(place.is_empty());
}

#[test]
fn who_was_refused_leaves_the_name_as_it_was() {
    let place = Place::new();
    let tx = place.options().sender("x").unwrap();
    tx.send(b"1").unwrap();
    place.options().slots(SLOTS + 1).receiver("x").unwrap_err();
    drop(tx);
    place.options().overwrite(true).receiver("x").unwrap_err();
    assert_eq!(all(&place.options().receiver("x").unwrap()), [b'1']);
    assert!(place.is_empty());
}
