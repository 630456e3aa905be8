//! The algorithms of Ringway: rings of messages over memory that somebody lends them.
//!
//! This crate is `no_std`, makes no system call, allocates nothing, and knows neither segments nor
//! sleeping. An algorithm sees words behind a trait ([`Mem`]) and never a pointer, so the loom models run
//! the very source that production runs; [`Lent`] is the production implementation and the only room with
//! unsafe code.
//!
//! - [`spsc`]: one producer, one consumer, records of any length, in place on both ends.
//! - [`slots`]: one producer, one consumer, messages of one size.
//! - [`mpmc`]: many producers, many consumers, messages of up to one size.
//!
//! # Example
//!
//! ```
//! use ringway_ring::{Controls, Lent, spsc::{Consumer, Next, Producer}};
//! # use core::ptr::NonNull;
//! # // A ring over private memory: words, then the data. No record of this example wraps, so the second,
//! # // "mirrored" half is simply never looked at.
//! # let mut words = vec![0u64; 6];
//! # let mut bytes = vec![0u64; 2 * 64 / 8];
//! # let [producer, consumer, taken, claim, oldest, sent] = [0, 1, 2, 3, 4, 5].map(|n| NonNull::from(&mut words[n]));
//! # let controls = Controls { producer, consumer, taken, claim, oldest, sent };
//! # let data = NonNull::new(bytes.as_mut_ptr().cast()).unwrap();
//! # let lent = || unsafe {
//! #     Lent::new(controls, data, 64)
//! # };
//! let mut producer = Producer::resume(lent())?;
//! let consumer = Consumer::resume(lent())?;
//!
//! producer.loan(5).unwrap();
//! producer.payload_mut().copy_from_slice(b"hello");
//! producer.send(0);
//!
//! let Next::Record(record) = consumer.advance() else { panic!() };
//! assert_eq!(consumer.payload(record), b"hello");
//! # Ok::<(), ringway_ring::Corrupt>(())
//! ```

#![cfg_attr(not(ringway_loom), no_std)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("Ringway needs 64-bit words: x86-64 or aarch64");

mod corrupt;
mod mem;
pub mod mpmc;
pub mod primitive;
#[cfg(not(ringway_loom))]
mod raw;
pub mod slots;
pub mod spsc;

pub use corrupt::{At, Corrupt};
pub use mem::{Mem, Progress, Side};
#[cfg(not(ringway_loom))]
pub use raw::{Controls, Extent, Lends, Lent, LentPool, Places, Value};
