//! libFuzzer's program for the target of this name.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| roomcast_fuzz::forwarded(input));
