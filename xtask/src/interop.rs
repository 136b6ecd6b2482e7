//! `cargo xtask interop`: starts the stack and lets clients loose on it that nobody here wrote. What they do
//! is in `tests/interop`; where they are installed is beside the build.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use crate::python::python_with;
use crate::{build_darkroom, built, cargo, command, no_more, npm, to_root, tools};

const CLIENTS: &str = "tests/interop";
/// The stack takes four ports from one of these on.
const FIRST_PORT: u16 = 18_787;
const START_TRIES: u32 = 100;

pub fn interop(features: &[&str], args: &[String]) -> Result<(), String> {
    no_more("interop", args)?;
    to_root()?;
    let python = python_with("interop", &format!("{CLIENTS}/requirements.txt"))?;
    npm::install(CLIENTS)?;
    let darkroom = build_darkroom(features)?;
    // Apart, as cargo-lambda builds it again: together, both would be built with other features.
    let worker_features = if features.is_empty() { "" } else { "--features avif" };
    let words: Vec<&str> = worker_features.split_whitespace().collect();
    cargo(&[&["build", "--package", "darkroom-worker"], &words], &[])?;
    let worker = built("darkroom-worker")?;
    let stack = Stack::start(&darkroom)?;
    let chromium = tools::chromium().ok_or("there is no Chromium")?;
    let chromium = chromium.to_string_lossy();
    let env = [
        ("DARKROOM_API", stack.url.as_str()),
        ("DARKROOM", &*darkroom.to_string_lossy()),
        ("DARKROOM_WORKER", &*worker.to_string_lossy()),
        ("DARKROOM_WORKER_FEATURES", worker_features),
        ("CHROMIUM", &*chromium),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    command(&python, &["-m", "pytest", "-p", "no:cacheprovider", CLIENTS], &env)?;
    command("node", &[&format!("{CLIENTS}/clients.mjs")], &env)
}

/// A stack in memory. It ends with this value.
struct Stack {
    process: Child,
    url: String,
}

impl Stack {
    fn start(program: &Path) -> Result<Self, String> {
        let port = free_port().ok_or("there are no four free ports in a row")?;
        let mut dev = Command::new(program);
        dev.args(["dev", "--memory", "--port", &port.to_string()]).env("RUST_LOG", "warn");
        let process = dev.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let stack = Self { process, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..START_TRIES {
            if TcpStream::connect(("127.0.0.1", port + 3)).is_ok() {
                return Ok(stack);
            }
            sleep(Duration::from_millis(100));
        }
        Err("the stack does not start".to_owned())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Option<u16> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (FIRST_PORT..FIRST_PORT + 400).step_by(4).find(|port| (*port..port + 4).all(is_free))
}
