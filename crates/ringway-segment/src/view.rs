use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr::NonNull;

use crate::descriptor::Descriptor;
use crate::error::{OsFault, Refusal};
use crate::huge::Data;
use crate::map::Mapping;
use crate::origin::Origin;
use crate::role::Role;
use crate::shape::{Geometry, Shape};
use crate::sys::Hold;

/// A segment seen from outside: mapped for reading only, by anybody who may read it.
///
/// Looking changes nothing. A view holds no lock and no role, so whoever is attached does not notice it, and the last
/// one out removes the name in spite of it; what is seen then is what was there last. It allocates no memory of the
/// segment, as long as it looks at pages that are there ([`allocated`](View::allocated) tells whether all are).
///
/// It lends raw memory that others write at any time: make neither references nor slices of it, use relaxed atomic
/// loads, and trust nothing in it that has not been checked. To write there raises SIGSEGV. What is in a file can be
/// cut off by whoever may write it, and then looking beyond the new end raises SIGBUS; that cannot happen to a memfd.
///
/// In a child made by `fork` a view of the parent is a husk: in the place of its memory are zeros of the child's own.
///
/// ```
/// use ringway_segment::{Offer, Role, Shape};
///
/// let offer = Offer::create(&Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 })?;
/// let view = offer.observe()?;
/// assert!(!view.is_held(Role::FIRST)?);
/// let segment = offer.attach()?;
/// segment.claim(Role::FIRST)?;
/// assert!(view.is_held(Role::FIRST)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct View {
    mapping: Mapping,
    /// Asked for the locks of others; bears none itself, save while its name is being removed (`clean.rs`).
    descriptor: Descriptor,
    data: Option<Data>,
    /// From a private copy of the header, checked.
    geometry: Geometry,
    origin: Origin,
}

impl View {
    /// Maps a file that is open for reading and whose content has been checked.
    pub(crate) fn map(
        descriptor: Descriptor,
        data: Option<Data>,
        geometry: Geometry,
        origin: &Origin,
    ) -> Result<View, Refusal> {
        let mapping = Mapping::view(descriptor.file(), data.as_ref(), &geometry, origin)?;
        Ok(View { mapping, descriptor, data, geometry, origin: origin.clone() })
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// What the segment is made of, as found when it was opened; nothing that others write later changes it.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.geometry.shape
    }

    /// The control area: [`Shape::control_len`] bytes to read, aligned to 4096.
    ///
    /// The pointer is good for as long as the view lives.
    #[must_use]
    pub fn control(&self) -> NonNull<u8> {
        self.mapping.control()
    }

    /// The data: *twice* [`Shape::capacity`] bytes to read, aligned to a page. Byte `i` and byte `i + capacity` are the
    /// same byte.
    ///
    /// The pointer is good for as long as the view lives.
    #[must_use]
    pub fn data(&self) -> NonNull<u8> {
        self.mapping.data()
    }

    /// Whether anybody who lives has this role, in this process or another.
    ///
    /// # Errors
    /// The kernel does not tell, or this is a forked child's copy of its parent's view.
    pub fn is_held(&self, role: Role) -> Result<bool, OsFault> {
        self.ask("ask who holds a role", |descriptor| descriptor.is_role_held(role))
    }

    /// Whether anybody who lives is attached to a segment in a file, in this process or another: has opened it and not
    /// left it. Views are not. Of any other segment this is `false`: only its roles tell.
    ///
    /// # Errors
    /// The kernel does not tell, or this is a forked child's copy of its parent's view.
    pub fn is_attached(&self) -> Result<bool, OsFault> {
        // Who holds the byte alone is removing the name, or about to leave it.
        self.ask("ask who is attached", |descriptor| Ok(descriptor.presence()? == Some(Hold::Shared)))
    }

    /// Bytes of the segment: header, control area, padding and data.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.geometry.size()
    }

    /// Bytes of memory, or of storage, that the segment takes at present: its size, or about that, unless somebody
    /// has given some back.
    ///
    /// # Errors
    /// The kernel does not tell, or this is a forked child's copy of its parent's view.
    pub fn allocated(&self) -> Result<u64, OsFault> {
        self.ask("look at it", |descriptor| {
            let data =
                self.data.as_ref().map_or(Ok(0), |data| data.file().metadata().map(|data| data.blocks()))?;
            // The kernel counts in blocks of 512 bytes, whatever the file system's are.
            Ok((descriptor.file().metadata()?.blocks() + data).saturating_mul(512))
        })
    }

    fn ask<T>(
        &self,
        step: &'static str,
        question: impl FnOnce(&Descriptor) -> io::Result<T>,
    ) -> Result<T, OsFault> {
        let answer = if self.descriptor.is_ours() {
            question(&self.descriptor)
        } else {
            // The number may be another file's by now.
            Err(io::Error::from_raw_os_error(libc::EBADF))
        };
        answer.map_err(|source| OsFault::new(&self.origin, step, source))
    }

    /// Whether this view is this process's own, and not a forked child's copy of its parent's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.descriptor.is_ours()
    }

    /// Where the segment comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path of a segment in a file, `None` for any other.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.origin.path()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("origin", &self.origin)
            .field("shape", &self.geometry.shape)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn both<T: Send + Sync>() {}
    both::<View>();
};
