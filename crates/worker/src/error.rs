//! What can go wrong, for people to read, and what follows from it, for code to branch on. The one
//! place where an error is judged: unknown is never the uploader's fault.

use contract::{KeyError, Rejection};

use crate::cdn::CdnError;
use crate::notification::BodyError;
use crate::store::StoreError;
use crate::tell::TellError;

/// What became of one notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The full set is there: made now, or found done.
    Published,
    /// The source is gone and its manifest says so.
    Removed,
    /// Nothing for us to do: a test event, our own output, not a source key.
    Skipped(String),
    /// The bytes are at fault; the manifest says why.
    Rejected(Rejection),
    /// The message goes back to the queue.
    Retry(Retry),
}

/// Why a message goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    pub code: FailureCode,
    /// For the log: names and causes that are not for the public.
    pub reason: String,
    /// It was not begun: another worker may begin it now.
    pub at_once: bool,
}

impl Retry {
    /// Of two records of one message.
    pub fn and(self, other: Self) -> Self {
        Self {
            code: self.code,
            reason: format!("{}; {}", self.reason, other.reason),
            at_once: self.at_once && other.at_once,
        }
    }
}

/// The kinds of our own faults, as a `failed` manifest tells them: no more than the public may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCode {
    StorageForbidden,
    StorageUnavailable,
    Contended,
    OutOfTime,
    Interrupted,
    Internal,
    NotTold,
    NotUnderstood,
}

impl FailureCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StorageForbidden => "storage_forbidden",
            Self::StorageUnavailable => "storage_unavailable",
            Self::Contended => "contended",
            Self::OutOfTime => "out_of_time",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
            Self::NotTold => "not_told",
            Self::NotUnderstood => "not_understood",
        }
    }
}

impl Outcome {
    /// A word for logs and counters.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Removed => "removed",
            Self::Skipped(_) => "skipped",
            Self::Rejected(_) => "rejected",
            Self::Retry(_) => "retry",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the event is about bucket `{found}`, and this worker serves `{configured}`")]
    OtherBucket { found: String, configured: String },
    #[error("key `{key}`: {reason}")]
    Key { key: String, reason: KeyError },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes are at fault, as the worker itself saw.
    #[error("{}: {}", .0.code, .0.message)]
    Rejected(Rejection),
    /// The bytes are at fault, or an encoder failed, which is ours to mend: it says which.
    #[error(transparent)]
    Imaging(imaging::Error),
    #[error("the manifest kept changing under {rounds} rounds")]
    Contended { rounds: u32 },
    #[error("not done after {after_ms} ms, when the function's deadline was near")]
    NoTime { after_ms: u64 },
    #[error("not begun: it takes about {needed_ms} ms, and the function's deadline is nearer")]
    TooLate { needed_ms: u64 },
    #[error(transparent)]
    Tell(#[from] TellError),
    #[error(transparent)]
    Cdn(#[from] CdnError),
    #[error("panic: {0}")]
    Panic(String),
    #[error("the worker is shutting down")]
    ShuttingDown,
}

impl Error {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Key { reason: KeyError::NotASource | KeyError::Folder, .. } => {
                Outcome::Skipped(self.to_string())
            }
            // Acknowledging these would lose an object in silence: operators find them in the
            // dead-letter queue.
            Self::Key { reason: KeyError::Unusable(_) | KeyError::NotOurs, .. }
            | Self::Body(_)
            | Self::OtherBucket { .. } => self.retry(FailureCode::NotUnderstood),
            Self::Store(StoreError::Forbidden { .. }) => self.retry(FailureCode::StorageForbidden),
            Self::Store(StoreError::Failed { .. }) => self.retry(FailureCode::StorageUnavailable),
            Self::Contended { .. } => self.retry(FailureCode::Contended),
            Self::NoTime { .. } | Self::TooLate { .. } => self.retry(FailureCode::OutOfTime),
            Self::Tell(_) | Self::Cdn(_) => self.retry(FailureCode::NotTold),
            Self::Panic(_) => self.retry(FailureCode::Internal),
            Self::ShuttingDown => self.retry(FailureCode::Interrupted),
            Self::Rejected(rejection) => Outcome::Rejected(rejection.clone()),
            Self::Imaging(error) => match error.rejection() {
                Some(rejection) => Outcome::Rejected(rejection),
                None => self.retry(FailureCode::Internal),
            },
        }
    }

    fn retry(&self, code: FailureCode) -> Outcome {
        let at_once = matches!(self, Self::TooLate { .. } | Self::ShuttingDown);
        Outcome::Retry(Retry { code, reason: telemetry::chain(self), at_once })
    }

    /// From what a panic carries.
    pub fn from_panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let said = payload.downcast_ref::<&str>().copied().map(str::to_owned);
        let said = said.or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Panic(said.unwrap_or_else(|| "without a message".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bytes_are_ever_rejected_and_the_unknown_is_retried() {
        let key = |reason| Error::Key { key: "k".into(), reason };
        let rejection = Rejection { code: contract::RejectionCode::TooManyBytes, message: "m".into() };
        let table = [
            (key(KeyError::NotASource), "skipped"),
            (key(KeyError::Folder), "skipped"),
            (key(KeyError::Unusable("x")), "retry"),
            (key(KeyError::NotOurs), "retry"),
            (Error::Body(BodyError::NotAnEvent), "retry"),
            (Error::OtherBucket { found: "a".into(), configured: "b".into() }, "retry"),
            (Error::Store(StoreError::Forbidden { what: "read k".into() }), "retry"),
            (Error::Store(StoreError::failed("read k", "503")), "retry"),
            (Error::Contended { rounds: 3 }, "retry"),
            (Error::NoTime { after_ms: 3 }, "retry"),
            (Error::TooLate { needed_ms: 3 }, "retry"),
            (Error::Panic("boom".into()), "retry"),
            (Error::ShuttingDown, "retry"),
            (Error::Rejected(rejection), "rejected"),
            (Error::Imaging(imaging::Error::Empty), "rejected"),
        ];
        for (error, outcome) in table {
            assert_eq!(error.outcome().name(), outcome, "{error:?}");
        }
    }
}
