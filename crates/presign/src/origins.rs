//! Whose pages may call the API, for deployments without a gateway in front that answers for that. Owns the
//! rule and its headers; credentials, in the sense of cookies, are never allowed, so `*` is harmless.

use std::time::Duration;

use contract::setting::{self, Lookup, SettingError, Variable};
use lambda_http::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use lambda_http::http::{HeaderName, HeaderValue, Method, Uri};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// What a REST API's usage plans know callers by.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// How long a browser keeps the answer to a preflight.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// As `ALLOWED_ORIGINS` names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    Any,
    /// Each as a browser sends it, `https://example.org`.
    Only(Vec<HeaderValue>),
}

impl Origins {
    pub const VARIABLE: Variable = Variable {
        name: "ALLOWED_ORIGINS",
        default: "none",
        meaning: "pages that may call, `https://example.org,...` or `*`; only where no gateway answers preflights",
    };

    pub fn from_settings(lookup: &Lookup) -> Result<Option<Self>, SettingError> {
        let Some(text) = setting::text(lookup, Self::VARIABLE.name) else { return Ok(None) };
        if text == "*" {
            return Ok(Some(Self::Any));
        }
        let origins = text.split(',').map(str::trim).map(|origin| {
            parse(origin).ok_or_else(|| {
                let problem = format!("`{origin}` is no origin; one looks like `https://example.org`");
                SettingError::new(Self::VARIABLE.name, problem)
            })
        });
        origins.collect::<Result<_, _>>().map(|origins| Some(Self::Only(origins)))
    }

    /// What answers preflights and marks all other answers.
    pub fn layer(&self) -> CorsLayer {
        let origins = match self {
            Self::Any => AllowOrigin::any(),
            Self::Only(origins) => AllowOrigin::list(origins.iter().cloned()),
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, API_KEY])
            .expose_headers([ETAG, RETRY_AFTER])
            .max_age(MAX_AGE)
    }
}

/// Browsers send a scheme, a lower-case host and a port that is not the scheme's own; no more.
fn parse(text: &str) -> Option<HeaderValue> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let known = matches!((scheme, authority.port_u16()), ("http", port) if port != Some(80))
        || matches!((scheme, authority.port_u16()), ("https", port) if port != Some(443));
    let plain = format!("{scheme}://{authority}").to_ascii_lowercase() == text && !text.contains(['@', '*']);
    (known && plain).then(|| HeaderValue::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str) -> Result<Option<Origins>, String> {
        Origins::from_settings(&|_| Some(text.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn origins_are_taken_as_browsers_send_them_and_no_other_way() {
        assert_eq!(origins(""), Ok(None));
        assert_eq!(origins("*"), Ok(Some(Origins::Any)));
        let both = ["https://example.org", "http://localhost:5173"];
        let expected = both.map(HeaderValue::from_static).to_vec();
        assert_eq!(origins(&both.join(", ")), Ok(Some(Origins::Only(expected))));
        for bad in [
            "null",
            "example.org",
            "https://example.org/",
            "https://Example.org",
            "https://example.org:443",
            "ftp://example.org",
            "https://*.example.org",
            "https://a@example.org",
            "https://example.org,",
            "https://example.org,*",
        ] {
            assert!(origins(bad).is_err_and(|error| error.starts_with("ALLOWED_ORIGINS: `")), "{bad}");
        }
    }
}
