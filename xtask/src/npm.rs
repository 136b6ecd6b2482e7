//! Packages of npm beside what needs them, exactly those that a lock file names.

use crate::command;

/// Installs what the lock file of `folder` names, in that folder.
pub fn install(folder: &str) -> Result<(), String> {
    command("npm", &["ci", "--prefix", folder, "--no-audit", "--no-fund"], &[])
}
