//! Virtual environments of Python beside the build, for what others wrote and we compare ourselves with.

use std::path::Path;

use crate::command;

/// The interpreter of the environment `target/NAME`, with all of `requirements` (a file) installed.
pub fn python_with(name: &str, requirements: &str) -> Result<String, String> {
    let folder = format!("target/{name}");
    let python = format!("{folder}/bin/python");
    if !Path::new(&python).exists() {
        command("python3", &["-m", "venv", &folder], &[])?;
    }
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements];
    command(&python, &pip, &[])?;
    Ok(python)
}
