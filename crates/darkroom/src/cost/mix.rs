//! What is uploaded and what is done with it: the file that `--mix` names. Owns its form and its defaults.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use contract::MediaType;
use serde::{Deserialize, Serialize};

use super::{from_toml, read};

/// What an average upload is like.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Which files, and how often each.
    pub upload: Vec<Upload>,
    /// How often a page asks how its upload stands.
    #[serde(default = "three")]
    pub status_requests: f64,
    /// A round trip to S3, for which the local one is too near. A worker makes four, one after another: the manifest, the source, the
    /// last rendition, the manifest; presign one where it is asked how an upload stands.
    #[serde(default = "thirty")]
    pub s3_round_trip_ms: f64,
    /// How long an upload is kept, of which the whole price is counted.
    #[serde(default = "a_year")]
    pub months_kept: f64,
    /// How often one of an upload's pictures is looked at through the CDN.
    #[serde(default)]
    pub views: f64,
    /// Which rendition that is, in the smallest of its formats.
    #[serde(default = "w640")]
    pub viewed: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Beside the mix.
    pub file: PathBuf,
    /// In whatever unit; only how they compare counts.
    pub share: f64,
}

fn three() -> f64 {
    3.0
}

fn thirty() -> f64 {
    30.0
}

fn a_year() -> f64 {
    12.0
}

fn w640() -> String {
    "w640".to_owned()
}

impl Mix {
    /// Files are found from then on, wherever the process is.
    ///
    /// # Errors
    /// Names the file and the field.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let mix = read(path, Self::parse)?;
        Ok(mix.beside(path.parent().unwrap_or(Path::new("."))))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mix: Self = from_toml(text)?;
        ensure!(!mix.upload.is_empty(), "upload: at least one is needed");
        for (at, upload) in mix.upload.iter().enumerate() {
            let is_usable = upload.share.is_finite() && upload.share > 0.0;
            ensure!(is_usable, "upload[{at}].share: `{}` is not above 0", upload.share);
            let name = upload.file.to_string_lossy();
            ensure!(
                MediaType::from_file_name(&name).is_some(),
                "upload[{at}].file: `{name}` has no image's extension"
            );
        }
        for (name, value) in [
            ("status_requests", mix.status_requests),
            ("s3_round_trip_ms", mix.s3_round_trip_ms),
            ("months_kept", mix.months_kept),
            ("views", mix.views),
        ] {
            ensure!((0.0..=1e6).contains(&value), "{name}: `{value}` is not from 0 to 1000000");
        }
        Ok(mix)
    }

    fn beside(mut self, folder: &Path) -> Self {
        for upload in &mut self.upload {
            upload.file = folder.join(&upload.file);
        }
        self
    }

    /// Each file, and its part of all uploads.
    pub fn parts(&self) -> impl Iterator<Item = (&Path, f64)> {
        let all: f64 = self.upload.iter().map(|upload| upload.share).sum();
        self.upload.iter().map(move |upload| (upload.file.as_path(), upload.share / all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_their_sum_and_files_lie_beside_the_mix() {
        let mix = "[[upload]]\nfile = \"a.jpg\"\nshare = 3\n[[upload]]\nfile = \"b/c.png\"\nshare = 1";
        let mix = Mix::parse(mix).unwrap().beside(Path::new("folder"));
        let parts: Vec<_> = mix.parts().collect();
        assert_eq!(parts, [(Path::new("folder/a.jpg"), 0.75), (Path::new("folder/b/c.png"), 0.25)]);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let one = "[[upload]]\nfile = \"a.jpg\"\nshare = 1";
        for (text, named) in [
            ("", "missing field `upload`"),
            ("upload = []", "upload: at least one"),
            ("vews = 1\nupload = []", "unknown field `vews`"),
            ("[[upload]]\nfile = \"a.jpg\"\nshare = 0", "upload[0].share: `0`"),
            ("[[upload]]\nfile = \"a.txt\"\nshare = 1", "upload[0].file: `a.txt`"),
            (&format!("views = -1\n{one}"), "views: `-1`"),
            (&format!("months_kept = nan\n{one}"), "months_kept: `NaN`"),
        ] {
            let error = Mix::parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
