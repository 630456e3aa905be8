//! Waiting for another process: spin for a while, then sleep in the kernel until rung.
//!
//! The layer knows nothing of rings. Two sides share six 32-bit words ([`Words`]); each has a [`Bell`] over
//! them, rings it when it has news and the other is asleep, and waits on the other's when it wants some. The
//! caller says, by a closure, what it is waiting for.
//!
//! - [`Bell`]: the protocol, written down at the top of its module.
//! - [`Event`]: the same for many that wait for what any of many has; [`Crowd`]: how each of them sees the others.
//! - [`mod@alive`]: how others learn that this process has died, and this one that others have.
//! - [`Life`]: how a side sees the other's.
//! - [`Lag`]: how a receiver that has caught up falls back.
//! - [`Wait`]: how to wait.
//! - [`mod@host`]: what the kernel gives.
//! - [`Lent`], [`LentEvent`]: the words as they lie in shared memory.
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, Instant};
//! use ringway_wait::{Bell, Lent, SideWords, Wait};
//! # use std::ptr::NonNull;
//! # let words = Box::leak(Box::new([0u32; 6]));
//! # let [a, b, c, d, e, f] = words.each_mut().map(|word| NonNull::from(word));
//! # let one = SideWords { asleep: a, bell: b, processor: c };
//! # let other = SideWords { asleep: d, bell: e, processor: f };
//! # let (mine, theirs) = unsafe { (Lent::new(one, other), Lent::new(other, one)) };
//! let mut here = Bell::attach(mine, Wait::default());
//! let mut there = Bell::attach(theirs, Wait::default());
//!
//! // Nobody has news: the wait ends at its deadline, asleep.
//! let deadline = Instant::now() + Duration::from_millis(5);
//! assert_eq!(here.wait(Some(deadline), |_| None::<()>), None);
//!
//! // After making news visible: rings only if the other is asleep.
//! there.notify();
//! ```

#[cfg(not(target_os = "linux"))]
compile_error!("Ringway runs on Linux: it sleeps on futexes");

pub mod alive;
mod bell;
mod crowd;
mod event;
#[cfg(not(ringway_loom))]
mod futex;
#[cfg(not(ringway_loom))]
pub mod host;
mod lag;
mod life;
pub mod primitive;
#[cfg(not(ringway_loom))]
mod raw;
mod spinner;
mod words;

pub use bell::{Bell, Peer, has_left};
pub use crowd::{Armed, Crowd, LINES};
pub use event::{Event, EventWords};
pub use lag::Lag;
pub use life::{Life, Signs, mark, take};
#[cfg(not(ringway_loom))]
pub use raw::{Lent, LentEvent, LentSigns, LifeWords, LineWords, SideWords};
pub use spinner::Wait;
pub use words::{Whose, Words};
