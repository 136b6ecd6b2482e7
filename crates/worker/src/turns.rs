//! One at a time for each key: who comes second finds the first one's work done instead of doing it again
//! beside it. Within one process only; what keeps two processes apart is the manifest's condition.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use contract::SourceKey;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Cheap to clone; clones share the turns.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<SourceKey, Weak<AsyncMutex<()>>>>>);

/// The turn of one key, until it is dropped.
pub struct Turn {
    turns: Turns,
    key: SourceKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until no one else has this key's turn.
    pub async fn take(&self, key: &SourceKey) -> Turn {
        let guard = self.lock_of(key).lock_owned().await;
        Turn { turns: self.clone(), key: key.clone(), guard: Some(guard) }
    }

    fn lock_of(&self, key: &SourceKey) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Before the look: it holds its lock alive.
        self.guard = None;
        let mut locks = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.get(&self.key).is_some_and(|lock| lock.strong_count() == 0) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_has_one_turn_at_a_time_and_is_forgotten_after_the_last() {
        let (turns, key) = (Turns::default(), |name: &str| SourceKey::parse(format!("raw/{name}")).unwrap());
        let first = turns.take(&key("a")).await;
        let _other = turns.take(&key("b")).await;
        let waiting = tokio::spawn({
            let (turns, key) = (turns.clone(), key("a"));
            async move { drop(turns.take(&key).await) }
        });
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        assert_eq!(turns.0.lock().unwrap().len(), 1, "only `b`");
    }
}
