//! Memory without a name is gone with its last user, however that one ends.

mod support;

use std::{
    fs,
    os::{
        fd::AsFd,
        linux::fs::MetadataExt,
        unix::{ffi::OsStrExt, fs::DirEntryExt},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Offer, inspect,
    spsc::{Options, Receiver, Sender},
};
use support::{PATIENCE, Peer};

/// Which memory it is, as the kernel numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    device: u64,
    inode: u64,
}

impl Memory {
    fn of(offer: &Offer) -> Self {
        let found = fs::File::from(offer.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap();
        Self { device: found.st_dev(), inode: found.st_ino() }
    }

    /// The processes that have it open or mapped, as far as this user can see.
    fn users(self) -> Vec<PathBuf> {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
        let processes = processes.filter(|entry| entry.file_name().as_bytes()[0].is_ascii_digit());
        processes
            .map(|entry| entry.path())
            .filter(|process| self.is_open(process) || self.is_mapped(process))
            .collect()
    }

    fn is_open(self, process: &Path) -> bool {
        // It may have ended, or be another user's.
        let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
        descriptors.flatten().any(|descriptor| {
            fs::metadata(descriptor.path())
                .is_ok_and(|found| (found.st_dev(), found.st_ino()) == (self.device, self.inode))
        })
    }

    fn is_mapped(self, process: &Path) -> bool {
        let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
        // Address, rights, offset, device, inode, name.
        maps.lines().any(|line| {
            let inode = line.split_whitespace().nth(4);
            line.contains("memfd:") && inode == Some(&self.inode.to_string())
        })
    }

    /// Whether a directory has a file that is this memory.
    fn is_in(self, directory: &str) -> bool {
        fs::read_dir(directory).unwrap().flatten().any(|entry| {
            entry.ino() == self.inode && entry.metadata().is_ok_and(|found| found.st_dev() == self.device)
        })
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_sends() {
    let offer = Offer::from_env("RING").unwrap();
    let mut tx = Sender::attach(&offer).unwrap();
    // Also when it is told that the other one was killed: its turn comes.
    loop {
        let _ = tx.send(&[7; 100]);
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_receives() {
    let offer = Offer::from_env("RING").unwrap();
    let mut rx = Receiver::attach(&offer).unwrap();
    loop {
        let _ = rx.recv();
    }
}

#[test]
fn memory_without_a_name_is_gone_when_all_who_have_it_are_killed() {
    for round in 0..10 {
        let offer = Options::new().capacity(1 << 16).offer().unwrap();
        let memory = Memory::of(&offer);
        let start = |function| {
            let mut command = Peer::command(function);
            offer.give_to(&mut command, "RING").unwrap();
            Peer::start(&mut command)
        };
        let (sender, receiver) = (start("child_sends"), start("child_receives"));
        let limit = Instant::now() + PATIENCE;
        loop {
            let status = inspect::offered(&offer).unwrap();
            let at_work = |end: &inspect::End| end.state.is_held() && end.position > 0;
            if at_work(&status.sender) && at_work(&status.receiver) {
                break;
            }
            assert!(Instant::now() < limit, "the children do not come");
            thread::sleep(Duration::from_millis(1));
        }
        assert!(memory.is_open(Path::new("/proc/self")));
        drop(offer);
        assert_eq!(memory.users().len(), 2, "the two children");
        if round % 2 == 0 {
            sender.kill();
            assert_eq!(memory.users().len(), 1, "the receiver");
            receiver.kill();
        } else {
            receiver.kill();
            sender.kill();
        }
        assert_eq!(memory.users(), Vec::<PathBuf>::new());
        assert!(!memory.is_in("/dev/shm"));
    }
}
