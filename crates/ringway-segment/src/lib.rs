//! Shared-memory segments: created, sealed, named, sized, mapped, prefaulted, handed over.
//!
//! A segment is a header, a *control area* and *data*, the latter mapped twice back to back so that whatever begins
//! in it is contiguous. What is in them is the caller's: this crate knows no ring. It sees to it that
//!
//! - **running out is an error when a segment is made**, with the figures ([`Shortage`]), and not a signal later;
//! - **nothing half-made is ever seen**, and nothing is left behind: a memfd ([`Offer`]) goes with its last user,
//!   a file ([`Names`], [`Place`]) when the last one leaves in order ([`Segment::leave`]), or if all have died, when
//!   anybody cleans up ([`Place::clean`]);
//! - **it does not matter where a segment lives**: every [`Backend`] is held to the same;
//! - **roles are exclusive and end with their holder** ([`Segment::claim`]), which the kernel sees to, also after
//!   SIGKILL and in spite of `fork`;
//! - **anybody with permission can look** ([`View`]) without taking part;
//! - **a host can be asked** what it gives and what it lacks ([`mod@host`]);
//! - **what comes from outside is checked** — seals, size, header — on a private copy before any of it is mapped.
//!
//! ```
//! use ringway_segment::{Offer, Role, Shape};
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! let offer = Offer::create(&Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 })?;
//! let (here, there) = (offer.attach()?, offer.attach()?);
//! here.claim(Role::FIRST)?;
//!
//! // SAFETY: the control area is aligned, outlives both references, and is accessed by atomics only.
//! let (ours, theirs) = unsafe {
//!     (AtomicU64::from_ptr(here.control().cast().as_ptr()), AtomicU64::from_ptr(there.control().cast().as_ptr()))
//! };
//! ours.store(42, Ordering::Release);
//! assert_eq!(theirs.load(Ordering::Acquire), 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The memory
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4096 | header: magic `RINGWAY\0`, layout version, byte order, kind, flags, control length, data offset, capacity, total, detail; the rest zero |
//! | 4096 | `control_len` | control area |
//! | `data_offset` | `capacity` | data, at the next page; or in a memfd of its own, in huge pages, and then `data_offset` is 0 |
//!
//! The layout has the version [`LAYOUT_VERSION`]; a segment of another version is refused.
//!
//! # Forks
//!
//! A forked child is not its parent. It has no part in the parent's segments: in the place of their memory it has
//! zeros of its own, their roles stay with the parent, and dropping its copies does nothing. It may attach anew.
//! (What is mapped in the place of memory that was lent, [`Lent`], is up to its owner.) A child made by a raw `clone`
//! system call, which tells the C library nothing, must exec or exit.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("Ringway needs Linux on a 64-bit machine");

mod backend;
mod cgroup;
mod clean;
mod descriptor;
mod error;
mod fork;
mod fresh;
mod header;
pub mod host;
mod huge;
mod inherit;
mod inspect;
mod lent;
mod limits;
mod map;
mod memory;
mod mounts;
mod names;
mod offer;
mod origin;
mod place;
mod primitive;
mod role;
mod segment;
mod shape;
#[cfg(feature = "shared_memory")]
mod shm;
mod size;
mod sys;
mod view;

pub use backend::Backend;
pub use clean::Cleaned;
pub use error::{ClaimError, CleanError, CreateError, Error, InvalidName, OpenError, OsFault};
pub use header::LAYOUT_VERSION;
pub use lent::Lent;
pub use limits::{Limit, Shortage};
pub use memory::{Memory, NoHugePages, Pages};
pub use names::Names;
pub use offer::Offer;
pub use origin::Origin;
pub use place::Place;
pub use role::Role;
pub use segment::{Backing, Segment};
pub use shape::{Misfit, Shape};
#[cfg(feature = "shared_memory")]
pub use shm::SharedMemory;
pub use size::Size;
pub use view::View;
