//! The mapping: header, control area, and the data twice.
//!
//! ```text
//! file     | header | control | pad |   data   |
//! memory   | header | control | pad |   data   |   data   |
//!          0        4096            data_offset           data_offset + 2 * capacity
//! ```
//!
//! A record that begins near the end of the data goes on in its second image, so it is contiguous wherever it begins.
//! Where the data is in a file of its own (`huge.rs`) memory looks the same, and begins where the data comes to lie
//! at a multiple of that file's pages.
//!
//! # The rules of this room
//!
//! 1. Others write this memory at any time. Nothing here or above makes a reference or a slice of it: it is
//!    reached through raw pointers and atomics only, and so are the two images of a byte.
//! 2. All of the range belongs to one `MmapRaw`, which unmaps it whole; or it is lent (`lent.rs`), and its owner's.
//! 3. In a forked child the range is not this memory but zeros of the child's own (`fork.rs`): there it is not
//!    unmapped.
//!
//! # Threads
//!
//! `MmapRaw` is `Send` and `Sync`: it gives out addresses and dereferences nothing, and so is an address that was
//! lent. The rest of a `Mapping` are numbers. So it is `Send` and `Sync`, and so is a `Segment`: what threads do with
//! the pointers is unsafe code of theirs.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::error::{OsFault, Refusal};
use crate::fork::Private;
use crate::huge::Data;
use crate::limits;
use crate::memory::Memory;
use crate::origin::Origin;
use crate::primitive;
use crate::shape::{Geometry, HEADER_PAGE};
use crate::sys;

/// Bytes of the second image that are brought in with the first. Only what runs over the end of the data gets there,
/// as far as it is long; what is longer than this brings the pages behind in when it first needs them, at about a
/// microsecond each. Bringing in all of it would double the cost of opening for memory that is hardly ever touched.
const EAGER_SECOND: u64 = 64 << 10;

/// What a process may do with the memory it maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    /// The file is open for reading and writing.
    ReadAndWrite,
    /// The file is open for reading.
    Read,
}

/// Whose the memory is.
#[derive(Debug)]
enum Area {
    /// Mapped here, and unmapped with this.
    Own(Private<MmapRaw>),
    /// The caller's.
    Lent(Loan),
}

/// Memory that its owner keeps mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loan {
    base: NonNull<u8>,
    len: usize,
}

impl Loan {
    pub(crate) fn new(base: NonNull<u8>, len: usize) -> Loan {
        Loan { base, len }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: it is an address and a number, and dereferences nothing.
unsafe impl Send for Loan {}
// SAFETY: as above.
unsafe impl Sync for Loan {}

/// A mapped segment. Invariant: from `start` on `area` is `data_offset + 2 * capacity` bytes long, as in the picture
/// above.
#[derive(Debug)]
pub(crate) struct Mapping {
    area: Area,
    start: usize,
    data_offset: usize,
}

impl Mapping {
    /// Maps a file whose size has been checked to be `geometry.total`, and its data if that is apart.
    pub(crate) fn new(
        file: &File,
        data: Option<&Data>,
        geometry: &Geometry,
        memory: &Memory,
        at: &Origin,
    ) -> Result<Mapping, Refusal> {
        // What is locked: all but the second image, and of huge pages none, which the kernel never swaps.
        let to_lock = geometry.total;
        if memory.lock {
            limits::lockable(to_lock, at)?;
        }
        let mapping = Mapping::bare(file, data, geometry, at, Rights::ReadAndWrite)?;
        if memory.populate {
            let second = if geometry.apart { u64::MAX } else { EAGER_SECOND };
            let eager = to_usize(geometry.size() + geometry.shape.capacity.min(second));
            mapping.populate(eager).map_err(fault(geometry, at, "bring its pages in"))?;
        }
        if memory.lock {
            mapping.lock(to_usize(to_lock)).map_err(|source| match source.raw_os_error() {
                Some(libc::ENOMEM | libc::EPERM | libc::EAGAIN) => {
                    Refusal::Short(limits::locked(to_lock, at))
                }
                _ => Refusal::Os(OsFault::new(at, "lock its memory", source)),
            })?;
        }
        Ok(mapping)
    }

    /// Maps such a file for reading only. Its pages come in when they are looked at.
    pub(crate) fn view(
        file: &File,
        data: Option<&Data>,
        geometry: &Geometry,
        at: &Origin,
    ) -> Result<Mapping, Refusal> {
        Mapping::bare(file, data, geometry, at, Rights::Read)
    }

    /// Memory that is mapped already.
    ///
    /// # Safety
    /// It is `geometry.mapped()` bytes long, is as in the picture above, and stays so for as long as this lives.
    pub(crate) unsafe fn lent(memory: Loan, geometry: &Geometry) -> Mapping {
        let area = Area::Lent(memory);
        Mapping { area, start: 0, data_offset: to_usize(geometry.data_offset) }
    }

    fn bare(
        file: &File,
        data: Option<&Data>,
        geometry: &Geometry,
        at: &Origin,
        rights: Rights,
    ) -> Result<Mapping, Refusal> {
        let page = sys::page_size();
        let capacity = geometry.shape.capacity;
        let data_page = data.map_or(page, Data::page);
        let len = to_usize(geometry.mapped() + (data_page - page));
        let (mut step, mut start) = ("map it", 0);
        // A few system calls, and no allocation.
        let memory = Private::make(|| {
            // Longer than the file: the rest is only the place where other images go, and is never touched.
            let mut options = MmapOptions::new();
            let raw = match rights {
                Rights::ReadAndWrite => options.len(len).map_raw(file),
                Rights::Read => options.len(len).map_raw_read_only(file),
            }?;
            let first = raw.as_ptr().addr() as u64 + geometry.data_offset;
            let shift = first.next_multiple_of(data_page) - first;
            start = to_usize(shift);
            let image = |place, file, offset, len| map_image(&raw, shift + place, file, offset, len, rights);
            step = "map its data a second time";
            match data {
                None => image(geometry.total, file, geometry.data_offset, capacity)?,
                Some(data) => {
                    image(0, file, 0, geometry.data_offset)?;
                    image(geometry.data_offset, data.file(), 0, capacity)?;
                    image(geometry.data_offset + capacity, data.file(), 0, capacity)?;
                }
            }
            step = "keep the mapping from forked children";
            raw.advise(Advice::DontFork)?;
            Ok(raw)
        });
        let memory = memory.map_err(fault(geometry, at, step))?;
        let hidden = memory.get().advise(Advice::DontDump);
        hidden.map_err(fault(geometry, at, "keep the mapping out of core dumps"))?;
        Ok(Mapping { area: Area::Own(memory), start, data_offset: to_usize(geometry.data_offset) })
    }

    /// The control area: `control_len` bytes.
    pub(crate) fn control(&self) -> NonNull<u8> {
        self.at(to_usize(HEADER_PAGE))
    }

    /// The data: `2 * capacity` bytes.
    pub(crate) fn data(&self) -> NonNull<u8> {
        self.at(self.data_offset)
    }

    /// The address of a byte, counted from the header's first.
    fn at(&self, offset: usize) -> NonNull<u8> {
        let (base, len) = match &self.area {
            Area::Own(memory) => (memory.get().as_mut_ptr(), memory.get().len()),
            Area::Lent(loan) => (loan.base.as_ptr(), loan.len),
        };
        assert!(offset < len - self.start, "both areas begin inside the mapping");
        // SAFETY: the offset is inside the mapping, so the sum stays inside one allocation and is not null.
        unsafe { NonNull::new_unchecked(base.add(self.start + offset)) }
    }

    /// Makes the page tables of the first `len` bytes now, so that no access there has to wait for the kernel later.
    fn populate(&self, len: usize) -> io::Result<()> {
        let Area::Own(memory) = &self.area else { return Ok(()) };
        loop {
            match memory.get().advise_range(Advice::PopulateWrite, self.start, len) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    self.touch_pages(len);
                    return Ok(());
                }
                other => return other,
            }
        }
    }

    /// The same for a kernel before 5.14. Pages come in readable only; each first write still costs a fault.
    fn touch_pages(&self, len: usize) {
        for offset in (0..len).step_by(to_usize(sys::page_size())) {
            // SAFETY: the word at the beginning of a page inside the mapping is aligned and readable.
            unsafe { primitive::touch(self.at(offset).cast::<u64>().as_ptr()) };
        }
    }

    /// Locks the first `len` bytes until they are unmapped.
    fn lock(&self, len: usize) -> io::Result<()> {
        // SAFETY: locking changes nothing of what is in the memory. The range is inside the mapping, by the
        // invariant, for every `len` up to both images.
        let answer = unsafe { libc::mlock(self.at(0).as_ptr().cast(), len) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn fault(geometry: &Geometry, at: &Origin, step: &'static str) -> impl FnOnce(io::Error) -> Refusal {
    move |source| match source.raw_os_error() {
        Some(libc::ENOMEM) => Refusal::Short(limits::address_space(geometry.mapped(), at)),
        _ => Refusal::Os(OsFault::new(at, step, source)),
    }
}

/// Maps `len` bytes of a file, from `offset` on, over what is at `place` in `raw`.
fn map_image(
    raw: &MmapRaw,
    place: u64,
    file: &File,
    offset: u64,
    len: u64,
    rights: Rights,
) -> io::Result<()> {
    let (place, len) = (to_usize(place), to_usize(len));
    if place.checked_add(len).is_none_or(|end| end > raw.len()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let protection = match rights {
        Rights::ReadAndWrite => libc::PROT_READ | libc::PROT_WRITE,
        Rights::Read => libc::PROT_READ,
    };
    // SAFETY:
    // - `MAP_FIXED` replaces what is mapped at `place .. place + len`. That is a part of our own mapping, as just
    //   checked, and nobody has a pointer into it yet: `raw` was made a moment ago.
    // - Where place or offset are no multiples of the file's page size, the call fails.
    // - The descriptor is open for the whole call.
    // - Afterwards the whole range is mapped still, by us alone, so that `raw` may unmap it. If the call fails
    //   it is for a reason the kernel looks for before it takes the old part away.
    let image = unsafe {
        libc::mmap(
            raw.as_mut_ptr().add(place).cast(),
            len,
            protection,
            libc::MAP_SHARED | libc::MAP_FIXED,
            file.as_raw_fd(),
            offset,
        )
    };
    if image == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("addresses have 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    #[test]
    fn touching_each_page_works_where_populating_does_not() {
        let geometry =
            Geometry::of(Shape { kind: 0, flags: 0, control_len: 4096, capacity: 1 << 17, detail: 0 })
                .unwrap();
        let file = File::from(sys::memfd(c"ringway-test", false).unwrap());
        file.set_len(geometry.total).unwrap();
        let lazily = Memory::new().populate(false);
        let mapping = Mapping::new(&file, None, &geometry, &lazily, &Origin::Memfd).unwrap();
        mapping.touch_pages(to_usize(geometry.mapped()));
    }
}
