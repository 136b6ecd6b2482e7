//! The time that this process has taken of its processors. Finer than what `/proc` has, which is in ticks.

use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads, also of those that have ended.
pub fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
