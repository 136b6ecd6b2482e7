//! What a function tells its operators: log lines and metrics, one JSON object a line on standard output.
//! Owns their shape; knows neither function. Never lets a dependency speak below `warn`: at their more
//! talkative levels the SDK and the runtime print requests, with the tokens and signatures in them.

mod lines;
mod metrics;
mod trace;

use std::error::Error;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{JsonFields, format};
use tracing_subscriber::util::SubscriberInitExt;

pub use lines::listener;
pub use metrics::{Metrics, NAMESPACE, TARGET, Unit};
pub use trace::trace_id;

/// Whose lines follow the level that was asked for.
const OURS: [&str; 2] = ["presign", "worker"];

/// Starts the log. The level is `AWS_LAMBDA_LOG_LEVEL`'s, which Lambda sets, or else `RUST_LOG`'s where that
/// is no more than a level; `info` in place of anything else.
pub fn init() {
    #[expect(clippy::disallowed_methods, reason = "what a log shows is no decision of a function's")]
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    subscriber(level.as_deref().unwrap_or_default(), std::io::stdout).init();
}

/// What [`init`] starts, writing elsewhere.
pub fn subscriber<W>(level: &str, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = lines::Lines(format().json().flatten_event(true).with_target(false).with_span_list(false));
    tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .fmt_fields(JsonFields::new())
        .event_format(lines)
        .with_writer(writer)
        .finish()
}

/// An error and its causes on one line, each said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// `lambda_runtime` has the span with the request's id.
fn filter(level: &str) -> EnvFilter {
    let known = ["trace", "debug", "info", "warn", "error"];
    let level = level.to_ascii_lowercase();
    let level = if known.contains(&level.as_str()) { &level } else { "info" };
    let ours = OURS.map(|name| format!("{name}={level}")).join(",");
    EnvFilter::new(format!("warn,lambda_runtime::layers=info,{TARGET}=info,{ours}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_lines_follow_the_level_and_metrics_are_always_there() {
        let shown = |level: &str| filter(level).to_string();
        for (level, ours) in [("DEBUG", "debug"), ("error", "error"), ("", "info"), ("aws=trace", "info")] {
            let shown = shown(level);
            assert!(shown.contains(&format!("presign={ours}")) && shown.contains("metrics=info"), "{shown}");
            assert!(!shown.contains("aws") && shown.split(',').any(|part| part == "warn"), "{shown}");
        }
    }
}
