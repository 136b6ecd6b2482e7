//! `cargo xtask sam`: proves what is deployed, without an account. Lints every template, builds the functions as SAM
//! does, and hands over to `tests/deploy`, which applies the template to an emulator. Never deploys anything.

use std::path::Path;

use crate::python::python_with;
use crate::{ROOT, command, no_more, to_root};

const TESTS: &str = "tests/deploy";
const TEMPLATES: [&str; 3] = ["template.yaml", "deploy/function-url.yaml", "deploy/rest-api.yaml"];
/// Beside the build, so that it does not disturb what somebody is about to deploy.
const BUILT: &str = "target/sam-build";
/// No call is made; the SAM CLI wants a region all the same.
const ENV: [(&str, &str); 2] = [("AWS_DEFAULT_REGION", "eu-central-1"), ("SAM_CLI_TELEMETRY", "0")];

pub fn sam(args: &[String]) -> Result<(), String> {
    no_more("sam", args)?;
    to_root()?;
    // Apart: they agree on few versions of what they share.
    let sam = Venv::with("sam")?;
    let checkov = Venv::with("checkov")?;
    let tests = Venv::with("deploy")?;
    sam.run("cfn-lint", &TEMPLATES)?;
    for template in TEMPLATES {
        sam.run("sam", &["validate", "--lint", "--template", template])?;
        checkov.run("checkov", &["--config-file", "deploy/checkov.yaml", "--file", template])?;
    }
    for template in TEMPLATES {
        let folder = format!("{BUILT}/{}", stem(template));
        sam.run("sam", &["build", "--template", template, "--build-dir", &folder])?;
    }
    command("node", &["--test", &format!("{TESTS}/test_cdn.mjs")], &[])?;
    let built = |function: &str| format!("{BUILT}/template/{function}/bootstrap");
    let (presign, worker) = (built("Presign"), built("Worker"));
    let env =
        [("DARKROOM_PRESIGN", &*presign), ("DARKROOM_WORKER", &*worker), ("PYTHONDONTWRITEBYTECODE", "1")];
    command(&tests.program("python"), &["-m", "pytest", "-p", "no:cacheprovider", TESTS], &env)
}

fn stem(template: &str) -> &str {
    Path::new(template).file_stem().and_then(|stem| stem.to_str()).unwrap_or(template)
}

/// A virtual environment of Python, with the packages of `tests/deploy/NAME.txt`.
struct Venv {
    programs: String,
}

impl Venv {
    fn with(name: &str) -> Result<Self, String> {
        let python = python_with(&format!("sam-{name}"), &format!("{TESTS}/{name}.txt"))?;
        Ok(Self { programs: python.trim_end_matches("/python").to_owned() })
    }

    fn program(&self, name: &str) -> String {
        format!("{}/{name}", self.programs)
    }

    /// Its programs find each other: SAM calls cargo-lambda.
    fn run(&self, program: &str, args: &[&str]) -> Result<(), String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [Path::new(ROOT).join(&self.programs)].into_iter().chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).map_err(|error| error.to_string())?;
        command(&self.program(program), args, &[&ENV[..], &[("PATH", &path.to_string_lossy())]].concat())
    }
}
