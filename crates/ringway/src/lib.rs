#![doc = include_str!("../README.md")]
#![cfg_attr(ringway_loom, allow(dead_code, missing_docs))]

#[doc(hidden)]
pub mod protocol;

#[cfg(not(ringway_loom))]
pub mod clean;
#[cfg(not(ringway_loom))]
mod error;
#[cfg(not(ringway_loom))]
pub mod host;
#[cfg(not(ringway_loom))]
pub mod inspect;
#[cfg(not(ringway_loom))]
#[doc(hidden)]
pub mod layout;
#[cfg(not(ringway_loom))]
mod lend;
#[cfg(not(ringway_loom))]
pub mod mpmc;
#[cfg(not(ringway_loom))]
pub mod spsc;
#[cfg(not(ringway_loom))]
mod stats;

#[cfg(not(ringway_loom))]
pub use error::{
    AttachError, Error, Peer, RecvError, RecvTimeoutError, Result, SendError, SendTimeoutError, Side,
    TooLong, TryRecvError, TrySendError,
};
pub use ringway_ring::{At, Corrupt};
#[cfg(feature = "shared_memory")]
pub use ringway_segment::SharedMemory;
pub use ringway_segment::{
    Backend, ClaimError, CleanError, CreateError, InvalidName, Lent, Limit, Memory, Names, NoHugePages,
    Offer, OpenError, Pages, Place, Shortage, View,
};
pub use ringway_wait::Wait;
#[cfg(not(ringway_loom))]
pub use stats::Stats;
/// The crate `zerocopy`, of the version whose traits messages of [`spsc::slots`] have; with the feature `derive`, its derives.
#[doc(no_inline)]
pub use zerocopy;

/// The deadline of a timeout from now: `None`, for ever, if it lies beyond what the clock can say.
#[cfg(not(ringway_loom))]
fn after(timeout: std::time::Duration) -> Option<std::time::Instant> {
    std::time::Instant::now().checked_add(timeout)
}

/// The programs in the documentation compile.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/quick-start.md")]
    struct QuickStart;

    #[doc = include_str!("../../../docs/recovery.md")]
    struct Recovery;

    #[doc = include_str!("../../../README.md")]
    struct Readme;
}
