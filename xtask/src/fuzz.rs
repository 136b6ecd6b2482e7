//! `cargo xtask fuzz`: builds the targets of `fuzz/` with sanitizers and runs them, one after the other.
//! Owns how they are built, from what they start and where their findings go; what they claim is theirs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{command, to_root, tools};

/// Every path here is below it.
/// As `cargo install` takes it.
const CARGO_FUZZ: [&str; 5] = ["install", "cargo-fuzz", "--locked", "--version", "0.13.2"];
const DEFAULT_SECONDS: u32 = 20;
/// Below the workspace's own, since every crate under it is built anew.
const TARGET_DIR: &str = "target/fuzz";
/// Real images beside the checkout; only read.
const CORPUS: &str = "../shared/corpus";

struct Target {
    name: &'static str,
    /// Under `fuzz/dictionaries`, without extension.
    dictionaries: &'static [&'static str],
    /// Folders of the corpus whose files are seeds too.
    corpus: &'static [&'static str],
    /// Longer inputs tell no more, and take longer.
    max_bytes: u32,
    /// Not where AVIF is decoded: re_rav1d 0.1.3 loses 48 bytes with each picture that it is done with
    /// (`dav1d_picture_unref` leaves an empty one behind, which nobody frees).
    finds_leaks: bool,
}

const IMAGES: &[&str] = &["jpeg", "png", "gif", "webp", "avif"];
const IMAGE_BYTES: u32 = 32 * 1024;
const TEXT_BYTES: u32 = 4 * 1024;

const fn image(
    name: &'static str,
    dictionaries: &'static [&'static str],
    corpus: &'static [&'static str],
) -> Target {
    Target { name, dictionaries, corpus, max_bytes: IMAGE_BYTES, finds_leaks: true }
}

const fn text(name: &'static str, dictionaries: &'static [&'static str]) -> Target {
    Target { name, dictionaries, corpus: &[], max_bytes: TEXT_BYTES, finds_leaks: true }
}

const TARGETS: [Target; 10] = [
    text("recipe", &["toml", "json"]),
    text("keys", &["json"]),
    text("events", &["json"]),
    image("probe", IMAGES, &["png", "gif", "webp", "avif", "bad", "fuzz/jpeg", "fuzz/png"]),
    image("jpeg", &["jpeg"], &["jpeg", "fuzz/jpeg"]),
    image("png", &["png"], &["png", "fuzz/png"]),
    image("gif", &["gif"], &["gif"]),
    image("webp", &["webp"], &["webp"]),
    Target { finds_leaks: false, ..image("avif", &["avif"], &["avif"]) },
    // Its first byte is no image's: only its own seeds have one.
    Target { finds_leaks: false, ..image("pipeline", IMAGES, &[]) },
];

/// What was asked for on the command line.
struct Wanted {
    targets: Vec<&'static Target>,
    seconds: u32,
    replay: bool,
}

pub fn fuzz(args: &[String]) -> Result<(), String> {
    let wanted = Wanted::parse(args)?;
    to_root()?;
    if !tools::answers("cargo-fuzz", "--version") {
        println!("cargo-fuzz is missing: without it, the fuzzers cannot be built.");
        command("cargo", &CARGO_FUZZ, &[])?;
    }
    build()?;
    wanted.targets.iter().try_for_each(|target| target.run(&wanted))
}

impl Wanted {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut wanted = Self { targets: Vec::new(), seconds: DEFAULT_SECONDS, replay: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--replay" => wanted.replay = true,
                "--seconds" => {
                    let seconds = args.next().and_then(|text| text.parse().ok());
                    wanted.seconds = seconds.ok_or("`--seconds` takes a whole number")?;
                }
                name => wanted.targets.push(find(name)?),
            }
        }
        if wanted.targets.is_empty() {
            wanted.targets = TARGETS.iter().collect();
        }
        Ok(wanted)
    }
}

fn find(name: &str) -> Result<&'static Target, String> {
    let names = TARGETS.each_ref().map(|target| target.name).join(", ");
    let found = TARGETS.iter().find(|target| target.name == name);
    found.ok_or_else(|| format!("there is no target `{name}`; there are {names}"))
}

/// All targets at once: most of the time goes into what they share.
fn build() -> Result<(), String> {
    let locked = ["metadata", "--locked", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"];
    let output = Command::new("cargo").args(locked).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("{}\n{RELOCK}", String::from_utf8_lossy(&output.stderr)));
    }
    // Without cargo-fuzz's own assertions: fuzz/Cargo.toml says which crates have them.
    let build = ["fuzz", "build", "--release", "--codegen-units", "16", "--target-dir", TARGET_DIR];
    let env = [
        // Sanitizers are unstable, and this is the one toolchain.
        ("RUSTC_BOOTSTRAP", "1"),
        // The C codecs too; libFuzzer itself is C++, and must not watch itself.
        ("CC", "clang"),
        ("CFLAGS", "-fsanitize=address,fuzzer-no-link -g1"),
    ];
    command("cargo", &build, &env)
}

/// How the fuzzers' lock file follows the workspace's.
const RELOCK: &str = "fuzz/Cargo.lock is behind: cp Cargo.lock fuzz/ && cargo metadata --format-version 1 \
                      --manifest-path fuzz/Cargo.toml >/dev/null";

impl Target {
    /// Over the regressions and all seeds first, and on from there where there is more to do than replay.
    fn run(&self, wanted: &Wanted) -> Result<(), String> {
        let name = self.name;
        let program = binary(name)?;
        let artifacts = made(format!("fuzz/artifacts/{name}/"))?;
        let mut args = self.options(&artifacts)?;
        if wanted.replay {
            args.push("-runs=0".to_owned());
        } else {
            args.push(format!("-max_total_time={}", wanted.seconds));
            // New inputs go to the first folder.
            args.push(made(format!("fuzz/corpus/{name}"))?);
            args.extend(self.corpus.iter().map(|folder| format!("{CORPUS}/{folder}")));
        }
        args.extend(["regressions", "seeds"].map(|kind| format!("fuzz/{kind}/{name}")));
        args.retain(|arg| arg.starts_with('-') || Path::new(arg).is_dir());
        println!("\n== {name}");
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        // libFuzzer's own word on leaks does not hold at the end of a process.
        let leaks: &[_] = if self.finds_leaks { &[] } else { &[("ASAN_OPTIONS", "detect_leaks=0")] };
        command(&program, &args, leaks).map_err(|error| {
            format!(
                "{error}\nA finding of `{name}`, told above; its input is the newest file in {artifacts}\n\
                 again:   {program} {artifacts}FILE\n\
                 smaller: {program} -minimize_crash=1 -max_total_time=60 {artifacts}FILE\n\
                 docs/fuzzing.md says what to do with it."
            )
        })
    }

    fn options(&self, artifacts: &str) -> Result<Vec<String>, String> {
        Ok(vec![
            format!("-dict={}", self.dictionary()?),
            format!("-artifact_prefix={artifacts}"),
            format!("-max_len={}", self.max_bytes),
            // By the clock, and other work may go on beside.
            "-timeout=60".to_owned(),
            "-rss_limit_mb=2048".to_owned(),
            "-malloc_limit_mb=1024".to_owned(),
            "-print_final_stats=1".to_owned(),
        ])
    }

    /// libFuzzer takes one file: all of this target's in one.
    fn dictionary(&self) -> Result<String, String> {
        let read = |name: &&str| {
            let path = format!("fuzz/dictionaries/{name}.dict");
            fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
        };
        let texts: Result<Vec<String>, String> = self.dictionaries.iter().map(read).collect();
        let path = format!("{TARGET_DIR}/{}.dict", self.name);
        fs::write(&path, texts?.concat()).map_err(|error| format!("{path}: {error}"))?;
        Ok(path)
    }
}

/// The folder, which is there now.
fn made(folder: String) -> Result<String, String> {
    fs::create_dir_all(&folder).map_err(|error| format!("{folder}: {error}"))?;
    Ok(folder)
}

/// cargo-fuzz always names the machine's own triple.
fn binary(name: &str) -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    Ok(format!("{TARGET_DIR}/{host}/release/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ROOT;

    fn root() -> &'static Path {
        Path::new(ROOT)
    }

    /// Name and version of every package of a lock file.
    fn packages(lock: &str) -> Vec<(String, String)> {
        let text = fs::read_to_string(root().join(lock)).unwrap();
        let value = |block: &str, key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_matches(['"', ' ', '=']).to_owned()
        };
        text.split("[[package]]")
            .skip(1)
            .map(|block| (value(block, "name"), value(block, "version")))
            .collect()
    }

    #[test]
    fn the_fuzzers_have_the_versions_that_ship() {
        let shipped = packages("Cargo.lock");
        for (name, version) in packages("fuzz/Cargo.lock") {
            let same = shipped.iter().any(|package| *package == (name.clone(), version.clone()));
            let theirs_alone = shipped.iter().all(|(shipped, _)| *shipped != name);
            assert!(same || theirs_alone, "{name} {version}: {RELOCK}");
        }
    }

    #[test]
    fn every_target_has_its_source_its_seeds_and_its_dictionaries() {
        let fuzz = root().join("fuzz");
        let sources = fs::read_dir(fuzz.join("fuzz_targets")).unwrap().count();
        assert_eq!(sources, TARGETS.len());
        for target in &TARGETS {
            assert!(fuzz.join(format!("fuzz_targets/{}.rs", target.name)).is_file(), "{}", target.name);
            assert!(fuzz.join("seeds").join(target.name).is_dir(), "{}", target.name);
            for name in target.dictionaries {
                assert!(fuzz.join(format!("dictionaries/{name}.dict")).is_file(), "{name}");
            }
        }
    }

    #[test]
    fn the_command_line_names_targets_time_and_replay() {
        let parse = |line: &str| Wanted::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let wanted = parse("gif --seconds 7 png").unwrap();
        let names: Vec<&str> = wanted.targets.iter().map(|target| target.name).collect();
        assert_eq!((names, wanted.seconds, wanted.replay), (vec!["gif", "png"], 7, false));
        assert!(parse("--replay").unwrap().replay);
        assert_eq!(parse("--replay").unwrap().targets.len(), TARGETS.len());
        assert!(parse("--seconds").is_err() && parse("--seconds x").is_err() && parse("tiff").is_err());
    }
}
