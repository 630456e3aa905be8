//! See `ringway_fuzz::oracle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (ringway_fuzz::oracle::TARGET.run)(input);
});
