//! What the fuzzers share. Owns how a run starts; what must hold of any input is in `claims`. Never built
//! with the workspace, nor part of anything that ships.

pub mod claims;
/// By its path: the worker itself would bring the AWS SDK, and minutes of building it with sanitizers.
#[path = "../../crates/worker/src/notification.rs"]
pub mod notification;

use std::collections::HashSet;
use std::panic::{PanicHookInfo, set_hook};
use std::sync::{Mutex, PoisonError};

/// Puts libFuzzer's panic hook aside, which aborts at any panic: a codec's panic that imaging contains
/// is a refused file. One that gets out still ends the run.
pub fn start() {
    let seen = Mutex::new(HashSet::new());
    set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if seen.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
            tell(panic);
        }
    }));
}

/// Once for each place, since a run may meet it a thousand times a second.
fn tell(panic: &PanicHookInfo) {
    eprintln!("{panic}\n(contained, and told this once, unless the run ends here)");
}
