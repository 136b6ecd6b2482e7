//! Every message that was ever in the queue, and how it left it: nothing is lost but by acknowledgement or to
//! the dead-letter queue. Gives messages names that are the same in every run, which their ids are not.

use std::collections::HashMap;

use darkroom::local::queue::Held;
use serde_json::Value;

use super::invariants::{Violation, ensure};

#[derive(Debug, Default)]
pub struct Ledger {
    /// Place in `entries`, by message id.
    places: HashMap<String, usize>,
    /// The same by receipt handle.
    receipts: HashMap<String, usize>,
    entries: Vec<Entry>,
    /// Messages that were put into the queue.
    sent: u64,
}

#[derive(Debug)]
struct Entry {
    message_id: String,
    body: String,
    left: Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Not,
    Acknowledged,
    Dead,
}

impl Ledger {
    /// Somebody put messages into the queue.
    pub fn sent(&mut self, count: u64) {
        self.sent += count;
    }

    /// The message's name. It is given at the first receive, and receives come in one order in every run.
    pub fn received(&mut self, message_id: &str, receipt_handle: &str, body: &str) -> String {
        let place = self.place(message_id, body);
        self.receipts.insert(receipt_handle.to_owned(), place);
        name(place)
    }

    /// The name of the message of a receive.
    pub fn name(&self, receipt_handle: &str) -> String {
        self.receipts.get(receipt_handle).map_or_else(|| "a message".to_owned(), |place| name(*place))
    }

    /// The worker acknowledged this receive of a message; `held` is what is in the queue since then. Where the
    /// message is, it had been received once more.
    pub fn acknowledged(&mut self, receipt_handle: &str, held: &[Held]) {
        let Some(entry) = self.receipts.get(receipt_handle).map(|place| &mut self.entries[*place]) else {
            return;
        };
        if !held.iter().any(|held| held.message_id == entry.message_id) {
            entry.left = Left::Acknowledged;
        }
    }

    pub fn died(&mut self, letters: &[Held]) {
        for letter in letters {
            let place = self.place(&letter.message_id, &letter.body);
            self.entries[place].left = Left::Dead;
        }
    }

    /// Bodies of all messages that were received, for sending them once more.
    pub fn bodies(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.body.as_str())
    }

    /// Once the queue is empty.
    pub fn nothing_is_lost(&self) -> Result<(), Violation> {
        let found = self.entries.len() as u64;
        ensure!(found == self.sent, "{} messages were sent, and {found} were ever received", self.sent);
        let lost = self.entries.iter().position(|entry| entry.left == Left::Not);
        ensure!(lost.is_none(), "{} is gone, and nobody acknowledged it", lost.map(name).unwrap_or_default());
        Ok(())
    }

    fn place(&mut self, message_id: &str, body: &str) -> usize {
        let next = self.entries.len();
        let place = *self.places.entry(message_id.to_owned()).or_insert(next);
        if place == next {
            let (message_id, body) = (message_id.to_owned(), body.to_owned());
            self.entries.push(Entry { message_id, body, left: Left::Not });
        }
        place
    }
}

fn name(place: usize) -> String {
    format!("m{place}")
}

/// What a message says, for the log.
pub fn shown(body: &str) -> String {
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    let record = &event["Records"][0];
    match (record["eventName"].as_str(), record["s3"]["object"]["key"].as_str()) {
        (Some(name), Some(key)) => format!("{} {key}", name.trim_start_matches("Object")),
        _ => format!("nonsense of {} bytes", body.len()),
    }
}
