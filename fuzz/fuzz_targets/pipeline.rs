//! Owns nothing but a name: see `claims::pipeline`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzz::start(), |bytes: &[u8]| fuzz::claims::pipeline(bytes));
