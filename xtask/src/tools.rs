//! The system tools that make a build whole: which are there, what a missing one costs, and how this
//! system's package manager installs it. Says what it does before it does it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Tool {
    /// Commands of which one must answer.
    programs: &'static [&'static str],
    /// What they are asked.
    asked: &'static str,
    name: &'static str,
    package: &'static str,
    /// Where Debian calls it otherwise.
    debian_package: &'static str,
    without: &'static str,
    /// Whether nothing can be built without it.
    needed: bool,
}

const TOOLS: [Tool; 3] = [
    Tool {
        programs: &["cc", "gcc", "clang"],
        asked: "--version",
        name: "a C compiler",
        package: "gcc",
        debian_package: "build-essential",
        without: "the codecs cannot be built",
        needed: true,
    },
    Tool {
        programs: &["cmake"],
        asked: "--version",
        name: "cmake",
        package: "cmake",
        debian_package: "cmake",
        without: "no AVIF is made: uploads are published as WebP and JPEG",
        needed: false,
    },
    Tool {
        programs: &["nasm"],
        asked: "--version",
        name: "nasm",
        package: "nasm",
        debian_package: "nasm",
        without: "no AVIF is made, and reading and writing JPEG takes 2 to 4 times as long",
        needed: false,
    },
];

/// Of `cargo xtask fuzz` alone: gcc's sanitizers and coverage are not those of LLVM, which rustc has.
static FUZZ_TOOL: Tool = Tool {
    programs: &["clang"],
    asked: "--version",
    name: "clang",
    package: "clang",
    debian_package: "clang",
    without: "the C codecs cannot be watched by the fuzzers",
    needed: true,
};

/// What the runbook has its reader type, beside `darkroom`.
static RUNBOOK_TOOLS: [Tool; 3] = [
    Tool {
        programs: &["curl"],
        asked: "--version",
        name: "curl",
        package: "curl",
        debian_package: "curl",
        without: "the runbook cannot be tried",
        needed: true,
    },
    Tool {
        programs: &["jq"],
        asked: "--version",
        name: "jq",
        package: "jq",
        debian_package: "jq",
        without: "the runbook cannot be tried",
        needed: true,
    },
    Tool {
        programs: &["prlimit"],
        asked: "--version",
        name: "prlimit",
        package: "util-linux",
        debian_package: "util-linux",
        without: "a worker without threads cannot be tried",
        needed: true,
    },
];

/// What runs the clients of `cargo xtask interop` and `web`; Python first, which all benchmarks need too, then what that of
/// imaging needs.
static CLIENT_TOOLS: [Tool; 4] = [
    Tool {
        programs: &["python3"],
        asked: "-cimport ensurepip, venv",
        name: "Python with venv",
        package: "python3",
        debian_package: "python3-venv",
        without: "boto3, requests and schemathesis cannot be tried",
        needed: true,
    },
    Tool {
        programs: &["node"],
        asked: "--eval=process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)",
        name: "Node.js 20 or later",
        package: "nodejs",
        debian_package: "nodejs",
        without: "what runs in it and in a browser cannot be tried",
        needed: true,
    },
    Tool {
        programs: &["npm"],
        asked: "--version",
        name: "npm",
        package: "npm",
        debian_package: "npm",
        without: "the packages that tests use cannot be installed",
        needed: true,
    },
    Tool {
        programs: &CHROMIUM,
        asked: "--version",
        name: "Chromium",
        package: "chromium",
        debian_package: "chromium",
        without: "no browser can be tried",
        needed: true,
    },
];

static VIPS_TOOL: Tool = Tool {
    programs: &["vipsthumbnail"],
    asked: "--vips-version",
    name: "vipsthumbnail",
    package: "vips-tools",
    debian_package: "libvips-tools",
    without: "one of the peers cannot be measured",
    needed: true,
};

const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What is to be done, as far as it needs tools.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Build,
    Fuzz,
    Interop,
    Sam,
    Web,
    Bench,
    BenchImaging,
}

impl Purpose {
    fn tools(self) -> Vec<&'static Tool> {
        match self {
            Self::Build => Vec::new(),
            Self::Fuzz => vec![&FUZZ_TOOL],
            Self::Interop => CLIENT_TOOLS.iter().chain(&RUNBOOK_TOOLS).collect(),
            Self::Sam => CLIENT_TOOLS[..2].iter().collect(),
            Self::Web => CLIENT_TOOLS[1..].iter().collect(),
            Self::Bench => CLIENT_TOOLS[..3].iter().collect(),
            Self::BenchImaging => CLIENT_TOOLS[..3].iter().chain([&VIPS_TOOL]).collect(),
        }
    }
}

/// Where the browser is.
pub fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let all = || std::env::split_paths(&folders);
    CHROMIUM.into_iter().find_map(|name| all().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

/// Crates whose build looks for a tool once, and is not told when it has come.
const LOOK_AGAIN: [&str; 1] = ["mozjpeg-sys"];

/// Whether the AVIF encoder, whose build needs every tool, can be part of this one.
#[derive(Clone, Copy)]
pub enum Avif {
    CanBeBuilt,
    LacksTools,
}

/// Finds what is missing and, where allowed, installs it.
pub fn provide(install: bool, purpose: Purpose) -> Result<Avif, String> {
    let wanted = TOOLS.iter().chain(purpose.tools());
    let missing: Vec<&Tool> = wanted.filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(Avif::CanBeBuilt);
    }
    for tool in &missing {
        println!("{} is missing: without it, {}.", tool.name, tool.without);
    }
    let installed = install && install_all(&missing);
    match missing.iter().find(|tool| tool.needed && !tool.is_there()) {
        Some(tool) => Err(format!("{} is needed; install it and try again", tool.name)),
        None => {
            if installed {
                look_again();
            }
            let all = TOOLS.iter().all(Tool::is_there);
            Ok(if all { Avif::CanBeBuilt } else { Avif::LacksTools })
        }
    }
}

impl Tool {
    fn is_there(&self) -> bool {
        self.programs.iter().any(|program| answers(program, self.asked))
    }
}

/// Whether a program is there and runs.
pub fn answers(program: &str, argument: &str) -> bool {
    let quiet = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// A failure here is told and lived with: the build goes on without.
fn install_all(missing: &[&Tool]) -> bool {
    let Some(manager) = package_manager() else {
        let names: Vec<&str> = missing.iter().map(|tool| tool.name).collect();
        println!("No apt-get, dnf or brew here: install {} by hand.", names.join(", "));
        return false;
    };
    if matches!(manager, Manager::AptGet) {
        // One broken list among many need not concern us: the installation tells.
        run(&as_root(&["apt-get", "update"], &[]));
    }
    run(&manager.install(missing))
}

#[derive(Clone, Copy)]
enum Manager {
    AptGet,
    Dnf,
    Brew,
}

fn package_manager() -> Option<Manager> {
    [("apt-get", Manager::AptGet), ("dnf", Manager::Dnf), ("brew", Manager::Brew)]
        .into_iter()
        .find_map(|(program, manager)| answers(program, "--version").then_some(manager))
}

impl Manager {
    fn install(self, missing: &[&Tool]) -> Vec<String> {
        let debian: Vec<&str> = missing.iter().map(|tool| tool.debian_package).collect();
        let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
        match self {
            Self::AptGet => as_root(&["apt-get", "install", "--yes", "--no-install-recommends"], &debian),
            Self::Dnf => as_root(&["dnf", "install", "--assumeyes"], &packages),
            Self::Brew => words(&["brew", "install"], &packages),
        }
    }
}

/// Package managers need root; `sudo` asks for it where we are not.
fn as_root(command: &[&str], packages: &[&str]) -> Vec<String> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    let command = words(command, packages);
    if root { command } else { [vec!["sudo".to_owned()], command].concat() }
}

fn words(command: &[&str], packages: &[&str]) -> Vec<String> {
    command.iter().chain(packages).map(|word| (*word).to_owned()).collect()
}

fn run(command: &[String]) -> bool {
    println!("$ {}", command.join(" "));
    let Some((program, args)) = command.split_first() else { return true };
    let done =
        Command::new(program).args(args).stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !done {
        println!("That did not work; going on without.");
    }
    done
}

/// Builds that have looked for the tools in vain are thrown away, so that they look again.
fn look_again() {
    for package in LOOK_AGAIN {
        for profile in ["dev", "release"] {
            let clean = ["clean", "--quiet", "--package", package, "--profile", profile];
            let _ = Command::new("cargo").args(clean).status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manager_is_asked_for_all_packages_at_once_by_its_own_names() {
        let all: Vec<&Tool> = TOOLS.iter().collect();
        for (manager, compiler) in
            [(Manager::AptGet, "build-essential"), (Manager::Dnf, "gcc"), (Manager::Brew, "gcc")]
        {
            let command = manager.install(&all);
            assert!(command.contains(&"install".to_owned()));
            assert_eq!(command[command.len() - 3..], [compiler, "cmake", "nasm"]);
        }
    }

    #[test]
    fn a_program_that_is_not_there_does_not_answer() {
        assert!(answers("cargo", "--version"));
        assert!(!answers("no-such-program-anywhere", "--version"));
    }
}
