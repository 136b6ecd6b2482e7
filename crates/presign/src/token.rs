//! A bearer token, judged here where no gateway has done so: signature, life, issuer and audience. Owns what
//! makes a token valid; where its issuer's keys come from is `keys`' matter. Never logs a token.

use std::time::Duration;

use contract::setting::{self, Lookup, SettingError, Variable};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use lambda_http::http::Uri;
use serde::Deserialize;

use crate::keys::{Keys, NoKeys};

/// How far the issuer's clock may be from ours.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Whose tokens are good, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub jwks_url: Uri,
    pub issuer: String,
    /// One of these must be a token's `aud`, or its `client_id` where it has no `aud`: Cognito's access
    /// tokens have none.
    pub audiences: Vec<String>,
}

impl Rules {
    pub const JWKS_URL: Variable = Variable {
        name: "JWKS_URL",
        default: "none",
        meaning: "where the issuer's keys are, `https://...`; with it the function verifies tokens itself, for a \
                  Function URL",
    };
    pub const ISSUER: Variable = Variable {
        name: "JWT_ISSUER",
        default: "with `JWKS_URL`: required",
        meaning: "the `iss` of its tokens",
    };
    pub const AUDIENCE: Variable = Variable {
        name: "JWT_AUDIENCE",
        default: "with `JWKS_URL`: required",
        meaning: "their `aud`, or their `client_id` where they have no `aud`; several with commas",
    };

    /// All three settings or none.
    pub fn from_settings(lookup: &Lookup) -> Result<Option<Self>, SettingError> {
        let names = [Self::JWKS_URL, Self::ISSUER, Self::AUDIENCE].map(|variable| variable.name);
        if names.iter().all(|name| setting::text(lookup, name).is_none()) {
            return Ok(None);
        }
        let url = setting::required(lookup, names[0])?;
        let issuer = setting::required(lookup, names[1])?;
        let audience = setting::required(lookup, names[2])?;
        let jwks_url = safe_url(&url).ok_or_else(|| {
            SettingError::new(names[0], format!("`{url}` is no URL that starts with `https://`"))
        })?;
        let audiences: Vec<_> = audience.split(',').map(|part| part.trim().to_owned()).collect();
        if audiences.iter().any(String::is_empty) {
            return Err(SettingError::new(names[2], "has an empty part between its commas"));
        }
        Ok(Some(Self { jwks_url, issuer, audiences }))
    }
}

/// Whoever can change the keys on their way can sign as anyone; on this machine nobody is in between.
fn safe_url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    match (uri.scheme_str()?, uri.host()?) {
        ("https", _) | ("http", "127.0.0.1" | "localhost" | "[::1]") => Some(uri),
        _ => None,
    }
}

/// Why a token does not count.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// In a sentence for whoever sent it.
    Invalid(&'static str),
    /// The issuer's keys are not to be had: our fault.
    Unavailable,
}

impl From<NoKeys> for Refusal {
    fn from(_: NoKeys) -> Self {
        Self::Unavailable
    }
}

pub struct Verifier {
    rules: Rules,
    keys: Keys,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Option<OneOrMany>,
    client_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Verifier {
    pub fn new(rules: Rules) -> Self {
        let keys = Keys::new(rules.jwks_url.clone());
        Self { rules, keys }
    }

    /// The subject of a valid token.
    pub async fn sub(&self, token: &str) -> Result<String, Refusal> {
        let header = decode_header(token)
            .map_err(|_| Refusal::Invalid("The token is no JWT that is signed with RS256 or ES256."))?;
        // Whoever does not know an extension that is marked so must refuse the token. RFC 7515, 4.1.11.
        if header.crit.is_some() {
            return Err(Refusal::Invalid("The token asks for an extension that is not known here."));
        }
        let kid = header.kid.ok_or(Refusal::Invalid("The token does not name its key (`kid`)."))?;
        let key = self.keys.find(&kid).await?;
        let key = key.ok_or(Refusal::Invalid("The token's key is none of its issuer's."))?;

        // The key says which algorithm, never the token.
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = CLOCK_SKEW.as_secs();
        validation.validate_nbf = true;
        validation.validate_aud = false; // below, with `client_id`
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        let claims: Claims =
            decode(token, &key.key, &validation).map_err(|error| refusal(error.kind()))?.claims;
        if !self.is_for_us(&claims) {
            return Err(Refusal::Invalid("The token is for another audience."));
        }
        if claims.sub.trim().is_empty() {
            return Err(Refusal::Invalid("The token has no subject."));
        }
        Ok(claims.sub)
    }

    fn is_for_us(&self, claims: &Claims) -> bool {
        let ours = |audience: &String| self.rules.audiences.contains(audience);
        match (&claims.aud, &claims.client_id) {
            (Some(OneOrMany::One(audience)), _) => ours(audience),
            (Some(OneOrMany::Many(audiences)), _) => audiences.iter().any(ours),
            (None, Some(client_id)) => ours(client_id),
            (None, None) => false,
        }
    }
}

fn refusal(kind: &ErrorKind) -> Refusal {
    Refusal::Invalid(match kind {
        ErrorKind::ExpiredSignature => "The token has expired.",
        ErrorKind::ImmatureSignature => "The token is not valid yet.",
        ErrorKind::InvalidIssuer => "The token is of another issuer.",
        ErrorKind::MissingRequiredClaim(_) => "The token lacks one of `exp`, `iss` and `sub`.",
        _ => "The token's signature or form is not right.",
    })
}

#[cfg(test)]
mod tests;
