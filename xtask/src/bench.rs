//! `cargo xtask bench`: builds what is measured as it ships, installs its peers, and runs both in turns. What is
//! measured and how is in `bench`.

use crate::python::python_with;
use crate::{cargo, command};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

pub fn bench(features: &[&str], args: &[String]) -> Result<(), String> {
    std::env::set_current_dir(ROOT).map_err(|error| format!("{ROOT}: {error}"))?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["presign"] => presign(),
        ["worker"] => worker(features),
        _ => Err("which benchmark? There are `presign` and `worker`".to_owned()),
    }
}

/// Beside a checkout: the photos are not ours to keep in it.
const PHOTOS: &str = "../shared/corpus/photos";

fn worker(features: &[&str]) -> Result<(), String> {
    if !std::path::Path::new(PHOTOS).is_dir() {
        return Err(format!("the photos of {PHOTOS} are needed, and are not there"));
    }
    // Apart, as they ship.
    let avif: &[&str] = if features.is_empty() { &[] } else { &["--features", "avif"] };
    for package in ["darkroom", "darkroom-worker"] {
        cargo(&[&["build", "--release", "--package", package], avif], &[])?;
    }
    cargo(&[&["build", "--release", "--package", "darkroom-bench", "--bin", "bench-worker"]], &[])?;
    let target = crate::target_dir().join("release");
    let in_target = |name: &str| target.join(name).to_string_lossy().into_owned();
    let args =
        [in_target("darkroom"), in_target("darkroom-worker"), PHOTOS.to_owned(), in_target("bench-scratch")];
    command(&in_target("bench-worker"), &args.each_ref().map(String::as_str), &[])
}

fn presign() -> Result<(), String> {
    // Apart: together, the function would be built with what the benchmark needs of their common crates.
    for package in ["darkroom-presign", "darkroom-bench"] {
        cargo(&[&["build", "--release", "--package", package]], &[])?;
    }
    let python = python_with("bench", "bench/presign/requirements.txt")?;
    let target = crate::target_dir().join("release");
    let in_target = |name: &str| target.join(name).to_string_lossy().into_owned();
    let root = std::env::current_dir().map_err(|error| error.to_string())?;
    let from_root = |path: &str| root.join(path).to_string_lossy().into_owned();
    let ours = from_root(&in_target("darkroom-presign"));
    let peers =
        [&ours, &from_root(&in_target("bench-nothing")), &from_root(&python), &from_root("bench/presign")];
    command(&in_target("bench-presign"), &peers.map(String::as_str), &[])?;
    // As it is uploaded.
    let size = "import os, sys, tempfile, zipfile\n\
                file = tempfile.TemporaryFile()\n\
                zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED).write(sys.argv[1], 'bootstrap')\n\
                print(f'binary {os.path.getsize(sys.argv[1]) / 1e6:.1f} MB, zipped {file.tell() / 1e6:.1f} MB')";
    command(&python, &["-c", size, &ours], &[])
}
