//! An operator who runs `darkroom reconcile --fix`, through clients that meet the same faults as the workers'.

use darkroom::operate::Control;
use darkroom::operate::reconcile::{Options, Summary, reconcile};
use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinHandle, spawn_local};

use super::clients;
use super::driver::Driver;
use super::invariants::{Violation, ensure};
use super::turnstile::Caller;

/// How young a source is not found fault with.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

/// Dropped, the command ends in the middle of whatever it did.
pub(super) struct Operator {
    pub(super) caller: Caller,
    task: JoinHandle<Result<Summary, String>>,
    /// Whether nothing may keep the command from being done.
    must_succeed: bool,
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Driver {
    /// `must_succeed` where nothing stands in its way.
    pub(super) fn start_reconcile(&mut self, must_succeed: bool) -> Result<(), Violation> {
        let caller = self.next_caller();
        let place = clients::of_operator(self.turnstile.gate(caller), self.signing_clock.clone());
        let now = Timestamp::from_millisecond(self.time.now_ms().cast_signed())?;
        let options = Options { prefix: String::new(), fix: true, dry_run: false, grace: GRACE, now };
        self.story.tell("the operator runs `reconcile --fix`");
        let task = spawn_local(async move {
            let done = reconcile(&place, &options, &Control::default(), &mut |_| {}).await;
            done.map_err(|error| format!("{error:#}"))
        });
        self.operator = Some(Operator { caller, task, must_succeed });
        Ok(())
    }

    pub(super) async fn end_reconcile(&mut self) -> Result<(), Violation> {
        let Some(mut operator) = self.operator.take_if(|operator| operator.task.is_finished()) else {
            return Ok(());
        };
        let ended = (&mut operator.task).await;
        let ended = ended.map_err(|error| Violation(format!("reconcile did not return: {error}")))?;
        let (errors, said) = match &ended {
            Ok(Summary { found, deleted_objects, asked, errors, .. }) => {
                (*errors, format!("found {found:?}, deleted {deleted_objects}, asked {asked} times"))
            }
            Err(problem) => (1, problem.clone()),
        };
        ensure!(!operator.must_succeed || errors == 0, "reconcile failed in fair weather: {said}");
        // An error's words may tell of times or addresses, which are not the same in every run.
        let said = if ended.is_ok() { said } else { "failed".to_owned() };
        self.story.tell(format_args!("reconcile {said}"));
        Ok(())
    }
}
