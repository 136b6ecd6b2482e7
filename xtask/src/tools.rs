//! The system tools that make a build whole: which are there, what a missing one costs, and how this
//! system's package manager installs it. Says what it does before it does it.

use std::process::{Command, Stdio};

struct Tool {
    /// Commands of which one must answer.
    programs: &'static [&'static str],
    name: &'static str,
    /// The package's name, the same with every manager here.
    package: &'static str,
    without: &'static str,
    /// Whether nothing can be built without it.
    needed: bool,
}

const TOOLS: [Tool; 3] = [
    Tool {
        programs: &["cc", "gcc", "clang"],
        name: "a C compiler",
        package: "gcc",
        without: "the codecs cannot be built",
        needed: true,
    },
    Tool {
        programs: &["cmake"],
        name: "cmake",
        package: "cmake",
        without: "no AVIF, once this build can make it",
        needed: false,
    },
    Tool {
        programs: &["nasm"],
        name: "nasm",
        package: "nasm",
        without: "reading and writing JPEG takes 2 to 4 times as long",
        needed: false,
    },
];

/// Crates whose build looks for a tool once, and is not told when it has come.
const LOOK_AGAIN: [&str; 1] = ["mozjpeg-sys"];

/// Finds what is missing and, where allowed, installs it.
pub fn provide(install: bool) -> Result<(), String> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
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
            Ok(())
        }
    }
}

impl Tool {
    fn is_there(&self) -> bool {
        self.programs.iter().any(|program| answers(program, "--version"))
    }
}

/// Whether a program is there and runs.
pub fn answers(program: &str, argument: &str) -> bool {
    let quiet = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// A failure here is told and lived with: the build goes on without.
fn install_all(missing: &[&Tool]) -> bool {
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let commands = match package_manager() {
        Some(manager) => manager.commands(&packages),
        None => {
            println!("No apt-get, dnf or brew here: install {} by hand.", packages.join(", "));
            return false;
        }
    };
    commands.iter().all(|command| run(command))
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
    fn commands(self, packages: &[&str]) -> Vec<Vec<String>> {
        let install: &[&str] = match self {
            Self::AptGet => &["apt-get", "install", "--yes", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "--assumeyes"],
            Self::Brew => return vec![words(&["brew", "install"], packages)],
        };
        let mut commands = Vec::new();
        if matches!(self, Self::AptGet) {
            commands.push(as_root(&["apt-get", "update"], &[]));
        }
        commands.push(as_root(install, packages));
        commands
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
        let _ = Command::new("cargo").args(["clean", "--quiet", "--package", package]).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manager_is_asked_for_all_packages_at_once() {
        for (manager, commands) in [(Manager::AptGet, 2), (Manager::Dnf, 1), (Manager::Brew, 1)] {
            let asked = manager.commands(&["cmake", "nasm"]);
            assert_eq!(asked.len(), commands);
            let install = asked.last().unwrap();
            assert!(install.contains(&"install".to_owned()));
            assert_eq!(install[install.len() - 2..], ["cmake", "nasm"]);
        }
    }

    #[test]
    fn a_program_that_is_not_there_does_not_answer() {
        assert!(answers("cargo", "--version"));
        assert!(!answers("no-such-program-anywhere", "--version"));
    }
}
