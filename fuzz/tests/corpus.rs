//! The seeds in the tree.

use std::{collections::BTreeMap, fs, path::Path};

use ringway_fuzz::TARGETS;

#[test]
fn the_tree_has_the_seeds_that_this_source_makes() {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let made: BTreeMap<_, _> =
            (target.seeds)().into_iter().map(|seed| (seed.name.to_owned(), seed.input)).collect();
        for (name, input) in &made {
            let found = fs::read(folder.join(name)).ok();
            assert!(
                found.as_ref() == Some(input),
                "{}/{name} is not what is made now: run `cargo run --example seeds` in fuzz",
                target.name
            );
        }
        for found in fs::read_dir(&folder).unwrap() {
            let found = found.unwrap().file_name().into_string().unwrap();
            // What libFuzzer has added has a hash for a name.
            let is_hash = found.len() == 40 && found.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_hash || made.contains_key(&found), "{}/{found} is not made any more", target.name);
        }
    }
}

#[test]
fn every_seed_reaches_something_but_the_bad_ones_that_are_refused() {
    for target in TARGETS {
        for seed in (target.seeds)() {
            (target.run)(&seed.input);
            let reached = (target.run)(&seed.input);
            assert!(
                reached > 0 || seed.name.starts_with("bad-"),
                "{}/{} reaches nothing",
                target.name,
                seed.name
            );
        }
    }
}

#[test]
fn inputs_that_end_anywhere_are_read() {
    for target in TARGETS {
        for seed in (target.seeds)() {
            for len in (0..seed.input.len()).step_by(7) {
                (target.run)(&seed.input[..len]);
            }
        }
    }
}
