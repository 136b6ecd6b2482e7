//! What happened in a run: a line for each event, by which two runs of one seed are compared and a failure is
//! read; and how much of everything there was.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use super::time::{Time, shown};

/// The events of one run. Never says anything that differs between two runs of one seed.
pub struct Story {
    time: Time,
    lines: Vec<String>,
}

impl Story {
    pub fn new(time: Time) -> Self {
        Self { time, lines: Vec::new() }
    }

    pub fn tell(&mut self, event: impl Display) {
        let number = self.lines.len() + 1;
        self.lines.push(format!("{number:4} {} {event}", shown(self.time.elapsed())));
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// How much of everything there was, in one run or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub runs: u64,
    pub requests: u64,
    pub invocations: u64,
    pub kills: u64,
    pub messages: u64,
    pub dead_letters: u64,
    /// By name.
    pub faults: BTreeMap<String, u64>,
    pub time: Duration,
}

impl Tally {
    pub fn fault(&mut self, name: impl Into<String>) {
        *self.faults.entry(name.into()).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.requests += other.requests;
        self.invocations += other.invocations;
        self.kills += other.kills;
        self.messages += other.messages;
        self.dead_letters += other.dead_letters;
        self.time += other.time;
        for (name, count) in &other.faults {
            *self.faults.entry(name.clone()).or_default() += count;
        }
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.time.as_secs() / 3600;
        let Self { runs, requests, invocations, kills, messages, dead_letters, .. } = self;
        writeln!(f, "{runs} runs, {hours} hours of simulated time")?;
        writeln!(f, "{requests} requests, {invocations} invocations, {kills} of instances killed")?;
        writeln!(f, "{messages} messages, {dead_letters} of them dead letters at some time")?;
        let mut faults: Vec<(&String, &u64)> = self.faults.iter().collect();
        faults.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        for (name, count) in faults {
            writeln!(f, "{count:9} {name}")?;
        }
        Ok(())
    }
}
