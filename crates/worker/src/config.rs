//! The worker's settings. The only module that reads the environment, and it does so through a lookup
//! that tests can stand behind. A bad setting ends the start, by name.

use std::num::NonZeroUsize;
use std::time::Duration;

use contract::limits::DEFAULT_MEMORY_MIB;
use contract::setting::{self, Lookup, SettingError, Variable};
use contract::{Limits, Recipe};

use crate::retry;

/// Set by Lambda alone.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Lambda's smallest and largest memory, MiB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MEMORY_MIB: std::ops::RangeInclusive<u64> = 128..=10_240;

#[derive(Debug, Clone)]
pub struct Config {
    /// The only bucket that this worker reads and writes.
    pub bucket: String,
    pub recipe: Recipe,
    pub limits: Limits,
    /// Receives after which SQS hands a message to the dead-letter queue.
    pub max_receive_count: u32,
    /// How long failed messages stay hidden; see [`retry`].
    pub retry_delays: Vec<Duration>,
    pub queue_url: Option<String>,
    /// Of the poller; `None` has no health endpoint.
    pub health_port: Option<u16>,
    pub event_topic_arn: Option<String>,
    pub event_bus: Option<String>,
    pub distribution_id: Option<String>,
    /// How many have pixel work at once: all that the process may use.
    pub cores: NonZeroUsize,
    /// Whether Lambda's Runtime API hands out the messages.
    pub is_lambda: bool,
    /// The name by which metrics tell this function from others.
    pub service: String,
}

impl Config {
    pub const RECIPE: Variable = Variable {
        name: "RECIPE",
        default: "built in",
        meaning: "the recipe itself, TOML or JSON; takes precedence over `RECIPE_FILE`",
    };
    pub const RECIPE_FILE: Variable =
        Variable { name: "RECIPE_FILE", default: "none", meaning: "path of a recipe, TOML or JSON" };
    pub const MAX_RECEIVE_COUNT: Variable = Variable {
        name: "MAX_RECEIVE_COUNT",
        default: "10",
        meaning: "the queue's `maxReceiveCount`; on the last receive a failure is told in the manifest",
    };
    pub const QUEUE_URL: Variable = Variable {
        name: "QUEUE_URL",
        default: "none",
        meaning: "the queue: failed messages are hidden there for a growing time; outside Lambda, it is polled",
    };
    pub const HEALTH_PORT: Variable = Variable {
        name: "HEALTH_PORT",
        default: "8080",
        meaning: "outside Lambda: `GET /healthz` on this port; 0 for none",
    };
    pub const EVENT_TOPIC_ARN: Variable = Variable {
        name: "EVENT_TOPIC_ARN",
        default: "none",
        meaning: "an SNS topic that is told of every upload that is ready, rejected or removed",
    };
    pub const EVENT_BUS: Variable = Variable {
        name: "EVENT_BUS",
        default: "none",
        meaning: "an EventBridge bus that is told the same, by name or ARN",
    };
    pub const DISTRIBUTION_ID: Variable = Variable {
        name: "DISTRIBUTION_ID",
        default: "none",
        meaning: "the CloudFront distribution whose copies of removed images are invalidated",
    };
    pub const MEMORY: Variable = Variable {
        name: "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        default: "2048",
        meaning: "MiB, set by Lambda; 60 % of it bounds the memory that pixel work may take",
    };

    /// Everything that the worker reads, in the order of the README's table.
    pub const VARIABLES: [Variable; 15] = [
        setting::BUCKET,
        Self::RECIPE,
        Self::RECIPE_FILE,
        Limits::MAX_SOURCE_BYTES,
        Limits::MAX_PIXELS,
        Limits::MAX_SIDE_PX,
        Limits::MAX_FRAMES,
        Self::MAX_RECEIVE_COUNT,
        Self::QUEUE_URL,
        Self::HEALTH_PORT,
        Self::EVENT_TOPIC_ARN,
        Self::EVENT_BUS,
        Self::DISTRIBUTION_ID,
        setting::FUNCTION_NAME,
        Self::MEMORY,
    ];

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_env() -> Result<Self, SettingError> {
        Self::from_settings(&|name| std::env::var(name).ok())
    }

    pub fn from_settings(lookup: &Lookup) -> Result<Self, SettingError> {
        let memory_mib = setting::number(lookup, Self::MEMORY.name, DEFAULT_MEMORY_MIB, MEMORY_MIB)?;
        Ok(Self {
            bucket: setting::required(lookup, setting::BUCKET.name)?,
            recipe: recipe(lookup)?,
            limits: Limits::from_settings(lookup, memory_mib)?,
            max_receive_count: setting::number(lookup, Self::MAX_RECEIVE_COUNT.name, 10, 1..=1000)?,
            retry_delays: retry::DELAYS.to_vec(),
            queue_url: queue_url(lookup)?,
            health_port: Some(setting::number(lookup, Self::HEALTH_PORT.name, 8080, 0..=u16::MAX)?)
                .filter(|port| *port != 0),
            event_topic_arn: setting::text(lookup, Self::EVENT_TOPIC_ARN.name),
            event_bus: setting::text(lookup, Self::EVENT_BUS.name),
            distribution_id: setting::text(lookup, Self::DISTRIBUTION_ID.name),
            cores: cores(),
            is_lambda: setting::text(lookup, RUNTIME_API).is_some(),
            service: setting::text(lookup, setting::FUNCTION_NAME.name)
                .unwrap_or_else(|| "worker".to_owned()),
        })
    }
}

/// As the operating system has it, a container's limits included.
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A name or an ARN, which people try, is told from a URL here rather than by the first request.
fn queue_url(lookup: &Lookup) -> Result<Option<String>, SettingError> {
    let name = Config::QUEUE_URL.name;
    match setting::text(lookup, name) {
        Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
            Err(SettingError::new(name, format!("`{url}` is no URL: `https://sqs...` is needed")))
        }
        url => Ok(url),
    }
}

fn recipe(lookup: &Lookup) -> Result<Recipe, SettingError> {
    if let Some(text) = setting::text(lookup, Config::RECIPE.name) {
        return parse_recipe(&text).map_err(|problem| SettingError::new(Config::RECIPE.name, problem));
    }
    match setting::text(lookup, Config::RECIPE_FILE.name) {
        Some(path) => {
            read_recipe(&path).map_err(|problem| SettingError::new(Config::RECIPE_FILE.name, problem))
        }
        None => Ok(Recipe::default()),
    }
}

/// Reads and checks a recipe file, TOML or JSON. The error names the file and the field.
pub fn read_recipe(path: &str) -> Result<Recipe, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    parse_recipe(&text).map_err(|problem| format!("{path}: {problem}"))
}

/// Checks the fields, and that this build can encode what they ask for.
fn parse_recipe(text: &str) -> Result<Recipe, String> {
    let recipe = Recipe::parse(text).map_err(|error| error.to_string())?;
    imaging::check_recipe(&recipe).map_err(|error| error.to_string())?;
    Ok(recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let lookup =
            |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Config::from_settings(&lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_bucket_is_required() {
        let config = config(&[("BUCKET", "b")]).unwrap();
        assert_eq!(config.recipe, Recipe::default());
        assert_eq!(config.limits, Limits::default());
        assert_eq!(Config::MAX_RECEIVE_COUNT.default, config.max_receive_count.to_string());
        assert_eq!(Some(Config::HEALTH_PORT.default.parse().unwrap()), config.health_port);
        assert_eq!(Config::MEMORY.default, DEFAULT_MEMORY_MIB.to_string());
    }

    #[test]
    fn every_bad_setting_is_refused_by_name() {
        for (name, value, expected) in [
            ("BUCKET", " ", "BUCKET: is not set"),
            ("RECIPE", "[[rendition]]\nname = \"A\"", "RECIPE: recipe: rendition[0].name: "),
            ("RECIPE_FILE", "no/such/file", "RECIPE_FILE: cannot read no/such/file: "),
            ("MAX_PIXELS", "lots", "MAX_PIXELS: `lots` is not"),
            ("MAX_RECEIVE_COUNT", "0", "MAX_RECEIVE_COUNT: `0` is not"),
            ("QUEUE_URL", "arn:aws:sqs:us-east-1:1:q", "QUEUE_URL: `arn:aws:sqs:us-east-1:1:q` is no URL"),
            ("HEALTH_PORT", "65536", "HEALTH_PORT: `65536` is not"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE: `1` is not"),
        ] {
            let bucket = if name == "BUCKET" { value } else { "b" };
            let error = config(&[(name, value), ("BUCKET", bucket)]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "avif"))]
    fn a_recipe_that_this_build_cannot_encode_is_refused_at_start() {
        let avif = "formats = [{ format = \"avif\" }]\n[[rendition]]\nname = \"a\"\nwidth = 1";
        let error = config(&[("BUCKET", "b"), ("RECIPE", avif)]).unwrap_err();
        assert!(error.starts_with("RECIPE: recipe: formats[0].format: "), "{error}");
    }
}
