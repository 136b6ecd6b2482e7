//! Who is measured, and each one's process: pinned to a core, one thread everywhere, given jobs and asked for
//! answers. Owns how drivers are started; what they do is theirs.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use bench_imaging::protocol::{Answer, Done, Hello, Job};
use contract::Format;
use serde::{Deserialize, Serialize};

use crate::places::Places;

/// The core that measured processes have for themselves, and both of those that share the work of two.
pub const CORE: &str = "1";
pub const OTHER_CORE: &str = "0";
pub const BOTH_CORES: &str = "0,1";

/// One thread everywhere; and WebP's method 4 where that is no argument: oximg's own is 2.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("UV_THREADPOOL_SIZE", "1"),
    ("VIPS_CONCURRENCY", "1"),
    ("OMP_NUM_THREADS", "1"),
    ("OXIMG_WEBP_EFFORT", "4"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Peer {
    Darkroom,
    SharpUsual,
    SharpC,
    Pillow,
    Vipsthumbnail,
    Oximg,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Darkroom => "Darkroom",
            Self::SharpUsual => "sharp, usual",
            Self::SharpC => "sharp, style c",
            Self::Pillow => "Pillow",
            Self::Vipsthumbnail => "vipsthumbnail",
            Self::Oximg => "oximg",
        })
    }
}

impl Peer {
    pub const ALL: [Self; 6] =
        [Self::Darkroom, Self::SharpUsual, Self::SharpC, Self::Pillow, Self::Vipsthumbnail, Self::Oximg];

    /// Why this one cannot be asked for `format`.
    pub fn lacks(self, format: Format, places: &Places) -> Option<&'static str> {
        match (self, format) {
            (Self::Oximg, _) if places.oximg.is_none() => Some("its crate did not build here"),
            (Self::Oximg, Format::Avif) => Some("its AVIF needs SVT-AV1 and dav1d from the system"),
            _ => None,
        }
    }

    /// The program and its arguments.
    fn command(self, places: &Places) -> anyhow::Result<Vec<String>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let script = |name: &str| text(&places.peers.join(name));
        Ok(match self {
            Self::Darkroom => vec![text(&places.driver)],
            Self::SharpUsual => vec!["node".to_owned(), script("sharp.mjs"), "usual".to_owned()],
            Self::SharpC => vec!["node".to_owned(), script("sharp.mjs"), "c".to_owned()],
            Self::Pillow => vec![text(&places.python), script("pillow_driver.py")],
            Self::Vipsthumbnail => vec![text(&places.python), script("vips_driver.py")],
            Self::Oximg => vec![text(places.oximg.as_deref().context("there is no oximg")?)],
        })
    }
}

/// One process of a peer. It ends with this value.
pub struct Driver {
    peer: Peer,
    pub version: String,
    process: Child,
    jobs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    pub fn start(peer: Peer, places: &Places, cores: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).args(peer.command(places)?).envs(ENVIRONMENT);
        // No folder of its own beside sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("taskset, of util-linux, is needed")?;
        let jobs = process.stdin.take().context("no standard input")?;
        let answers = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut driver = Self { peer, version: String::new(), process, jobs, answers };
        driver.version = driver.line::<Hello>()?.version;
        Ok(driver)
    }

    pub fn run(&mut self, job: &Job) -> anyhow::Result<Done> {
        self.give(job)?;
        self.answer()
    }

    /// Several may be given before the first is answered: they are done one after the other.
    pub fn give(&mut self, job: &Job) -> anyhow::Result<()> {
        writeln!(self.jobs, "{}", serde_json::to_string(job)?)?;
        Ok(self.jobs.flush()?)
    }

    pub fn answer(&mut self) -> anyhow::Result<Done> {
        match self.line()? {
            Answer::Done(done) => Ok(done),
            Answer::Failed { error } => bail!("{}: {error}", self.peer),
        }
    }

    fn line<T: serde::de::DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{} said `{}`", self.peer, line.trim_end()))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
