//! Sees every panic of a run, also those that the worker contains. A panic in one run is never taken for one
//! of another that happens on other threads of the same process.

use std::cell::RefCell;
use std::panic;
use std::sync::{Arc, Mutex, Once, PoisonError};

use super::invariants::{Violation, ensure};

thread_local! {
    /// Of the run that this thread works for.
    static PANICS: RefCell<Option<Panics>> = const { RefCell::new(None) };
}

/// The panics of one run. Cheap to clone; clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Panics(Arc<Mutex<Vec<String>>>);

impl Panics {
    /// Watches the calling thread, until the next call on it.
    pub fn watch_this_thread(&self) {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let run = PANICS.try_with(|run| run.borrow().clone()).ok().flatten();
                match run {
                    Some(run) => run.lock().push(info.to_string()),
                    None => before(info),
                }
            }));
        });
        PANICS.set(Some(self.clone()));
    }

    pub fn none(&self) -> Result<(), Violation> {
        let first = self.lock().first().cloned();
        ensure!(first.is_none(), "{}", first.unwrap_or_default());
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
