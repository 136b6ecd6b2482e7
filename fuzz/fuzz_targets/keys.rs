//! Owns nothing but a name: see `claims::keys`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzz::start(), |bytes: &[u8]| fuzz::claims::keys(bytes));
