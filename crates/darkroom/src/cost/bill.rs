//! From what an upload takes to dollars. Owns the arithmetic, and which of the template's resources cost what; measures nothing and
//! knows no price.

use serde::{Deserialize, Serialize};

use super::mix::Mix;
use super::prices::Prices;

/// MiB of memory with which a function has one core to itself.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
pub const MIB_PER_CORE: f64 = 1769.0;
const MIB_PER_GB: f64 = 1024.0;
/// What S3 counts by.
const GB: f64 = 1e9;
/// Of template.yaml.
const PRESIGN_MIB: f64 = 256.0;
/// In the template: each metric that an alarm watches, and one dashboard.
const ALARMS: f64 = 9.0;
/// What Lambda itself writes of each invocation: START, END, REPORT.
const PLATFORM_LOG_BYTES: f64 = 400.0;
/// Pollers of the event-source mapping, which ask an empty queue every 20 s, in a month of 30 days.
const IDLE_POLLS: f64 = 5.0 * 3.0 * 60.0 * 24.0 * 30.0;
/// Intelligent-Tiering watches larger ones only.
const WATCHED_FROM_BYTES: f64 = 128.0 * 1024.0;

/// What the average upload of a mix took.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    pub worker: Worker,
    /// Of one request to the API.
    pub presign: Presign,
    pub source_bytes: f64,
    pub made_bytes: f64,
    /// Of the rendition that is looked at; 0 where there is none.
    pub viewed_bytes: f64,
    /// Different metrics that the functions tell.
    pub metrics: f64,
}

/// What a worker took of one upload.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Of all cores together.
    pub cpu_ms: f64,
    pub wall_ms: f64,
    pub peak_bytes: Option<u64>,
    pub s3_writes: f64,
    pub s3_reads: f64,
    pub log_bytes: f64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Presign {
    pub cpu_ms: f64,
    pub s3_reads: f64,
    pub log_bytes: f64,
}

/// How the functions are run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizing {
    pub memory_mib: f64,
    pub arm64: bool,
}

/// What one thing costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub service: &'static str,
    pub what: String,
    /// Dollars, for each upload.
    pub each: f64,
    /// Dollars a month, however many there are.
    pub monthly: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    pub lines: Vec<Line>,
    /// What the worker is billed for of each upload.
    pub billed_ms: f64,
}

impl Worker {
    /// What Lambda counts: the cores that the function has are shared by all its threads, and it cannot use more than it used here.
    pub fn billed_ms(&self, memory_mib: f64, s3_wait_ms: f64) -> f64 {
        let used = (self.cpu_ms / self.wall_ms.max(f64::MIN_POSITIVE)).max(1.0);
        let has = memory_mib / MIB_PER_CORE;
        self.cpu_ms / has.min(used) + s3_wait_ms
    }
}

impl Bill {
    pub fn of(measured: &Measured, mix: &Mix, prices: &Prices, sizing: Sizing) -> Self {
        let Measured { worker, presign, .. } = measured;
        let gb_second =
            if sizing.arm64 { prices.lambda.gb_second_arm64 } else { prices.lambda.gb_second_x86_64 };
        let billed_ms = worker.billed_ms(sizing.memory_mib, mix.s3_wait_ms);
        let compute = |mib: f64, ms: f64| mib / MIB_PER_GB * ms / 1000.0 * gb_second;
        let calls = 1.0 + mix.status_requests;
        // Lambda counts whole milliseconds.
        let presign_ms = (presign.cpu_ms / (PRESIGN_MIB / MIB_PER_CORE)).ceil().max(1.0);
        let mut bill = Self { lines: Vec::new(), billed_ms };
        let memory = sizing.memory_mib;
        bill.each(
            "Lambda",
            format!("worker, {billed_ms:.0} ms at {memory} MiB"),
            compute(memory, billed_ms) + prices.lambda.request,
        );
        bill.each(
            "Lambda",
            format!("presign, {calls} calls of {presign_ms:.0} ms at {PRESIGN_MIB} MiB"),
            calls * (compute(PRESIGN_MIB, presign_ms) + prices.lambda.request),
        );
        bill.each("API Gateway", format!("{calls} requests"), calls * prices.api.request);
        bill.s3(measured, mix, prices);
        bill.each("SQS", "3 requests: sent, received, deleted".to_owned(), 3.0 * prices.sqs.request);
        bill.monthly("SQS", "asking an empty queue".to_owned(), IDLE_POLLS * prices.sqs.request);
        bill.cloudwatch(measured, calls, prices);
        bill.each(
            "X-Ray",
            format!("{} % of invocations", 100.0 * mix.traced),
            (1.0 + calls) * mix.traced * prices.xray.trace,
        );
        bill.monthly("Secrets Manager", "the key secret".to_owned(), prices.secrets.secret_month);
        if mix.views > 0.0 {
            let view = measured.viewed_bytes / GB * prices.cloudfront.gb + prices.cloudfront.request;
            bill.each("CloudFront", format!("{} views of {}", mix.views, mix.viewed), mix.views * view);
        }
        bill
    }

    fn s3(&mut self, measured: &Measured, mix: &Mix, prices: &Prices) {
        let Measured { worker, presign, source_bytes, made_bytes, .. } = measured;
        let writes = 1.0 + worker.s3_writes;
        let reads = worker.s3_reads + mix.status_requests * presign.s3_reads;
        self.each(
            "S3",
            format!("{writes:.1} writes, {reads:.1} reads"),
            writes * prices.s3.write + reads * prices.s3.read,
        );
        let months = mix.months_kept;
        // Nobody looks at a source after its first day.
        let frequent = source_bytes / GB * prices.s3.gb_month * months.min(1.0);
        let infrequent = source_bytes / GB * prices.s3.gb_month_infrequent * (months - 1.0).max(0.0);
        let watched =
            if *source_bytes >= WATCHED_FROM_BYTES { prices.s3.monitored_object_month * months } else { 0.0 };
        let sources = frequent + infrequent + watched + prices.s3.transition;
        self.each("S3", format!("source, {:.0} kB for {months} months", source_bytes / 1e3), sources);
        let made = made_bytes / GB * prices.s3.gb_month * months;
        self.each("S3", format!("renditions, {:.0} kB for {months} months", made_bytes / 1e3), made);
    }

    fn cloudwatch(&mut self, measured: &Measured, calls: f64, prices: &Prices) {
        let Measured { worker, presign, metrics, .. } = measured;
        let bytes = worker.log_bytes + calls * presign.log_bytes + (1.0 + calls) * PLATFORM_LOG_BYTES;
        let prices = &prices.cloudwatch;
        self.each(
            "CloudWatch",
            format!("{:.1} kB of log", bytes / 1e3),
            bytes / GB * (prices.log_gb + prices.log_gb_month),
        );
        self.monthly("CloudWatch", format!("{metrics:.0} metrics"), metrics * prices.metric_month);
        let watching = ALARMS * prices.alarm_month + prices.dashboard_month;
        self.monthly("CloudWatch", format!("{ALARMS} alarms, the dashboard"), watching);
    }

    fn each(&mut self, service: &'static str, what: String, each: f64) {
        self.lines.push(Line { service, what, each, monthly: 0.0 });
    }

    fn monthly(&mut self, service: &'static str, what: String, monthly: f64) {
        self.lines.push(Line { service, what, each: 0.0, monthly });
    }

    /// Dollars for a million uploads, where there are so many a month.
    pub fn per_million(&self, uploads_a_month: f64) -> f64 {
        self.lines.iter().map(|line| line.per_million(uploads_a_month)).sum()
    }
}

impl Line {
    /// What costs by the month is borne by that month's uploads.
    pub fn per_million(&self, uploads_a_month: f64) -> f64 {
        1e6 * (self.each + self.monthly / uploads_a_month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn mix() -> Mix {
        Mix::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/mix.toml")).unwrap()
    }

    fn measured() -> Measured {
        Measured {
            worker: Worker {
                cpu_ms: 200.0,
                wall_ms: 200.0,
                s3_writes: 11.0,
                s3_reads: 2.0,
                log_bytes: 1000.0,
                peak_bytes: None,
            },
            presign: Presign { cpu_ms: 0.3, s3_reads: 1.0, log_bytes: 500.0 },
            source_bytes: 4e6,
            made_bytes: 1e6,
            viewed_bytes: 5e4,
            metrics: 30.0,
        }
    }

    const SIZING: Sizing = Sizing { memory_mib: 1769.0, arm64: false };

    fn of(bill: &Bill, service: &str) -> f64 {
        bill.lines.iter().filter(|line| line.service == service).map(|line| line.each * 1e6).sum()
    }

    #[test]
    fn a_bill_is_what_a_pencil_makes_of_it() {
        let mix = Mix {
            status_requests: 1.0,
            s3_wait_ms: 100.0,
            months_kept: 2.0,
            views: 10.0,
            traced: 0.05,
            ..mix()
        };
        let prices = Prices::load(None).unwrap();
        let bill = Bill::of(&measured(), &mix, &prices, SIZING);
        assert!((bill.billed_ms - 300.0).abs() < 1e-9);
        // 0.3 s of 1.7275 GB; 2 calls of 3 ms of 0.25 GB; three requests.
        let lambda = 0.3 * 1.727_539_062_5 * 16.666_7 + 2.0 * 0.003 * 0.25 * 16.666_7 + 3.0 * 0.2;
        assert!((of(&bill, "Lambda") - lambda).abs() < 1e-4, "{bill:?}");
        // 12 writes, 3 reads; 4 MB for one month and one more, watched and moved; 1 MB for two.
        let s3 =
            12.0 * 5.0 + 3.0 * 0.4 + 4000.0 * 0.023 + 4000.0 * 0.0125 + 2.0 * 2.5 + 10.0 + 2000.0 * 0.023;
        assert!((of(&bill, "S3") - s3).abs() < 1e-6, "{bill:?}");
        assert!((of(&bill, "CloudFront") - 10.0 * (50.0 * 0.085 + 1.0)).abs() < 1e-6);
        assert!((of(&bill, "API Gateway") - 2.0).abs() < 1e-9 && (of(&bill, "SQS") - 1.2).abs() < 1e-9);
        assert!((of(&bill, "X-Ray") - 3.0 * 0.05 * 5.0).abs() < 1e-9);
        let fixed: f64 = bill.lines.iter().map(|line| line.monthly).sum();
        assert!((fixed - (0.4 + 30.0 * 0.3 + 0.9 + 3.0 + 648_000.0 * 0.4e-6)).abs() < 1e-9, "{fixed}");
        let both = bill.per_million(1e5) - bill.per_million(1e6);
        assert!((both - 9.0 * fixed).abs() < 1e-6, "a tenth of the uploads bear ten times the month's");
    }

    #[test]
    fn memory_beyond_what_the_function_can_use_costs_and_gives_nothing() {
        let worker = measured().worker;
        let billed = |mib: f64| worker.billed_ms(mib, 0.0);
        assert!((billed(884.5) - 400.0).abs() < 1e-9 && (billed(1769.0) - 200.0).abs() < 1e-9);
        assert!((billed(3538.0) - 200.0).abs() < 1e-9, "it used one core");
        let of_two = Worker { wall_ms: 100.0, ..worker };
        assert!((of_two.billed_ms(3538.0, 0.0) - 100.0).abs() < 1e-9);
    }
}
