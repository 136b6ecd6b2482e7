//! A seeded, deterministic simulator of the whole pipeline under faults.
//!
//! Real are the worker's handler, the S3 client with its retries and checks, the local S3 and SQS that
//! `darkroom dev` serves, and the pixels. Simulated are time, chance, the network between them, users,
//! Lambda's event-source mapping, and everything that can go wrong. Every choice follows from a seed, so
//! whatever was found once is found again. `docs/simulator.md` has the whole of it.
//!
//! One thread runs all tasks of a run, in paused time. Every request of every client waits in the turnstile;
//! the driver waits until nothing can move any more, chooses what happens next, lets it happen, and looks
//! whether everything that must hold still does. Pixel work and the local store use threads of their own, and
//! time does not pass while they do: so it makes no difference how long they take, nor how many there are.

mod clients;
mod driver;
mod faults;
mod files;
mod instance;
mod invariants;
mod ledger;
mod mapping;
mod network;
mod operator;
mod panics;
mod runner;
mod scenario;
mod story;
mod time;
mod turnstile;
mod users;
mod world;

use std::fmt::{self, Display};

use driver::Driver;
pub use faults::Effect;
pub use invariants::Violation;
pub use runner::run_many;
pub use scenario::Scenario;
pub use story::Tally;
use tokio::task::LocalSet;
pub use world::Mistake;

/// What came of one seed.
#[derive(Debug)]
pub struct Run {
    pub seed: u64,
    /// A line for each event.
    pub story: Vec<String>,
    pub tally: Tally,
    pub verdict: Result<(), Violation>,
}

impl Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        match &self.verdict {
            Ok(()) => write!(f, "seed {}: all holds", self.seed),
            Err(Violation(what)) => write!(
                f,
                "seed {}: {what}\nagain: cargo xtask simulate --first-seed {} --seeds 1",
                self.seed, self.seed
            ),
        }
    }
}

/// Runs one seed.
pub fn simulate(seed: u64) -> Run {
    simulate_with(seed, None)
}

/// Runs one seed in a world with a defect of its own.
pub fn simulate_with(seed: u64, mistake: Option<Mistake>) -> Run {
    in_paused_time(seed, mistake, async |driver| driver.run().await)
}

/// Plays a scenario without any fault but one: the request of this number, from 1 on, is its sender's last,
/// and takes effect or not.
pub fn play(scenario: Scenario, deadly: Option<(u64, Effect)>) -> Run {
    in_paused_time(0, None, async |driver| driver.play(scenario, deadly).await.map(drop))
}

/// How many requests the act that matters in a scenario takes.
pub fn requests_of(scenario: Scenario) -> Result<u64, Violation> {
    let mut requests = 0;
    let run = in_paused_time(0, None, async |driver| {
        requests = driver.play(scenario, None).await?;
        Ok(())
    });
    run.verdict.map(|()| requests)
}

fn in_paused_time(
    seed: u64,
    mistake: Option<Mistake>,
    whole: impl AsyncFnOnce(&mut Driver) -> Result<(), Violation>,
) -> Run {
    let panics = panics::Panics::default();
    panics.watch_this_thread();
    // What the SDK spreads its retries by, which are all made on this thread.
    fastrand::seed(seed);
    let on_start = panics.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_start(move || on_start.watch_this_thread())
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return Run { seed, story: Vec::new(), tally: Tally::default(), verdict: Err(error.into()) };
        }
    };
    // Not all that is run here may go from thread to thread.
    LocalSet::new().block_on(&runtime, async {
        let mut driver = match Driver::new(seed, mistake, panics) {
            Ok(driver) => driver,
            Err(violation) => {
                return Run { seed, story: Vec::new(), tally: Tally::default(), verdict: Err(violation) };
            }
        };
        let verdict = whole(&mut driver).await;
        let (story, tally) = driver.into_report();
        Run { seed, story, tally, verdict }
    })
}
