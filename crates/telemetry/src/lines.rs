//! How an event becomes a line: metrics as they are, everything else as tracing's JSON. Who is in the same process can
//! listen to the lines of metrics.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::TARGET;

/// Around the format of all other events.
pub struct Lines<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != TARGET {
            return self.0.format_event(context, writer, event);
        }
        writeln!(writer, "{}", Document::of(event).0)
    }
}

/// Calls `heard` with every line of metrics, as it would be written.
pub fn listener<S>(heard: impl Fn(&str) + Send + Sync + 'static) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Listener(heard).with_filter(filter_fn(|metadata| metadata.target() == TARGET))
}

struct Listener<F>(F);

impl<S: Subscriber, F: Fn(&str) + 'static> Layer<S> for Listener<F> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        (self.0)(&Document::of(event).0);
    }
}

/// The one field that an event of metrics has.
#[derive(Default)]
struct Document(String);

impl Document {
    fn of(event: &Event<'_>) -> Self {
        let mut document = Self::default();
        event.record(&mut document);
        document
    }
}

impl Visit for Document {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0 = format!("{value:?}");
    }

    fn record_str(&mut self, _: &Field, value: &str) {
        value.clone_into(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metrics, Unit};
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::format::{JsonFields, format};

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn metrics_are_lines_of_their_own_and_others_carry_the_request() {
        let output = Output::default();
        let writer = output.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(Lines(format().json().flatten_event(true)))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("invoke", requestId = "r-1").entered();
            tracing::info!(status = 200, "answered \"so\"");
            Metrics::new(0).metric(&[("Route", "a\"b")], "HandlerTime", Unit::Milliseconds, 0.5).emit();
        });
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["status"], &lines[0]["span"]["requestId"]), (&200.into(), &"r-1".into()));
        assert_eq!(lines[0]["message"], "answered \"so\"");
        assert_eq!((&lines[1]["Route"], &lines[1]["HandlerTime"]), (&"a\"b".into(), &0.5.into()));
        assert!(lines[1].get("_aws").is_some() && lines.len() == 2, "{text}");
    }
}
