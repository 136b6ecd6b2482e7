//! An issuer's public keys: fetched when they are first needed, kept, and fetched again when a token names
//! one that is not known. Owns the cache and the one HTTP call; never judges a token.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http_body_util::{BodyExt, Limited};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use lambda_http::http::Uri;
use lambda_http::tracing;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// A key takes half a KB; issuers have a handful.
const MAX_BYTES: usize = 256 * 1024;
/// Unknown names are free to invent: no more fetches than this for them.
const REFRESH_AFTER: Duration = Duration::from_secs(60);
/// So that a key that its issuer has withdrawn is not good for ever.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// After a fetch that failed while there was none before.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What verifies a signature, and by which algorithm alone.
#[derive(Clone)]
pub struct Key {
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// The keys could not be fetched, and there were none before.
#[derive(Debug)]
pub struct NoKeys;

pub struct Keys {
    url: Uri,
    connector: Connector,
    /// Held while fetching, so that there is one fetch however many wait for it.
    cache: Mutex<Cache>,
    refresh_after: Duration,
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, Arc<Key>>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Keys {
    pub fn new(url: Uri) -> Self {
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let connector = Connector::builder().tls_provider(tls).build();
        Self { url, connector, cache: Mutex::default(), refresh_after: REFRESH_AFTER }
    }

    /// The key of that name; `None` when the issuer has none.
    pub async fn find(&self, kid: &str) -> Result<Option<Arc<Key>>, NoKeys> {
        let mut cache = self.cache.lock().await;
        if self.is_due(&cache, kid) {
            cache.tried_at = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    cache.keys = keys;
                    cache.fetched_at = Some(Instant::now());
                }
                // Those that were good an hour ago are better than none.
                Err(problem) => {
                    tracing::error!(url = %self.url, problem, "the issuer's keys cannot be fetched");
                }
            }
        }
        if cache.fetched_at.is_none() {
            return Err(NoKeys);
        }
        Ok(cache.keys.get(kid).cloned())
    }

    fn is_due(&self, cache: &Cache, kid: &str) -> bool {
        let wanted = match cache.fetched_at {
            None => true,
            Some(at) => !cache.keys.contains_key(kid) || at.elapsed() > MAX_AGE,
        };
        let pause = if cache.fetched_at.is_some() { self.refresh_after } else { RETRY_AFTER };
        wanted && cache.tried_at.is_none_or(|at| at.elapsed() >= pause)
    }

    async fn fetch(&self) -> Result<HashMap<String, Arc<Key>>, String> {
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, self.get());
        let bytes = fetched.await.map_err(|_| format!("no answer within {FETCH_TIMEOUT:?}"))??;
        let keys = parse(&bytes)?;
        if keys.is_empty() {
            return Err("there is no key for RS256 or ES256 among them".to_owned());
        }
        Ok(keys)
    }

    async fn get(&self) -> Result<Vec<u8>, String> {
        let request = HttpRequest::get(self.url.to_string()).map_err(|error| error.to_string())?;
        let response = self.connector.call(request).await.map_err(|error| format!("{error:?}"))?;
        if !response.status().is_success() {
            return Err(format!("the answer is {}", response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        Ok(body.map_err(|error| error.to_string())?.to_bytes().to_vec())
    }
}

/// By name. Keys of other kinds are none of ours, and do not spoil the rest.
fn parse(bytes: &[u8]) -> Result<HashMap<String, Arc<Key>>, String> {
    let set: Value = serde_json::from_slice(bytes).map_err(|error| format!("they are no JSON: {error}"))?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("there is no array `keys`")?;
    let jwks = keys.iter().filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
    Ok(jwks.filter_map(|jwk| Some((jwk.common.key_id.clone()?, Arc::new(key(&jwk)?)))).collect())
}

fn key(jwk: &Jwk) -> Option<Key> {
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let fits = jwk.common.key_algorithm.is_none_or(|told| told == name);
    if !signs || !fits {
        return None;
    }
    Some(Key { algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
}

#[cfg(test)]
impl Keys {
    pub fn refreshing_after(self, refresh_after: Duration) -> Self {
        Self { refresh_after, ..self }
    }
}
