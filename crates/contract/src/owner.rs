//! Whose upload a key is. A key that the API issues holds a mac over its owner, so ownership needs no
//! table: only who can recompute the mac may ask about the upload. Owns the secrets' rules and the
//! shape of issued keys; never logs or prints a secret.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use uuid::Uuid;

use crate::key::{Layout, SourceKey};
use crate::media_type::MediaType;
use crate::revision::to_hex;
use crate::setting::{self, Lookup, SettingError, Variable};

/// Hex digits of the mac in a key: 64 bits, against guessing through an API that answers 404.
const MAC_DIGITS: usize = 16;
const MIN_SECRET_BYTES: usize = 32;

/// The secrets that bind keys to owners: the current one signs, a previous one is still accepted.
#[derive(Clone)]
pub struct KeySecrets {
    current: Vec<u8>,
    previous: Option<Vec<u8>>,
}

impl KeySecrets {
    pub const CURRENT: Variable = Variable {
        name: "KEY_SECRET",
        default: "required",
        meaning: "binds keys to their owners; at least 32 bytes, kept secret",
    };
    pub const PREVIOUS: Variable = Variable {
        name: "KEY_SECRET_PREVIOUS",
        default: "none",
        meaning: "the secret before the last rotation; keys it signed stay their owners'",
    };

    pub fn from_settings(lookup: &Lookup) -> Result<Self, SettingError> {
        let current = setting::required(lookup, Self::CURRENT.name)?;
        let previous = setting::text(lookup, Self::PREVIOUS.name);
        Ok(Self {
            current: long_enough(Self::CURRENT.name, current)?,
            previous: previous.map(|text| long_enough(Self::PREVIOUS.name, text)).transpose()?,
        })
    }
}

fn long_enough(name: &str, secret: String) -> Result<Vec<u8>, SettingError> {
    let bytes = secret.len();
    if bytes < MIN_SECRET_BYTES {
        let problem = format!("has {bytes} bytes; at least {MIN_SECRET_BYTES} are needed");
        return Err(SettingError::new(name, problem));
    }
    Ok(secret.into_bytes())
}

impl fmt::Debug for KeySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecrets(..)")
    }
}

/// Groups uploads in keys; authorises nothing. `[A-Za-z0-9_-]{1,64}`, not `raw` or `processed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArticleId(String);

impl ArticleId {
    pub const RULE: &str = "1 to 64 letters, digits, `_` or `-`, and neither `raw` nor `processed`";

    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        (valid && text != "raw" && text != "processed").then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key of a source that the API issued: `.../<articleId>/<uuid>-<mac>.<ext>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadKey {
    key: SourceKey,
    article_id: ArticleId,
    /// Version 7, so it holds the time of issue.
    uuid: Uuid,
    issued_at: Timestamp,
    mac: String,
}

impl UploadKey {
    /// A key for `sub`, the caller's subject. `uuid` must be of version 7, and of a time before the year 10000.
    pub fn issue(
        layout: Layout,
        secrets: &KeySecrets,
        sub: &str,
        article_id: ArticleId,
        uuid: Uuid,
        media_type: MediaType,
    ) -> Option<Self> {
        let mac = mac(&secrets.current, sub, &article_id, uuid);
        let mac = to_hex(&mac.finalize().into_bytes())[..MAC_DIGITS].to_owned();
        let file_name = format!("{uuid}-{mac}.{}", media_type.extension());
        let key = SourceKey::parse(layout.source_key(article_id.as_str(), &file_name)).ok()?;
        Some(Self { key, article_id, uuid, issued_at: issued_at(uuid)?, mac })
    }

    /// `None` for any key that the API did not issue, whoever asks.
    pub fn parse(key: &str) -> Option<Self> {
        let (folder, file_name) = key.rsplit_once('/')?;
        let article_id = match folder.split('/').collect::<Vec<_>>()[..] {
            ["raw", "articles", article_id] | ["articles", article_id, "raw"] => {
                ArticleId::parse(article_id)?
            }
            _ => return None,
        };
        let (stem, extension) = file_name.split_once('.')?;
        MediaType::ALL.into_iter().find(|known| known.extension() == extension)?;
        let (uuid_text, mac) = stem.rsplit_once('-')?;
        let uuid = Uuid::try_parse(uuid_text).ok()?;
        // Only the form that `issue` writes.
        let canonical = uuid.get_version_num() == 7 && uuid.hyphenated().to_string() == uuid_text;
        let lower_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if !canonical || mac.len() != MAC_DIGITS || !mac.bytes().all(lower_hex) {
            return None;
        }
        let (key, issued_at) = (SourceKey::parse(key).ok()?, issued_at(uuid)?);
        Some(Self { key, article_id, uuid, issued_at, mac: mac.to_owned() })
    }

    pub fn source(&self) -> &SourceKey {
        &self.key
    }

    pub fn article_id(&self) -> &ArticleId {
        &self.article_id
    }

    /// Whether the key was issued to `sub`, compared in constant time.
    pub fn is_owned_by(&self, secrets: &KeySecrets, sub: &str) -> bool {
        let Some(given) = from_hex(&self.mac) else { return false };
        let signed_by = |secret: &[u8]| {
            mac(secret, sub, &self.article_id, self.uuid).verify_truncated_left(&given).is_ok()
        };
        let current = signed_by(&secrets.current);
        let previous = secrets.previous.as_deref().is_some_and(signed_by);
        current | previous
    }

    /// When the URL for this key was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }
}

/// `None` for a time that no clock of ours shows: 48 bits of milliseconds reach beyond the year 9999.
fn issued_at(uuid: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
}

/// Each part has its length before it, so that no two callers' parts run together.
fn mac(secret: &[u8], sub: &str, article_id: &ArticleId, uuid: Uuid) -> Hmac<Sha256> {
    // HMAC takes keys of any length: this never fails.
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).unwrap_or_else(|_| unreachable!());
    for part in [sub.as_bytes(), article_id.as_str().as_bytes(), uuid.as_bytes()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(current: &str, previous: Option<&str>) -> KeySecrets {
        let (current, previous) = (current.repeat(32), previous.map(|p| p.repeat(32)));
        KeySecrets::from_settings(&|name| match name {
            "KEY_SECRET" => Some(current.clone()),
            _ => previous.clone(),
        })
        .unwrap()
    }

    fn issue(secrets: &KeySecrets, sub: &str) -> UploadKey {
        let article_id = ArticleId::parse("a-1").unwrap();
        UploadKey::issue(Layout::Flat, secrets, sub, article_id, Uuid::now_v7(), MediaType::Png).unwrap()
    }

    #[test]
    fn an_issued_key_is_its_owners_alone_in_both_layouts() {
        let secrets = secrets("s", None);
        for layout in [Layout::Flat, Layout::Nested] {
            let article_id = ArticleId::parse("a-1").unwrap();
            let issued =
                UploadKey::issue(layout, &secrets, "ann", article_id, Uuid::now_v7(), MediaType::Png)
                    .unwrap();
            let parsed = UploadKey::parse(issued.source().as_str()).unwrap();
            assert_eq!(parsed, issued);
            assert!(parsed.is_owned_by(&secrets, "ann"));
            assert!(!parsed.is_owned_by(&secrets, "bob"));
            assert!(!parsed.is_owned_by(&secrets, ""));
        }
    }

    #[test]
    fn a_changed_article_uuid_or_mac_is_nobodys() {
        let secrets = secrets("s", None);
        let key = issue(&secrets, "ann").source().as_str().to_owned();
        let uuid = &key["raw/articles/a-1/".len()..][..36];
        let other_uuid = Uuid::now_v7().to_string();
        for changed in [key.replace("a-1", "a-2"), key.replace(uuid, &other_uuid)] {
            assert!(!UploadKey::parse(&changed).unwrap().is_owned_by(&secrets, "ann"), "{changed}");
        }
        let truncated = key.replace(".png", "").strip_suffix(|_: char| true).unwrap().to_owned() + ".png";
        let v4 = key.replace(uuid, "f47ac10b-58cc-4372-a567-0e02b2c3d479");
        for malformed in
            [truncated, v4, key.to_uppercase(), key.replace(".png", ".exe"), key.replace(".png", "")]
        {
            assert_eq!(UploadKey::parse(&malformed), None, "{malformed}");
        }
    }

    #[test]
    fn the_previous_secret_is_accepted_until_it_is_taken_away() {
        let key = issue(&secrets("o", None), "ann");
        assert!(key.is_owned_by(&secrets("n", Some("o")), "ann"));
        assert!(!key.is_owned_by(&secrets("n", None), "ann"));
    }

    #[test]
    fn a_short_secret_is_refused_by_name_and_never_printed() {
        let error = KeySecrets::from_settings(&|_| Some("hunter2".into())).unwrap_err().to_string();
        assert_eq!(error, "KEY_SECRET: has 7 bytes; at least 32 are needed");
        let previous = |name: &str| Some(if name == "KEY_SECRET" { "s".repeat(32) } else { "x".into() });
        assert!(
            KeySecrets::from_settings(&previous).unwrap_err().to_string().starts_with("KEY_SECRET_PREVIOUS")
        );
        assert_eq!(format!("{:?}", secrets("s", None)), "KeySecrets(..)");
    }

    #[test]
    fn the_issue_time_is_in_the_key() {
        let issued_at = issue(&secrets("s", None), "ann").issued_at();
        assert!(Timestamp::now().duration_since(issued_at).as_secs().abs() < 5);
    }

    #[test]
    fn a_key_from_beyond_the_year_9999_is_none_that_the_api_issued() {
        let key = |uuid| format!("raw/articles/a1/{uuid}-0123456789abcdef.png");
        assert!(UploadKey::parse(&key("e677c000-0000-7abc-8def-0123456789ab")).is_some(), "in 9999");
        assert_eq!(UploadKey::parse(&key("f1935b2c-7d1e-7abc-8def-0123456789ab")), None);
        assert_eq!(UploadKey::parse(&key("ffffffff-ffff-7fff-bfff-ffffffffffff")), None);
    }

    #[test]
    fn article_ids_follow_their_rule() {
        for good in ["a", "A-b_9", &"x".repeat(64)] {
            assert!(ArticleId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "raw", "processed", "a/b", "a.b", "é", " a", &"x".repeat(65)] {
            assert!(ArticleId::parse(bad).is_none(), "{bad}");
        }
    }
}
