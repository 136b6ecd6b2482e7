//! The image formats Darkroom knows: what a source may be and what a rendition can be. Owns names,
//! extensions and content types. Whether bytes really are of a type is imaging's to say.

use serde::{Deserialize, Serialize};

/// A type that a source may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaType {
    #[serde(rename = "image/jpeg")]
    Jpeg,
    #[serde(rename = "image/png")]
    Png,
    #[serde(rename = "image/webp")]
    Webp,
    #[serde(rename = "image/gif")]
    Gif,
    #[serde(rename = "image/avif")]
    Avif,
}

impl MediaType {
    /// Every accepted type, in the order in which they are shown to people.
    pub const ALL: [Self; 5] = [Self::Jpeg, Self::Png, Self::Webp, Self::Gif, Self::Avif];

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Avif => "image/avif",
        }
    }

    /// The extension that a key gets, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Avif => "avif",
        }
    }

    /// From a `Content-Type` header: letters in any case, parameters ignored, `image/jpg` and
    /// `image/pjpeg` as old clients write them.
    pub fn from_content_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "image/jpg" | "image/pjpeg" => Some(Self::Jpeg),
            other => Self::ALL.into_iter().find(|known| known.content_type() == other),
        }
    }

    /// From a file name, as a browser guesses `File.type`: by the extension alone.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "jpeg" | "jpe" | "jfif" | "pjpeg" => Some(Self::Jpeg),
            "apng" => Some(Self::Png),
            other => Self::ALL.into_iter().find(|known| known.extension() == other),
        }
    }

    /// The accepted content types in a sentence: `image/jpeg, image/png` and so on.
    pub fn accepted() -> String {
        Self::ALL.map(Self::content_type).join(", ")
    }
}

/// A format that a rendition can have. A build may lack the encoder of one: imaging says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Avif,
    Webp,
    Jpeg,
    Png,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Avif, Self::Webp, Self::Jpeg, Self::Png];

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Avif => "image/avif",
            Self::Webp => "image/webp",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    pub const fn extension(self) -> &'static str {
        match self {
            Self::Avif => "avif",
            Self::Webp => "webp",
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Avif => "avif",
            Self::Webp => "webp",
            Self::Jpeg => "jpeg",
            Self::Png => "png",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_read_as_browsers_and_old_clients_write_them() {
        for text in ["image/jpeg", "IMAGE/JPEG", "image/jpeg; charset=binary", " image/jpg", "image/pjpeg"] {
            assert_eq!(MediaType::from_content_type(text), Some(MediaType::Jpeg), "{text}");
        }
        for text in ["", "image/*", "image/svg+xml", "text/html", "binary/octet-stream", "image/jpegx"] {
            assert_eq!(MediaType::from_content_type(text), None, "{text}");
        }
    }

    #[test]
    fn every_type_is_found_by_its_own_content_type_and_extension() {
        for known in MediaType::ALL {
            assert_eq!(MediaType::from_content_type(known.content_type()), Some(known));
            assert_eq!(MediaType::from_file_name(&format!("a.b.{}", known.extension())), Some(known));
        }
        for format in Format::ALL {
            assert_eq!(Format::from_extension(format.extension()), Some(format));
        }
        assert_eq!(MediaType::from_file_name("IMG_1.JPEG"), Some(MediaType::Jpeg));
        assert_eq!(MediaType::from_file_name("jpg"), None);
    }
}
