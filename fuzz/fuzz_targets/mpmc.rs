//! See `ringway_fuzz::mpmc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (ringway_fuzz::mpmc::TARGET.run)(input);
});
