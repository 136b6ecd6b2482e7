//! What users do to their sources while the workers are at work, and what else lands in the queue. Owns the
//! choice; the world does it.

use fastrand::Rng;

use super::faults::pick;
use super::files::{File, PICTURES, POISON};

/// The sources of a run are some of these. The folder of one lies within another's, and some keys have what
/// URLs and notifications must escape.
const KEYS: [&str; 5] =
    ["raw/a", "raw/a/b.png", "raw/articles/a1/one.jpg", "raw/a b+é%.png", "raw/a/b.png.jpg"];

/// Bodies that mean nothing to the worker, whatever it does with them: they must end in the dead-letter queue.
pub const NONSENSE: [&str; 4] = [
    "",
    "[[[[[[[[[[[[[[[[",
    r#"{"Records":"none"}"#,
    r#"{"Records":[{"eventVersion":"2.5","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"another"},"object":{"key":"raw/a"}}}]}"#,
];

/// One thing that a user does.
#[derive(Debug, Clone)]
pub enum Act {
    Put { key: &'static str, file: &'static File, declared: &'static str },
    Delete { key: &'static str },
}

/// Whoever acts in one run.
#[derive(Debug)]
pub struct Users {
    keys: Vec<&'static str>,
    /// How much is still to be done.
    acts_left: u32,
    /// Pictures that nobody has uploaded yet.
    fresh: Vec<&'static File>,
    /// The last that was put to each key.
    last: Vec<(&'static str, &'static File)>,
}

impl Users {
    pub fn draw(rng: &mut Rng) -> Self {
        let mut keys = KEYS.to_vec();
        rng.shuffle(&mut keys);
        keys.truncate(*pick(rng, &[1, 1, 1, 2, 3]));
        let mut fresh: Vec<&File> = PICTURES.iter().collect();
        rng.shuffle(&mut fresh);
        Self { keys, acts_left: rng.u32(2..=16), fresh, last: Vec::new() }
    }

    pub fn are_done(&self) -> bool {
        self.acts_left == 0
    }

    /// What happens next, all of it in the same moment.
    pub fn act(&mut self, rng: &mut Rng) -> Vec<Act> {
        self.acts_left = self.acts_left.saturating_sub(1);
        let key = *pick(rng, &self.keys);
        match (rng.u32(0..10), self.last_of(key)) {
            (0, Some(same)) => vec![self.put(key, same, same.content_type)],
            // The same bytes in the same second, when the key may have been processed in between or not.
            (1, Some(same)) => vec![Act::Delete { key }, self.put(key, same, same.content_type)],
            (2, Some(same)) => {
                vec![self.put(key, same, same.wrong_type(rng))]
            }
            (3, Some(_)) => {
                let (first, second) = (self.fresh(rng), self.fresh(rng));
                vec![self.put(key, first, first.content_type), self.put(key, second, second.content_type)]
            }
            (4 | 5, Some(_)) => vec![Act::Delete { key }],
            (6, _) => {
                let poison = pick(rng, &POISON);
                vec![self.put(key, poison, poison.content_type)]
            }
            _ => {
                let fresh = self.fresh(rng);
                vec![self.put(key, fresh, fresh.content_type)]
            }
        }
    }

    fn put(&mut self, key: &'static str, file: &'static File, declared: &'static str) -> Act {
        self.last.retain(|(known, _)| *known != key);
        self.last.push((key, file));
        Act::Put { key, file, declared }
    }

    fn last_of(&self, key: &str) -> Option<&'static File> {
        self.last.iter().find(|(known, _)| *known == key).map(|(_, file)| *file)
    }

    fn fresh(&mut self, rng: &mut Rng) -> &'static File {
        self.fresh.pop().unwrap_or_else(|| pick(rng, &PICTURES))
    }
}
