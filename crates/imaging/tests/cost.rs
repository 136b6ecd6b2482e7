//! The foretold memory of a job against what a process of its own really took, for every file of the corpus.
//! Skipped, with a message, where there is no corpus; Linux alone tells what a process took.
#![expect(clippy::unwrap_used, reason = "clippy knows tests, not their helpers")]
#![cfg(target_os = "linux")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use contract::{Format, Limits, Recipe};
use imaging::measure::process::peak_bytes;
use imaging::{probe, render};

/// Said to a process of its own.
const FILE: &str = "DARKROOM_MEMORY_OF";
const FOLDERS: [&str; 9] =
    ["photos", "orientation", "jpeg", "png", "webp", "gif", "avif", "fuzz/jpeg", "fuzz/png"];
const MIB: f64 = 1024.0 * 1024.0;

/// What is foretold of a file, and what rendering takes at its peak beyond what the process had before; none
/// where it is refused.
fn measured(bytes: &[u8], recipe: &Recipe) -> Option<(u64, u64)> {
    let probe = probe(bytes, &Limits::default(), recipe).ok()?;
    let work = || render(bytes, &probe, recipe, 1, &mut |_| ControlFlow::Continue(()));
    let (made, taken_bytes) = peak_bytes(work).unwrap();
    made.ok().map(|_| (probe.cost.memory_bytes, taken_bytes))
}

/// The default recipe, and one that asks for all frames.
fn recipes() -> [Recipe; 2] {
    let animated = "formats = [{ format = \"webp\", animated = true }, { format = \"png\" }]\n\
                    [[rendition]]\nname = \"a\"\nwidth = 400";
    [Recipe::default(), Recipe::parse(animated).unwrap()]
}

/// The part of a process of its own; does nothing where the suite runs it.
#[test]
#[expect(clippy::disallowed_methods, reason = "how the file is said")]
fn one_file_in_a_process_of_its_own() {
    let Ok(said) = std::env::var(FILE) else { return };
    let (recipe, file) = said.split_once(' ').unwrap();
    let recipe = &recipes()[recipe.parse::<usize>().unwrap()];
    if let Some((foretold, taken)) = measured(&fs::read(file).unwrap(), recipe) {
        println!("\nforetold {foretold} {taken}");
    }
}

fn in_a_process_of_its_own(file: &Path, recipe: usize) -> Option<(u64, u64)> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "one_file_in_a_process_of_its_own", "--nocapture"]);
    let output = command.env(FILE, format!("{recipe} {}", file.display())).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("foretold "))?;
    let (foretold, taken) = line.split_once(' ')?;
    Some((foretold.parse().unwrap(), taken.parse().unwrap()))
}

/// Those of the corpus, where it is there, with their folder; and our own.
fn files() -> Vec<(&'static str, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = FOLDERS.map(|folder| (folder, root.join("../../../shared/corpus").join(folder)));
    let ours = [("fixtures", root.join("../../fixtures/images"))];
    let mut files = Vec::new();
    for (folder, path) in corpus.into_iter().chain(ours) {
        let Ok(entries) = fs::read_dir(&path) else {
            println!("skipped: there is no {}", path.display());
            continue;
        };
        files.extend(entries.map(|entry| (folder, entry.unwrap().path())).filter(|(_, path)| path.is_file()));
    }
    files.sort();
    files
}

/// Nothing in its header tells a photo from a graphic, which WebP may store without loss at three times the
/// memory: where the recipe has that, what is foretold of a photo is that.
fn is_foretold_closely(recipe: &Recipe) -> bool {
    recipe.formats.iter().all(|encoding| encoding.format != Format::Webp)
}

#[test]
fn a_job_takes_no_more_memory_than_foretold_and_of_a_photo_at_least_two_thirds() {
    let mut wrong = Vec::new();
    for (folder, file) in files() {
        for recipe in 0..recipes().len() {
            let Some((foretold, taken)) = in_a_process_of_its_own(&file, recipe) else { continue };
            let [shown, most] = [taken, foretold].map(|bytes| bytes as f64 / MIB);
            let line = format!("{shown:6.1} MiB of {most:6.1} (recipe {recipe}): {}", file.display());
            println!("{line}");
            let is_bound = folder == "photos" && is_foretold_closely(&recipes()[recipe]);
            if taken > foretold || is_bound && foretold * 2 > taken * 3 {
                wrong.push(line);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
