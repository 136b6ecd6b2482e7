//! From what an upload takes to dollars. Owns the arithmetic, and which of the template's resources cost what; measures nothing and
//! knows no price.

use serde::Serialize;

use super::mix::Mix;
use super::prices::{Prices, S3};

/// MiB of memory with which a function has one core to itself.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
pub const MIB_PER_CORE: f64 = 1769.0;
const MIB_PER_GB: f64 = 1024.0;
/// What S3 counts by: <https://aws.amazon.com/s3/faqs/>.
const S3_GB: f64 = 1_073_741_824.0;
/// Of logs, and of what CloudFront serves; where AWS should count as S3 does, it is less.
const GB: f64 = 1e9;
/// Of template.yaml.
const PRESIGN_MIB: f64 = 256.0;
/// In the template: each metric that an alarm watches, and one dashboard.
const ALARMS: f64 = 9.0;
/// A worker's, one after another.
const ROUND_TRIPS: f64 = 4.0;
/// What Lambda itself writes of each invocation: START, END, REPORT.
const PLATFORM_LOG_BYTES: f64 = 400.0;
/// What API Gateway writes of each request, in the template's form.
const ACCESS_LOG_BYTES: f64 = 300.0;
const SECONDS_A_MONTH: f64 = 60.0 * 60.0 * 24.0 * 30.0;
/// Pollers of the event-source mapping, which ask an empty queue every 20 s.
const IDLE_POLLS: f64 = 5.0 * SECONDS_A_MONTH / 20.0;
/// Of Intelligent-Tiering, smaller objects are not moved, and cost what Standard costs.
pub const TIERED_FROM_BYTES: u64 = 128 * 1024;
/// Of the invocations beyond one a second.
const TRACED: f64 = 0.05;

/// What the average upload of a mix took.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    pub worker: Worker,
    /// Of one request to the API.
    pub presign: Presign,
    pub source_bytes: f64,
    /// Of sources that are large enough for Intelligent-Tiering.
    pub tiered_bytes: f64,
    /// The part of sources that are.
    pub tiered: f64,
    pub made_bytes: f64,
    /// Of the rendition that is looked at; 0 where there is none.
    pub viewed_bytes: f64,
    /// Different metrics that the functions tell.
    pub metrics: f64,
}

/// What a worker took of one upload.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
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

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
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
    pub uploads_a_month: f64,
    /// What the worker is billed for of each upload.
    pub billed_ms: f64,
}

impl Worker {
    /// What Lambda counts: the cores that the function has are shared by all its threads, and it cannot use more than it used here.
    pub fn billed_ms(&self, memory_mib: f64, s3_round_trip_ms: f64) -> f64 {
        let used = (self.cpu_ms / self.wall_ms.max(f64::MIN_POSITIVE)).max(1.0);
        let has = memory_mib / MIB_PER_CORE;
        self.cpu_ms / has.min(used) + ROUND_TRIPS * s3_round_trip_ms
    }
}

impl Bill {
    /// What uploads cost where there are so many in a month.
    pub fn of(measured: &Measured, mix: &Mix, prices: &Prices, sizing: Sizing, uploads_a_month: f64) -> Self {
        let Measured { worker, presign, .. } = measured;
        let gb_second =
            if sizing.arm64 { prices.lambda.gb_second_arm64 } else { prices.lambda.gb_second_x86_64 };
        let billed_ms = worker.billed_ms(sizing.memory_mib, mix.s3_round_trip_ms);
        let compute = |mib: f64, ms: f64| mib / MIB_PER_GB * ms / 1000.0 * gb_second;
        let calls = 1.0 + mix.status_requests;
        let presign_ms = calls * presign.cpu_ms / (PRESIGN_MIB / MIB_PER_CORE)
            + mix.status_requests * mix.s3_round_trip_ms;
        let mut bill = Self { lines: Vec::new(), uploads_a_month, billed_ms };
        let memory = sizing.memory_mib;
        bill.each(
            "Lambda",
            format!("worker, {billed_ms:.0} ms at {memory} MiB"),
            compute(memory, billed_ms) + prices.lambda.request,
        );
        bill.each(
            "Lambda",
            format!("presign, {calls} calls, {presign_ms:.0} ms in all at {PRESIGN_MIB} MiB"),
            compute(PRESIGN_MIB, presign_ms) + calls * prices.lambda.request,
        );
        bill.each("API Gateway", format!("{calls} requests"), calls * prices.api.request);
        bill.s3(measured, mix, prices);
        bill.each("SQS", "3 requests: sent, received, deleted".to_owned(), 3.0 * prices.sqs.request);
        bill.monthly("SQS", "asking an empty queue".to_owned(), IDLE_POLLS * prices.sqs.request);
        bill.cloudwatch(measured, calls, prices);
        let traces = traces(uploads_a_month) + traces(calls * uploads_a_month);
        bill.monthly("X-Ray", format!("{traces:.0} traces"), traces * prices.xray.trace);
        bill.monthly("Secrets Manager", "the key secret".to_owned(), prices.secrets.secret_month);
        if mix.views > 0.0 {
            let view = measured.viewed_bytes / GB * prices.cloudfront.gb + prices.cloudfront.request;
            bill.each("CloudFront", format!("{} views of {}", mix.views, mix.viewed), mix.views * view);
        }
        bill
    }

    fn s3(&mut self, measured: &Measured, mix: &Mix, prices: &Prices) {
        let Measured { worker, presign, source_bytes, tiered_bytes, tiered, made_bytes, .. } = measured;
        let writes = 1.0 + worker.s3_writes;
        let reads = worker.s3_reads + mix.status_requests * presign.s3_reads;
        let requests = writes * prices.s3.write + reads * prices.s3.read;
        self.each("S3", format!("{writes:.1} writes, {reads:.1} reads"), requests);
        let (prices, months) = (&prices.s3, mix.months_kept);
        let standard = |bytes: f64| bytes / S3_GB * prices.gb_month * months;
        let tiering = tiered_bytes / S3_GB * tiers(months, prices)
            + tiered * (prices.monitored_object_month * months + prices.transition);
        let sources = standard(source_bytes - tiered_bytes) + tiering;
        self.each("S3", format!("source, {:.0} kB for {months} months", source_bytes / 1e3), sources);
        let what = format!("renditions, {:.0} kB for {months} months", made_bytes / 1e3);
        self.each("S3", what, standard(*made_bytes));
    }

    fn cloudwatch(&mut self, measured: &Measured, calls: f64, prices: &Prices) {
        let Measured { worker, presign, metrics, .. } = measured;
        let by_lambda = (1.0 + calls) * PLATFORM_LOG_BYTES;
        let bytes = worker.log_bytes + calls * (presign.log_bytes + ACCESS_LOG_BYTES) + by_lambda;
        let prices = &prices.cloudwatch;
        let log = bytes / GB * (prices.log_gb + prices.log_gb_month);
        self.each("CloudWatch", format!("{:.1} kB of log", bytes / 1e3), log);
        let what = format!("{metrics:.0} metrics, and each further code, route and type");
        self.monthly("CloudWatch", what, metrics * prices.metric_month);
        let watching = ALARMS * prices.alarm_month + prices.dashboard_month;
        self.monthly("CloudWatch", format!("{ALARMS} alarms, the dashboard"), watching);
    }

    fn each(&mut self, service: &'static str, what: String, each: f64) {
        self.lines.push(Line { service, what, each, monthly: 0.0 });
    }

    fn monthly(&mut self, service: &'static str, what: String, monthly: f64) {
        self.lines.push(Line { service, what, each: 0.0, monthly });
    }

    /// Dollars for a million uploads. What costs by the month is borne by that month's.
    pub fn per_million(&self) -> f64 {
        self.lines.iter().map(|line| self.line_per_million(line)).sum()
    }

    pub fn line_per_million(&self, line: &Line) -> f64 {
        1e6 * (line.each + line.monthly / self.uploads_a_month)
    }
}

/// A GB for so many months that nobody looks at it, after its first day.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intelligent-tiering-overview.html>
fn tiers(months: f64, prices: &S3) -> f64 {
    let within = |from: f64, to: f64| (months.min(to) - from).max(0.0);
    within(0.0, 1.0) * prices.gb_month
        + within(1.0, 3.0) * prices.gb_month_infrequent
        + within(3.0, f64::INFINITY) * prices.gb_month_archive_instant
}

/// Of a month's invocations of one function that come at any time: one of each second, and a part of the others.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html>
fn traces(invocations: f64) -> f64 {
    let firsts = SECONDS_A_MONTH * -(-invocations / SECONDS_A_MONTH).exp_m1();
    firsts + TRACED * (invocations - firsts)
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
            tiered_bytes: 3e6,
            tiered: 0.5,
            made_bytes: 1e6,
            viewed_bytes: 5e4,
            metrics: 30.0,
        }
    }

    const SIZING: Sizing = Sizing { memory_mib: 1769.0, arm64: false };

    /// Dollars a million.
    fn of(bill: &Bill, service: &str) -> f64 {
        bill.lines.iter().filter(|line| line.service == service).map(|line| line.each * 1e6).sum()
    }

    #[test]
    fn a_bill_is_what_a_pencil_makes_of_it() {
        let mix =
            Mix { status_requests: 1.0, s3_round_trip_ms: 25.0, months_kept: 12.0, views: 10.0, ..mix() };
        let prices = Prices::load(None).unwrap();
        let bill = |uploads| Bill::of(&measured(), &mix, &prices, SIZING, uploads);
        let million = bill(1e6);
        assert!((million.billed_ms - 300.0).abs() < 1e-9);
        // 0.3 s of 1.7275 GB; 2 calls of 0.3 ms of a core of which presign has a seventh, and one look at S3; three requests.
        let presign_s = 2.0 * 0.0003 * 1769.0 / 256.0 + 0.025;
        let lambda = 0.3 * 1.727_539_062_5 * 16.666_7 + presign_s * 0.25 * 16.666_7 + 3.0 * 0.2;
        assert!((of(&million, "Lambda") - lambda).abs() < 1e-4, "{million:?}");
        // 12 writes, 3 reads; of 4 MB 3 in tiers, of every second source; 1 MB of each in Standard, and 1 MB made; for a year.
        let in_tiers = 3.0 * (0.023 + 2.0 * 0.0125 + 9.0 * 0.004);
        let kept = (in_tiers + 2.0 * 12.0 * 0.023) * 1e12 / 1_073_741_824.0;
        let s3 = 12.0 * 5.0 + 3.0 * 0.4 + kept + 0.5 * (12.0 * 2.5 + 10.0);
        assert!((of(&million, "S3") - s3).abs() < 1e-6, "{million:?}");
        assert!((of(&million, "CloudFront") - 10.0 * (50.0 * 0.085 + 1.0)).abs() < 1e-6);
        assert!((of(&million, "API Gateway") - 2.0).abs() < 1e-9 && (of(&million, "SQS") - 1.2).abs() < 1e-9);
        // 1 kB, 2 of 0.8 kB, 3 of 0.4 kB.
        assert!((of(&million, "CloudWatch") - 3800.0 * 1e6 / 1e9 * 0.53).abs() < 1e-9, "{million:?}");
        let fixed = |bill: &Bill| -> f64 {
            bill.lines.iter().filter(|line| line.service != "X-Ray").map(|line| line.monthly).sum()
        };
        let by_hand = 0.4 + 30.0 * 0.3 + 0.9 + 3.0 + 648_000.0 * 0.4e-6;
        assert!((fixed(&million) - by_hand).abs() < 1e-9, "{million:?}");
        let (few, many) = (bill(1e5), million.line_per_million(&million.lines[0]));
        assert!(
            (few.line_per_million(&few.lines[0]) - many).abs() < 1e-9,
            "what is for each is the same for each"
        );
        let alarms = few.lines.iter().find(|line| line.what.contains("alarms")).unwrap();
        assert!((few.line_per_million(alarms) - 39.0).abs() < 1e-9, "a tenth of a million bear all of it");
    }

    #[test]
    fn one_invocation_of_each_second_is_traced_and_one_in_twenty_of_the_others() {
        assert!((traces(1.0) - 1.0).abs() < 1e-6 && traces(0.0) == 0.0);
        // A thousand a second: one of each, and 5 % of the other 999.
        let many = traces(1000.0 * SECONDS_A_MONTH) / SECONDS_A_MONTH;
        assert!((many - (1.0 + 0.05 * 999.0)).abs() < 1e-9);
        assert!(
            (350_000.0..1_000_000.0).contains(&traces(1e6)),
            "at a rate below one a second most are traced"
        );
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
