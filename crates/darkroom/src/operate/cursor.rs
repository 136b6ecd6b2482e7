//! Where a backfill stopped, in a file, so that the next run goes on from there. Owns the file's form;
//! written whole or not at all.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where the state of runs goes when nobody says.
const FOLDER: &str = ".darkroom";

/// How far a run has come. Without a file it is forgotten with the process.
#[derive(Debug, Default)]
pub struct Cursor {
    path: Option<PathBuf>,
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    /// Which run this is of: another one must not go on from here.
    run: String,
    /// From when on that run wants sources: an age is one of its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The last key that is dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<Timestamp>,
}

/// Names a run by all that makes it that run and no other.
pub fn run_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl Cursor {
    /// Goes on from what is in the file, if anything is; `since` counts for a run that begins. Nothing is
    /// written before there is something to keep.
    pub fn open(
        file: Option<PathBuf>,
        run: String,
        since: Option<Timestamp>,
        restart: bool,
    ) -> anyhow::Result<Self> {
        let path = file.unwrap_or_else(|| Path::new(FOLDER).join(format!("backfill-{run}.json")));
        let begun = if restart { None } else { read(&path)? };
        let state = match begun {
            Some(state) => {
                anyhow::ensure!(
                    state.run == run,
                    "{} is of a backfill with other flags: repeat those, choose another --state, or say --restart",
                    path.display()
                );
                state
            }
            None => State { run, since, ..State::default() },
        };
        Ok(Self { path: Some(path), state })
    }

    /// The key after which to go on.
    pub fn after(&self) -> Option<&str> {
        self.state.after.as_deref()
    }

    pub fn since(&self) -> Option<Timestamp> {
        self.state.since
    }

    /// When the run stopped that this one goes on from.
    pub fn stopped(&self) -> Option<Timestamp> {
        self.state.stopped
    }

    /// The same place, forgotten with the process.
    pub fn unkept(self) -> Self {
        Self { path: None, ..self }
    }

    /// All up to this key is dealt with.
    pub fn advance(&mut self, key: &str) -> anyhow::Result<()> {
        self.state.after = Some(key.to_owned());
        self.state.stopped = Some(Timestamp::now());
        let Some(path) = &self.path else { return Ok(()) };
        write(path, &self.state).with_context(|| {
            format!("cannot keep in {} where this run is; --state FILE keeps it elsewhere", path.display())
        })
    }

    /// Everything is dealt with: the next run begins anew.
    pub fn end(self) -> anyhow::Result<()> {
        match self.path.map(std::fs::remove_file) {
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Option<State>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_str(&text)
        .map(Some)
        .with_context(|| format!("{} is no state of a backfill; --restart ignores it", path.display()))
}

fn write(path: &Path, state: &State) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, serde_json::to_string_pretty(state)? + "\n")?;
    Ok(std::fs::rename(&beside, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, run: &str, restart: bool) -> anyhow::Result<Cursor> {
        Cursor::open(Some(path.to_owned()), run.to_owned(), Some(Timestamp::UNIX_EPOCH), restart)
    }

    #[test]
    fn a_run_goes_on_after_the_last_key_and_keeps_its_since_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept/here.json");
        let mut first = open(&path, "a", false).unwrap();
        assert_eq!((first.after(), first.stopped()), (None, None));
        assert!(!path.exists(), "nothing to keep yet");
        first.advance("raw/é\n").unwrap();
        first.advance("raw/f").unwrap();

        let later = Cursor::open(Some(path.clone()), "a".to_owned(), Some(Timestamp::MAX), false).unwrap();
        assert_eq!((later.after(), later.since()), (Some("raw/f"), Some(Timestamp::UNIX_EPOCH)));
        later.end().unwrap();
        assert!(!path.exists());
        open(&path, "a", false).unwrap().end().unwrap();
    }

    #[test]
    fn another_run_or_a_broken_file_is_refused_unless_it_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("here.json");
        open(&path, "a", false).unwrap().advance("raw/f").unwrap();
        let told = open(&path, "b", false).unwrap_err().to_string();
        assert!(told.contains("with other flags") && told.contains("--restart"), "{told}");
        assert_eq!(open(&path, "b", true).unwrap().after(), None);
        for broken in ["", "{", "[]", "{\"run\":1}"] {
            std::fs::write(&path, broken).unwrap();
            let told = open(&path, "a", false).unwrap_err().to_string();
            assert!(told.contains("--restart ignores it"), "{told}");
        }
    }

    #[test]
    fn what_is_not_kept_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("here.json");
        let mut cursor = open(&path, "a", false).unwrap().unkept();
        cursor.advance("raw/f").unwrap();
        cursor.end().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn runs_are_told_apart_by_every_part() {
        assert_eq!(run_id(&["a", "b"]), run_id(&["a", "b"]));
        assert_ne!(run_id(&["a", "b"]), run_id(&["ab", ""]));
    }
}
