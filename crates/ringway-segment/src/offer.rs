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

use crate::descriptor::Descriptor;
use crate::error::{CreateError, OpenError, OsFault};
use crate::inspect;
use crate::limits;
use crate::origin::Origin;
use crate::segment::Segment;
use crate::shape::{Geometry, Shape};
use crate::sys;
use crate::view::View;

/// A segment in memory without a name, not attached: to be attached here, or handed to another process.
///
/// It reaches another process through a Unix socket (it is [`AsFd`]; there [`Offer::from_fd`]), or a child through
/// [`Offer::give_to`] and [`Offer::from_env`]. When the last offer and the last segment are gone, however that came
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
    geometry: Geometry,
}

impl Offer {
    /// Makes a new segment of this shape, all of it reserved.
    ///
    /// # Errors
    /// [`CreateError::InvalidShape`]; [`CreateError::OutOfMemory`] with the figures, if there is not enough.
    pub fn create(shape: &Shape) -> Result<Offer, CreateError> {
        let geometry = Geometry::of(*shape).map_err(CreateError::InvalidShape)?;
        let at = &Origin::Memfd;
        let fault = |step| move |source| OsFault::new(at, step, source);
        let file = File::from(sys::memfd(c"ringway").map_err(fault("create it"))?);
        limits::provide(&file, geometry.total, at)?;
        inspect::imprint(&file, &geometry).map_err(fault("write its header"))?;
        sys::seal_size(&file).map_err(fault("seal its size"))?;
        Ok(Offer { file, geometry })
    }

    /// Takes a descriptor that came from elsewhere, and trusts nothing of it: seals, size and header are checked.
    ///
    /// # Errors
    /// [`OpenError::NotMemfd`], [`OpenError::Seals`], or what is wrong with its content.
    pub fn from_fd(fd: OwnedFd) -> Result<Offer, OpenError> {
        let file = File::from(fd);
        inspect::seals(&file)?;
        let geometry = inspect::content(&file, &Origin::Memfd)?;
        let kept = sys::set_closes_on_exec(&file, true);
        kept.map_err(|source| OsFault::new(&Origin::Memfd, "keep it from other programs", source))?;
        Ok(Offer { file, geometry })
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
        let path = proc_path(&self.file);
        let descriptor = Descriptor::open(|| sys::open(&path, libc::O_RDWR, 0))
            .map_err(|source| OsFault::new(&Origin::Memfd, "open it through /proc", source))?;
        Ok(Segment::map(descriptor, self.geometry, &Origin::Memfd)?)
    }

    /// Looks at the segment without taking part in it.
    ///
    /// # Errors
    /// As [`attach`](Offer::attach).
    pub fn observe(&self) -> Result<View, OpenError> {
        let path = proc_path(&self.file);
        let descriptor = Descriptor::open(|| sys::open(&path, libc::O_RDONLY, 0))
            .map_err(|source| OsFault::new(&Origin::Memfd, "open it through /proc", source))?;
        Ok(View::map(descriptor, self.geometry, &Origin::Memfd)?)
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
