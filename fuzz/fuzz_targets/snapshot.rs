#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxyprocess::fuzzing::snapshot(data));
