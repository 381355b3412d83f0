//! The target `monitor` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cap_map_fuzz::monitor::run(data));
