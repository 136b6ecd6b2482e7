//! The local stand-ins for S3 and SQS: one bucket, one queue and its dead-letter queue over one
//! database, in a folder or in memory.
//!
//! An object and the notification of it are stored in one transaction, so an upload that was
//! acknowledged is never without its message, whatever ends the process. Nothing here ever calls AWS,
//! reads the environment or knows what an image is.

pub mod objects;
pub mod queue;
pub mod s3;
pub mod sqs;

mod blobs;
mod clock;
mod database;
mod event;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contract::Layout;

pub use clock::Clock;
pub use objects::Objects;
pub use queue::Queue;

use blobs::Blobs;
use database::Database;
use event::Announcer;

const CLOSE_TRIES: u32 = 1000;
const CLOSE_PAUSE: Duration = Duration::from_millis(2);

/// What to open.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the state, made when missing; `None` keeps everything in memory.
    pub dir: Option<PathBuf>,
    pub bucket: String,
    /// Which keys the bucket announces, and in which envelope.
    pub layout: Layout,
    /// How often a message is received before it goes to the dead-letter queue instead.
    pub max_receive_count: u32,
    /// The time of whatever is stored, queued or announced.
    pub clock: Clock,
}

/// A bucket, the queue that it announces to, and where that queue's hopeless messages go.
#[derive(Debug, Clone)]
pub struct Local {
    pub objects: Objects,
    pub queue: Queue,
    pub dead_letters: Queue,
    pub clock: Clock,
}

impl Local {
    /// Opens what is there, or makes it. Blocks on the disk. Fails with [`Error::InUse`] while another
    /// process holds the folder.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let database = Arc::new(Database::open(options.dir.as_deref(), options.clock.clone())?);
        let blobs = Arc::new(Blobs::open(options.dir.as_deref())?);
        let announcer = Arc::new(Announcer::new(&options.bucket, options.layout));
        let objects = Objects::open(database.clone(), blobs, announcer)?;
        let (queue, dead_letters) = Queue::open(database, options.max_receive_count)?;
        Ok(Self { objects, queue, dead_letters, clock: options.clock.clone() })
    }

    /// Waits until the folder is free for another: a read whose asker is gone may still be under way on a
    /// thread of its own. Returns at some time in any case; who keeps a clone keeps the folder.
    pub async fn close(self) {
        let database = self.queue.downgrade();
        drop(self);
        for _ in 0..CLOSE_TRIES {
            if database.strong_count() == 0 {
                return;
            }
            tokio::time::sleep(CLOSE_PAUSE).await;
        }
    }
}

/// Why the local store did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is in use by another darkroom", .0.display())]
    InUse(PathBuf),
    #[error("no such key")]
    NoSuchKey,
    #[error("at least one of the preconditions does not hold")]
    PreconditionFailed,
    #[error("the key is empty")]
    KeyEmpty,
    #[error("the key is longer than 1024 bytes")]
    KeyTooLong,
    #[error("the state's database failed")]
    Database(#[source] Box<redb::Error>),
    #[error("the state's folder failed")]
    Io(#[from] io::Error),
    #[error("the state's database has a record that cannot be read")]
    Record(#[from] serde_json::Error),
    #[error("work on the state was cut off")]
    Interrupted(#[from] tokio::task::JoinError),
}

macro_rules! database_errors {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for Error {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )*};
}
database_errors!(DatabaseError, TransactionError, TableError, StorageError, CommitError);
