//! `cargo xtask bench`: builds what is measured as it ships, installs its peers, and runs both in turns. What is
//! measured and how is in `bench`.

use std::path::Path;

use crate::python::python_with;
use crate::{cargo, command, npm, to_root};

pub fn bench(features: &[&str], args: &[String]) -> Result<(), String> {
    to_root()?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["presign"] => presign(),
        ["worker"] => worker(features),
        ["cost"] => cost(features),
        ["burst"] => burst(features),
        _ if is_of_imaging(args) => imaging(features, args),
        _ => Err("which benchmark? There are `imaging`, `presign`, `worker`, `cost` and `burst`".to_owned()),
    }
}

/// Programs under test are started from other folders.
fn from_root(path: impl AsRef<Path>) -> Result<String, String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    Ok(path.to_string_lossy().into_owned())
}

fn in_target(name: &str) -> Result<String, String> {
    from_root(crate::target_dir().join(name))
}

/// It is the one that is meant where none is named.
pub fn is_of_imaging(args: &[String]) -> bool {
    args.first().is_none_or(|arg| arg == "imaging" || arg.starts_with('-'))
}

/// Beside a checkout: the photos are not ours to keep in it.
const PHOTOS: &str = "../shared/corpus/photos";

fn need_photos() -> Result<(), String> {
    match Path::new(PHOTOS).is_dir() {
        true => Ok(()),
        false => Err(format!("the photos of {PHOTOS} are needed, and are not there")),
    }
}

/// The drivers that others' libraries are measured by.
const PEERS: &str = "bench/imaging/peers";

fn imaging(features: &[&str], args: &[String]) -> Result<(), String> {
    need_photos()?;
    if features.is_empty() {
        return Err("half of what is measured is AVIF: cmake and nasm are needed".to_owned());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "imaging").collect();
    // Apart, as they ship.
    let packages = ["darkroom-bench-imaging", "darkroom-worker"];
    for package in &packages[..if needs_worker(&args) { 2 } else { 1 }] {
        cargo(&[&["build", "--release", "--package", package, "--features", "avif"]], &[])?;
    }
    npm::install(PEERS)?;
    let python = python_with("bench-imaging", &format!("{PEERS}/requirements.txt"))?;
    let oximg = oximg(&in_target("oximg")?);
    let mut all = vec![
        ("--driver", in_target("release/bench-imaging-darkroom")?),
        ("--worker", in_target("release/darkroom-worker")?),
        ("--python", from_root(&python)?),
        ("--peers", from_root(PEERS)?),
        ("--photos", from_root(PHOTOS)?),
        ("--scratch", in_target("bench-scratch")?),
        ("--docs", from_root("docs")?),
    ];
    all.extend(oximg.map(|path| ("--oximg", path)));
    let places = all.iter().flat_map(|(name, path)| [*name, path.as_str()]);
    command(&in_target("release/bench-imaging")?, &places.chain(args).collect::<Vec<_>>(), &[])
}

/// The worker is started for the last table alone.
fn needs_worker(args: &[&str]) -> bool {
    let only = args.iter().position(|arg| *arg == "--only").and_then(|at| args.get(at + 1));
    only.is_none_or(|tables| tables.contains('8'))
}

/// The one peer that is built rather than installed; without it the benchmark goes on.
fn oximg(folder: &str) -> Option<String> {
    let manifest = format!("{PEERS}/oximg/Cargo.toml");
    let build = ["build", "--release", "--locked", "--manifest-path", &manifest, "--target-dir", folder];
    match command("cargo", &build, &[]) {
        Ok(()) => Some(format!("{folder}/release/bench-imaging-oximg")),
        Err(problem) => {
            println!("{problem}; going on without oximg");
            None
        }
    }
}

fn worker(features: &[&str]) -> Result<(), String> {
    need_photos()?;
    // Apart, as they ship.
    let avif: &[&str] = if features.is_empty() { &[] } else { &["--features", "avif"] };
    for package in ["darkroom", "darkroom-worker"] {
        cargo(&[&["build", "--release", "--package", package], avif], &[])?;
    }
    cargo(&[&["build", "--release", "--package", "darkroom-bench", "--bin", "bench-worker"]], &[])?;
    let args = [
        in_target("release/darkroom")?,
        in_target("release/darkroom-worker")?,
        from_root(PHOTOS)?,
        in_target("bench-scratch")?,
    ];
    command(&in_target("release/bench-worker")?, &args.each_ref().map(String::as_str), &[])
}

/// The peer that costs are compared with, and what everyone uploads.
const COST_PEER: &str = "bench/cost";

fn cost(features: &[&str]) -> Result<(), String> {
    need_photos()?;
    if features.is_empty() {
        return Err("half of what is made is AVIF: cmake and nasm are needed".to_owned());
    }
    // Apart, as they ship.
    cargo(&[&["build", "--release", "--package", "darkroom-worker", "--features", "avif"]], &[])?;
    cargo(&[&["build", "--release", "--package", "darkroom-presign"]], &[])?;
    bench_with(features, "bench-cost")?;
    npm::install(COST_PEER)?;
    let args = [
        in_target("release/darkroom-worker")?,
        in_target("release/darkroom-presign")?,
        from_root(COST_PEER)?,
        from_root("docs")?,
    ];
    command(&in_target("release/bench-cost")?, &args.each_ref().map(String::as_str), &[])
}

fn burst(features: &[&str]) -> Result<(), String> {
    need_photos()?;
    bench_with(features, "bench-burst")?;
    command(&in_target("release/bench-burst")?, &[&from_root(PHOTOS)?], &[])
}

/// One of `bench`'s programs that has the whole stack in it.
fn bench_with(features: &[&str], program: &str) -> Result<(), String> {
    cargo(&[&["build", "--release", "--package", "darkroom-bench", "--bin", program], features], &[])
}

fn presign() -> Result<(), String> {
    // Apart: together, the function would be built with what the benchmark needs of their common crates.
    for package in ["darkroom-presign", "darkroom-bench"] {
        cargo(&[&["build", "--release", "--package", package]], &[])?;
    }
    let python = python_with("bench", "bench/presign/requirements.txt")?;
    let ours = in_target("release/darkroom-presign")?;
    let peers =
        [&ours, &in_target("release/bench-nothing")?, &from_root(&python)?, &from_root("bench/presign")?];
    command(&in_target("release/bench-presign")?, &peers.map(String::as_str), &[])?;
    // As it is uploaded.
    let size = "import os, sys, tempfile, zipfile\n\
                file = tempfile.TemporaryFile()\n\
                zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED).write(sys.argv[1], 'bootstrap')\n\
                print(f'binary {os.path.getsize(sys.argv[1]) / 1e6:.1f} MB, zipped {file.tell() / 1e6:.1f} MB')";
    command(&python, &["-c", size, &ours], &[])
}
