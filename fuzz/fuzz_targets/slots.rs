//! See `ringway_fuzz::slots`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (ringway_fuzz::slots::TARGET.run)(input);
});
