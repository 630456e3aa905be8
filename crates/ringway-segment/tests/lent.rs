//! Memory of the caller's.
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

use common::{KIND, mapped_twice, shape, word};
use memmap2::MmapRaw;
use ringway_segment::{Backend, CreateError, Error, Lent, Limit, Memory, OpenError, Origin, Role, Shape};

fn memory() -> (File, MmapRaw) {
    let file = tempfile::tempfile_in("/dev/shm").unwrap();
    let memory = mapped_twice(&file, &shape());
    (file, memory)
}

/// The first `len` bytes of the memory, with locks in the file.
fn lend(file: &File, memory: &MmapRaw, len: usize) -> Lent {
    assert!(len <= memory.len());
    let base = NonNull::new(memory.as_mut_ptr()).unwrap();
    // SAFETY: laid out as demanded for the tests' shape, which is the only one that a segment is made with; the
    // tests drop the memory last.
    unsafe { Lent::new(base, len, file.try_clone().unwrap().into()) }
}

#[test]
fn what_was_in_the_memory_before_is_not_in_the_segment() {
    let (file, memory) = memory();
    let lent = lend(&file, &memory, memory.len());
    let total = shape().total().unwrap();
    // Of a maker that was killed before the last step, say: all but the first word.
    file.write_all_at(&vec![0xEE; total as usize - 8], 8).unwrap();
    let nothing = lent.open(None, &Memory::new()).unwrap_err();
    assert!(nothing.to_string().contains("nothing has been made"), "{nothing}");
    let (segment, created) = lent.open_or_create(&shape(), &Memory::new(), &mut |_| {}).unwrap();
    assert!(created);
    assert!((0..1024).all(|index| word(&segment, index).load(SeqCst) == 0));
    let mut rest = vec![1; total as usize - 64];
    file.read_exact_at(&mut rest, 64).unwrap();
    assert!(rest.iter().all(|byte| *byte == 0));
}

#[test]
fn a_shape_that_the_memory_is_not_of_is_refused_and_nothing_touched() {
    let (file, memory) = memory();
    let lent = lend(&file, &memory, memory.len());
    let make = |capacity| {
        let other = Shape { capacity, ..shape() };
        lent.open_or_create(&other, &Memory::new(), &mut |_| panic!("not of this shape")).unwrap_err()
    };
    let error = make(shape().capacity * 2);
    let Error::Create(CreateError::OutOfMemory(shortage)) = &error else { panic!("{error}") };
    assert_eq!((&shortage.limit, shortage.available), (&Limit::Lent, Some(memory.len() as u64)));
    let error = make(shape().capacity / 2);
    assert!(matches!(&error, Error::Create(CreateError::InvalidShape(misfit)) if misfit.field == "capacity"));
    let mut all = vec![1; shape().total().unwrap() as usize];
    file.read_exact_at(&mut all, 0).unwrap();
    assert!(all.iter().all(|byte| *byte == 0));
}

#[test]
fn memory_without_room_for_a_header_is_no_place() {
    let (file, memory) = memory();
    let lent = lend(&file, &memory, 4095);
    let error = lent.open_or_create(&shape(), &Memory::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Open(OpenError::NotRingway { .. })), "{error}");
}

#[test]
fn the_locks_may_be_in_another_file() {
    let (_, memory) = memory();
    let locks = tempfile::tempfile().unwrap();
    let lent = lend(&locks, &memory, memory.len());
    let (first, _) = lent.open_or_create(&shape(), &Memory::new(), &mut |_| {}).unwrap();
    let second = lend(&locks, &memory, memory.len()).open(Some(KIND), &Memory::new()).unwrap();
    first.claim(Role::FIRST).unwrap();
    second.claim(Role::FIRST).unwrap_err();
    assert_eq!((first.origin(), first.path()), (&Origin::Lent, None));
    assert_eq!(locks.metadata().unwrap().len(), 0, "never written");
}

#[test]
fn locks_that_cannot_be_opened_again_are_told() {
    let (_, memory) = memory();
    let (pipe, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let base = NonNull::new(memory.as_mut_ptr()).unwrap();
    // SAFETY: as in `lend`.
    let lent = unsafe { Lent::new(base, memory.len(), pipe.into()) };
    let error = lent.open_or_create(&shape(), &Memory::new(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("lent memory: cannot open its lock file"), "{error}");
}

#[test]
fn dropping_a_segment_leaves_the_memory_to_its_owner() {
    let (file, memory) = memory();
    let lent = lend(&file, &memory, memory.len());
    let (segment, _) = lent.open_or_create(&shape(), &Memory::new(), &mut |_| {}).unwrap();
    word(&segment, 0).store(5, SeqCst);
    segment.leave(|_| panic!("there is nothing to remove"));
    // SAFETY: the memory is mapped still: that is what is tested.
    assert_eq!(unsafe { memory.as_ptr().add(4096).cast::<u64>().read_volatile() }, 5);
}
