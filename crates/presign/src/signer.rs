//! Who signs, and until when. A URL dies with the credentials that signed it, so its life is never promised
//! beyond theirs. Owns the choice of credentials; what is signed with them is `objects`' matter.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::problem::Problem;

/// While the credentials at hand are still good: how often better ones are asked for.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Credentials, and a client that signs with no others.
pub struct Signer {
    pub client: Client,
    pub credentials: Credentials,
}

impl Signer {
    /// How long a URL can live that is to live `life`; none where the credentials are spent.
    pub fn life(&self, wanted: Duration) -> Option<Duration> {
        let Some(expiry) = self.credentials.expiry() else { return Some(wanted) };
        let left = expiry.duration_since(SystemTime::now()).ok()?;
        // In whole seconds, as URLs have it.
        let life = wanted.min(Duration::from_secs(left.as_secs()));
        (!life.is_zero()).then_some(life)
    }
}

pub struct Signers {
    client: Client,
    provider: SharedCredentialsProvider,
    current: Mutex<Option<(Arc<Signer>, Instant)>>,
}

impl Signers {
    pub fn new(client: Client, provider: SharedCredentialsProvider) -> Self {
        Self { client, provider, current: Mutex::default() }
    }

    /// One that lives as long as `wanted`, if there is any such to be had.
    pub async fn for_life(&self, wanted: Duration) -> Result<Arc<Signer>, Problem> {
        let mut current = self.current.lock().await;
        if let Some((signer, asked_at)) = current.as_ref() {
            let life = signer.life(wanted);
            if life == Some(wanted) || life.is_some() && asked_at.elapsed() < ASK_AGAIN_AFTER {
                return Ok(Arc::clone(signer));
            }
        }
        let credentials = self.provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| Problem::failed("find credentials", error))?;
        let config = self.client.config().to_builder().credentials_provider(credentials.clone()).build();
        let signer = Arc::new(Signer { client: Client::from_conf(config), credentials });
        *current = Some((Arc::clone(&signer), Instant::now()));
        Ok(signer)
    }
}
