//! What the `ringway` command is made of.
//!
//! [`mod@bench`] is the measuring harness: behind `ringway bench`, and behind the benchmarks in `benches/`.

pub mod bench;
pub mod clean;
pub mod doctor;
pub mod exit;
pub mod get;
mod look;
pub mod ls;
mod place;
pub mod put;
mod queue;
pub mod recv;
mod ring;
pub mod send;
mod size;
pub mod stat;
pub mod stream;
