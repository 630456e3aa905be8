//! What this host gives for rings and what it lacks; `ringway doctor` says it for people.
//!
//! ```
//! use ringway::host::{memory, waiting};
//!
//! memory::Feature::Memfd.try_out()?;
//! waiting::Feature::Futex.try_out()?;
//! println!("{:?}", memory::Limits::here());
//! # Ok::<(), std::io::Error>(())
//! ```

pub use ringway_segment::host as memory;
pub use ringway_wait::host as waiting;
