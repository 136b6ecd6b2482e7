//! Who signs, and until when: URLs by Signature Version 4, and forms. A URL dies with the credentials that
//! signed it, so its life is never promised beyond theirs. Owns credentials and signatures; what is granted is
//! `objects`' matter. (The SDK can sign URLs too: it takes longer for that than the rest of a request does, and
//! adds headers of its own.)

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{Credentials, ProvideCredentials, Region, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::policy::{self, Fields};
use crate::problem::Problem;

/// While the credentials at hand are still good: how often better ones are asked for.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Credentials, and for how long what they sign from now on is good.
pub struct Signer {
    credentials: Credentials,
    region: Region,
    signed_at: Timestamp,
    /// In whole seconds.
    pub expires_in: Duration,
}

impl Signer {
    pub fn expires_at(&self) -> Timestamp {
        self.signed_at + self.expires_in
    }

    /// `url` with a signature over the method, the URL, its host and `headers`: whoever uses it must send just
    /// these, of the names that start with `x-amz-` at least.
    pub fn url(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Result<String, Problem> {
        let failed = |error: &dyn std::error::Error| Problem::failed("sign a URL", error);
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(self.expires_in);
        // S3 takes paths as they are.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region.as_ref())
            .name("s3")
            .time(SystemTime::from(self.signed_at))
            .settings(settings)
            .build()
            .map_err(|error| failed(&error))?;
        let headers = headers.iter().copied();
        let request = SignableRequest::new(method, url, headers, SignableBody::UnsignedPayload)
            .map_err(|error| failed(&error))?;
        let (signed, _) = sign(request, &params.into()).map_err(|error| failed(&error))?.into_parts();
        let mut signed_url = url.to_owned();
        for (name, value) in signed.params() {
            signed_url.push(if signed_url.contains('?') { '&' } else { '?' });
            signed_url.extend([name, "="].into_iter().chain(utf8_percent_encode(value, RESERVED)));
        }
        Ok(signed_url)
    }

    /// The fields of a form.
    pub fn form(&self, terms: &policy::Terms) -> Fields {
        policy::sign(terms, &self.credentials, self.region.as_ref(), self.signed_at, self.expires_at())
    }

    fn new(credentials: Credentials, region: Region, wanted: Duration) -> Result<Self, Problem> {
        // Counted from before the signature and in whole seconds, as S3 counts, so that what we promise ends
        // no later than what S3 grants.
        let signed_at = Timestamp::from_second(Timestamp::now().as_second());
        let signed_at = signed_at.map_err(|error| Problem::failed("tell the time", error))?;
        let expires_in =
            life(&credentials, wanted).ok_or_else(|| Problem::unusable("the credentials have expired"))?;
        Ok(Self { credentials, region, signed_at, expires_in })
    }
}

/// How long something can live that is to live as `wanted`; none where the credentials are spent.
fn life(credentials: &Credentials, wanted: Duration) -> Option<Duration> {
    let Some(expiry) = credentials.expiry() else { return Some(wanted) };
    let left = expiry.duration_since(SystemTime::now()).ok()?;
    let life = wanted.min(Duration::from_secs(left.as_secs()));
    (!life.is_zero()).then_some(life)
}

pub struct Signers {
    region: Option<Region>,
    provider: SharedCredentialsProvider,
    current: Mutex<Option<(Credentials, Instant)>>,
}

impl Signers {
    pub fn new(region: Option<Region>, provider: SharedCredentialsProvider) -> Self {
        Self { region, provider, current: Mutex::default() }
    }

    /// One whose signatures last as long as `wanted`, if there is any such to be had.
    pub async fn for_life(&self, wanted: Duration) -> Result<Signer, Problem> {
        let region = self.region.clone().ok_or_else(|| Problem::unusable("no region is set"))?;
        let mut current = self.current.lock().await;
        if let Some((credentials, asked_at)) = current.as_ref() {
            let life = life(credentials, wanted);
            if life == Some(wanted) || life.is_some() && asked_at.elapsed() < ASK_AGAIN_AFTER {
                return Signer::new(credentials.clone(), region, wanted);
            }
        }
        let credentials = self.provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| Problem::failed("find credentials", error))?;
        *current = Some((credentials.clone(), Instant::now()));
        Signer::new(credentials, region, wanted)
    }
}
