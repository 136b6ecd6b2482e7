//! Our imaging engine beside those that others wrote: the same photos to the same renditions, one thread on one
//! core, in turns, every file judged. Owns the order of the tables and writes the report; judges nothing itself.
//!
//! `cargo xtask bench imaging` builds and installs everything and runs this.

mod bench;
mod chart;
mod contest;
mod judge;
mod machine;
mod memory;
mod ours;
mod peer;
mod photos;
mod places;
mod report;
mod results;
mod stages;
mod start;
mod stats;
mod threads;

use std::fs;
use std::path::Path;

use anyhow::Context;
use bench::{Bench, InMemory};
use judge::Judge;
use ours::Ours;
use photos::Photo;
use places::{Places, Wish};
use results::{PhotoFacts, Results};

fn main() -> anyhow::Result<()> {
    let (places, wish) = places::parse(std::env::args().skip(1))?;
    if wish.report {
        let text = fs::read_to_string(results_path(&places))?;
        return write(&serde_json::from_str(&text)?, &places.docs);
    }
    fs::create_dir_all(&places.scratch)?;
    let photos = photos::corpus(&places, &wish.photos)?;
    let bench = Bench { places, photos, runs: wish.runs, memory: InMemory::new()? };
    let results = measure(&bench, &wish)?;
    println!("\n{}", report::tables(&results));
    let text = serde_json::to_string(&results)? + "\n";
    if wish.is_partial() {
        return Ok(fs::write(bench.places.scratch.join("results.json"), text)?);
    }
    let path = results_path(&bench.places);
    fs::create_dir_all(path.parent().context("no folder")?)?;
    fs::write(&path, text)?;
    write(&results, &bench.places.docs)
}

fn measure(bench: &Bench, wish: &Wish) -> anyhow::Result<Results> {
    let facts = |photo: &Photo| PhotoFacts {
        name: photo.name.clone(),
        width_px: photo.width_px,
        height_px: photo.height_px,
        bytes: photo.bytes,
    };
    let (mut judge, mut ours) = (Judge::default(), Ours::start(bench)?);
    let mut results = Results {
        machine: machine::machine(bench)?,
        runs: bench.runs,
        photos: bench.photos.iter().map(facts).collect(),
        ..Results::default()
    };
    for table in (1..=8).filter(|table| wish.wants(*table)) {
        println!("table {table}");
        match table {
            1..=3 => results.contests.push(contest::run(bench, &mut judge, &mut ours, table)?),
            4 => results.memory = memory::run(bench, &mut judge)?,
            5 => results.scales = stages::scales(bench)?,
            6 => results.stages = stages::run(bench, &mut judge)?,
            7 => results.threads = threads::run(bench)?,
            _ => results.start = Some(start::run(bench)?),
        }
    }
    Ok(results)
}

fn results_path(places: &Places) -> std::path::PathBuf {
    places.docs.join("benchmarks/results.json")
}

fn write(results: &Results, docs: &Path) -> anyhow::Result<()> {
    let (path, folder) = (docs.join("benchmarks.md"), docs.join("benchmarks"));
    // Why things are as they are is written by people.
    let notes = fs::read_to_string(folder.join("notes.md")).unwrap_or_default();
    fs::write(&path, report::report(results, &notes))?;
    for (name, chart) in report::charts(results) {
        fs::write(folder.join(format!("{name}.svg")), chart)?;
    }
    println!("written: {} and its charts", path.display());
    Ok(())
}
