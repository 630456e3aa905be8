//! See `ringway_fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (ringway_fuzz::records::TARGET.run)(input);
});
