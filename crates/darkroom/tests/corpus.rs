//! Every file of the corpus through the command, each in a process of its own with a limit on its memory
//! and its time: no crash, no hang, no wrong verdict. Skipped, with a message, where there is no corpus.
//!
//! `DARKROOM_BINARY` names another build to try instead of this one, which is held to a release build's time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

/// Address space of each process, KiB: half of what the function has by default.
const MAX_MEMORY_KIB: u64 = 1024 * 1024;
/// A hang, not a measurement: the slowest takes a third of it.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Builds that check every overflow, and tests beside this one, take longer.
const MAX_DEBUG_TIME: Duration = Duration::from_secs(30);

/// Not images: the corpus's own notes.
const NOTES: [&str; 3] = ["LICENSE", "README.md", "TODO"];

#[derive(Deserialize)]
struct Table {
    folder: Vec<Folder>,
}

#[derive(Deserialize)]
struct Folder {
    path: String,
    verdict: String,
    #[serde(default)]
    but: BTreeMap<String, String>,
}

impl Folder {
    /// The exception that says most of this name, or what holds for all.
    fn verdict_on(&self, name: &str) -> &str {
        let fits = |pattern: &str| match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
            (Some(start), _) => name.starts_with(start),
            (_, Some(end)) => name.ends_with(end),
            _ => name == pattern,
        };
        let exceptions = self.but.iter().filter(|(pattern, _)| fits(pattern));
        exceptions.max_by_key(|(pattern, _)| pattern.len()).map_or(&self.verdict, |(_, verdict)| verdict)
    }
}

/// The build that is tried, and how long it may take.
fn program() -> (OsString, Duration) {
    let own_time = if cfg!(debug_assertions) { MAX_DEBUG_TIME } else { MAX_TIME };
    let own = (env!("CARGO_BIN_EXE_darkroom").into(), own_time);
    std::env::var_os("DARKROOM_BINARY").map_or(own, |named| (named, MAX_TIME))
}

struct Case {
    file: PathBuf,
    expected: String,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !root.exists() {
        println!("skipped: no corpus at {}", root.display());
        return Vec::new();
    }
    let table: Table = toml::from_str(include_str!("corpus.toml")).unwrap();
    let mut cases = Vec::new();
    for folder in &table.folder {
        let files = fs::read_dir(root.join(&folder.path)).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.is_file()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if !NOTES.contains(&name.as_str()) {
                let expected = folder.verdict_on(&name).to_owned();
                cases.push(Case { file, expected });
            }
        }
    }
    cases
}

/// `ready`, a rejection's code, or what went wrong.
fn verdict(file: &Path, out: &Path) -> String {
    let (program, max_time) = program();
    let limited = format!("ulimit -v {MAX_MEMORY_KIB}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, "sh"]).arg(program).args(["process", "--json", "--threads", "1"]);
    command.arg(file).arg("--out").arg(out).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (code, stdout, stderr) = match finished(child, max_time) {
        Ok(done) => done,
        Err(problem) => return problem,
    };
    let manifest: Option<Value> = serde_json::from_str(stdout.trim()).ok();
    let said = manifest.as_ref().map(|line| &line["manifest"]);
    match (code, said.and_then(|manifest| manifest["status"].as_str())) {
        (Some(0), Some("ready")) => "ready".to_owned(),
        (Some(2), Some("rejected")) => said.unwrap()["rejection"]["code"].as_str().unwrap().to_owned(),
        _ => format!("exit {code:?}: {}", stderr.trim()),
    }
}

/// The exit code and what was said, unless it takes too long. Output is small enough for the pipes.
fn finished(mut child: Child, max_time: Duration) -> Result<(Option<i32>, String, String), String> {
    let started = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if started.elapsed() > max_time => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err(format!("not done after {} s", max_time.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    Ok((status.code(), stdout, stderr))
}

#[test]
fn every_file_of_the_corpus_gets_its_verdict_within_its_memory_and_time() {
    let (cases, next, wrong) = (cases(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let out = tempfile::tempdir().unwrap();
                    let found = verdict(&case.file, out.path());
                    let decided = found == "ready" || !found.contains(' ');
                    if found != case.expected && !(case.expected == "either" && decided) {
                        let said = format!("{}: {found}, not {}", case.file.display(), case.expected);
                        wrong.lock().unwrap().push(said);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
