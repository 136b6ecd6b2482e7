//! Owns nothing but a name: see `claims::probe`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzz::start(), |bytes: &[u8]| fuzz::claims::probe(bytes));
