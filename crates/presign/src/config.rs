//! Presign's settings. The only module that reads the environment, and it does so through a lookup
//! that tests can stand behind. A bad setting ends the start, by name.

use std::time::Duration;

use aws_config::SdkConfig;
use contract::setting::{self, Lookup, SettingError, Variable};
use contract::{KeySecrets, Layout, Limits};

use crate::origins::Origins;
use crate::{secret, token};

#[derive(Debug, Clone)]
pub struct Config {
    pub bucket: String,
    pub key_secrets: KeySecrets,
    pub layout: Layout,
    pub max_source_bytes: u64,
    pub url_expiry: Duration,
    /// Whose tokens are verified here, where no gateway does.
    pub tokens: Option<token::Rules>,
    /// Whether who has no token may upload.
    pub allow_anonymous: bool,
    /// Whose pages may call, where no gateway answers for that.
    pub allowed_origins: Option<Origins>,
    /// The function's name in its metrics.
    pub service: String,
}

impl Config {
    pub const URL_EXPIRY_SECONDS: Variable = Variable {
        name: "URL_EXPIRY_SECONDS",
        default: "900",
        meaning: "how long an upload URL is valid, 60 to 3600 seconds",
    };

    pub const ALLOW_ANONYMOUS: Variable = Variable {
        name: "ALLOW_ANONYMOUS",
        default: "false",
        meaning: "`true` lets anyone upload and ask for the state without a token; downloads and deletions still need one",
    };

    /// Everything that presign reads, in the order of the README's table.
    pub const VARIABLES: [Variable; 13] = [
        setting::BUCKET,
        KeySecrets::CURRENT,
        KeySecrets::PREVIOUS,
        secret::ARN,
        Layout::VARIABLE,
        Limits::MAX_SOURCE_BYTES,
        Self::URL_EXPIRY_SECONDS,
        token::Rules::JWKS_URL,
        token::Rules::ISSUER,
        token::Rules::AUDIENCE,
        Self::ALLOW_ANONYMOUS,
        Origins::VARIABLE,
        setting::FUNCTION_NAME,
    ];

    /// Of the environment, and of Secrets Manager where it says that the key secret is there.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub async fn load(aws: &SdkConfig) -> Result<Self, SettingError> {
        let environment = |name: &str| std::env::var(name).ok();
        let kept = secret::kept(&environment, || aws_sdk_secretsmanager::Client::new(aws)).await?;
        Self::from_settings(&|name| kept.get(name).or_else(|| environment(name)))
    }

    pub fn from_settings(lookup: &Lookup) -> Result<Self, SettingError> {
        let expiry_s = setting::number(lookup, Self::URL_EXPIRY_SECONDS.name, 900, 60..=3600)?;
        Ok(Self {
            bucket: setting::required(lookup, setting::BUCKET.name)?,
            key_secrets: KeySecrets::from_settings(lookup)?,
            layout: Layout::from_settings(lookup)?,
            max_source_bytes: Limits::source_bytes_from_settings(lookup)?,
            url_expiry: Duration::from_secs(expiry_s),
            tokens: token::Rules::from_settings(lookup)?,
            allow_anonymous: setting::flag(lookup, Self::ALLOW_ANONYMOUS.name)?,
            allowed_origins: Origins::from_settings(lookup)?,
            service: setting::text(lookup, setting::FUNCTION_NAME.name)
                .unwrap_or_else(|| "presign".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let secret = "s".repeat(32);
        let base = [("BUCKET", "b"), ("KEY_SECRET", secret.as_str())];
        let find = |name: &str| pairs.iter().chain(&base).find(|(n, _)| *n == name);
        let lookup = |name: &str| find(name).map(|(_, value)| (*value).to_owned());
        Config::from_settings(&lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_defaults_are_the_real_ones() {
        let config = config(&[]).unwrap();
        assert_eq!(Config::URL_EXPIRY_SECONDS.default, config.url_expiry.as_secs().to_string());
        assert_eq!(Limits::MAX_SOURCE_BYTES.default, config.max_source_bytes.to_string());
        assert_eq!(config.layout, Layout::Flat);
        assert!(!config.allow_anonymous && config.tokens.is_none() && config.allowed_origins.is_none());
        assert_eq!(config.service, "presign");
    }

    #[test]
    fn every_bad_setting_is_refused_by_name() {
        for (name, value, expected) in [
            ("BUCKET", "", "BUCKET: is not set"),
            ("KEY_SECRET", "short", "KEY_SECRET: has 5 bytes"),
            ("KEY_SECRET_PREVIOUS", "short", "KEY_SECRET_PREVIOUS: has 5 bytes"),
            ("KEY_LAYOUT", "deep", "KEY_LAYOUT: `deep` is neither"),
            ("URL_EXPIRY_SECONDS", "59", "URL_EXPIRY_SECONDS: `59` is not a whole number from 60 to 3600"),
            (
                "URL_EXPIRY_SECONDS",
                "3601",
                "URL_EXPIRY_SECONDS: `3601` is not a whole number from 60 to 3600",
            ),
            ("MAX_SOURCE_BYTES", "0", "MAX_SOURCE_BYTES: `0` is not"),
            ("JWKS_URL", "https://issuer.example/keys", "JWT_ISSUER: is not set"),
            ("JWT_AUDIENCE", "web", "JWKS_URL: is not set"),
            ("ALLOW_ANONYMOUS", "yes", "ALLOW_ANONYMOUS: `yes` is neither"),
            ("ALLOWED_ORIGINS", "example.org", "ALLOWED_ORIGINS: `example.org` is no origin"),
        ] {
            let error = config(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
