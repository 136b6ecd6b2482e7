//! What AWS asks: `prices.toml`, or a file like it. Owns its form, and no price.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{from_toml, read};

/// In US dollars, each for one.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Of the newest source that they were checked against.
    pub date: String,
    pub region: String,
    pub lambda: Lambda,
    pub s3: S3,
    pub sqs: Requests,
    pub api: Requests,
    pub cloudwatch: CloudWatch,
    pub xray: XRay,
    pub secrets: Secrets,
    pub cloudfront: CloudFront,
    pub fargate: Fargate,
    pub load_balancer: LoadBalancer,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lambda {
    pub source: String,
    pub gb_second_x86_64: f64,
    pub gb_second_arm64: f64,
    pub request: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub source: String,
    pub write: f64,
    pub read: f64,
    pub transition: f64,
    pub gb_month: f64,
    pub gb_month_infrequent: f64,
    pub gb_month_archive_instant: f64,
    pub monitored_object_month: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    pub source: String,
    pub request: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CloudWatch {
    pub source: String,
    pub log_gb: f64,
    pub log_gb_month: f64,
    pub metric_month: f64,
    pub alarm_month: f64,
    pub dashboard_month: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct XRay {
    pub source: String,
    pub trace: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub source: String,
    pub secret_month: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CloudFront {
    pub source: String,
    pub gb: f64,
    pub request: f64,
}

/// Of the comparison with a server that resizes on request.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fargate {
    pub source: String,
    pub vcpu_hour: f64,
    pub gb_hour: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    pub source: String,
    pub hour: f64,
}

impl Prices {
    const BUILT_IN: &str = include_str!("../../prices.toml");

    /// Those of a file, or the built-in ones.
    ///
    /// # Errors
    /// Names the file, and the field that is missing, unknown or no number.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        match file {
            Some(path) => read(path, from_toml),
            None => from_toml(Self::BUILT_IN).context("prices.toml"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_price_is_one_of_a_dated_source() {
        let prices = serde_json::to_value(Prices::load(None).unwrap()).unwrap();
        let date: jiff::civil::Date = prices["date"].as_str().unwrap().parse().unwrap();
        assert!(date.year() >= 2026);
        for (service, of_it) in prices.as_object().unwrap().iter().filter(|(_, value)| value.is_object()) {
            assert!(of_it["source"].as_str().unwrap().starts_with("https://aws.amazon.com/"), "{service}");
            for (name, price) in of_it.as_object().unwrap().iter().filter(|(name, _)| *name != "source") {
                assert!(price.as_f64().is_some_and(|price| price > 0.0 && price < 10.0), "{service}.{name}");
            }
        }
    }

    #[test]
    fn a_price_that_is_missing_or_unknown_is_named() {
        for (from, to, named) in
            [("date = ", "dat = ", "dat"), ("gb_second_arm64", "gb_second_arm", "gb_second_arm")]
        {
            let error = from_toml::<Prices>(&Prices::BUILT_IN.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(&format!("unknown field `{named}`")), "{error}");
        }
    }
}
