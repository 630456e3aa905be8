//! See `ringway_fuzz::control`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (ringway_fuzz::control::TARGET.run)(input);
});
