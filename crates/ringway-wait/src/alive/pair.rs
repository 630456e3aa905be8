//! Two pages, a node's and its word's: a room with unsafe code.
#![allow(unsafe_code, clippy::disallowed_types)]

use core::{ptr, ptr::NonNull, sync::atomic::AtomicU32};
use std::{
    fs::File,
    io,
    mem::ManuallyDrop,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd},
};

use super::list::{Entry, Node};

/// A private page and behind it a page of a file.
#[derive(Debug)]
pub(super) struct Pair {
    base: NonNull<libc::c_void>,
    page: usize,
    entry: Entry,
}

// SAFETY: addresses that are valid in the whole process; what they lead to is accessed by the keeper alone.
unsafe impl Send for Pair {}
// SAFETY: as above.
unsafe impl Sync for Pair {}

impl Pair {
    /// Maps the word at `offset` of `file`.
    pub(super) fn map(file: BorrowedFd<'_>, offset: u64) -> io::Result<Pair> {
        let page = page_size();
        let within = usize::try_from(offset % page as u64).expect("less than a page");
        check(file, offset)?;
        let first = libc::off_t::try_from(offset - within as u64)
            .map_err(|_| invalid(format!("no file has an offset {offset}")))?;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: maps new memory where the kernel finds room.
        let base = unsafe { libc::mmap(ptr::null_mut(), 2 * page, rights, private, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let shared = base.wrapping_byte_add(page);
        let word = shared.wrapping_byte_add(within).cast::<AtomicU32>();
        let node = word.wrapping_byte_sub(distance(offset)).cast::<Node>();
        let pair = Pair {
            base: NonNull::new(base).expect("the kernel maps nothing at 0 unasked"),
            page,
            entry: Entry {
                node: NonNull::new(node).expect("in the first page"),
                word: NonNull::new(word).expect("in the second page"),
            },
        };
        // SAFETY: replaces the second of two pages that were mapped just now and that nobody has used. The file is
        // open for the whole call.
        let image = unsafe {
            libc::mmap(shared, page, rights, libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd(), first)
        };
        if image == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        pair.advise(base, 2 * page, libc::MADV_DONTFORK)?;
        pair.advise(base, 2 * page, libc::MADV_DONTDUMP)?;
        match pair.advise(shared, page, libc::MADV_POPULATE_WRITE) {
            // A kernel before 5.14 does not know it.
            Err(error) if error.raw_os_error() != Some(libc::EINVAL) => Err(error),
            _ => Ok(pair),
        }
    }

    pub(super) fn entry(&self) -> Entry {
        self.entry
    }

    fn advise(&self, start: *mut libc::c_void, len: usize, advice: libc::c_int) -> io::Result<()> {
        loop {
            // SAFETY: the range is inside the pair, and none of the advice in use changes what is in memory.
            if unsafe { libc::madvise(start, len, advice) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, whole, and the entry is in no list: whoever puts it there keeps the pair.
        unsafe {
            libc::munmap(self.base.as_ptr(), 2 * self.page);
        }
    }
}

/// Bytes from the node to the word at `offset`: such that the node is aligned, and inside the first page.
pub(super) fn distance(offset: u64) -> usize {
    page_size() + usize::from(offset % 8 != 0) * 4
}

/// Whether `file` has a word at `offset`.
fn check(file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    if offset % 4 != 0 {
        return Err(invalid(format!("a liveness word lies at a multiple of 4, not at {offset}")));
    }
    // SAFETY: the descriptor is open as long as it is borrowed, and is not closed here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(file.as_raw_fd()) });
    let len = file.metadata()?.len();
    // Both are multiples of 4 or the word is not whole.
    if offset.checked_add(4).is_none_or(|end| end > len) {
        return Err(invalid(format!("a liveness word at {offset} is not in a file of {len} bytes")));
    }
    Ok(())
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn page_size() -> usize {
    // SAFETY: no memory is passed.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("pages have a size")
}
