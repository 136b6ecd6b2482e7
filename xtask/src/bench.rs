//! `cargo xtask bench`: builds what is measured as it ships, installs its peers, and runs both in turns. What is
//! measured and how is in `bench`.

use crate::python::python_with;
use crate::{cargo, command};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

pub fn bench(_features: &[&str], args: &[String]) -> Result<(), String> {
    std::env::set_current_dir(ROOT).map_err(|error| format!("{ROOT}: {error}"))?;
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["presign"] => presign(),
        _ => Err("which benchmark? There is `presign`".to_owned()),
    }
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
