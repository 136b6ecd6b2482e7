//! The command as a person runs it: what it writes, says and exits with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)
}

fn process(out: &Path, files: &[PathBuf], more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_darkroom"));
    command.arg("process").args(files).arg("--out").arg(out).args(more).output().unwrap()
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
fn help_names_both_commands_and_a_wrong_flag_is_refused() {
    let darkroom = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_darkroom")).args(args).output().unwrap();
    let help = text(&darkroom(&["--help"]).stdout);
    assert!(help.contains("dev") && help.contains("process"), "{help}");
    for wrong in
        [&["--nonsense"][..], &["process", "a.jpg"], &["process", "a.jpg", "--out", "o", "--threads", "0"]]
    {
        assert_eq!(darkroom(wrong).status.code(), Some(1), "2 means that images were rejected");
    }
}
