//! Owns nothing but a name: see `claims::recipe`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: fuzz::start(), |bytes: &[u8]| fuzz::claims::recipe(bytes));
