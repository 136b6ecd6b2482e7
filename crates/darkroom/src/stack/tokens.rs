//! The stack's secrets, and the tokens that its gateway issues and verifies in place of an identity
//! provider. Worth nothing beyond this machine; never logged.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const ISSUER: &str = "darkroom-dev";
const TOKEN_LIFE_S: i64 = 12 * 3600;

/// Made at the first start and kept, so that keys and tokens outlive a restart.
#[derive(Serialize, Deserialize)]
pub struct Secrets {
    pub key_secret: String,
    token_secret: String,
}

impl Secrets {
    /// From `<dir>/secrets.json`; without a folder, new ones.
    pub fn open(dir: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = dir.map(|dir| dir.join("secrets.json")) else { return Self::new() };
        match fs::read(&path) {
            Ok(json) => {
                serde_json::from_slice(&json).with_context(|| format!("{} is damaged", path.display()))
            }
            // Any other error must not replace what is there: every key issued before would be nobody's.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot read {}", path.display()))
            }
            Err(_) => {
                let secrets = Self::new()?;
                write_private(&path, &serde_json::to_vec(&secrets)?)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(secrets)
            }
        }
    }

    fn new() -> anyhow::Result<Self> {
        Ok(Self { key_secret: random_hex()?, token_secret: random_hex()? })
    }
}

fn random_hex() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Readable by this user alone, and whole or not there.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'a str,
    iat: i64,
    exp: i64,
}

/// Issues and verifies tokens.
pub struct Tokens {
    sign: EncodingKey,
    verify: DecodingKey,
}

impl Tokens {
    pub fn new(secrets: &Secrets) -> Self {
        let secret = secrets.token_secret.as_bytes();
        Self { sign: EncodingKey::from_secret(secret), verify: DecodingKey::from_secret(secret) }
    }

    /// A token for `sub`, valid for half a day.
    pub fn issue(&self, sub: &str) -> anyhow::Result<String> {
        let iat = jiff::Timestamp::now().as_second();
        let claims = Claims { sub, iss: ISSUER, iat, exp: iat + TOKEN_LIFE_S };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)?)
    }

    /// The claims of a valid token; `None` for any other.
    pub fn claims(&self, token: &str) -> Option<Map<String, Value>> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "sub", "iss"]);
        validation.leeway = 0;
        jsonwebtoken::decode(token, &self.verify, &validation).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(&Secrets::new().unwrap())
    }

    #[test]
    fn only_tokens_of_this_stack_are_valid() {
        let ours = tokens();
        let token = ours.issue("ann").unwrap();
        assert_eq!(ours.claims(&token).unwrap()["sub"], "ann");
        assert!(tokens().claims(&token).is_none());
        assert!(ours.claims(&token[..token.len() - 1]).is_none());
        assert!(ours.claims("").is_none());
    }

    #[test]
    fn expired_unsigned_and_subjectless_tokens_are_refused() {
        let ours = tokens();
        let signed = |claims: Value| jsonwebtoken::encode(&Header::default(), &claims, &ours.sign).unwrap();
        let now = jiff::Timestamp::now().as_second();
        let valid = serde_json::json!({"sub": "ann", "iss": ISSUER, "exp": now + 60});
        assert!(ours.claims(&signed(valid.clone())).is_some());
        for (name, value) in [("exp", Value::from(now - 1)), ("iss", "other".into()), ("sub", Value::Null)] {
            let mut claims = valid.clone();
            claims[name] = value;
            assert!(ours.claims(&signed(claims)).is_none(), "{name}");
        }
        let unsigned =
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJpc3MiOiJkYXJrcm9vbS1kZXYiLCJleHAiOjk5OTk5OTk5OTl9.";
        assert!(ours.claims(unsigned).is_none());
    }

    #[test]
    fn secrets_are_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = Secrets::open(Some(dir.path())).unwrap();
        let second = Secrets::open(Some(dir.path())).unwrap();
        assert_eq!(first.key_secret, second.key_secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("secrets.json")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
