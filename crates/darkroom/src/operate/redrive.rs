//! `darkroom redrive`: why messages are in the dead-letter queue, by what became of their sources, and back
//! they go. Prints keys at most, never a message.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use contract::manifest::Outcome;
use contract::{KeyError, SourceKey};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use worker::notification::{self, Body, BodyError};

use super::queue::{Bound, Move, Queue};
use super::report::{Report, count, shown};
use super::{Common, Control, Place, Progress, Rate, Stop};

/// A look into the queue goes so far: what is seen is hidden from others meanwhile.
const LOOK: Bound = Bound { messages: 10_000, time: Duration::from_secs(60) };
/// Manifests read at once.
const AT_ONCE: usize = 16;
/// Records of one message that are looked at; S3 puts one into each.
const MAX_RECORDS: usize = 10;
/// How often SQS is asked how far it is.
const POLL: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Each message counts by what became of its source: failed (with the code of its manifest), settled meanwhile,
no manifest; or by what is wrong with the message itself.

Examples:
  darkroom redrive --bucket photos --queue-url https://sqs... --dry-run
  darkroom redrive --local --rate 20/s

Exit code: 0 done or nothing to do, 1 an error.";

#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

/// Why messages are there, and how many for that reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    pub reason: &'static str,
    /// Of `failed`: the manifest's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub messages: u64,
    /// The key of one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// What is in a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Most messages first.
    pub groups: Vec<Group>,
    pub messages: u64,
    /// Whether that was all of it.
    pub complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Messages that were looked at.
    pub messages: u64,
    /// Whether there were no others.
    pub complete: bool,
    /// Messages that SQS says it has moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<u64>,
    pub dry_run: bool,
}

/// A record of a message: a source to look up, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    key: String,
    source: Result<SourceKey, &'static str>,
}

/// Looks into a dead-letter queue, and shows everything again at the end.
pub async fn look(place: &Place, dead_letters: &Queue, control: &Control) -> anyhow::Result<Contents> {
    let mut messages: Vec<Result<Vec<Record>, &'static str>> = Vec::new();
    let complete = dead_letters
        .look(LOOK, &control.stop, &mut |body| {
            messages.push(read(body, place.bucket.name()));
            control.progress.more(1);
        })
        .await?;
    let reasons = reasons(place, &messages).await?;
    Ok(Contents { groups: group(&messages, &reasons), messages: messages.len() as u64, complete })
}

/// Has everything moved: to the queue, or where it came from when no queue is known.
pub async fn redrive(
    place: &Place,
    dead_letters: &Queue,
    rate: Option<Rate>,
    control: &Control,
) -> anyhow::Result<Option<Move>> {
    dead_letters.start_move(place.queue.as_ref(), rate).await?;
    loop {
        // It is under way; who may not ask how far it is has lost nothing.
        let Ok(Some(task)) = dead_letters.moving().await else { return Ok(None) };
        control.progress.at(task.moved, task.of);
        if task.status != "RUNNING" {
            return Ok(Some(task));
        }
        tokio::select! {
            () = control.stop.asked() => return Ok(Some(task)),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

fn read(body: &str, bucket: &str) -> Result<Vec<Record>, &'static str> {
    match notification::parse(body) {
        Ok(Body::TestEvent) => Err("test_event"),
        Ok(Body::Notifications(list)) => {
            Ok(list.into_iter().take(MAX_RECORDS).map(|one| record(one.key, one.bucket == bucket)).collect())
        }
        Err(BodyError::Empty) => Err("empty_body"),
        Err(BodyError::NotJson(_)) => Err("not_json"),
        Err(BodyError::NotAnEvent) => Err("not_an_event"),
        Err(BodyError::Version { .. }) => Err("other_event_version"),
        Err(BodyError::Key { .. }) => Err("key_not_utf8"),
    }
}

fn record(key: String, ours: bool) -> Record {
    let source = match SourceKey::parse(key.as_str()) {
        _ if !ours => Err("other_bucket"),
        Ok(source) => Ok(source),
        Err(KeyError::Unusable(_)) => Err("unusable_key"),
        Err(KeyError::NotASource | KeyError::Folder | KeyError::NotOurs) => Err("not_a_source"),
    };
    Record { key, source }
}

/// A reason's code, and a manifest's own failure code with it.
type Reason = (&'static str, Option<String>);
const SETTLED: &str = "settled_meanwhile";

/// What the manifest of each source says.
async fn reasons(
    place: &Place,
    messages: &[Result<Vec<Record>, &'static str>],
) -> anyhow::Result<HashMap<SourceKey, Reason>> {
    let mut sources: Vec<SourceKey> =
        messages.iter().flatten().flatten().filter_map(|record| record.source.clone().ok()).collect();
    sources.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    sources.dedup();
    let look_up = |source: SourceKey| async move {
        let standing = place.bucket.manifest(&source).await?;
        let reason = match standing.map(|standing| standing.manifest.map(|manifest| manifest.outcome)) {
            None => ("no_manifest", None),
            Some(Err(_)) => ("unreadable_manifest", None),
            Some(Ok(Outcome::Failed { failure })) => ("failed", Some(failure.code)),
            Some(Ok(Outcome::Ready { .. } | Outcome::Rejected { .. } | Outcome::Removed)) => (SETTLED, None),
        };
        anyhow::Ok((source, reason))
    };
    futures::stream::iter(sources).map(look_up).buffer_unordered(AT_ONCE).try_collect().await
}

/// A message counts once, by its first record that is not settled.
fn group(messages: &[Result<Vec<Record>, &'static str>], reasons: &HashMap<SourceKey, Reason>) -> Vec<Group> {
    let of_record = |record: &Record| match &record.source {
        Err(code) => (*code, None),
        Ok(source) => reasons.get(source).cloned().unwrap_or(("no_manifest", None)),
    };
    let mut groups: BTreeMap<Reason, (u64, Option<String>)> = BTreeMap::new();
    for message in messages {
        let (reason, key) = match message {
            Err(code) => ((*code, None), None),
            Ok(records) => {
                let open = records.iter().find(|record| of_record(record).0 != SETTLED).or(records.first());
                let reason = open.map_or(("not_an_event", None), of_record);
                (reason, open.map(|record| record.key.clone()))
            }
        };
        let (number, example) = groups.entry(reason).or_default();
        *number += 1;
        *example = example.take().or(key);
    }
    let named = |((reason, failure), (messages, example))| Group { reason, failure, messages, example };
    let mut groups: Vec<Group> = groups.into_iter().map(named).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.messages));
    groups
}

/// The command.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Common { target, dry_run, json, rate } = &args.common;
    let place = target.open(None, *rate).await?;
    place.bucket.check().await?;
    let dead_letters = place.dead_letters().await?.context(
        "no dead-letter queue: say --dead-letter-queue-url URL, or --queue-url URL of a queue that has one",
    )?;
    let control = Control { stop: Stop::on_signal()?, progress: Progress::counting("messages") };
    let report = Report::new(*json, control.progress.clone());
    let contents = look(&place, &dead_letters, &control).await?;
    anyhow::ensure!(!control.stop.is_asked(), "stopped while looking; nothing was moved");
    report_groups(&report, &contents);
    let mut summary =
        Summary { messages: contents.messages, complete: contents.complete, moved: None, dry_run: *dry_run };
    if *dry_run || contents.messages == 0 {
        let about = dead_letters.counts().await?.all();
        report.summary(&at_rest(&contents, about), &summary);
        return Ok(ExitCode::SUCCESS);
    }
    let task = redrive(&place, &dead_letters, Some(*rate), &control).await?;
    summary.moved = task.as_ref().map(|task| task.moved);
    report.summary(&moved(task.as_ref(), &contents), &summary);
    match task {
        Some(Move { status, failure, .. }) if status == "FAILED" || status == "CANCELLED" => {
            let why = failure.map(|why| format!(": {why}")).unwrap_or_default();
            anyhow::bail!("SQS says that the move has {}{why}", status.to_lowercase())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// A table for people; a line for each reason in JSON.
fn report_groups(report: &Report, contents: &Contents) {
    let words = |group: &Group| match &group.failure {
        Some(failure) => format!("failed: {failure}"),
        None => group.reason.replace('_', " "),
    };
    let width = contents.groups.iter().map(|group| words(group).chars().count()).max().unwrap_or(0).max(6);
    if !contents.groups.is_empty() {
        report.heading(&format!("{:width$}  messages  example", "reason"));
    }
    for group in &contents.groups {
        let example = group.example.as_deref().unwrap_or("-");
        report.item(&format!("{:width$}  {:8}  {example}", words(group), group.messages), group);
    }
}

/// What there is to say when nothing is moved. `about`: as SQS counts.
fn at_rest(contents: &Contents, about: u64) -> String {
    match contents {
        Contents { messages: 0, .. } if about == 0 => "The dead-letter queue is empty.".to_owned(),
        Contents { messages: 0, .. } => {
            format!(
                "The dead-letter queue shows nothing now; someone else holds about {}.",
                count(about, "message")
            )
        }
        Contents { messages, complete: true, .. } => {
            format!("{} would go back to the queue.", count(*messages, "message"))
        }
        Contents { messages, .. } => {
            format!(
                "All would go back to the queue: about {}, of which {messages} were looked at.",
                count(about, "message")
            )
        }
    }
}

fn moved(task: Option<&Move>, contents: &Contents) -> String {
    let text = match task {
        Some(Move { status, moved, .. }) if status == "COMPLETED" => {
            format!("{} moved back to the queue.", count(*moved, "message"))
        }
        Some(Move { status, moved, .. }) if status == "RUNNING" => {
            format!("{} moved back so far; SQS goes on by itself.", count(*moved, "message"))
        }
        Some(Move { moved, .. }) => format!("{} moved back before the end.", count(*moved, "message")),
        None => format!("SQS moves them back by itself, {} or more.", count(contents.messages, "message")),
    };
    shown(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bucket: &str, key: &str) -> String {
        notification::body(bucket, key, notification::BACKFILL)
    }

    #[test]
    fn every_kind_of_message_has_its_reason() {
        let deep = "[".repeat(256 * 1024);
        let newer = body("b", "raw/a").replace("2.5", "3.0");
        let not_utf8 = body("b", "raw/a").replace("raw/a", "raw/%FF");
        for (body, expected) in [
            (" ", "empty_body"),
            ("hello", "not_json"),
            (&*deep, "not_an_event"),
            ("{}", "not_an_event"),
            (r#"{"Event":"s3:TestEvent"}"#, "test_event"),
            (&*newer, "other_event_version"),
            (&*not_utf8, "key_not_utf8"),
        ] {
            assert_eq!(read(body, "b"), Err(expected));
        }
        for (body, expected) in [
            (body("c", "raw/a"), Err("other_bucket")),
            (body("b", "processed/a"), Err("not_a_source")),
            (body("b", "raw/../a"), Err("unusable_key")),
            (body("b", "raw/a b"), Ok(SourceKey::parse("raw/a b").unwrap())),
        ] {
            assert_eq!(read(&body, "b").unwrap()[0].source, expected);
        }
    }

    #[test]
    fn a_message_counts_once_and_by_what_is_still_open() {
        let source = |key: &str| SourceKey::parse(key).unwrap();
        let one = |key: &str| Record { key: key.to_owned(), source: Ok(source(key)) };
        let messages = [
            Err("not_json"),
            Ok(vec![one("raw/done"), one("raw/failed")]),
            Ok(vec![one("raw/failed")]),
            Ok(vec![one("raw/done")]),
        ];
        let reasons = HashMap::from([
            (source("raw/done"), (SETTLED, None)),
            (source("raw/failed"), ("failed", Some("contended".to_owned()))),
        ]);
        let groups = group(&messages, &reasons);
        let told: Vec<_> = groups
            .iter()
            .map(|group| (group.reason, group.failure.as_deref(), group.messages, group.example.as_deref()))
            .collect();
        let expected = [
            ("failed", Some("contended"), 2, Some("raw/failed")),
            ("not_json", None, 1, None),
            (SETTLED, None, 1, Some("raw/done")),
        ];
        assert_eq!(told, expected);
    }
}
