//! What stands between the queue and the instances, where those are functions: Lambda's event-source mapping.
//! And what may happen to messages on the way.

use std::time::Duration;

use super::driver::Driver;
use super::faults::pick;
use super::instance::{Delivery, Ended, VISIBILITY};
use super::invariants::{Violation, ensure};
use super::ledger;
use super::turnstile::Caller;

impl Driver {
    /// Takes what is visible in the queue.
    pub(super) async fn receive(&mut self) -> Result<(), Violation> {
        let most = self.rng.usize(1..=10);
        for message in self.world.local.queue.receive(most, ms(VISIBILITY)).await? {
            let name = self.ledger.received(&message.message_id, &message.receipt_handle, &message.body);
            let (body, count) = (ledger::shown(&message.body), message.receive_count);
            self.story.tell(format_args!("received {name}: {body}, receive {count}"));
            self.held.push(Delivery { name, message });
        }
        Ok(())
    }

    /// Hands some of what is held, in any order, to an idle function.
    pub(super) fn invoke_any(&mut self) {
        let idle: Vec<usize> = (0..self.instances.len()).filter(|at| self.instances[*at].is_idle()).collect();
        if idle.is_empty() || self.held.is_empty() {
            return;
        }
        let at = *pick(&mut self.rng, &idle);
        self.rng.shuffle(&mut self.held);
        let most = *pick(&mut self.rng, &[1, 2, 10]);
        let count = self.rng.usize(1..=self.held.len().min(most));
        let batch = self.held.split_off(self.held.len() - count);
        let names: Vec<&str> = batch.iter().map(|delivery| delivery.name.as_str()).collect();
        self.story.tell(format_args!("{} gets {}", self.instances[at].caller, names.join(" ")));
        self.tally.invocations += 1;
        self.instances[at].invoke(batch);
    }

    /// Acknowledges what a function's answer says, if the answer arrives.
    pub(super) async fn take_answer(&mut self, caller: Caller, ended: Ended) -> Result<(), Violation> {
        let Ended { batch, result, was_late } = ended;
        ensure!(!was_late, "{caller} answered after its deadline");
        let response = match result {
            Ok(Ok(response)) => response,
            Ok(Err(problem)) => return Err(Violation(format!("{caller} failed: {problem}"))),
            Err(error) => return Err(Violation(format!("{caller} did not return: {error}"))),
        };
        let failed: Vec<&str> =
            response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        if self.rng.u32(0..100) < self.chances.lost_answers_percent {
            self.story.tell(format_args!("{caller} is done, and its answer is lost"));
            self.tally.fault("lost acknowledgement");
            return Ok(());
        }
        self.story.tell(format_args!("{caller} is done, failed [{}]", failed.join(" ")));
        for delivery in batch.iter().filter(|delivery| !failed.contains(&delivery.name.as_str())) {
            let receipt_handle = &delivery.message.receipt_handle;
            self.world.local.queue.delete(receipt_handle).await?;
            self.ledger.acknowledged(receipt_handle, &self.world.local.queue.peek().await?);
        }
        Ok(())
    }

    /// Either S3 announces something twice, or SQS delivers something twice.
    pub(super) async fn duplicate(&mut self) -> Result<(), Violation> {
        self.tally.fault("duplicate");
        if !self.held.is_empty() && self.rng.bool() {
            let twice = pick(&mut self.rng, &self.held).clone();
            self.story.tell(format_args!("{} is delivered twice", twice.name));
            self.held.push(twice);
            return Ok(());
        }
        let place = self.rng.usize(0..self.ledger.bodies().len());
        let body = self.ledger.bodies().nth(place).unwrap_or_default().to_owned();
        self.send(&body, "announced again:").await
    }

    pub(super) async fn send(&mut self, body: &str, who: &str) -> Result<(), Violation> {
        self.story.tell(format_args!("{who} {}", ledger::shown(body)));
        self.ledger.sent(1);
        Ok(self.world.local.queue.send(body).await?)
    }

    /// All dead letters go back into the queue, as new messages.
    pub(super) async fn redrive(&mut self) -> Result<(), Violation> {
        let moved = self.world.local.dead_letters.move_all_back().await? as u64;
        self.story.tell(format_args!("{moved} dead letters go back"));
        self.tally.dead_letters += moved;
        self.ledger.sent(moved);
        Ok(())
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
