//! What is asked on the command line, and where everything is. Reads nothing else.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};

/// Where things are; `cargo xtask bench imaging` says.
#[derive(Debug, Default)]
pub struct Places {
    pub driver: PathBuf,
    pub worker: PathBuf,
    pub python: PathBuf,
    /// The drivers of the peers.
    pub peers: PathBuf,
    /// Where there is one.
    pub oximg: Option<PathBuf>,
    pub photos: PathBuf,
    pub scratch: PathBuf,
    /// Where the report goes.
    pub docs: PathBuf,
}

#[derive(Debug)]
pub struct Wish {
    pub runs: usize,
    /// Numbers of tables; empty for all.
    pub only: Vec<u8>,
    /// Names of photos; empty for all.
    pub photos: Vec<String>,
    /// Writes the report anew, of the last run's results.
    pub report: bool,
}

impl Wish {
    /// A part of the whole is shown, and never written down.
    pub fn is_partial(&self) -> bool {
        !self.only.is_empty() || !self.photos.is_empty()
    }

    pub fn wants(&self, table: u8) -> bool {
        self.only.is_empty() || self.only.contains(&table)
    }
}

const RUNS: usize = 5;
/// Of `--quick`.
const ONE_PHOTO: &str = "p12";

pub fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<(Places, Wish)> {
    let mut places = Places::default();
    let mut wish = Wish { runs: RUNS, only: Vec::new(), photos: Vec::new(), report: false };
    let (mut is_quick, mut runs) = (false, None);
    while let Some(flag) = args.next() {
        let mut value = || args.next().with_context(|| format!("{flag} of what?"));
        match flag.as_str() {
            "--driver" => places.driver = value()?.into(),
            "--worker" => places.worker = value()?.into(),
            "--python" => places.python = value()?.into(),
            "--peers" => places.peers = value()?.into(),
            "--oximg" => places.oximg = Some(value()?.into()),
            "--photos" => places.photos = value()?.into(),
            "--scratch" => places.scratch = value()?.into(),
            "--docs" => places.docs = value()?.into(),
            "--runs" => runs = Some(value()?.parse().context("--runs N")?),
            "--only" => wish.only = numbers(&value()?)?,
            "--photo" => wish.photos = value()?.split(',').map(str::to_owned).collect(),
            "--quick" => is_quick = true,
            "--report" => wish.report = true,
            other => bail!("there is no `{other}`: --runs N, --only 1,3, --photo p12, --quick, --report"),
        }
    }
    if is_quick && wish.photos.is_empty() {
        wish.photos.push(ONE_PHOTO.to_owned());
    }
    wish.runs = runs.unwrap_or(if is_quick { 1 } else { RUNS });
    ensure!(wish.runs > 0, "no runs, no figures");
    Ok((places, wish))
}

fn numbers(list: &str) -> anyhow::Result<Vec<u8>> {
    list.split(',').map(|number| number.parse().with_context(|| format!("--only {list}"))).collect()
}
