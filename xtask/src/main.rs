//! `cargo xtask`: how things are started. Looks for the system tools that make a build whole, installs
//! what is missing, then hands over to cargo. Has no dependencies, so that it builds in a second, and
//! never touches the project's own state.

mod bench;
mod fuzz;
mod interop;
mod npm;
mod python;
mod sam;
mod simulate;
mod tools;
mod web;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use tools::{Avif, Purpose};

const USAGE: &str = "\
cargo xtask dev  [--no-install] [ARGS]  run everything on this machine; ARGS go to `darkroom dev`
cargo xtask test [--no-install] [ARGS]  run every test; ARGS go to the test runner
cargo xtask ci   [--no-install]         what CI runs besides the tests: format, lints, docs, walls, licences
cargo xtask fuzz [--no-install] [TARGET...] [--seconds N] [--replay]
                                        fuzz each target for N seconds (20); --replay runs known inputs only
cargo xtask simulate [--first-seed S] [--seeds N]
                                        run N seeds (1000) of the simulator; with one, its whole story
cargo xtask bench [imaging] [--runs N] [--quick] [--only TABLES] [--photo NAMES] [--report]
                                        imaging beside sharp, Pillow and vipsthumbnail; writes docs/benchmarks.md.
                                        --quick is one run of one photo; parts of the whole are only printed
cargo xtask bench presign|worker|cost|burst
                                        the presign function beside one in Python with boto3; the worker as a poller beside
                                        `darkroom process`; what uploads cost, beside Node.js and sharp; the model of queues
                                        beside the stack
cargo xtask interop [--no-install]      clients that others wrote (boto3, requests, fetch, a browser, a checker of the
                                        OpenAPI document) against the running stack
cargo xtask web [--no-install]          the front end: its types and logic, then all of it in a browser against the running
                                        stack
cargo xtask sam [--no-install]          what is deployed, without an account: the templates linted, the functions built by
                                        SAM, both applied to an emulator of AWS

--no-install  only say which system tools are missing; install nothing
DARKROOM=FILE in the environment: what interop and web try in place of a build of their own";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<(), String> {
    let Some((task, flags)) = args.split_first() else { return Err(format!("which task?\n\n{USAGE}")) };
    let purpose = match task.as_str() {
        "fuzz" => Purpose::Fuzz,
        "interop" => Purpose::Interop,
        "sam" => Purpose::Sam,
        "web" => Purpose::Web,
        "bench" if bench::is_of_imaging(flags) => Purpose::BenchImaging,
        "bench" => Purpose::Bench,
        _ => Purpose::Build,
    };
    let task: fn(&[&str], &[String]) -> Result<(), String> = match task.as_str() {
        "dev" => dev,
        "test" => test,
        "ci" => ci,
        "fuzz" => |_, args| fuzz::fuzz(args),
        "interop" => interop::interop,
        "simulate" => |_, args| simulate::simulate(args),
        "bench" => bench::bench,
        "sam" => |_, args| sam::sam(args),
        "web" => web::web,
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return Ok(());
        }
        other => return Err(format!("there is no task `{other}`\n\n{USAGE}")),
    };
    let (ours, theirs): (Vec<String>, Vec<String>) =
        flags.iter().cloned().partition(|arg| arg == "--no-install");
    let features = match tools::provide(ours.is_empty(), purpose)? {
        Avif::CanBeBuilt => &["--features", "darkroom/avif"][..],
        Avif::LacksTools => &[],
    };
    task(features, &theirs)
}

fn dev(features: &[&str], args: &[String]) -> Result<(), String> {
    cargo(&[&["run", "--package", "darkroom"], features, &["--", "dev"]], args)
}

/// With nextest where it is installed, which runs tests side by side; else plainly.
fn test(features: &[&str], args: &[String]) -> Result<(), String> {
    let runner: &[&str] = match tools::answers("cargo-nextest", "--version") {
        true => &["nextest", "run"],
        false => &["test"],
    };
    cargo(&[runner, &["--workspace"], features], args)
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What paths are relative to from then on.
fn to_root() -> Result<(), String> {
    std::env::set_current_dir(ROOT).map_err(|error| format!("{ROOT}: {error}"))
}

fn no_more(task: &str, args: &[String]) -> Result<(), String> {
    args.first().map_or(Ok(()), |arg| Err(format!("`{task}` takes no `{arg}`\n\n{USAGE}")))
}

fn ci(features: &[&str], args: &[String]) -> Result<(), String> {
    no_more("ci", args)?;
    let strict = &["--", "--deny", "warnings"];
    cargo(&[&["fmt", "--all", "--check"]], &[])?;
    cargo(&[&["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]], &[])?;
    cargo(&[&["clippy", "--workspace", "--all-targets"], features, strict], &[])?;
    // What a machine without cmake builds.
    cargo(&[&["clippy", "--package", "darkroom-imaging", "--all-targets"], strict], &[])?;
    let doc = [&["doc", "--workspace", "--no-deps"], features].concat();
    command("cargo", &doc, &[("RUSTDOCFLAGS", "--deny warnings")])?;
    walls()?;
    let checks = &["licenses", "bans", "sources"];
    cargo(&[&["deny", "--all-features", "check"], checks], &[])?;
    // By the same rules, of which some concern crates that the fuzzers do not have.
    let fuzz = &["--locked", "--manifest-path", "fuzz/Cargo.toml", "--config", "deny.toml"];
    cargo(&[&["deny", "--all-features"], fuzz, &["check", "--allow", "unmatched-skip"], checks], &[])
}

/// What each crate must never pull in, however deep.
const WALLS: [(&str, &[&str]); 4] = [
    ("darkroom-contract", &["aws-", "tokio", "hyper", "http", "axum", "image", "lambda_"]),
    ("darkroom-imaging", &["aws-", "tokio", "hyper", "http", "axum", "lambda_", "reqwest"]),
    // Those who work on the engine build it again and again.
    ("darkroom-bench-imaging", &["aws-", "tokio", "hyper", "http", "axum", "lambda_", "reqwest"]),
    (
        "darkroom-presign",
        &["image", "mozjpeg", "webp", "libwebp", "fast_image_resize", "png", "darkroom-worker"],
    ),
];

fn walls() -> Result<(), String> {
    for (package, forbidden) in WALLS {
        let tree = ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
        println!("$ cargo {}", tree.join(" "));
        let output =
            Command::new("cargo").args(tree).output().map_err(|error| format!("cargo tree: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let crates = text.lines().filter_map(|line| line.split_whitespace().next());
        for found in crates.filter(|name| *name != package) {
            if forbidden.iter().any(|start| found.starts_with(start)) {
                return Err(format!("{package} pulls in {found}, which it must never do"));
            }
        }
    }
    println!("the walls hold");
    Ok(())
}

fn cargo(parts: &[&[&str]], more: &[String]) -> Result<(), String> {
    let all: Vec<&str> = parts.concat().into_iter().chain(more.iter().map(String::as_str)).collect();
    command("cargo", &all, &[])
}

/// The command, built; or the one that `DARKROOM` names, where what is under test is built already.
fn build_darkroom(features: &[&str]) -> Result<PathBuf, String> {
    match std::env::var_os("DARKROOM") {
        Some(path) => std::path::absolute(&path).map_err(|error| format!("DARKROOM: {error}")),
        None => {
            cargo(&[&["build", "--package", "darkroom"], features], &[])?;
            built("darkroom")
        }
    }
}

/// Where cargo has put a program that is built for use here.
fn built(program: &str) -> Result<PathBuf, String> {
    let path = target_dir().join("debug").join(program);
    std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Where cargo puts what it builds.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// Runs a command in the open: what it is, and all that it says.
fn command(program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<(), String> {
    let shown: Vec<OsString> = args.iter().map(OsString::from).collect();
    println!("$ {program} {}", shown.join(std::ffi::OsStr::new(" ")).display());
    let status = Command::new(program).args(args).envs(env.iter().copied()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program} {}` ended with {status}", args.first().unwrap_or(&""))),
        Err(error) => Err(format!("{program} could not be started: {error}")),
    }
}
