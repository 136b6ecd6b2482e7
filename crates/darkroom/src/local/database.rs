//! The one database that objects and queue share, so that a change to both is one transaction.
//!
//! Owns transactions, the counters and the wake-up of those who wait for messages. Never does I/O on
//! an async thread, and knows no table but its own.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{
    DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;

use super::{Clock, Error};

const FILE: &str = "state.redb";
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");

#[derive(Debug)]
pub(super) struct Database {
    redb: redb::Database,
    pub(super) clock: Clock,
    /// Told whenever a message may have become visible.
    pub(super) wake: Arc<Notify>,
    /// Touched after every change.
    changes: watch::Sender<()>,
}

/// One write transaction, and what is to happen once it is committed.
pub(super) struct Change {
    pub(super) tx: WriteTransaction,
    /// When it began, ms since 1970, UTC.
    pub(super) now_ms: u64,
    wake: Arc<Notify>,
    after_commit: RefCell<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Database {
    /// Opens `<dir>/state.redb`, or makes it; in memory without a folder. Blocks.
    pub(super) fn open(dir: Option<&Path>, clock: Clock) -> Result<Self, Error> {
        let redb = match dir {
            None => redb::Builder::new().create_with_backend(InMemoryBackend::new())?,
            Some(dir) => open_file(dir)?,
        };
        Ok(Self { redb, clock, wake: Arc::new(Notify::new()), changes: watch::Sender::default() })
    }

    /// Is told of every change, once it can be read. Several in a row may be told of once.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Reads a consistent state, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        spawn_blocking(move || this.read_now(work)).await?
    }

    /// [`Self::read`] on the calling thread. Blocks.
    pub(super) fn read_now<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        work(&self.redb.begin_read()?)
    }

    /// Changes the state, on a thread that may block: on the disk before this returns, or not at all
    /// where `work` fails. Runs to its end even when the caller is dropped.
    pub(super) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Change) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        spawn_blocking(move || this.write_now(work)).await?
    }

    /// [`Self::write`] on the calling thread. Blocks.
    pub(super) fn write_now<T>(&self, work: impl FnOnce(&Change) -> Result<T, Error>) -> Result<T, Error> {
        let tx = self.redb.begin_write()?;
        let now_ms = self.clock.now_ms();
        let change = Change { tx, now_ms, wake: self.wake.clone(), after_commit: RefCell::default() };
        let done = work(&change)?;
        change.tx.commit()?;
        change.after_commit.into_inner().into_iter().for_each(|step| step());
        self.changes.send_replace(());
        Ok(done)
    }
}

impl Change {
    pub(super) fn after_commit(&self, step: impl FnOnce() + Send + 'static) {
        self.after_commit.borrow_mut().push(Box::new(step));
    }

    /// Wakes, once committed, all who wait for a message.
    pub(super) fn wake(&self) {
        let wake = self.wake.clone();
        self.after_commit(move || wake.notify_waiters());
    }

    /// The next number of a counter, from 1; it never goes back.
    pub(super) fn next(&self, counter: &str) -> Result<u64, Error> {
        let mut counters = self.tx.open_table(COUNTERS)?;
        let next = counters.get(counter)?.map_or(0, |last| last.value()) + 1;
        counters.insert(counter, next)?;
        Ok(next)
    }
}

fn open_file(dir: &Path) -> Result<redb::Database, Error> {
    std::fs::create_dir_all(dir)?;
    match redb::Database::create(dir.join(FILE)) {
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(Error::InUse(dir.to_owned())),
        opened => Ok(opened?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: Option<&Path>) -> Result<Database, Error> {
        Database::open(dir, Clock::default())
    }

    #[test]
    fn a_folder_has_one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = open(Some(dir.path())).unwrap();
        let refused = open(Some(dir.path())).unwrap_err();
        assert_eq!(refused.to_string(), format!("{} is in use by another darkroom", dir.path().display()));
        drop(held);
        open(Some(dir.path())).unwrap();
    }

    #[test]
    fn a_change_that_fails_leaves_nothing_and_tells_nobody() {
        let database = open(None).unwrap();
        let failed: Result<(), Error> = database.write_now(|change| {
            change.next("n")?;
            change.after_commit(|| panic!("nothing was committed"));
            Err(Error::PreconditionFailed)
        });
        failed.unwrap_err();
        assert_eq!(database.write_now(|change| change.next("n")).unwrap(), 1);
    }
}
