//! What several of the tests need: shapes, words of a segment, and real processes that cannot hang.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(unsafe_code)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests reach into the memory directly"
)]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::atomic::AtomicU64;

use memmap2::{Advice, MmapOptions, MmapRaw};
use ringway_segment::{Names, Offer, Segment, Shape};

/// After so many seconds a process of a test is stuck; the kernel ends it.
const STUCK: u32 = 60;

pub(crate) const KIND: u32 = 7;

pub(crate) fn shape() -> Shape {
    Shape { kind: KIND, flags: 0, control_len: 8192, capacity: 1 << 16, detail: 0 }
}

/// A directory in memory that is gone after the test.
pub(crate) fn names() -> (tempfile::TempDir, Names) {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(directory.path());
    (directory, names)
}

/// The control area's word number `index`.
pub(crate) fn word(segment: &Segment, index: usize) -> &AtomicU64 {
    assert!(index < 1024);
    // SAFETY: inside the control area of 8192 bytes, aligned to 8, alive as long as the segment, and the tests
    // access it through atomics only.
    unsafe { AtomicU64::from_ptr(segment.control().cast::<u64>().as_ptr().add(index)) }
}

/// Kills this process if it runs for too long, however it hangs.
pub(crate) fn watchdog() {
    // SAFETY: sets a timer of the process; no handler is installed, so the signal ends it.
    unsafe { libc::alarm(STUCK) };
}

/// Another process that runs one ignored test of this program.
pub(crate) fn program(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command
        .env("RINGWAY_TEST_CHILD", test)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Whether this process was started by `program`: the ignored tests do nothing else. Starts the watchdog.
pub(crate) fn is_child() -> bool {
    let is_child = std::env::var_os("RINGWAY_TEST_CHILD").is_some();
    if is_child {
        watchdog();
    }
    is_child
}

/// Says something to the process that started this one.
pub(crate) fn say(text: &str) {
    eprintln!("@{text}");
}

/// A process of a test, and what it says. Killed at the end of the test if it has not ended.
pub(crate) struct Running {
    pub(crate) child: Child,
    // Taken out, because waiting for a child closes the pipe that it shares with its own children.
    hears: Option<ChildStdin>,
    says: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let mut child = command.spawn().unwrap();
        let says = BufReader::new(child.stderr.take().unwrap());
        let hears = child.stdin.take();
        Running { child, hears, says }
    }

    /// The next thing it says. Its own watchdog sees to it that this ends.
    pub(crate) fn hear(&mut self) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "it ended without a word; before: {all}");
            if let Some(said) = line.strip_prefix('@') {
                return said.trim_end().to_owned();
            }
            all.push_str(&line);
        }
    }

    /// Sends it a line.
    pub(crate) fn tell(&mut self) {
        self.hears.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for it to end by itself, and well.
    pub(crate) fn finish(mut self) {
        drop(self.hears.take());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.says, &mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {rest}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the other side's line.
pub(crate) fn await_line() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// Runs `body` in a forked child and returns how it ended: its exit code, or minus the signal.
pub(crate) fn in_forked_child(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child is a copy of this thread alone. The bodies in these tests take no lock that another
    // thread may hold, but for the C library's, which it mends.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            watchdog();
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(99);
            // SAFETY: ends the child at once, without running anything of the parent's.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: waits for the child just made; the pointer is to a local.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
        }
    }
}

/// How many descriptors of this process are memory of this crate.
pub(crate) fn memfds() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        target.to_str()?.contains("memfd:ringway").then_some(())
    });
    links.count()
}

/// How many mappings of this process are memory of this crate.
pub(crate) fn mapped_memfds() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("memfd:ringway")).count()
}

/// Mounts a file system where nobody but this process and its children sees it.
pub(crate) fn mount(directory: &Path, kind: &CStr, options: &CStr) -> std::io::Result<()> {
    let directory = CString::new(directory.as_os_str().as_bytes()).unwrap();
    let check = |answer| if answer == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    // SAFETY: all strings end in NUL and live through the calls.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let (none, private) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
        check(libc::mount(none, c"/".as_ptr(), none, private, none.cast()))?;
        check(libc::mount(kind.as_ptr(), directory.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()))
    }
}

/// Memory as a segment of this shape has it, made by hand: a file of its size, and the data once more behind.
pub(crate) fn mapped_twice(file: &File, shape: &Shape) -> MmapRaw {
    let (total, capacity) = (shape.total().unwrap() as usize, shape.capacity as usize);
    file.set_len(total as u64).unwrap();
    let memory = MmapOptions::new().len(total + capacity).map_raw(file).unwrap();
    let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
    // SAFETY: replaces the last `capacity` bytes of our own mapping, to which nobody has a pointer yet.
    let image = unsafe {
        let place = memory.as_mut_ptr().add(total).cast();
        libc::mmap(place, capacity, rights, flags, file.as_raw_fd(), (total - capacity) as i64)
    };
    assert_ne!(image, libc::MAP_FAILED);
    memory.advise(Advice::DontFork).unwrap();
    memory
}

pub(crate) fn make_fifo(path: &CStr) {
    // SAFETY: the string ends in NUL and lives through the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// A memfd made by hand.
pub(crate) fn memory(len: u64, seals: i32, header: &[u8]) -> OwnedFd {
    // SAFETY: the string ends in NUL; the descriptor is new and ours.
    let file = unsafe {
        let fd = libc::memfd_create(c"by-hand".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        File::from(OwnedFd::from_raw_fd(fd))
    };
    file.write_all_at(header, 0).unwrap();
    file.set_len(len).unwrap();
    // SAFETY: plain numbers; the file is open.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
    file.into()
}

/// The header's bytes.
pub(crate) fn header_of(offer: &Offer) -> [u8; 64] {
    let mut bytes = [0; 64];
    let file = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
