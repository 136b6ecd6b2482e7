//! The command as a person runs it: what it writes, says and exits with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use darkroom::stack::{ACCESS_KEY, BUCKET, Options, REGION, SECRET_KEY, Stack};
use serde_json::Value;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)
}

fn process(out: &Path, files: &[PathBuf], more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_darkroom"));
    command.arg("process").args(files).arg("--out").arg(out).args(more).output().unwrap()
}

/// Exit code, standard output and error.
fn darkroom(args: &[&str]) -> (i32, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_darkroom")).args(args).output().unwrap();
    (done.status.code().unwrap(), text(&done.stdout), text(&done.stderr))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn manifest(out: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(out.join(name).join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_good_file_becomes_its_folder_of_renditions_and_a_manifest() {
    let out = tempfile::tempdir().unwrap();
    let done = process(out.path(), &[fixture("images/orientation_6.jpg")], &[]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("480 x 360 px, 10 renditions"));
    let manifest = manifest(out.path(), "orientation_6.jpg");
    assert_eq!(manifest["status"], "ready");
    let names: Vec<_> =
        manifest["renditions"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    let in_the_recipes_order =
        ["w320", "w320", "w640", "w640", "w1280", "w1280", "w1920", "w1920", "thumb", "thumb"];
    assert_eq!(names, in_the_recipes_order);
    for rendition in manifest["renditions"].as_array().unwrap() {
        let file = rendition["key"].as_str().unwrap().rsplit('/').next().unwrap();
        let bytes = std::fs::metadata(out.path().join("orientation_6.jpg").join(file)).unwrap().len();
        assert_eq!(rendition["bytes"], bytes, "{file}");
    }
}

#[test]
fn a_rejected_file_is_told_on_standard_error_and_exits_with_2_beside_good_ones() {
    let out = tempfile::tempdir().unwrap();
    let bad = fixture("hostile/png_in_disguise.jpg");
    let files = [bad.clone(), fixture("images/quadrants.webp"), fixture("hostile/empty.jpg")];
    let done = process(out.path(), &files, &["--json"]);
    assert_eq!(done.status.code(), Some(2));
    let said = text(&done.stderr);
    assert!(
        said.contains(&format!("{}: type_mismatch: The file was uploaded as image/jpeg", bad.display())),
        "{said}"
    );
    assert!(said.contains("empty.jpg: empty: "), "{said}");
    let lines: Vec<Value> =
        text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().any(|line| line["manifest"]["status"] == "ready"));
    assert_eq!(manifest(out.path(), "png_in_disguise.jpg")["rejection"]["code"], "type_mismatch");
}

#[test]
fn anything_else_that_goes_wrong_exits_with_1_and_says_what() {
    let out = tempfile::tempdir().unwrap();
    let recipe = out.path().join("recipe.toml");
    std::fs::write(&recipe, "[[rendition]]\nname = \"A\"\nwidth = 1").unwrap();
    let recipe_flag = ["--recipe", recipe.to_str().unwrap()];
    let good = fixture("images/quadrants.webp");
    for (files, flags, expected) in [
        (vec![fixture("images/none.jpg")], &[][..], "none.jpg: "),
        (vec![fixture("images")], &[][..], "images: "),
        (vec![good.clone(), good.clone()], &[][..], "two files are named quadrants.webp"),
        (vec![good.clone()], &recipe_flag[..], "rendition[0].name: `A` is not"),
    ] {
        let done = process(out.path(), &files, flags);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn another_recipe_is_followed() {
    let out = tempfile::tempdir().unwrap();
    let recipe = out.path().join("recipe.json");
    let json = r#"{"formats": [{"format": "png"}], "rendition": [{"name": "tiny", "height": 10}]}"#;
    std::fs::write(&recipe, json).unwrap();
    let done = process(out.path(), &[fixture("images/wide.jpg")], &["--recipe", recipe.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let manifest = manifest(out.path(), "wide.jpg");
    let renditions = manifest["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 1);
    assert_eq!((renditions[0]["width"].as_u64(), renditions[0]["height"].as_u64()), (Some(30), Some(10)));
    assert!(out.path().join("wide.jpg/tiny.png").is_file());
}

#[test]
fn help_names_every_command_and_a_wrong_flag_is_refused() {
    let darkroom = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_darkroom")).args(args).output().unwrap();
    let help = text(&darkroom(&["--help"]).stdout);
    for name in ["dev", "process", "backfill", "reconcile", "redrive", "status"] {
        assert!(help.contains(&format!("\n  {name} ")), "{help}");
    }
    for wrong in
        [&["--nonsense"][..], &["process", "a.jpg"], &["process", "a.jpg", "--out", "o", "--threads", "0"]]
    {
        assert_eq!(darkroom(wrong).status.code(), Some(1), "2 means that images were rejected");
    }
}

/// A stack whose worker never runs, and a folder to run commands in.
struct Operators {
    stack: Stack,
    dir: tempfile::TempDir,
}

impl Operators {
    async fn start() -> Self {
        let stack = Stack::start(Options { run_worker: false, ..Options::default() }).await.unwrap();
        Self { stack, dir: tempfile::tempdir().unwrap() }
    }

    /// The command as on AWS: all that it works on comes from the environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_darkroom"));
        command.args(args).current_dir(self.dir.path()).env_clear();
        command.envs([
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_S3", &self.stack.s3_url),
            ("AWS_ENDPOINT_URL_SQS", &self.stack.sqs_url),
            ("BUCKET", BUCKET),
            ("QUEUE_URL", &self.stack.queue_url),
        ]);
        command
    }

    /// Exit code, standard output and standard error, with nothing in them that controls a terminal.
    async fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.command(args);
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let (out, err) = (text(&done.stdout), text(&done.stderr));
        for said in [&out, &err] {
            assert!(!said.chars().any(|letter| letter.is_control() && letter != '\n'), "{said:?}");
        }
        (done.status.code().unwrap(), out, err)
    }

    async fn put(&self, key: &str) {
        let put = self.stack.client.put_object().bucket(BUCKET).key(key).content_type("image/jpeg");
        put.body(b"no image".to_vec().into()).send().await.unwrap();
    }

    async fn bury(&self, body: &str) {
        self.stack.local.dead_letters.send(body).await.unwrap();
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_says_what_it_would_do_then_does_it_and_leaves_no_state_behind() {
    let operators = Operators::start().await;
    operators.put("raw/a.jpg").await;
    operators.put("raw/b.jpg").await;
    let visible = async || operators.stack.local.queue.counts().await.unwrap().visible;
    let (code, out, _) = operators.run(&["backfill", "--dry-run", "--json"]).await;
    let lines = json_lines(&out);
    assert_eq!((code, lines.len(), &lines[1]["key"]), (0, 3, &Value::from("raw/b.jpg")));
    assert_eq!((&lines[1]["reason"], &lines[1]["enqueued"]), (&"no_manifest".into(), &false.into()));
    assert_eq!((&lines[2]["summary"]["due"], visible().await), (&2.into(), 2));

    let (code, out, err) = operators.run(&["backfill"]).await;
    assert_eq!((code, visible().await), (0, 4), "{err}");
    assert!(out.contains("enqueued raw/a.jpg: no manifest\n"), "{out}");
    assert!(out.ends_with("2 sources looked at, 2 enqueued (no manifest: 2)\n"), "{out}");
    let left = walk(operators.dir.path());
    assert!(left.is_empty(), "{left:?}");
}

/// Every file below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn an_interrupted_backfill_says_how_to_go_on_and_does() {
    let operators = Operators::start().await;
    for n in 0..40 {
        operators.put(&format!("raw/{n:02}.jpg")).await;
    }
    let mut command = operators.command(&["backfill", "--rate", "20/s", "--json"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    assert!(first.contains("raw/00.jpg"), "{first}");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    let done = child.wait_with_output().unwrap();
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(
        told.contains("stopped after raw/") && told.contains("the same command goes on from there"),
        "{told}"
    );
    let before = json_lines(&rest).last().unwrap()["summary"]["due"].as_u64().unwrap();
    assert!((1..40).contains(&before), "{before}");

    let (code, out, err) = operators.run(&["backfill", "--json"]).await;
    let after = json_lines(&out).last().unwrap()["summary"]["due"].as_u64().unwrap();
    assert_eq!((code, before + after), (0, 40), "{err}");
    assert!(err.contains("Goes on after raw/"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_exits_with_3_for_what_it_leaves_and_with_0_for_what_it_mends() {
    let operators = Operators::start().await;
    operators.put("raw/a.jpg").await;
    let (code, out, _) = operators.run(&["reconcile"]).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("1 source without a manifest younger than --grace"), "{out}");
    let (code, out, _) = operators.run(&["reconcile", "--grace", "0s"]).await;
    assert_eq!(code, 3, "{out}");
    assert!(out.starts_with("source_without_manifest raw/a.jpg: uploaded 20"), "{out}");
    assert!(out.contains("--fix mends what was found"), "{out}");
    let (code, out, _) = operators.run(&["reconcile", "--grace", "0s", "--fix", "--dry-run"]).await;
    assert_eq!((code, out.contains("; the worker would be asked to mend it\n")), (3, true), "{out}");
    let (code, out, _) = operators.run(&["reconcile", "--grace", "0s", "--fix", "--json"]).await;
    let lines = json_lines(&out);
    assert_eq!(
        (code, &lines[0]["category"], &lines[0]["fixed"]),
        (0, &"source_without_manifest".into(), &true.into())
    );
    assert_eq!(lines[1]["summary"]["found"]["source_without_manifest"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn redrive_shows_reasons_and_no_messages_and_nobody_controls_the_terminal() {
    let operators = Operators::start().await;
    let (code, out, _) = operators.run(&["redrive"]).await;
    assert_eq!((code, &*out), (0, "The dead-letter queue is empty.\n"));
    let hostile = "raw/\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}gpj.exe";
    operators.bury(&worker::notification::body(BUCKET, hostile, "ObjectCreated:Put")).await;
    operators.bury("{\"token\":\"secret\"}").await;
    operators.bury("{\"token\":\"secret\"}").await;
    let (code, out, _) = operators.run(&["redrive", "--dry-run"]).await;
    assert_eq!(code, 0);
    assert!(
        out.starts_with(
            "reason        messages  example\nnot an event         2  -\nunusable key         1  raw/\\u{1b}"
        ),
        "{out}"
    );
    assert!(out.ends_with("3 messages would go back to the queue.\n") && !out.contains("secret"), "{out}");
    let (code, out, _) = operators.run(&["redrive", "--json"]).await;
    let lines = json_lines(&out);
    assert_eq!((code, lines.len(), &lines[1]["example"]), (0, 3, &hostile.into()));
    assert_eq!(lines[2]["summary"]["moved"], 3);
    assert_eq!(operators.stack.local.queue.counts().await.unwrap().visible, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_exits_with_3_for_what_is_not_settled_and_reads_any_address() {
    let operators = Operators::start().await;
    operators.put("raw/a b.jpg").await;
    let url = format!("{}/{BUCKET}/raw/a%20b.jpg?X-Amz-Signature=0", operators.stack.s3_url);
    for address in ["raw/a b.jpg", "s3://darkroom/raw/a b.jpg", &url, "processed/a b.jpg/manifest.json"] {
        let (code, out, err) = operators.run(&["status", address]).await;
        assert_eq!(code, 3, "{err}");
        assert!(out.starts_with("raw/a b.jpg\n  source     8 bytes, image/jpeg, "), "{out}");
        assert!(out.contains("1 waiting, 0 in flight, 0 delayed; dead letters 0"), "{out}");
        assert!(out.ends_with("Not settled: uploaded, and not processed yet.\n"), "{out}");
    }
    let (code, out, _) = operators.run(&["status", "--json", "raw/nothing.jpg"]).await;
    assert_eq!((code, &json_lines(&out)[0]["verdict"]), (3, &"absent".into()));
}

#[test]
fn what_uploads_cost_is_counted_by_real_uploads_of_the_mix() {
    let mix = fixture("mix.toml");
    let mix = mix.to_str().unwrap();
    let (code, out, err) = darkroom(&["cost", "--mix", mix, "--runs", "1", "--json", "--uploads", "1000"]);
    assert_eq!(code, 0, "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let worker = &told["measured"]["worker"];
    // 95 of 100 are ten renditions and a manifest, the others a manifest that says why not. Each is two reads.
    assert!((worker["s3Writes"].as_f64().unwrap() - (0.95 * 11.0 + 0.05)).abs() < 1e-9, "{worker}");
    assert_eq!(
        (worker["s3Reads"].as_f64(), told["measured"]["presign"]["s3Reads"].as_f64()),
        (Some(2.0), Some(2.0))
    );
    let bytes = |path: &str| std::fs::metadata(fixture(path)).unwrap().len() as f64;
    let source_bytes = 0.95 * bytes("images/wide.jpg") + 0.05 * bytes("hostile/truncated.jpg");
    assert!((told["measured"]["sourceBytes"].as_f64().unwrap() - source_bytes).abs() < 1.0);
    for name in ["madeBytes", "viewedBytes", "metrics"] {
        assert!(told["measured"][name].as_f64().unwrap() > 0.0, "{name}");
    }
    assert!(worker["wallMs"].as_f64().unwrap() > 0.0 && worker["logBytes"].as_f64().unwrap() > 100.0);
    let services: Vec<_> =
        told["bill"]["lines"].as_array().unwrap().iter().map(|line| &line["service"]).collect();
    assert!(services.contains(&&Value::from("CloudFront")) && services.contains(&&Value::from("Lambda")));

    let (code, out, _) = darkroom(&["cost", "--mix", mix, "--runs", "1", "--uploads", "1000"]);
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("1000 uploads a month, of {mix}. Prices of us-east-1, ")), "{out}");
    assert!(out.lines().last().unwrap().starts_with("in all "), "{out}");
}

#[test]
fn what_keeps_costs_from_being_counted_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let absent = file("absent.toml", "[[upload]]\nfile = \"no.jpg\"\nshare = 1");
    let empty = file("empty.toml", "upload = []");
    let prices = file("prices.toml", "date = \"2026-11-27\"");
    let mix = fixture("mix.toml").to_str().unwrap().to_owned();
    for (args, expected) in [
        (&["cost", "--mix", "no.toml"][..], "cannot read no.toml"),
        (&["cost", "--mix", &empty], "upload: at least one is needed"),
        (&["cost", "--mix", &absent], "no.jpg: cannot be read"),
        (&["cost", "--mix", &mix, "--prices", &prices], "missing field `region`"),
        (&["cost", "--mix", &mix, "--function", "no-such-program"], "no-such-program could not be started"),
        (&["cost", "--mix", &mix, "--function", "false"], "the worker has ended"),
    ] {
        let (code, _, err) = darkroom(args);
        assert_eq!(code, 1, "{args:?}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn a_forecast_is_a_table_of_workers_and_waits() {
    let (code, out, err) = darkroom(&["forecast", "--uploads", "5000", "--over", "10", "--workers", "400"]);
    assert_eq!(code, 0, "{err}");
    let rows: Vec<&str> = out.lines().skip(4).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(rows, ["400", "800"], "{out}");
    let (_, out, _) = darkroom(&["forecast", "--uploads", "1000", "--workers", "10"]);
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scale.md")).unwrap();
    assert!(page.contains(&out), "docs/scale.md shows another answer than\n{out}");
    let (code, out, _) = darkroom(&["forecast", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, told["forecast"].as_array().unwrap().len()), (0, 6));
    assert_eq!(darkroom(&["forecast", "--workers", "0"]).0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_an_operators_command_from_working_is_told_in_one_line() {
    let operators = Operators::start().await;
    let nowhere = "http://127.0.0.1:1";
    for (args, env, expected) in [
        (&["reconcile"][..], ("BUCKET", ""), "no bucket: say --bucket NAME, set BUCKET, or say --local"),
        (&["reconcile"], ("AWS_REGION", ""), "no region: set AWS_REGION"),
        (&["reconcile"], ("BUCKET", "other"), "there is no bucket `other` here"),
        (
            &["reconcile"],
            ("AWS_SECRET_ACCESS_KEY", "wrong"),
            "may not list bucket `darkroom`. The credentials",
        ),
        (&["reconcile"], ("AWS_ENDPOINT_URL_S3", nowhere), "Nothing answers there"),
        (&["reconcile", "--fix"], ("QUEUE_URL", ""), "no queue: say --queue-url URL, or set QUEUE_URL"),
        (&["redrive"], ("QUEUE_URL", ""), "no dead-letter queue: say --dead-letter-queue-url"),
        (&["backfill"], ("MAX_PIXELS", "lots"), "MAX_PIXELS: `lots` is not a whole number"),
        (
            &["backfill", "--only", "w64"],
            ("A", ""),
            "--only w64: the recipe has no rendition of that name; it has w320",
        ),
        (
            &["backfill", "--rate", "fast"],
            ("A", ""),
            "a rate is a whole number from 1 to 10000, as in `50/s`",
        ),
        (&["backfill", "--since", "soon"], ("A", ""), "a time is written `2026-11-01`"),
        (&["status", "photo.jpg"], ("A", ""), "photo.jpg: neither the key of a source, as in raw/articles"),
        (
            &["status", "--local=1", "raw/a"],
            ("A", ""),
            "nothing answers for S3 on port 2: does `darkroom dev --port 1` run?",
        ),
        (&["status", "--local", "--bucket", "b", "raw/a"], ("A", ""), "cannot be used with"),
    ] {
        let mut command = operators.command(args);
        command.env(env.0, env.1);
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let told = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{args:?} {env:?}: {told}");
        assert!(told.contains(expected), "{args:?} {env:?}: {told}");
        assert!(told.starts_with("error: ") || told.lines().count() == 1, "{args:?} {env:?}: {told}");
    }
}
