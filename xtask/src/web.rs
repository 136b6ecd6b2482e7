//! `cargo xtask web`: the front end. Types and logic first, then everything in a real browser against the running stack,
//! which the tests start themselves.

use crate::{build_darkroom, command, no_more, npm, to_root, tools};

const MODULES: &str = "web";
const BROWSER: &str = "tests/browser";

pub fn web(features: &[&str], args: &[String]) -> Result<(), String> {
    no_more("web", args)?;
    to_root()?;
    npm::install(MODULES)?;
    command("npm", &["test", "--prefix", MODULES], &[])?;
    npm::install(BROWSER)?;
    let darkroom = build_darkroom(features)?;
    let chromium = tools::chromium().ok_or("there is no Chromium")?;
    let env = [("DARKROOM", &*darkroom.to_string_lossy()), ("CHROMIUM", &*chromium.to_string_lossy())];
    command("npm", &["test", "--prefix", BROWSER], &env)
}
