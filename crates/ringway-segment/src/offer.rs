//! Segments without a name, handed from process to process as a descriptor.
//!
//! An offer's memory is a memfd of fixed size: sealed against shrinking and growing before anybody else can have
//! it, so that no peer can make us touch memory that is not there. The order is: look up what is left, size,
//! reserve, write the header, seal, hand over; and on the other side: seals, size, header, map.
//!
//! An offer bears no locks and its descriptor may be shared freely. Attaching opens the memory *anew* through the
//! descriptor's path in `/proc`: locks belong to an open file description, and one that is shared with another
//! process would share the roles too.

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::backend::Backend;
use crate::descriptor::Descriptor;
use crate::error::{CreateError, Error, OpenError, OsFault};
use crate::huge::Data;
use crate::inspect;
use crate::limits;
use crate::memory::{Memory, NoHugePages, Pages};
use crate::origin::Origin;
use crate::segment::Segment;
use crate::shape::{Geometry, Shape};
use crate::sys;
use crate::view::View;

/// A segment in memory without a name, not attached: to be attached here, or handed to another process.
///
/// It reaches another process through a Unix socket (it is [`AsFd`]; there [`Offer::from_fd`]), or a child through
/// [`Offer::give_to`] and [`Offer::from_env`]. One whose data is in huge pages is two descriptors
/// ([`Offer::data_fd`], [`Offer::from_fds`]). When the last offer and the last segment are gone, however that came
/// about, so is the memory.
///
/// ```
/// use ringway_segment::{Offer, Shape};
///
/// let offer = Offer::create(&Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 })?;
/// let received = Offer::from_fd(std::os::fd::AsFd::as_fd(&offer).try_clone_to_owned()?)?;
/// assert_eq!(received.shape(), offer.shape());
/// let segment = received.attach()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Offer {
    file: File,
    /// If it is apart.
    data: Option<Data>,
    geometry: Geometry,
    pages: Pages,
}

impl Offer {
    /// Makes a new segment of this shape, all of it reserved.
    ///
    /// # Errors
    /// [`CreateError::InvalidShape`]; [`CreateError::OutOfMemory`] with the figures, if there is not enough.
    pub fn create(shape: &Shape) -> Result<Offer, CreateError> {
        Offer::create_with(shape, &Memory::new())
    }

    /// The same, in huge pages if `memory` says so and there are any; the rest of `memory` is for
    /// [`attach_with`](Offer::attach_with).
    ///
    /// ```
    /// use ringway_segment::{Memory, Offer, Pages, Shape};
    ///
    /// let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 4 << 20, detail: 0 };
    /// let offer = Offer::create_with(&shape, &Memory::new().huge_pages(true))?;
    /// if let Pages::Instead(why) = offer.pages() {
    ///     eprintln!("no huge pages: {why}");
    /// }
    /// # Ok::<(), ringway_segment::CreateError>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Offer::create).
    pub fn create_with(shape: &Shape, memory: &Memory) -> Result<Offer, CreateError> {
        let mut geometry = Geometry::of(*shape).map_err(CreateError::InvalidShape)?;
        let (mut data, mut pages) = (None, Pages::Ordinary);
        if memory.huge_pages {
            match Data::create(shape.capacity) {
                Ok(made) => {
                    geometry = Geometry::apart(*shape).map_err(CreateError::InvalidShape)?;
                    pages = made.pages();
                    data = Some(made);
                }
                Err(why) => pages = Pages::Instead(why),
            }
        }
        let at = &Origin::Memfd;
        let fault = |step| move |source| OsFault::new(at, step, source);
        let file = File::from(sys::memfd(c"ringway", false).map_err(fault("create it"))?);
        limits::provide(&file, geometry.total, at)?;
        inspect::imprint(&file, &geometry).map_err(fault("write its header"))?;
        sys::seal_size(&file).map_err(fault("seal its size"))?;
        Ok(Offer { file, data, geometry, pages })
    }

    /// Takes a descriptor that came from elsewhere, and trusts nothing of it: seals, size and header are checked.
    ///
    /// # Errors
    /// [`OpenError::NotMemfd`], [`OpenError::Seals`], or what is wrong with its content.
    pub fn from_fd(fd: OwnedFd) -> Result<Offer, OpenError> {
        Offer::from_fds(fd, None)
    }

    /// The same for an offer whose data may be in a descriptor of its own: the sender's [`Offer::data_fd`]. One that
    /// the offer has no use for is closed.
    ///
    /// # Errors
    /// As [`from_fd`](Offer::from_fd); [`OpenError::DataMissing`] if there should be `data` and is none.
    pub fn from_fds(fd: OwnedFd, data: Option<OwnedFd>) -> Result<Offer, OpenError> {
        let at = &Origin::Memfd;
        let file = File::from(fd);
        inspect::seals(&file)?;
        let geometry = inspect::content(&file, at)?;
        let data = match data.filter(|_| geometry.apart) {
            Some(data) => Some(Data::from_file(data.into(), geometry.shape.capacity)?),
            None if geometry.apart => return Err(OpenError::DataMissing { at: at.clone() }),
            None => None,
        };
        for fd in [file.as_fd()].into_iter().chain(data.as_ref().map(Data::as_fd)) {
            let kept = sys::set_closes_on_exec(fd, true);
            kept.map_err(|source| OsFault::new(at, "keep it from other programs", source))?;
        }
        let pages = data.as_ref().map_or(Pages::Ordinary, Data::pages);
        Ok(Offer { file, data, geometry, pages })
    }

    /// The descriptor of the data, if that is in huge pages: to be sent with the offer's own, and taken with it by
    /// [`Offer::from_fds`].
    #[must_use]
    pub fn data_fd(&self) -> Option<BorrowedFd<'_>> {
        self.data.as_ref().map(Data::as_fd)
    }

    /// In what pages the data lies, and if huge ones were asked for in vain, why.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// What the segment is made of.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.geometry.shape
    }

    /// Checks what the segment is for.
    ///
    /// # Errors
    /// [`OpenError::Kind`] if it is of another kind.
    pub fn expect_kind(&self, wanted: u32) -> Result<(), OpenError> {
        inspect::kind(&self.geometry, wanted, &Origin::Memfd)
    }

    /// Maps the segment. Each call gives an independent handle; the offer may be dropped.
    ///
    /// # Errors
    /// [`OpenError::OutOfMemory`] if address space, or memory that a peer has given back, is lacking;
    /// [`OpenError::Os`] if `/proc` is not mounted.
    pub fn attach(&self) -> Result<Segment, OpenError> {
        self.attach_with(&Memory::new())
    }

    /// The same with the memory held as `memory` says: populated, locked.
    ///
    /// # Errors
    /// As [`attach`](Offer::attach), also for memory that may not be locked.
    pub fn attach_with(&self, memory: &Memory) -> Result<Segment, OpenError> {
        let pages = match &self.pages {
            Pages::Ordinary if memory.huge_pages => Pages::Instead(NoHugePages::Existing),
            pages => pages.clone(),
        };
        let path = proc_path(&self.file);
        let descriptor = Descriptor::open(|| sys::open(&path, libc::O_RDWR, 0))
            .map_err(|source| OsFault::new(&Origin::Memfd, "open it through /proc", source))?;
        let data = self.data.as_ref();
        Ok(Segment::map(descriptor, data, self.geometry, &Origin::Memfd, memory, pages)?)
    }

    /// Looks at the segment without taking part in it.
    ///
    /// # Errors
    /// As [`attach`](Offer::attach).
    pub fn observe(&self) -> Result<View, OpenError> {
        let path = proc_path(&self.file);
        let descriptor = Descriptor::open(|| sys::open(&path, libc::O_RDONLY, 0))
            .map_err(|source| OsFault::new(&Origin::Memfd, "open it through /proc", source))?;
        let data = self.data.as_ref().map(Data::try_clone).transpose();
        let data = data.map_err(|source| OsFault::new(&Origin::Memfd, "copy its descriptor", source))?;
        Ok(View::map(descriptor, data, self.geometry, &Origin::Memfd)?)
    }
}

/// There is nothing to make: whoever has the offer joins.
impl Backend for Offer {
    fn open_or_create(
        &self,
        shape: &Shape,
        memory: &Memory,
        _fill: &mut dyn FnMut(&Segment),
    ) -> Result<(Segment, bool), Error> {
        Ok((self.open(Some(shape.kind), memory)?, false))
    }

    fn open(&self, kind: Option<u32>, memory: &Memory) -> Result<Segment, OpenError> {
        kind.map_or(Ok(()), |wanted| self.expect_kind(wanted))?;
        self.attach_with(memory)
    }
}

/// The path under which the kernel shows an open descriptor of this process.
pub(crate) fn proc_path(fd: impl AsFd) -> CString {
    CString::new(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).expect("a number contains no NUL")
}

impl AsFd for Offer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("shape", &self.geometry.shape).finish_non_exhaustive()
    }
}
