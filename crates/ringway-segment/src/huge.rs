//! Data in huge pages: a memfd of its own, because a header of 4 KiB would waste one.
//!
//! The control area stays in ordinary pages, so a segment with such data consists of two files. The first says so
//! (its data offset is 0), and both go together wherever the segment goes (`Offer::fds`).
//!
//! Huge pages are not for the taking: they lie in a pool that an administrator fills. What is free there is looked
//! up, and then reserved; a pool that has not enough is no error but a reason to take ordinary pages, which is
//! reported. Once others have the segment, pages that somebody has given back are an error like any other memory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use crate::error::{OpenError, OsFault, Refusal};
use crate::inspect;
use crate::limits::{self, in_kilobytes, read};
use crate::memory::{NoHugePages, Pages};
use crate::origin::Origin;
use crate::sys;

/// A segment's data in a file of its own. Invariant: it is as long as the segment's capacity, and will be.
#[derive(Debug)]
pub(crate) struct Data {
    file: File,
    /// Both images must begin at a multiple of this.
    page: u64,
}

impl Data {
    /// New data, all of it reserved and its size sealed.
    pub(crate) fn create(capacity: u64) -> Result<Data, NoHugePages> {
        let memory = read("/proc/meminfo").unwrap_or_default();
        let page = in_kilobytes(&memory, "Hugepagesize:").ok_or(NoHugePages::Unknown)?;
        if capacity < page {
            return Err(NoHugePages::TooSmall { capacity, page });
        }
        if let Some(free) = free(&memory, page).filter(|free| *free < capacity) {
            return Err(NoHugePages::Pool { asked: capacity, free });
        }
        let refused = |step| {
            move |source: io::Error| NoHugePages::Refused {
                step,
                errno: source.raw_os_error().unwrap_or_default(),
            }
        };
        let file = File::from(sys::memfd(c"ringway-data", true).map_err(refused("create a memfd of them"))?);
        file.set_len(capacity).map_err(refused("size it"))?;
        sys::reserve(&file, capacity).map_err(refused("reserve them"))?;
        sys::seal_size(&file).map_err(refused("seal its size"))?;
        Ok(Data { file, page })
    }

    /// Takes a file that came from elsewhere, and trusts nothing of it.
    pub(crate) fn from_file(file: File, capacity: u64) -> Result<Data, OpenError> {
        inspect::seals(&file)?;
        let at = &Origin::Memfd;
        let fault = |step| move |source| OsFault::new(at, step, source);
        let found = file.metadata().map_err(fault("look at its data"))?.len();
        inspect::size(found, capacity, at)?;
        let mount = sys::mount(&file).map_err(fault("look at its data"))?;
        Ok(Data { file, page: mount.huge_page.unwrap_or_else(sys::page_size) })
    }

    /// The same data once more.
    pub(crate) fn try_clone(&self) -> io::Result<Data> {
        Ok(Data { file: self.file.try_clone()?, page: self.page })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn page(&self) -> u64 {
        self.page
    }

    pub(crate) fn pages(&self) -> Pages {
        if self.page > sys::page_size() { Pages::Huge { size: self.page } } else { Pages::Ordinary }
    }

    /// Reserves what somebody has given back.
    pub(crate) fn complete(&self, capacity: u64, at: &Origin) -> Result<(), Refusal> {
        let fault = |step, source| Refusal::Os(OsFault::new(at, step, source));
        let there = self.file.metadata().map_err(|source| fault("look at its data", source))?;
        let missing = capacity.saturating_sub(there.blocks().saturating_mul(512));
        if missing == 0 {
            return Ok(());
        }
        sys::reserve(&self.file, capacity).map_err(|source| match source.raw_os_error() {
            Some(libc::ENOSPC | libc::ENOMEM) => {
                let memory = read("/proc/meminfo").unwrap_or_default();
                Refusal::Short(limits::huge_pages(missing, free(&memory, self.page), at))
            }
            _ => fault("reserve its huge pages", source),
        })
    }
}

impl AsFd for Data {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Bytes that the pool of the default size has left, if its pages are of this size.
fn free(memory: &str, page: u64) -> Option<u64> {
    let beyond = read("/proc/sys/vm/nr_overcommit_hugepages").and_then(|text| text.trim().parse().ok());
    Pool::of(memory, beyond.unwrap_or_default())?.left.checked_mul(page)
}

/// The pool of huge pages of the default size; in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pool {
    /// Bytes of a page, `None` if that is not said.
    pub page: Option<u64>,
    /// How many there are.
    pub total: u64,
    /// How many are to be had: free and promised to nobody, or beyond the pool's size.
    pub left: u64,
}

impl Pool {
    /// By the text of `/proc/meminfo`, where the pool may grow by so many pages beyond its size
    /// (`vm.nr_overcommit_hugepages`). `None` if this kernel has none.
    #[must_use]
    pub fn of(memory: &str, beyond: u64) -> Option<Pool> {
        let pages = |key| {
            let rest = memory.lines().find_map(|line| line.strip_prefix(key))?;
            rest.trim().parse::<u64>().ok()
        };
        let beyond = beyond.saturating_sub(pages("HugePages_Surp:").unwrap_or_default());
        let free = pages("HugePages_Free:")?.saturating_sub(pages("HugePages_Rsvd:").unwrap_or_default());
        Some(Pool {
            page: in_kilobytes(memory, "Hugepagesize:"),
            total: pages("HugePages_Total:").unwrap_or_default(),
            left: free.saturating_add(beyond),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_is_not_free_and_the_pool_may_grow() {
        let text = "HugePages_Total:      10\nHugePages_Free:        5\nHugePages_Rsvd:        2\n\
                    HugePages_Surp:        1\nHugepagesize:       2048 kB\n";
        assert_eq!(Pool::of(text, 0), Some(Pool { page: Some(2 << 20), total: 10, left: 3 }));
        assert_eq!(Pool::of(text, 5).unwrap().left, 7);
        assert_eq!(Pool::of("MemFree: 1 kB\n", 5), None);
    }
}
