//! What a command says: items and a summary on standard output, for people or as one JSON document a
//! line. Sees to it that no control character of a key or of an answer ever reaches a terminal.

use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use super::control::Progress;

/// Where a command says what it found and did.
#[derive(Debug, Clone)]
pub struct Report {
    json: bool,
    progress: Progress,
}

impl Report {
    pub fn new(json: bool, progress: Progress) -> Self {
        Self { json, progress }
    }

    /// One thing that was found or done, on one line.
    pub fn item(&self, human: &str, json: &impl Serialize) {
        self.print(&shown(human), json);
    }

    /// Above the items, for people alone.
    pub fn heading(&self, human: &str) {
        if !self.json {
            self.progress.aside(|| drop(writeln!(std::io::stdout(), "{}", shown(human))));
        }
    }

    /// Something that could not be looked at.
    pub fn trouble(&self, key: &impl std::fmt::Display, error: &anyhow::Error) {
        let error = format!("{error:#}");
        if self.json {
            self.item("", &serde_json::json!({"key": key.to_string(), "error": error}));
        } else {
            self.note(&format!("{key}: {error}"));
        }
    }

    /// The last line.
    pub fn summary(&self, human: &str, json: &impl Serialize) {
        self.document(human, &serde_json::json!({ "summary": json }));
    }

    /// All there is to say. In `human`, what others wrote must have been [`shown`] before.
    pub fn document(&self, human: &str, json: &impl Serialize) {
        self.progress.end();
        self.print(human, json);
    }

    /// Beside the results, on standard error: what to know about the run.
    pub fn note(&self, text: &str) {
        self.progress.aside(|| eprintln!("{}", shown(text)));
    }

    fn print(&self, human: &str, json: &impl Serialize) {
        let text = if self.json { json_line(json) } else { human.to_owned() };
        // A reader that has gone away, as `head` does, is no reason to stop the work.
        self.progress.aside(|| drop(writeln!(std::io::stdout(), "{text}")));
    }
}

/// Whether a terminal might do something else with it than show it: control characters, and those that
/// change the direction of text or cannot be seen.
fn is_hostile(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text that others wrote, on one line and harmless.
pub fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            hostile if is_hostile(hostile) => safe.extend(hostile.escape_default()),
            harmless => safe.push(harmless),
        }
    }
    safe
}

/// JSON escapes the ASCII control characters alone.
fn json_line(value: &impl Serialize) -> String {
    // What is reported are plain structs of texts and numbers, which always have a JSON form.
    let json = serde_json::to_string(value).unwrap_or_else(|_| Value::Null.to_string());
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_hostile(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// `3.4 MB`, as people compare sizes.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `1 object`, `2 objects`.
pub fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_wrote_controls_the_terminal() {
        let key = "raw/\u{1b}]0;owned\u{7}\r\n\u{9b}2J\u{202e}gpj.exe é 猫.jpg";
        assert_eq!(shown(key), "raw/\\u{1b}]0;owned\\u{7}\\r\\n\\u{9b}2J\\u{202e}gpj.exe é 猫.jpg");
        let line = json_line(&serde_json::json!({ "key": key, "tag": "\u{e0041}" }));
        assert!(!line.chars().any(is_hostile), "{line}");
        let back: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((back["key"].as_str(), back["tag"].as_str()), (Some(key), Some("\u{e0041}")));
    }

    #[test]
    fn sizes_and_counts_read_as_people_say_them() {
        assert_eq!([size(999), size(24_817), size(3_779_026)], ["999 bytes", "24.8 kB", "3.8 MB"]);
        assert_eq!([count(0, "key"), count(1, "key"), count(2, "key")], ["0 keys", "1 key", "2 keys"]);
    }
}
