//! Memory that the caller has mapped, wherever it comes from: a device, a hypervisor's window, another library.
//!
//! Nothing is known of it but its address and its length. So there is no file to read a header from, no size to look
//! up and no name to link when all is done; and no kernel object that could bear locks: the caller lends a descriptor
//! for those.
//!
//! # The protocol
//!
//! Whoever makes a segment here, or looks whether there is one, holds one byte of the lock file alone (`MAKING`). The
//! maker 1. finds the first word of the memory, the header's magic, 0: there is none; 2. sets everything to 0; 3.
//! writes the header but for its first word; 4. lets its caller fill the rest; 5. writes the first word; 6. gives the
//! byte back. If it is killed the kernel gives the byte back for it. Before step 5 the memory then still holds no
//! segment, and the next one begins anew; after it the segment is whole.
//!
//! Who opens copies the header word by word, by atomic loads, and checks the copy.
#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::descriptor::Descriptor;
use crate::error::{CreateError, Error, OpenError, OsFault};
use crate::header::{self, Bytes, HEADER_LEN};
use crate::inspect;
use crate::limits;
use crate::map::{Loan, Mapping};
use crate::memory::{Memory, NoHugePages, Pages};
use crate::offer::proc_path;
use crate::origin::Origin;
use crate::primitive;
use crate::segment::Segment;
use crate::shape::{Geometry, HEADER_PAGE, Misfit, Shape};
use crate::size::Size;
use crate::sys;

/// How long another may take to make a segment. It sets all of the memory to zero meanwhile.
const MAKING: Duration = Duration::from_secs(10);
/// Between two looks at its lock.
const PAUSE: Duration = Duration::from_millis(1);
/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// Memory that the caller has mapped and keeps: a segment can be made in it, or found there.
///
/// How it is populated, locked, kept from core dumps and from forked children, and in what pages it is, is the
/// owner's business, and so is taking it away at the end; of [`Memory`] nothing applies. Nobody's death is noticed by
/// the memory, only by the roles' locks.
///
/// ```
/// use ringway_segment::{Backend, Lent, Memory, Shape};
/// use std::os::fd::AsRawFd;
///
/// let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 };
/// let (total, capacity) = (shape.total()? as usize, shape.capacity as usize);
/// let file = tempfile::tempfile_in("/dev/shm")?;
/// file.set_len(total as u64)?;
///
/// // The file once, and its last `capacity` bytes once more right behind.
/// let memory = memmap2::MmapOptions::new().len(total + capacity).map_raw(&file)?;
/// # let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
/// # let (place, offset) = (memory.as_mut_ptr().wrapping_add(total).cast(), (total - capacity) as i64);
/// # // SAFETY: replaces the second image's place, inside our own mapping.
/// # let image = unsafe { libc::mmap(place, capacity, rights, flags, file.as_raw_fd(), offset) };
/// # assert_ne!(image, libc::MAP_FAILED);
/// memory.advise(memmap2::Advice::DontFork)?;
///
/// let base = std::ptr::NonNull::new(memory.as_mut_ptr()).unwrap();
/// // SAFETY: the memory is as described, and stays mapped until after the last segment.
/// let lent = unsafe { Lent::new(base, total + capacity, file.into()) };
/// let (segment, created) = lent.open_or_create(&shape, &Memory::new(), &mut |_| {})?;
/// assert!(created);
/// drop(segment);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lent {
    memory: Loan,
    /// Opened anew for each segment: locks belong to an open file description.
    locks: File,
}

impl Lent {
    /// Memory at `base`, of `len` bytes, and a file for its locks.
    ///
    /// The memory holds, or will hold,
    ///
    /// ```text
    /// | header | control | pad |   data   |   data   |
    /// 0        4096            data_offset           data_offset + 2 * capacity = len
    /// ```
    ///
    /// where `data_offset` is the next multiple of the page size, and both images of the data are the same memory. So
    /// `len` is [`Shape::total`] and [`Shape::capacity`] together. If its first 8 bytes are 0, there is no segment in
    /// it yet, and whoever makes one sets all of it to 0.
    ///
    /// `locks` is any file that can be opened again for reading and writing through its path in `/proc` (a regular
    /// file, a memfd): the same for all who share the memory, and for no other memory. It is locked, never read nor
    /// written. It may be the file that the memory is of.
    ///
    /// # Safety
    /// - `base` is aligned to a page, and from there on `len` bytes can be read and written.
    /// - The second image of the data shows the same memory as the first, at the place that the shape has which a
    ///   segment is made with here, or was.
    /// - That stays so until every [`Segment`] that was opened here, and what was lent of it, is gone.
    /// - Every process accesses the memory through Ringway, or with atomics.
    /// - In a child made by `fork` nobody uses such a segment, nor what was lent of it: what is mapped there is not
    ///   Ringway's to know. [`Segment::is_ours`] tells, and its roles stay with the parent, as for any segment.
    #[must_use]
    pub unsafe fn new(base: NonNull<u8>, len: usize, locks: OwnedFd) -> Lent {
        Lent { memory: Loan::new(base, len), locks: File::from(locks) }
    }

    /// A descriptor of one's own, which holds the making alone.
    fn enter(&self) -> Result<Descriptor, OsFault> {
        let fault = |step| move |source| OsFault::new(&Origin::Lent, step, source);
        let path = proc_path(&self.locks);
        let descriptor = Descriptor::open(|| sys::open(&path, libc::O_RDWR, 0))
            .map_err(fault("open its lock file through /proc"))?;
        let start = Instant::now();
        while !descriptor.try_make().map_err(fault("lock it"))? {
            if start.elapsed() > MAKING {
                return Err(fault("wait for the process that is making it")(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(descriptor)
    }

    /// What is here, `None` if nothing. The caller has entered.
    fn find(&self, kind: Option<u32>) -> Result<Option<Geometry>, OpenError> {
        let at = &Origin::Lent;
        if (self.memory.len() as u64) < HEADER_PAGE {
            return Err(OpenError::NotRingway {
                at: at.clone(),
                why: "the memory is shorter than a segment's header",
            });
        }
        if self.load(0) == 0 {
            return Ok(None);
        }
        let mut bytes: Bytes = [0; HEADER_LEN];
        for (index, word) in bytes.chunks_exact_mut(WORD).enumerate() {
            word.copy_from_slice(&self.load(index).to_ne_bytes());
        }
        let geometry = header::decode(&bytes).map_err(|fault| fault.at(at))?;
        if geometry.apart {
            return Err(OpenError::DataMissing { at: at.clone() });
        }
        inspect::size(self.memory.len() as u64, geometry.mapped(), at)?;
        kind.map_or(Ok(()), |wanted| inspect::kind(&geometry, wanted, at))?;
        Ok(Some(geometry))
    }

    /// Makes a segment. The caller has entered, and there is none.
    fn make(
        &self,
        descriptor: Descriptor,
        geometry: Geometry,
        memory: &Memory,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<Segment, CreateError> {
        self.check_room(&geometry)?;
        for index in 0..geometry.size() as usize / WORD {
            self.store(index, 0);
        }
        let bytes = header::encode(&geometry);
        let words =
            bytes.chunks_exact(WORD).map(|word| u64::from_ne_bytes(word.try_into().expect("8 bytes")));
        let words: Vec<u64> = words.collect();
        for (index, word) in words.iter().enumerate().skip(1) {
            self.store(index, *word);
        }
        let segment = self.segment(descriptor, geometry, memory);
        fill(&segment);
        if !segment.is_ours() {
            let forked = io::Error::from_raw_os_error(libc::EBADF);
            return Err(OsFault::new(&Origin::Lent, "make it in a forked child", forked).into());
        }
        self.store(0, words[0]);
        Ok(segment)
    }

    fn check_room(&self, geometry: &Geometry) -> Result<(), CreateError> {
        let (asked, lent) = (geometry.mapped(), self.memory.len() as u64);
        if asked > lent {
            return Err(CreateError::OutOfMemory(limits::lent(asked, lent, &Origin::Lent)));
        }
        if asked < lent {
            return Err(CreateError::InvalidShape(Misfit {
                field: "capacity",
                found: geometry.shape.capacity,
                rule: format!(
                    "such that header, control area and twice the data are the {} lent",
                    Size(lent)
                ),
            }));
        }
        Ok(())
    }

    fn segment(&self, descriptor: Descriptor, geometry: Geometry, memory: &Memory) -> Segment {
        // SAFETY: the length of the memory is `geometry.mapped()`, as `find` and `make` have checked, and that it is
        // laid out so and stays is the contract of `new`.
        let mapping = unsafe { Mapping::lent(self.memory, &geometry) };
        let pages = if memory.huge_pages { Pages::Instead(NoHugePages::Backend) } else { Pages::Ordinary };
        Segment::of(mapping, descriptor, geometry, &Origin::Lent, pages)
    }

    fn word(&self, index: usize) -> *mut u64 {
        assert!(index < self.memory.len() / WORD, "inside the memory that was lent");
        self.memory.base().cast::<u64>().as_ptr().wrapping_add(index)
    }

    fn load(&self, index: usize) -> u64 {
        // SAFETY: inside the memory, as just checked, which is aligned and mapped and accessed by atomics: `new`.
        unsafe { primitive::load(self.word(index)) }
    }

    fn store(&self, index: usize, value: u64) {
        // SAFETY: as in `load`.
        unsafe { primitive::store(self.word(index), value) }
    }
}

impl Backend for Lent {
    fn open_or_create(
        &self,
        shape: &Shape,
        memory: &Memory,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<(Segment, bool), Error> {
        let geometry = Geometry::of(*shape).map_err(CreateError::InvalidShape)?;
        let descriptor = self.enter().map_err(CreateError::Os)?;
        let (segment, created) = match self.find(Some(shape.kind))? {
            Some(found) => (self.segment(descriptor, found, memory), false),
            None => (self.make(descriptor, geometry, memory, fill)?, true),
        };
        made(&segment).map_err(CreateError::Os)?;
        Ok((segment, created))
    }

    fn open(&self, kind: Option<u32>, memory: &Memory) -> Result<Segment, OpenError> {
        let descriptor = self.enter()?;
        let Some(found) = self.find(kind)? else {
            return Err(OpenError::NotRingway {
                at: Origin::Lent,
                why: "nothing has been made in the memory yet",
            });
        };
        let segment = self.segment(descriptor, found, memory);
        made(&segment)?;
        Ok(segment)
    }
}

/// Lets others make and look.
fn made(segment: &Segment) -> Result<(), OsFault> {
    segment.descriptor().made().map_err(|source| OsFault::new(&Origin::Lent, "unlock it", source))
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("len", &self.memory.len()).finish_non_exhaustive()
    }
}
