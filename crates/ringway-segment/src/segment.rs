//! A mapped segment, and how one leaves it.
//!
//! # Who is here
//!
//! Each `Segment` has an open file description of its own, and all its locks belong to that: the roles it has
//! claimed and, for a named segment, its *presence*, a shared lock. Locks of open file descriptions end with the
//! last thread that can use them, also after SIGKILL, and never by a timer.
//!
//! # The last one out removes the name
//!
//! Whoever leaves 1. gives its presence back, 2. tries to take the presence byte alone, without waiting, and 3. if
//! it got that and the segment is finished and the name still means this file, removes the name; 4. closes.
//!
//! Why not turn the shared lock into an exclusive one in one step? Let two leave at once. Both hold it shared, so
//! both fail, and then both close: the name stays, and nobody is left to remove it. Given back first, each try
//! comes after the giver's own step 1. Of two that leave, let the one whose step 1 came last be B: when B tries, A
//! has given back. So B fails only if A holds the byte alone at that instant, and then A is in step 3 and removes
//! the name itself. The same holds for more than two.
//!
//! Who opens meanwhile takes its presence *before* it asks whether the name still means the file it has opened
//! (`place.rs`). If it got there first, the one leaving fails in step 2 and the name stays. If not, it waits for the
//! moment of step 3, finds the name gone or another's, and begins again.
//!
//! A segment that is dropped without `leave`, or whose holder was killed, keeps its name: somebody may want to
//! resume it. If nobody does, `clean.rs` removes it.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::ptr::NonNull;

use crate::descriptor::Descriptor;
use crate::error::{ClaimError, OsFault, Refusal};
use crate::huge::Data;
use crate::limits;
use crate::map::Mapping;
use crate::memory::{Memory, Pages};
use crate::offer::proc_path;
use crate::origin::Origin;
use crate::place;
use crate::primitive::Bits;
use crate::role::Role;
use crate::shape::{Geometry, HEADER_PAGE, Shape};
use crate::sys;

/// A segment, mapped into this process.
///
/// It lends raw memory that other processes write at any time: make neither references nor slices of it, use
/// atomics, and trust nothing in it that has not been checked.
///
/// Dropping it unmaps the memory and frees its roles. In a child made by `fork` a `Segment` of the parent is a
/// husk: in the place of its memory are zeros of the child's own, [`claim`](Segment::claim) refuses, and dropping it
/// does nothing.
///
/// It may be shared between threads and moved from one to another.
///
/// ```
/// use ringway_segment::{Offer, Role, Shape};
///
/// let offer = Offer::create(&Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 })?;
/// let (here, there) = (offer.attach()?, offer.attach()?);
/// here.claim(Role::FIRST)?;
/// assert!(there.claim(Role::FIRST).is_err());
/// there.claim(Role::SECOND)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Segment {
    // The order matters: the memory is unmapped first, then the descriptor closed, which frees the locks.
    mapping: Mapping,
    descriptor: Descriptor,
    /// From a private copy of the header, checked.
    geometry: Geometry,
    origin: Origin,
    pages: Pages,
    /// The roles that this handle has. The kernel does not tell two claims of one description apart.
    roles: Bits,
}

impl Segment {
    /// Maps a file whose content has been checked, and its data if that is apart, and reserves what they lack.
    pub(crate) fn map(
        descriptor: Descriptor,
        data: Option<&Data>,
        geometry: Geometry,
        origin: &Origin,
        memory: &Memory,
        pages: Pages,
    ) -> Result<Segment, Refusal> {
        limits::complete(descriptor.file(), geometry.total, origin)?;
        if let Some(data) = data {
            data.complete(geometry.shape.capacity, origin)?;
        }
        let mapping = Mapping::new(descriptor.file(), data, &geometry, memory, origin)?;
        Ok(Segment::of(mapping, descriptor, geometry, origin, pages))
    }

    /// What is mapped already.
    pub(crate) fn of(
        mapping: Mapping,
        descriptor: Descriptor,
        geometry: Geometry,
        origin: &Origin,
        pages: Pages,
    ) -> Segment {
        Segment { mapping, descriptor, geometry, origin: origin.clone(), pages, roles: Bits::new() }
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Gives the file its name; an error if the name is taken, or in a forked child.
    pub(crate) fn link(&self, path: &CStr) -> io::Result<()> {
        if !self.is_ours() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        sys::link(&proc_path(self.descriptor.file()), path)
    }

    /// What the segment is made of, as found when it was opened; nothing that a peer writes later changes it.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.geometry.shape
    }

    /// The control area: [`Shape::control_len`] bytes, aligned to 4096, zero when the segment is new.
    ///
    /// The pointer is good for as long as the segment lives. Others write there: access it with atomics only.
    ///
    /// In a forked child this pointer, and every one from before the fork, leads to private memory of the child: zero
    /// at first, and what is written there reaches nobody.
    #[must_use]
    pub fn control(&self) -> NonNull<u8> {
        self.mapping.control()
    }

    /// The data: *twice* [`Shape::capacity`] bytes, aligned to a page, zero when the segment is new. Byte `i` and
    /// byte `i + capacity` are the same byte, so that whatever begins in the first half is contiguous.
    ///
    /// The pointer is good for as long as the segment lives. Others write there: access it with atomics, or with
    /// plain accesses to what a protocol has handed over, and never through both images of a byte at once.
    ///
    /// In a forked child it is as with [`control`](Segment::control), and the images of a byte are two bytes.
    #[must_use]
    pub fn data(&self) -> NonNull<u8> {
        self.mapping.data()
    }

    /// Takes a role, which then nobody else has until this segment is dropped or its process has stopped for good.
    ///
    /// # Errors
    /// [`ClaimError::Held`] if somebody has it, be it this very handle; [`ClaimError::NotOurs`] in a forked child.
    pub fn claim(&self, role: Role) -> Result<(), ClaimError> {
        if !self.is_ours() {
            return Err(ClaimError::NotOurs { at: self.origin.clone() });
        }
        let held = || ClaimError::Held { at: self.origin.clone(), role };
        if !self.roles.take(role.index()) {
            return Err(held());
        }
        let claimed = match self.descriptor.try_role(role) {
            Ok(true) => return Ok(()),
            Ok(false) => held(),
            Err(source) => ClaimError::Os(OsFault::new(&self.origin, "lock a role", source)),
        };
        self.roles.give_back(role.index());
        Err(claimed)
    }

    /// Gives back a role that this handle has. Nothing happens if it has not.
    ///
    /// ```
    /// use ringway_segment::{Offer, Role, Shape};
    ///
    /// let offer = Offer::create(&Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 })?;
    /// let (here, there) = (offer.attach()?, offer.attach()?);
    /// here.claim(Role::FIRST)?;
    /// here.give_up(Role::FIRST);
    /// there.claim(Role::FIRST)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_up(&self, role: Role) {
        if self.is_ours() && self.roles.has(role.index()) {
            // It cannot fail: the file is open and nothing is waited for.
            let _ = self.descriptor.give_up_role(role);
            self.roles.give_back(role.index());
        }
    }

    /// Whether somebody else has a role, by the kernel's word: a process that died has none once all of it has stopped.
    ///
    /// # Errors
    /// The kernel's, if it cannot be told.
    pub fn is_held(&self, role: Role) -> io::Result<bool> {
        if self.is_ours() {
            self.descriptor.is_role_held(role)
        } else {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
    }

    /// The file that the control area lies in; `None` for lent memory, of whose file nothing is known, and in a forked child.
    #[must_use]
    pub fn backing(&self) -> Option<Backing<'_>> {
        let known = self.is_ours() && self.origin != Origin::Lent;
        known.then(|| Backing {
            file: self.descriptor.file().as_fd(),
            control: HEADER_PAGE,
            sealed: self.origin == Origin::Memfd,
        })
    }

    /// Whether this process has made this handle; `false` in a child that was forked after it was made. Costs one
    /// load. Where it is `false`, the memory is not the segment's but the child's own.
    ///
    /// A child made by a raw `clone` system call cannot be told from its parent: it must exec or exit.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.descriptor.is_ours()
    }

    /// In what pages the data lies, and if huge ones were asked for in vain, why.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.pages
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

    /// Leaves in order. If the segment has a name, nobody else is attached and `finished` says that nobody will
    /// want what is in it, the name is removed.
    ///
    /// `finished` is asked only when nobody else is attached, and whoever opens the segment waits meanwhile: it
    /// must be short. The name stays if it is another segment's by now, or if removing it is not permitted.
    pub fn leave(self, finished: impl FnOnce(&Segment) -> bool) {
        if let Some(path) = self.path().filter(|_| self.is_ours()) {
            let alone = self.descriptor.part().is_ok() && self.descriptor.try_be_alone().unwrap_or(false);
            if alone && finished(&self) && self.is_ours() {
                // Not permitted, or on a mount that became read-only: the name stays.
                let _ = place::remove_if_same(path, self.descriptor.file());
            }
        }
    }
}

/// The file of a segment's control area: to map more of it, not to be locked or closed.
#[derive(Debug, Clone, Copy)]
pub struct Backing<'a> {
    /// The file.
    pub file: BorrowedFd<'a>,
    /// Where in it the control area begins, in bytes.
    pub control: u64,
    /// Whether nobody can truncate it.
    pub sealed: bool,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("origin", &self.origin)
            .field("shape", &self.geometry.shape)
            .field("is_ours", &self.is_ours())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn both<T: Send + Sync>() {}
    both::<Segment>();
};
