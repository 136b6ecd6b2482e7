//! Owns nothing but a name: see `claims::decode`.
#![no_main]

use contract::MediaType;

libfuzzer_sys::fuzz_target!(init: fuzz::start(), |bytes: &[u8]| fuzz::claims::decode(bytes, MediaType::Png));
