//! The loom under the models is the mended one: stock loom 0.7.2 fails here.
#![cfg(ringway_loom)]

use std::collections::BTreeSet;

#[test]
fn loom_shows_both_sides_of_a_store_that_follows_a_load() {
    assert_eq!(loom_tests::load_then_store(), BTreeSet::from([0, 1]));
}
