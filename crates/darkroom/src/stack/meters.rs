//! What CloudWatch would make of the functions' metrics: reads the very lines that it would read, by the same rules, and
//! keeps every number of every combination of dimensions. Owns that reading and `GET /dev/metrics`; never decides what is
//! counted, and knows no metric by name.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::stats::percentile;

/// Values of a metric of which quantiles and histograms are made: the newest.
const KEPT: usize = 4096;
/// Metrics that are kept apart: CloudWatch takes any number, and asks for money for each.
const MOST: usize = 1000;

/// All metrics of this process. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Meters(Arc<watch::Sender<BTreeMap<Id, Series>>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    name: String,
    /// How many dimensions: what counts all comes before its parts.
    depth: usize,
    dimensions: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Series {
    unit: String,
    count: u64,
    sum: f64,
    max: f64,
    newest: VecDeque<f64>,
}

/// What one metric has come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Meter {
    pub name: String,
    pub unit: String,
    pub dimensions: BTreeMap<String, String>,
    pub count: u64,
    pub sum: f64,
    pub max: f64,
    pub p50: f64,
    pub p99: f64,
    /// Of times alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<Bin>,
}

/// How many values are at most `to`, and more than the last bin's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    pub to: f64,
    pub count: usize,
}

impl Meters {
    /// Hears the metrics of the functions that run in this process.
    pub fn listener<S>(&self) -> impl tracing_subscriber::Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        let meters = self.clone();
        telemetry::listener(move |line| meters.read(line))
    }

    /// Takes what a line has to count, as CloudWatch does: what is not of its form is passed over.
    pub fn read(&self, line: &str) {
        let Ok(root) = serde_json::from_str::<Value>(line) else { return };
        let found = values(&root);
        if found.is_empty() {
            return;
        }
        self.0.send_modify(|all| {
            for (id, unit, value) in found {
                if all.len() < MOST || all.contains_key(&id) {
                    all.entry(id).or_default().add(unit, value);
                }
            }
        });
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.send_modify(BTreeMap::clear);
    }

    /// Told of whenever anything is counted.
    pub fn changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.0.subscribe()
    }

    /// By name, each in all before its parts.
    pub fn all(&self) -> Vec<Meter> {
        self.0.borrow().iter().map(|(id, series)| series.meter(id)).collect()
    }

    /// The metric of this name that only the function itself tells apart.
    pub fn of_service(&self, name: &str) -> Option<Meter> {
        let all = self.0.borrow();
        let (id, series) = all.iter().find(|(id, _)| id.name == name && id.depth == 1)?;
        Some(series.meter(id))
    }
}

/// Every number that a line announces, once for each set of its dimensions.
fn values(root: &Value) -> Vec<(Id, &str, f64)> {
    let mut found = Vec::new();
    for directive in items(&root["_aws"]["CloudWatchMetrics"]) {
        if directive["Namespace"] != telemetry::NAMESPACE {
            continue;
        }
        for names in items(&directive["Dimensions"]) {
            let dimension = |name: &Value| {
                let name = name.as_str()?;
                Some((name.to_owned(), root[name].as_str()?.to_owned()))
            };
            let Some(dimensions) = items(names).map(dimension).collect::<Option<BTreeMap<_, _>>>() else {
                continue;
            };
            for metric in items(&directive["Metrics"]) {
                let Some(name) = metric["Name"].as_str() else { continue };
                let Some(value) = root[name].as_f64() else { continue };
                let dimensions = dimensions.clone();
                let id = Id { name: name.to_owned(), depth: dimensions.len(), dimensions };
                found.push((id, metric["Unit"].as_str().unwrap_or("None"), value));
            }
        }
    }
    found
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

impl Series {
    fn add(&mut self, unit: &str, value: f64) {
        if self.count == 0 {
            unit.clone_into(&mut self.unit);
            self.max = value;
        }
        self.count += 1;
        self.sum += value;
        self.max = self.max.max(value);
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(value);
    }

    fn meter(&self, id: &Id) -> Meter {
        let mut sorted: Vec<f64> = self.newest.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let histogram = if self.unit == "Milliseconds" { histogram(&sorted) } else { Vec::new() };
        let (Id { name, dimensions, .. }, Self { unit, count, sum, max, .. }) = (id.clone(), self);
        let (unit, p50, p99) = (unit.clone(), percentile(&sorted, 50), percentile(&sorted, 99));
        Meter { name, unit, dimensions, count: *count, sum: *sum, max: *max, p50, p99, histogram }
    }
}

/// From the first bin with anything in it to the last, by the bounds 1, 2, 5, 10, 20, 50...
fn histogram(sorted: &[f64]) -> Vec<Bin> {
    let bounds = (0..).flat_map(|power| [1.0, 2.0, 5.0].map(|first| first * 10_f64.powi(power)));
    let mut bins = Vec::new();
    let mut rest = sorted;
    for to in bounds {
        if rest.is_empty() {
            break;
        }
        let count = rest.partition_point(|value| *value <= to);
        rest = &rest[count..];
        if count > 0 || !bins.is_empty() {
            bins.push(Bin { to, count });
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[
        {"Namespace":"Darkroom","Dimensions":[["Service"],["Service","Code"]],"Metrics":[{"Name":"Rejected","Unit":"Count"}]},
        {"Namespace":"Darkroom","Dimensions":[["Service"]],"Metrics":[{"Name":"ReadTime","Unit":"Milliseconds"}]},
        {"Namespace":"Other","Dimensions":[["Service"]],"Metrics":[{"Name":"Elsewhere","Unit":"Count"}]}]},
        "Service":"worker","Code":"corrupt","Rejected":1,"ReadTime":12.5,"Elsewhere":1,"receiveCount":3}"#;

    #[test]
    fn a_number_is_counted_once_for_each_set_of_dimensions_that_its_line_announces() {
        let meters = Meters::default();
        meters.read(LINE);
        meters.read(LINE);
        let all = meters.all();
        let told: Vec<_> = all.iter().map(|one| (&*one.name, one.dimensions.len(), one.count)).collect();
        assert_eq!(told, [("ReadTime", 1, 2), ("Rejected", 1, 2), ("Rejected", 2, 2)]);
        assert_eq!((all[0].sum, all[0].max, all[0].p50), (25.0, 12.5, 12.5));
        assert_eq!(all[0].histogram, [Bin { to: 20.0, count: 2 }]);
        assert_eq!(all[2].dimensions["Code"], "corrupt");
        assert!(all[1].histogram.is_empty());
    }

    #[test]
    fn what_is_not_of_the_form_is_passed_over() {
        let meters = Meters::default();
        let lacks_dimension = LINE.replace(r#""Code":"corrupt","#, "");
        for line in ["", "{}", "[]", "null", r#"{"_aws":{"CloudWatchMetrics":7}}"#, r#"{"_aws":1}"#] {
            meters.read(line);
        }
        assert!(meters.all().is_empty());
        meters.read(&lacks_dimension);
        assert_eq!(meters.all().len(), 2, "the set that is whole counts");
    }

    #[test]
    fn metrics_without_end_take_no_memory_without_end() {
        let meters = Meters::default();
        for service in 0..2 * MOST {
            meters.read(&LINE.replace("worker", &service.to_string()));
        }
        assert_eq!(meters.all().len(), MOST);
    }

    proptest! {
        #[test]
        fn a_histogram_holds_every_value_in_the_bin_that_its_bounds_say(mut values in prop::collection::vec(0.0..1e6_f64, 0..200)) {
            values.sort_by(f64::total_cmp);
            let bins = histogram(&values);
            prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<usize>(), values.len());
            let mut above = 0;
            for bin in &bins {
                above += bin.count;
                prop_assert_eq!(values.partition_point(|value| *value <= bin.to), above);
            }
            prop_assert!(bins.first().is_none_or(|bin| bin.count > 0) && bins.last().is_none_or(|bin| bin.count > 0));
        }
    }
}
