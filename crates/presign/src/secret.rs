//! The key secret where AWS Secrets Manager keeps it. Owns which of its versions are asked for; never keeps
//! or prints one.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use contract::KeySecrets;
use contract::setting::{self, Lookup, SettingError, Variable};

/// The stages that Secrets Manager moves along with each rotation.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html>
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

pub const ARN: Variable = Variable {
    name: "KEY_SECRET_ARN",
    default: "none",
    meaning: "in place of `KEY_SECRET` and the one before it: the secret of AWS Secrets Manager whose current and previous versions they are",
};

/// The settings that come from there.
#[derive(Default)]
pub struct Kept {
    current: Option<String>,
    previous: Option<String>,
}

impl Kept {
    pub fn get(&self, name: &str) -> Option<String> {
        match name {
            name if name == KeySecrets::CURRENT.name => self.current.clone(),
            name if name == KeySecrets::PREVIOUS.name => self.previous.clone(),
            _ => None,
        }
    }
}

/// What is kept there; nothing where no setting says so.
pub async fn kept(lookup: &Lookup<'_>, client: impl FnOnce() -> Client) -> Result<Kept, SettingError> {
    let Some(arn) = setting::text(lookup, ARN.name) else { return Ok(Kept::default()) };
    for name in [KeySecrets::CURRENT.name, KeySecrets::PREVIOUS.name] {
        if setting::text(lookup, name).is_some() {
            return Err(SettingError::new(ARN.name, format!("is set beside {name}: one of them is enough")));
        }
    }
    let client = client();
    let (current, previous) = tokio::join!(version(&client, &arn, CURRENT), version(&client, &arn, PREVIOUS));
    let current = current?.ok_or_else(|| SettingError::new(ARN.name, format!("`{arn}` has no text")))?;
    Ok(Kept { current: Some(current), previous: previous? })
}

/// None where there is none, as of a secret that was never rotated.
async fn version(client: &Client, arn: &str, stage: &str) -> Result<Option<String>, SettingError> {
    match client.get_secret_value().secret_id(arn).version_stage(stage).send().await {
        Ok(secret) => Ok(secret.secret_string),
        Err(error) if stage == PREVIOUS && is_missing(&error) => Ok(None),
        Err(error) => {
            let problem = format!("`{arn}` cannot be read: {}", DisplayErrorContext(error));
            Err(SettingError::new(ARN.name, problem))
        }
    }
}

fn is_missing(error: &SdkError<GetSecretValueError>) -> bool {
    error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception)
}
