//! The mapping: header, control area, and the data twice.
//!
//! ```text
//! file     | header | control | pad |   data   |
//! memory   | header | control | pad |   data   |   data   |
//!          0        4096            data_offset           data_offset + 2 * capacity
//! ```
//!
//! A record that begins near the end of the data goes on in its second image, so it is contiguous wherever it
//! begins.
//!
//! # The rules of this room
//!
//! 1. Others write this memory at any time. Nothing here or above makes a reference or a slice of it: it is
//!    reached through raw pointers and atomics only, and so are the two images of a byte.
//! 2. All of the range belongs to one `MmapRaw`, which unmaps it whole.
//! 3. In a forked child the range is not this memory but zeros of the child's own (`fork.rs`): there it is not
//!    unmapped.
//!
//! # Threads
//!
//! `MmapRaw` is `Send` and `Sync`: it gives out addresses and dereferences nothing. The rest of a `Mapping` are
//! numbers. So it is `Send` and `Sync` by itself, and so is a `Segment`, with no `unsafe impl`: what threads do
//! with the pointers is unsafe code of theirs.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::error::{OsFault, Refusal};
use crate::fork::Private;
use crate::limits;
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

/// A mapped segment. Invariant: `memory` is `data_offset + 2 * capacity` bytes long, as in the picture above.
#[derive(Debug)]
pub(crate) struct Mapping {
    memory: Private<MmapRaw>,
    data_offset: usize,
}

impl Mapping {
    /// Maps a file whose size has been checked to be `geometry.total`, and brings its pages in.
    pub(crate) fn new(file: &File, geometry: &Geometry, at: &Origin) -> Result<Mapping, Refusal> {
        let mapping = Mapping::bare(file, geometry, at, Rights::ReadAndWrite)?;
        let eager = to_usize(geometry.total + geometry.shape.capacity.min(EAGER_SECOND));
        mapping.populate(eager).map_err(fault(geometry, at, "bring its pages in"))?;
        Ok(mapping)
    }

    /// Maps such a file for reading only. Its pages come in when they are looked at.
    pub(crate) fn view(file: &File, geometry: &Geometry, at: &Origin) -> Result<Mapping, Refusal> {
        Mapping::bare(file, geometry, at, Rights::Read)
    }

    fn bare(file: &File, geometry: &Geometry, at: &Origin, rights: Rights) -> Result<Mapping, Refusal> {
        let len = to_usize(geometry.mapped());
        let data_offset = to_usize(geometry.data_offset);
        let mut step = "map it";
        // Three system calls, and no allocation.
        let memory = Private::make(|| {
            // Longer than the file: the rest is only the place where the second image goes, and is never touched.
            let mut options = MmapOptions::new();
            let raw = match rights {
                Rights::ReadAndWrite => options.len(len).map_raw(file),
                Rights::Read => options.len(len).map_raw_read_only(file),
            }?;
            step = "map its data a second time";
            map_second_image(&raw, file, geometry, rights)?;
            step = "keep the mapping from forked children";
            raw.advise(Advice::DontFork)?;
            Ok(raw)
        });
        let mapping = Mapping { memory: memory.map_err(fault(geometry, at, step))?, data_offset };
        let hidden = mapping.memory.get().advise(Advice::DontDump);
        hidden.map_err(fault(geometry, at, "keep the mapping out of core dumps"))?;
        Ok(mapping)
    }

    /// The control area: `control_len` bytes.
    pub(crate) fn control(&self) -> NonNull<u8> {
        self.at(to_usize(HEADER_PAGE))
    }

    /// The data: `2 * capacity` bytes.
    pub(crate) fn data(&self) -> NonNull<u8> {
        self.at(self.data_offset)
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        let raw = self.memory.get();
        assert!(offset < raw.len(), "both areas begin inside the mapping");
        // SAFETY: the offset is inside the mapping, so the sum stays inside one allocation and is not null.
        unsafe { NonNull::new_unchecked(raw.as_mut_ptr().add(offset)) }
    }

    /// Makes the page tables of the first `len` bytes now, so that no access there has to wait for the kernel later.
    fn populate(&self, len: usize) -> io::Result<()> {
        loop {
            match self.memory.get().advise_range(Advice::PopulateWrite, 0, len) {
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
}

fn fault(geometry: &Geometry, at: &Origin, step: &'static str) -> impl FnOnce(io::Error) -> Refusal {
    move |source| match source.raw_os_error() {
        Some(libc::ENOMEM) => Refusal::Short(limits::address_space(geometry.mapped(), at)),
        _ => Refusal::Os(OsFault::new(at, step, source)),
    }
}

/// Puts the data a second time at the end of `raw`, which is `data_offset + 2 * capacity` bytes long.
fn map_second_image(raw: &MmapRaw, file: &File, geometry: &Geometry, rights: Rights) -> io::Result<()> {
    let capacity = to_usize(geometry.shape.capacity);
    let place = to_usize(geometry.total);
    if place.checked_add(capacity) != Some(raw.len()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let offset = libc::off_t::try_from(geometry.data_offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let protection = match rights {
        Rights::ReadAndWrite => libc::PROT_READ | libc::PROT_WRITE,
        Rights::Read => libc::PROT_READ,
    };
    // SAFETY:
    // - `MAP_FIXED` replaces what is mapped at `place .. place + capacity`. That is the last part of our own
    //   mapping, as just checked, and nobody has a pointer into it yet: `raw` was made a moment ago.
    // - The place and the file offset are multiples of the page size: `raw` begins at a page, and
    //   `data_offset` and `capacity` are such multiples (`Geometry`).
    // - The descriptor is open for the whole call.
    // - Afterwards the whole range is mapped still, by us alone, so that `raw` may unmap it. If the call fails
    //   it is for a reason the kernel looks for before it takes the old part away.
    let image = unsafe {
        libc::mmap(
            raw.as_mut_ptr().add(place).cast(),
            capacity,
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
        let file = File::from(sys::memfd(c"ringway-test").unwrap());
        file.set_len(geometry.total).unwrap();
        let mapping = Mapping::new(&file, &geometry, &Origin::Memfd).unwrap();
        mapping.touch_pages(mapping.memory.get().len());
    }
}
