//! What a run ran on, for the report. Tells nothing that names the machine itself.

use std::fs;
use std::process::Command;

use crate::bench::Bench;
use crate::peer::{CORE, Driver, Peer};
use crate::results::Machine;

pub fn machine(bench: &Bench) -> anyhow::Result<Machine> {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = field(&fs::read_to_string("/proc/cpuinfo")?, "model name").unwrap_or_default();
    let memory = field(&fs::read_to_string("/proc/meminfo")?, "MemTotal").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
    let date = Command::new("date").args(["--utc", "+%F"]).output()?.stdout;
    let date = String::from_utf8_lossy(&date).trim_end().to_owned();
    let cores = std::thread::available_parallelism()?.get();
    Ok(Machine { date, cpu, cores, memory_bytes: kib * 1024, versions: versions(bench)? })
}

/// Both ways of writing sharp are one version.
fn versions(bench: &Bench) -> anyhow::Result<Vec<String>> {
    let mut versions = Vec::new();
    for peer in Peer::ALL {
        if peer.lacks(contract::Format::Jpeg, &bench.places).is_none() {
            versions.push(Driver::start(peer, &bench.places, CORE)?.version.clone());
        }
    }
    versions.dedup();
    Ok(versions)
}
