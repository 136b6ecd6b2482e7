//! Many seeds on many threads, a runtime each.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Run, simulate};

/// Runs all of these seeds on so many threads, and hands over each run as it ends, one at a time.
pub fn run_many(seeds: Range<u64>, threads: usize, each: impl FnMut(Run) + Send) {
    let next = AtomicU64::new(seeds.start);
    let each = Mutex::new(each);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let run = simulate(seed);
                    (each.lock().unwrap_or_else(PoisonError::into_inner))(run);
                }
            });
        }
    });
}
