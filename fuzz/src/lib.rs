//! What the fuzz targets do with their input, and the seeds that they start from.
//!
//! A target is one module: it says how it reads its input, what it claims, and which seeds reach deep. The programs in
//! `fuzz_targets` hand it what libFuzzer thinks up; `examples/seeds.rs` writes its seeds into `corpus`; a test runs each
//! seed and sees to it that those in the tree are those that this source makes.
//!
//! Inputs are bytes with a fixed meaning, so that a seed can be written as well as read: each of the types here that is
//! [`Arbitrary`](arbitrary::Arbitrary) reads back what its `encode` has written. An input that ends too early goes on
//! with zeros. None is refused.

mod call;
pub mod control;
pub mod header;
pub mod lossy;
mod memory;
pub mod mpmc;
pub mod oracle;
mod queue;
pub mod records;
mod ring;
mod scribble;
pub mod slots;
mod step;

/// A fuzz target.
#[derive(Debug)]
pub struct Target {
    /// What it is called: its program, and its folder in `corpus`.
    pub name: &'static str,
    /// Does with an input what the target does; panics if a claim does not hold. How many calls gave what they are for,
    /// so that a seed can be seen to reach something.
    pub run: fn(&[u8]) -> usize,
    /// Makes its seeds.
    pub seeds: fn() -> Vec<Seed>,
}

/// An input to start from.
#[derive(Debug)]
pub struct Seed {
    /// Its file's name. One that begins with `bad-` is refused at once, and is there to be refused for a new reason.
    pub name: &'static str,
    /// What is in it.
    pub input: Vec<u8>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    header::TARGET,
    records::TARGET,
    control::TARGET,
    oracle::TARGET,
    lossy::TARGET,
    slots::TARGET,
    mpmc::TARGET,
];

/// The most steps that are taken of one input: time goes into many inputs rather than long ones.
const STEPS: usize = 512;
