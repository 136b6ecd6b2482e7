//! One process with two threads beside two processes of one each, on the same two cores: what a set of files takes,
//! by the clock on the wall.

use std::time::Instant;

use bench_imaging::protocol::Job;

use crate::bench::{Bench, our_recipes};
use crate::peer::{BOTH_CORES, CORE, Driver, OTHER_CORE, Peer};
use crate::results::Threads;
use crate::stats::median;

/// In one go, so that it takes long enough; each process makes half of them.
const SETS: usize = 4;

pub fn run(bench: &Bench) -> anyhow::Result<Vec<Threads>> {
    let start = |cores| Driver::start(Peer::Darkroom, &bench.places, cores);
    let (mut together, mut halves) = ([start(BOTH_CORES)?], [start(OTHER_CORE)?, start(CORE)?]);
    let mut all = Vec::new();
    for photo in &bench.photos {
        for recipe in our_recipes() {
            let one = bench.job(photo, &recipe, "threads")?;
            let two = Job { threads: 2, ..one.clone() };
            sets(&mut together, &two)?;
            sets(&mut halves, &one)?;
            let (mut two_threads_ms, mut two_processes_ms) = (Vec::new(), Vec::new());
            for _ in 0..bench.runs {
                two_threads_ms.push(sets(&mut together, &two)?);
                two_processes_ms.push(sets(&mut halves, &one)?);
            }
            all.push(Threads {
                photo: photo.name.clone(),
                formats: recipe.iter().map(|setting| setting.format).collect(),
                two_threads_ms: median(&two_threads_ms),
                two_processes_ms: median(&two_processes_ms),
            });
        }
    }
    Ok(all)
}

/// Wall ms for each of all sets, shared out evenly.
fn sets(drivers: &mut [Driver], job: &Job) -> anyhow::Result<f64> {
    let each = SETS / drivers.len();
    let started = Instant::now();
    for driver in &mut *drivers {
        (0..each).try_for_each(|_| driver.give(job))?;
    }
    for driver in drivers {
        (0..each).try_for_each(|_| driver.answer().map(drop))?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e3 / SETS as f64)
}
