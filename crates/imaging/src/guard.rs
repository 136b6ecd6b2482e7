//! Keeps a codec's panic within the one call that caused it. Owns turning an unwinding into words;
//! never decides whose fault it was. Needs `panic = "unwind"`, as libjpeg's errors do.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`, and says in words how it failed: by returning an error, or by unwinding.
///
/// Whatever `work` was building must be dropped with it: nothing half-made is looked at again.
pub(crate) fn contained<T, E: Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(payload) => Err(words(&*payload)),
    }
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("the codec gave up").to_owned()
}
