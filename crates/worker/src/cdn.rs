//! The CDN's copies of what was removed. The only module that names CloudFront's client. Never touches
//! anything but the folder of one source.

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use contract::Manifest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::store::ErrorBox;
use crate::tell;

/// As browsers write a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

#[derive(Debug, thiserror::Error)]
#[error("the source's objects are deleted, but the CDN's copies of them were not invalidated")]
pub struct CdnError {
    source: ErrorBox,
}

/// The distribution in front of the bucket, if there is one. Cheap to clone.
#[derive(Clone, Default)]
pub struct Cdn(pub Option<(Client, String)>);

impl Cdn {
    /// Has the copies of all that was made of a source forgotten. Repeated for the same tombstone, it is the same
    /// invalidation to CloudFront.
    pub async fn forget(&self, tombstone: &Manifest) -> Result<(), CdnError> {
        let Some((client, distribution)) = &self.0 else { return Ok(()) };
        let failed = |error: ErrorBox| CdnError { source: error };
        let paths = Paths::builder().quantity(1).items(path(tombstone)).build();
        let paths = paths.map_err(|error| failed(error.into()))?;
        let batch = InvalidationBatch::builder().caller_reference(tell::id(tombstone)).paths(paths).build();
        let batch = batch.map_err(|error| failed(error.into()))?;
        let sent = client.create_invalidation().distribution_id(distribution).invalidation_batch(batch);
        sent.send().await.map(drop).map_err(|error| failed(error.into()))
    }
}

fn path(tombstone: &Manifest) -> String {
    format!("/{}*", utf8_percent_encode(&tombstone.source.key.made_prefix(), PATH))
}
