//! A ring's memory as a third party sees it: whole, read-only, and only while nobody runs who writes there.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsFd, AsRawFd},
    ptr::{self, NonNull},
    slice,
};

use crate::{killing::Verdict, stepper::Stopped};

/// A read-only mapping of a whole file.
pub(crate) struct Map {
    start: NonNull<u8>,
    len: usize,
}

impl Map {
    pub(crate) fn of(file: &impl AsFd) -> Self {
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: `stat` is a plain structure of numbers, which `fstat` fills in; the descriptor is open.
        let len = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            assert_eq!(libc::fstat(fd, &mut stat), 0);
            stat.st_size as usize
        };
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
        assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Self { start: NonNull::new(start.cast()).expect("no mapping lies at 0"), len }
    }

    /// What there is, as long as `stopped` says that the only process that writes there is stopped.
    pub(crate) fn look<'a>(&'a self, _stopped: &'a Stopped) -> &'a [u8] {
        // SAFETY:
        // - the mapping has `len` bytes, and lasts as long as `self`;
        // - nobody writes there: the victim is stopped, and its ring's other end is this thread's, or asleep.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping that `of` made; nothing borrowed from it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// What this process still has of memory without a name: all of them, once no child is left.
pub(crate) fn left_over() -> Verdict<Vec<String>> {
    let is_ours = |text: &String| text.contains("memfd:ringway");
    let mapped = std::fs::read_to_string("/proc/self/maps")?;
    let open = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.display().to_string()));
    Ok(mapped.lines().map(str::to_owned).chain(open).filter(is_ours).collect())
}
