//! What the fuzzers start from and what they once found, through the same claims, in an ordinary build:
//! a finding that was mended stays mended without sanitizers.

#[expect(clippy::expect_used, reason = "a claim that does not hold fails by panicking")]
#[path = "../../fuzz/src/claims.rs"]
mod claims;

use std::path::PathBuf;

// Where `claims` looks for it.
use ::worker::notification;
use contract::MediaType;
use darkroom_tests::root;

type Claim = fn(&[u8]);

const CLAIMS: [(&str, Claim); 10] = [
    ("avif", |bytes| claims::decode(bytes, MediaType::Avif)),
    ("events", claims::events),
    ("gif", |bytes| claims::decode(bytes, MediaType::Gif)),
    ("jpeg", |bytes| claims::decode(bytes, MediaType::Jpeg)),
    ("keys", claims::keys),
    ("pipeline", claims::pipeline),
    ("png", |bytes| claims::decode(bytes, MediaType::Png)),
    ("probe", claims::probe),
    ("recipe", claims::recipe),
    ("webp", |bytes| claims::decode(bytes, MediaType::Webp)),
];

fn entries(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("fuzz").join(folder)).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_claim_holds_of_every_seed_and_of_all_that_was_ever_found() {
    for (target, claim) in CLAIMS {
        let seeds = entries(&format!("seeds/{target}"));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for path in seeds.into_iter().chain(entries(&format!("regressions/{target}"))) {
            // Shown when the claim fails.
            println!("{}", path.display());
            claim(&std::fs::read(path).unwrap());
        }
    }
}

#[test]
fn every_folder_of_inputs_is_replayed() {
    for path in entries("seeds").into_iter().chain(entries("regressions")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(CLAIMS.iter().any(|(target, _)| *target == name), "{name}");
    }
}
