//! Metrics in CloudWatch's embedded format: one JSON object, from whose root CloudWatch takes numbers and
//! dimensions, and in which everything else can be searched.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use serde_json::{Map, Value, json};

/// The target of events that are metrics.
pub const TARGET: &str = "metrics";

pub const NAMESPACE: &str = "Darkroom";

/// CloudWatch's name for what a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Count,
    Milliseconds,
}

/// What one request has to tell.
#[derive(Debug)]
pub struct Metrics {
    timestamp_ms: u64,
    /// Sets of dimensions, and the metrics that have them.
    directives: Vec<(Value, Vec<Value>)>,
    members: Map<String, Value>,
}

impl Metrics {
    /// `timestamp_ms` of the Unix epoch.
    pub fn new(timestamp_ms: u64) -> Self {
        Self { timestamp_ms, directives: Vec::new(), members: Map::new() }
    }

    /// Something to search for, by which nothing is counted: anything may be in it.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// A number, counted apart for each combination of its dimensions: every one costs, so their values
    /// must be few.
    #[must_use]
    pub fn metric(
        self,
        dimensions: &[(&str, &str)],
        name: &str,
        unit: Unit,
        value: impl Into<Value>,
    ) -> Self {
        self.counted(&[dimensions], name, unit, value.into())
    }

    /// A number counted in all, which alarms watch, and once more apart by further dimensions.
    #[must_use]
    pub fn metric_apart(
        self,
        dimensions: &[(&str, &str)],
        apart: &[(&str, &str)],
        name: &str,
        unit: Unit,
        value: impl Into<Value>,
    ) -> Self {
        self.counted(&[dimensions, &[dimensions, apart].concat()], name, unit, value.into())
    }

    fn counted(mut self, sets: &[&[(&str, &str)]], name: &str, unit: Unit, value: Value) -> Self {
        let names = sets.iter().map(|set| set.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let names = json!(names.collect::<Vec<_>>());
        self.directive(&names).push(json!({ "Name": name, "Unit": format!("{unit:?}") }));
        for (name, value) in sets.concat() {
            self = self.property(name, value);
        }
        self.property(name, value)
    }

    /// The list of all metrics with these dimensions: said once, since every byte of a log is paid for.
    fn directive(&mut self, dimensions: &Value) -> &mut Vec<Value> {
        let known = self.directives.iter().position(|(known, _)| known == dimensions);
        let at = known.unwrap_or_else(|| {
            self.directives.push((dimensions.clone(), Vec::new()));
            self.directives.len() - 1
        });
        &mut self.directives[at].1
    }

    /// Writes the line.
    pub fn emit(mut self) {
        let directive = |(dimensions, metrics)| json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics });
        let directives: Vec<Value> = self.directives.into_iter().map(directive).collect();
        let head = json!({ "Timestamp": self.timestamp_ms, "CloudWatchMetrics": directives });
        self.members.insert("_aws".to_owned(), head);
        let document = Value::Object(self.members);
        tracing::info!(target: TARGET, %document);
    }
}
