//! `cargo xtask simulate`: the simulator of `tests`, as quick as it gets, on all cores.

use crate::cargo;

pub fn simulate(args: &[String]) -> Result<(), String> {
    let build = ["run", "--release", "--package", "darkroom-tests", "--bin", "simulate", "--"];
    cargo(&[&build], args)
}
