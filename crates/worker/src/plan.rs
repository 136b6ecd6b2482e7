//! From a notification to what to do about it. Pure: no I/O, no clock.

use contract::SourceKey;

use crate::error::Error;
use crate::notification::{self, Notification};

/// A source to look at, with what the event said of it. The event may be old or wrong: its size only
/// decides whether to look before fetching, its sequencer is only passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub source: SourceKey,
    pub size_bytes: Option<u64>,
    pub sequencer: Option<String>,
    /// Whether what the manifest names must be seen to be there.
    pub repair: bool,
}

/// `bucket` is the only one that this worker may touch.
pub fn plan(notification: Notification, bucket: &str) -> Result<Plan, Error> {
    if notification.bucket != bucket {
        return Err(Error::OtherBucket { found: notification.bucket, configured: bucket.to_owned() });
    }
    let source = SourceKey::parse(notification.key.as_str())
        .map_err(|reason| Error::Key { key: notification.key.clone(), reason })?;
    let repair = notification.event_name == notification::REPAIR;
    Ok(Plan { source, size_bytes: notification.size_bytes, sequencer: notification.sequencer, repair })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Outcome;

    fn planned(bucket: &str, key: &str) -> Result<Plan, Error> {
        let notification = Notification {
            bucket: bucket.into(),
            key: key.into(),
            event_name: "ObjectCreated:Put".into(),
            size_bytes: Some(7),
            sequencer: Some("0A".into()),
            event_time: None,
        };
        plan(notification, "ours")
    }

    #[test]
    fn only_sources_of_our_own_bucket_are_planned() {
        assert_eq!(planned("ours", "raw/a.jpg").unwrap().source.as_str(), "raw/a.jpg");
        let output = planned("ours", "processed/a.jpg/3f9a0c12be77/w640.webp").unwrap_err();
        assert!(matches!(output.outcome(), Outcome::Skipped(_)));
        assert!(matches!(planned("theirs", "raw/a.jpg").unwrap_err().outcome(), Outcome::Retry(_)));
        assert!(matches!(planned("ours", "raw/../a.jpg").unwrap_err().outcome(), Outcome::Retry(_)));
    }
}
