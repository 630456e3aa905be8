//! See `ringway_fuzz::lossy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (ringway_fuzz::lossy::TARGET.run)(input);
});
