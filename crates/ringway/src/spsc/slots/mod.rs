//! One sender, one receiver, messages of one type and size: no headers, and the fewest instructions a message.
//!
//! The ring is one of equal slots, and what is sent is a [`Value`]: a fixed-size integer or float, an array, or a
//! structure with the derives `FromBytes`, `IntoBytes` and `Immutable` of the crate `zerocopy`, aligned to 8 at the most. It is
//! written and read in place, as a `T`; nothing is encoded. That both sides mean the same type is theirs to see to; that its
//! size is the same is checked when an end is taken.
//!
//! The traits are here as [`ringway::zerocopy`](crate::zerocopy), their derives too with the feature `derive` of this crate:
//! then `zerocopy` need not be a dependency of yours, and is of the right version. The derives have to be told, as in the
//! example; with a dependency of yours on `zerocopy` 0.8 they need not.
//!
//! All else is as with records of any length: ends, roles, forms of each call, leaving, forks, trust; see the
//! [module above](super). When to choose which: records carry what differs in length, a few bytes more each, and hand over a
//! single message sooner (its header says that it is there, on the line that it lies on); slots carry more small messages a
//! second.
//!
//! # Example
//!
//! ```
//! use ringway::spsc::slots;
//! use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
//!
//! #[derive(FromBytes, IntoBytes, Immutable)]
//! #[zerocopy(crate = "ringway::zerocopy")]
//! #[repr(C)]
//! struct Quote {
//!     price: u64,
//!     size: u32,
//!     venue: u32,
//! }
//!
//! let (mut tx, mut rx) = slots::Options::new().capacity(1000).pair::<Quote>()?;
//! tx.send(&Quote { price: 101, size: 5, venue: 3 })?;
//!
//! let mut loan = tx.loan()?;
//! *loan = Quote { price: 102, size: 7, venue: 3 };
//! loan.send();
//! tx.close()?;
//!
//! assert_eq!(rx.recv()?.price, 101);
//! assert_eq!(rx.recv()?.size, 7);
//! assert_eq!(rx.recv().unwrap_err(), ringway::RecvError::Closed);
//! # Ok::<(), ringway::Error>(())
//! ```

use std::{any, fmt, marker::PhantomData};

mod iter;
mod options;
mod receiver;
mod sender;

pub use iter::{IntoIter, Iter, TryIter};
pub use options::Options;
pub use receiver::{Received, ReceivedBatch, Receiver};
pub use ringway_ring::Value;
pub use sender::{Loan, SendBatch, Sender};

/// The type of a ring's messages, as `Debug` says it.
struct TypeOf<T>(PhantomData<T>);

impl<T> fmt::Debug for TypeOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(any::type_name::<T>())
    }
}

/// How many slots lie in so many bytes of a ring of `T`s.
fn slots_in<T>(bytes: u64) -> u64 {
    bytes / size_of::<T>().next_multiple_of(8) as u64
}
