//! Keeps a codec's panic within the one call that caused it. Owns turning a panic into words; never
//! decides whose fault it was. Needs `panic = "unwind"`, as libjpeg's errors do.

use std::any::Any;
use std::cell::Cell;
use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::mpsc::channel;
use std::thread;

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

/// Tells those who wait for a thread why nothing will come of it.
type Tell = Box<dyn FnOnce(String)>;

thread_local! {
    /// Of a thread of [`confined`].
    static LAST_WORDS: Cell<Option<Tell>> = const { Cell::new(None) };
}

/// As [`contained`], for a codec whose panics cannot unwind, since they would have to pass a C interface,
/// which ends the process. The work is done on a thread of its own; one that panics is stopped where it
/// stands, before it unwinds, and stays so with all that it holds. A process that meets such panics often
/// enough ends for want of memory: they are defects of the codec, and each is told where panics are.
///
/// Panic hooks are set before the first call, or call the one before them. Once a thread was stopped, none can
/// be set or taken any more: whoever tries waits for ever, since std holds its lock while a hook runs.
///
/// # Errors
/// The system's, where there is no thread to be had: nobody's panic.
pub(crate) fn confined<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Result<T, String>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(stop_what_panics_confined);
    let (ended, end) = channel();
    let worker = thread::Builder::new().name("codec".to_owned()).spawn(move || {
        let told = ended.clone();
        LAST_WORDS.set(Some(Box::new(move |words| drop(told.send(Err(words))))));
        drop(ended.send(Ok(work())));
    })?;
    let end = end.recv().unwrap_or_else(|_| Err("the codec gave up".to_owned()));
    if end.is_ok() {
        drop(worker.join());
    }
    Ok(end)
}

fn stop_what_panics_confined() {
    let earlier = take_hook();
    set_hook(Box::new(move |panic| {
        earlier(panic);
        if let Ok(Some(tell)) = LAST_WORDS.try_with(Cell::take) {
            tell(panic.payload_as_str().unwrap_or("the codec gave up").to_owned());
            loop {
                thread::park();
            }
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, exit};

    /// Tells the child that it is one.
    const CHILD: &str = "DARKROOM_GUARD_CHILD";
    const DONE: i32 = 77;

    fn survives() {
        extern "C" fn broken() {
            panic!("a table was {} long", 7);
        }
        let told = confined(|| broken()).unwrap();
        assert_eq!(told, Err("a table was 7 long".to_owned()));
        assert_eq!(confined(|| 8).unwrap(), Ok(8));
        assert_eq!(contained(|| -> Result<(), String> { panic!("as before") }), Err("as before".to_owned()));
        exit(DONE);
    }

    /// In a process of its own, which ends at once: the test harness takes the panic hook at its end.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "how the child knows")]
    fn a_panic_that_cannot_unwind_is_told_and_the_next_call_is_as_good_as_ever() {
        let name = "guard::tests::a_panic_that_cannot_unwind_is_told_and_the_next_call_is_as_good_as_ever";
        if std::env::var(CHILD).is_ok() {
            survives();
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(DONE), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
