//! See `ringway_fuzz::header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (ringway_fuzz::header::TARGET.run)(input);
});
