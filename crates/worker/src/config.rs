//! The worker's settings. The only module that reads the environment, and it does so through a lookup
//! that tests can stand behind. A bad setting ends the start, by name.

use contract::limits::DEFAULT_MEMORY_MIB;
use contract::setting::{self, Lookup, SettingError, Variable};
use contract::{Limits, Recipe};

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
    pub const MEMORY: Variable = Variable {
        name: "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        default: "2048",
        meaning: "MiB, set by Lambda; 60 % of it bounds the memory that pixel work may take",
    };

    /// Everything that the worker reads, in the order of the README's table.
    pub const VARIABLES: [Variable; 9] = [
        setting::BUCKET,
        Self::RECIPE,
        Self::RECIPE_FILE,
        Limits::MAX_SOURCE_BYTES,
        Limits::MAX_PIXELS,
        Limits::MAX_SIDE_PX,
        Limits::MAX_FRAMES,
        Self::MAX_RECEIVE_COUNT,
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
        })
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
