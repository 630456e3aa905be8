//! A forked child is not its parent.
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::SeqCst;

use common::{
    Running, await_line, in_forked_child, is_child, mapped_memfds, memfds, program, say, shape, word,
};
use ringway_segment::{ClaimError, Offer, Role, Segment, Shape};

#[test]
fn a_forked_child_that_outlives_its_parent_does_not_keep_the_role() {
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    let mut command = program("child_claims_and_forks");
    offer.give_to(&mut command, "X").unwrap();
    let mut parent = Running::start(&mut command);
    assert_eq!(parent.hear(), "forked");
    assert!(matches!(segment.claim(Role::FIRST), Err(ClaimError::Held { .. })));
    parent.kill();
    segment.claim(Role::FIRST).unwrap();
    parent.tell();
    assert_eq!(parent.hear(), "grandchild lives");
}

#[test]
#[ignore = "run by another test"]
fn child_claims_and_forks() {
    if is_child() {
        let segment = Offer::from_env("X").unwrap().attach().unwrap();
        segment.claim(Role::FIRST).unwrap();
        in_forked_child(|| {
            say("forked");
            await_line();
            say("grandchild lives");
            0
        });
    }
}

#[test]
fn in_a_forked_child_a_handle_is_a_husk() {
    let segment = Offer::create(&shape()).unwrap().attach().unwrap();
    assert!(segment.is_ours());
    let code = in_forked_child(|| {
        let refused = matches!(segment.claim(Role::FIRST), Err(ClaimError::NotOurs { .. }));
        i32::from(segment.is_ours() || !refused)
    });
    assert_eq!(code, 0);
    assert!(segment.is_ours());
}

/// The first and the last byte of the control area and of the data, through pointers.
fn corners(segment: &Segment) -> [*mut u8; 4] {
    let (control, data) = (segment.control().as_ptr(), segment.data().as_ptr());
    let (control_len, data_len) = (segment.shape().control_len, 2 * segment.shape().capacity);
    let last = |start: *mut u8, len: u64| start.wrapping_add(usize::try_from(len).unwrap() - 1);
    [control, last(control, control_len), data, last(data, data_len)]
}

/// Fills the corners with `value` and returns what was there.
fn exchange(corners: [*mut u8; 4], value: u8) -> [u8; 4] {
    // SAFETY: each is inside the memory of a segment that lives, and this test alone has it, one thread or one
    // process at a time; volatile, because others could write there.
    corners.map(|corner| unsafe {
        let found = corner.read_volatile();
        corner.write_volatile(value);
        found
    })
}

#[test]
fn in_a_forked_child_pointers_lead_to_zeros_of_its_own() {
    let offer = Offer::create(&shape()).unwrap();
    let segments = [offer.attach().unwrap(), offer.attach().unwrap()];
    let pointers = [corners(&segments[0]), corners(&segments[1])];
    exchange(pointers[0], 7);
    let code = in_forked_child(|| {
        // Both mappings begin as zeros, and share nothing by now.
        if pointers.map(|corners| exchange(corners, 9)) != [[0; 4]; 2] {
            return 1;
        }
        // A grandchild has a copy, as of any memory.
        let grandchild = in_forked_child(|| i32::from(exchange(corners(&segments[0]), 5) != [9; 4]));
        i32::from(exchange(pointers[0], 9) != [9; 4]) * 2 + grandchild * 4
    });
    assert_eq!(code, 0);
    assert_eq!(exchange(pointers[1], 7), [7; 4]);
}

#[test]
fn zeros_in_a_forked_child_take_no_memory_until_written() {
    let segment = Offer::create(&Shape { capacity: 64 << 20, ..shape() }).unwrap().attach().unwrap();
    let code = in_forked_child(|| {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        // The header's page is the first.
        let start = segment.control().as_ptr().addr() - 4096;
        let after = maps.split_once(&format!("{start:x}-")).unwrap().1;
        let line = after.lines().find(|line| line.starts_with("Rss:")).unwrap();
        i32::from(line.split_whitespace().nth(1) != Some("0"))
    });
    assert_eq!(code, 0);
}

#[test]
fn where_a_forked_child_may_have_no_zeros_nothing_else_comes_to_lie() {
    Running::start(&mut program("child_forks_with_little_memory")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_forks_with_little_memory() {
    if !is_child() {
        return;
    }
    let segment = Offer::create(&Shape { capacity: 64 << 20, ..shape() }).unwrap().attach().unwrap();
    // The data is mapped twice: its zeros would be more than this.
    let most = libc::rlimit { rlim_cur: 100 << 20, rlim_max: 100 << 20 };
    // SAFETY: the pointer is to a local.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const most) }, 0);
    let code = in_forked_child(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let all_taken = corners(&segment).iter().all(|corner| {
            let page = corner.map_addr(|address| address & !4095).cast();
            // SAFETY: maps only where nothing is mapped.
            let mapped = unsafe { libc::mmap(page, 4096, libc::PROT_NONE, flags, -1, 0) };
            mapped == libc::MAP_FAILED
        });
        i32::from(!all_taken)
    });
    assert_eq!(code, 0);
    assert_eq!(in_forked_child(|| exchange(corners(&segment), 1).len() as i32), -libc::SIGSEGV);
    exchange(corners(&segment), 1);
}

#[test]
#[ignore = "run by another test"]
fn child_drops_a_copy() {
    if !is_child() {
        return;
    }
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    segment.claim(Role::FIRST).unwrap();
    let mut copy = Some(segment);
    let code = in_forked_child(|| {
        let segment = copy.take().unwrap();
        // Files take the numbers that are free.
        let files: Vec<_> = (0..8).map(|_| File::open("/dev/null").unwrap()).collect();
        let place = segment.control().as_ptr();
        drop(segment);
        // SAFETY: the child's own memory; if the drop had unmapped it this ends the child by a signal.
        unsafe { place.write_volatile(1) };
        // SAFETY: asks for the flags of a number.
        let open = |file: &File| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) } != -1;
        if files.iter().all(open) { 0 } else { 2 }
    });
    assert_eq!(code, 0);
    let segment = copy.unwrap();
    assert_eq!(word(&segment, 0).load(SeqCst), 0);
    word(&segment, 0).store(1, SeqCst);
    assert!(offer.attach().unwrap().claim(Role::FIRST).is_err());
}

#[test]
fn dropping_a_copy_in_a_forked_child_touches_nothing() {
    // In a process of its own, so that no other thread takes the descriptors' numbers.
    Running::start(&mut program("child_drops_a_copy")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_forks_and_attaches_anew() {
    if !is_child() {
        return;
    }
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    segment.claim(Role::FIRST).unwrap();
    let code = in_forked_child(|| {
        let Ok(own) = offer.attach() else { return 1 };
        if own.claim(Role::FIRST).is_ok() || own.claim(Role::SECOND).is_err() {
            return 2;
        }
        let grandchild = in_forked_child(|| i32::from(own.is_ours() || memfds() != 1));
        i32::from(!own.is_ours()) * 4 + grandchild * 8
    });
    assert_eq!(code, 0);
    offer.attach().unwrap().claim(Role::SECOND).unwrap();
}

#[test]
fn a_forked_child_can_attach_anew() {
    Running::start(&mut program("child_forks_and_attaches_anew")).finish();
}

#[test]
#[ignore = "run by another test"]
fn child_forks_while_threads_attach() {
    if !is_child() {
        return;
    }
    let offer = Offer::create(&shape()).unwrap();
    let stop = std::sync::Mutex::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !*stop.lock().unwrap() {
                    let many: Vec<_> = (0..20).map(|_| offer.attach().unwrap()).collect();
                    many[0].claim(Role::FIRST).ok();
                }
            });
        }
        // Of all that is open and mapped at the moment of the fork the child keeps the offer only.
        let kept = || i32::try_from(memfds() + 16 * mapped_memfds()).unwrap();
        let kept: Vec<_> = (0..200).map(|_| in_forked_child(kept)).collect();
        *stop.lock().unwrap() = true;
        assert_eq!(kept, [1; 200]);
    });
    offer.attach().unwrap().claim(Role::FIRST).unwrap();
}

#[test]
fn nothing_escapes_into_a_child_forked_while_threads_attach() {
    Running::start(&mut program("child_forks_while_threads_attach")).finish();
}

#[test]
fn a_dropped_handle_frees_its_roles_although_a_child_that_ran_no_handlers_lives() {
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    segment.claim(Role::FIRST).unwrap();
    let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let stop = there.as_raw_fd();
    // SAFETY: like a child on its way to exec this one runs no handlers and makes two system calls: it waits for
    // a byte and ends.
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        if pid == 0 {
            libc::read(stop, [0u8].as_mut_ptr().cast(), 1);
            libc::_exit(0);
        }
        i32::try_from(pid).unwrap()
    };
    assert!(pid > 0);
    drop(segment);
    let claimed = offer.attach().unwrap().claim(Role::FIRST);
    std::io::Write::write_all(&mut here, &[1]).unwrap();
    // SAFETY: waits for the child just made.
    assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
    claimed.unwrap();
}
