//! What every backend has to keep, and each of them held to it: one line a backend.
//!
//! To add one: implement [`Ground`](ground::Ground) for it in `ground.rs`, and name it below.
#![allow(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
mod ground;
mod suite;

suite::conformance!(memfd: ground::Memfd);
suite::conformance!(named: ground::Named);
suite::conformance!(file: ground::OnDisk);
suite::conformance!(lent: ground::Borrowed);
suite::conformance!(shared_memory: ground::Object);
