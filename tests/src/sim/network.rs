//! What happens to a request between a client and S3 or SQS.

use std::time::Duration;

use axum::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;

use super::driver::{Driver, Weather};
use super::faults::{self, CLIENT_TIMEOUT, Effect, Failure, Fault, pick};
use super::invariants::Violation;
use super::ledger;
use super::turnstile::{Answer, Parked};
use super::world::BUCKET;

/// The longest that a poller waits for messages.
const LONG_POLL: Duration = Duration::from_secs(20);

impl Driver {
    /// Lets one of the requests that wait take effect, or fail.
    pub(super) async fn let_one_through(&mut self) -> Result<(), Violation> {
        let Some(mut parked) = self.take_one() else { return Ok(()) };
        self.tally.requests += 1;
        let fault = self.fault_of(&parked);
        if fault != Fault::None {
            self.tally.fault(fault.name());
        }
        let answered = match fault.takes_effect() {
            true => Some(self.serve(&parked, fault).await?),
            false => None,
        };
        self.tell_of(&parked, fault, answered.as_ref());
        if answered.is_some() && sqs_operation(&parked.request).is_none() && writes(&parked.request) {
            self.watch.look(&self.world).await?;
        }

        let (caller, method, reply) = (parked.caller, parked.request.method().clone(), parked.hang_up());
        if matches!(fault, Fault::Fails(Failure::Killed, _)) {
            self.kill(caller);
        }
        if matches!(fault, Fault::Fails(_, Effect::Later)) {
            self.turnstile.put_back(parked);
        }
        let (Some(reply), Some((answer, delay))) = (reply, self.answer(fault, &method, answered)) else {
            return Ok(()); // Nobody listens, or there is nothing to hear.
        };
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // Where nobody listens any more, the caller has given up.
            let _ = reply.send(answer);
        });
        Ok(())
    }

    /// Often one of the caller that went on last.
    fn take_one(&mut self) -> Option<Parked> {
        // SQS gives no messages to a connection that is closed.
        self.turnstile.forget_forsaken(|request| sqs_operation(request) == Some("ReceiveMessage"));
        let (rng, favourite) = (&mut self.rng, self.favourite);
        let stays = rng.u32(0..100) < self.chances.favour_percent;
        let parked = self.turnstile.take(|callers| {
            let of_favourite = (0..callers.len()).filter(|at| stays && Some(callers[*at]) == favourite);
            let of_favourite: Vec<usize> = of_favourite.collect();
            match of_favourite.is_empty() {
                true => rng.usize(0..callers.len()),
                false => *pick(rng, &of_favourite),
            }
        })?;
        self.favourite = Some(parked.caller);
        Some(parked)
    }

    fn fault_of(&mut self, parked: &Parked) -> Fault {
        if let Some((_, effect)) = self.deadly.filter(|(number, _)| *number == self.tally.requests) {
            return Fault::Fails(Failure::Killed, effect);
        }
        match self.weather {
            // On its way since before.
            _ if parked.is_forsaken() => Fault::None,
            Weather::Outage => Fault::Fails(Failure::SlowDown, Effect::Never),
            Weather::Forbidden => Fault::Fails(Failure::Forbidden, Effect::Never),
            Weather::Fair | Weather::ClocksWrong => self.chances.odds.fault(&mut self.rng, &parked.request),
        }
    }

    async fn serve(&mut self, parked: &Parked, fault: Fault) -> Result<Response<Bytes>, Violation> {
        let request = match fault {
            Fault::Request => parked.request.clone().map(|body| faults::flipped(&body)),
            _ => parked.request.clone(),
        };
        match sqs_operation(&parked.request) {
            None => {
                self.last_s3_request = self.time.elapsed();
                Ok(self.world.serve_s3(request).await)
            }
            Some(operation) => {
                let answer = self.world.serve_sqs(request).await;
                self.after_sqs(operation, &parked.request, answer).await
            }
        }
    }

    /// Keeps the ledger. Names messages as the ledger does, in place of the queue's ids, by which a worker would
    /// spread its retries differently in every run.
    async fn after_sqs(
        &mut self,
        operation: &str,
        request: &Request<Bytes>,
        answer: Response<Bytes>,
    ) -> Result<Response<Bytes>, Violation> {
        if answer.status() != StatusCode::OK {
            return Ok(answer);
        }
        let asked: Value = serde_json::from_slice(request.body())?;
        let mut told: Value = serde_json::from_slice(answer.body())?;
        match operation {
            "ReceiveMessage" => {
                let messages = told.get_mut("Messages").and_then(Value::as_array_mut);
                for message in messages.into_iter().flatten() {
                    let name = self.ledger.received(
                        message["MessageId"].as_str().unwrap_or_default(),
                        message["ReceiptHandle"].as_str().unwrap_or_default(),
                        message["Body"].as_str().unwrap_or_default(),
                    );
                    message["MessageId"] = name.into();
                }
            }
            "DeleteMessage" => {
                let receipt_handle = asked["ReceiptHandle"].as_str().unwrap_or_default();
                self.ledger.acknowledged(receipt_handle, &self.world.local.queue.peek().await?);
            }
            "SendMessageBatch" => self.ledger.sent(told["Successful"].as_array().map_or(0, Vec::len) as u64),
            _ => {}
        }
        Ok(answer.map(|_| told.to_string().into()))
    }

    /// What the caller gets to see, and how much later.
    fn answer(
        &mut self,
        fault: Fault,
        method: &Method,
        answered: Option<Response<Bytes>>,
    ) -> Option<(Answer, Duration)> {
        match (fault, answered) {
            (Fault::Fails(failure, _), _) => {
                let delay = if failure == Failure::Timeout { CLIENT_TIMEOUT } else { Duration::ZERO };
                failure.answer(method).map(|answer| (answer, delay))
            }
            (_, None) => None,
            (Fault::Slow(delay), Some(response)) => Some((faults::delivered(response, None), delay)),
            (Fault::Answer(damage), Some(response)) => {
                Some((faults::delivered(response, Some(damage)), Duration::ZERO))
            }
            (Fault::None | Fault::Request, Some(response)) => {
                let is_empty_receive = &**response.body() == b"{}";
                let delay = if is_empty_receive { LONG_POLL } else { Duration::ZERO };
                Some((faults::delivered(response, None), delay))
            }
        }
    }

    /// `w2 PUT processed/... 200 [reset, yet done]`
    fn tell_of(&mut self, parked: &Parked, fault: Fault, answered: Option<&Response<Bytes>>) {
        let what = match sqs_operation(&parked.request) {
            Some(operation) => self.sqs_shown(operation, &parked.request, answered),
            None => s3_shown(&parked.request),
        };
        let late = if parked.is_forsaken() { " (late)" } else { "" };
        let status = answered.map_or_else(|| "-".to_owned(), |answer| answer.status().as_u16().to_string());
        let fault = if fault == Fault::None { String::new() } else { format!(" [{}]", fault.name()) };
        self.story.tell(format_args!("{} {what}{late} {status}{fault}", self.who(parked.caller)));
    }

    fn sqs_shown(
        &self,
        operation: &str,
        request: &Request<Bytes>,
        answered: Option<&Response<Bytes>>,
    ) -> String {
        let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let told = answered.map(|answer| serde_json::from_slice::<Value>(answer.body()).unwrap_or_default());
        let mut shown = operation.to_owned();
        if let Some(receipt_handle) = asked["ReceiptHandle"].as_str() {
            shown += &format!(" {}", self.ledger.name(receipt_handle));
        }
        if let Some(timeout_s) = asked["VisibilityTimeout"].as_u64() {
            shown += &format!(" {timeout_s} s");
        }
        for message in told.iter().filter_map(|told| told["Messages"].as_array()).flatten() {
            let name = message["MessageId"].as_str().unwrap_or_default();
            let body = ledger::shown(message["Body"].as_str().unwrap_or_default());
            let count = message["Attributes"]["ApproximateReceiveCount"].as_str().unwrap_or_default();
            shown += &format!(" {name} ({body}, receive {count})");
        }
        for entry in asked["Entries"].as_array().into_iter().flatten() {
            shown += &format!(" ({})", ledger::shown(entry["MessageBody"].as_str().unwrap_or_default()));
        }
        shown
    }
}

fn writes(request: &Request<Bytes>) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD)
}

/// What SQS is asked for; S3's requests have no such header.
fn sqs_operation(request: &Request<Bytes>) -> Option<&str> {
    request.headers().get("x-amz-target")?.to_str().ok()?.strip_prefix("AmazonSQS.")
}

/// `PUT processed/...`, without what only says the same again.
fn s3_shown(request: &Request<Bytes>) -> String {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let target = target.strip_prefix(&format!("/{BUCKET}")).unwrap_or(target).trim_start_matches('/');
    let target = target.split_once("?x-id=").map_or(target, |(path, _)| path);
    format!("{} {target}", request.method())
}
