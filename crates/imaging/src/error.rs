//! Everything that can go wrong with one picture, and whose fault it is. Owns the sentences that people
//! read; never decides what happens to the message that brought the picture: the worker does.

use contract::{Format, MediaType, Rejection, RejectionCode};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the file is empty")]
    Empty,
    /// A format that is recognised, but not accepted.
    #[error("{what} is not accepted; {} are", MediaType::accepted())]
    Unsupported { what: &'static str },
    #[error("the file is not an image that Darkroom knows")]
    Unknown,
    #[error(
        "the image has {pixels} pixels ({width_px} x {height_px}), more than the {limit} that are accepted"
    )]
    TooManyPixels { width_px: u32, height_px: u32, pixels: u64, limit: u64 },
    #[error("the image is {width_px} x {height_px} px, and no side may be longer than {limit_px} px")]
    SideTooLong { width_px: u32, height_px: u32, limit_px: u32 },
    /// Of an animation whose frames are all asked for.
    #[error("the animation has {frames} frames, more than the {limit} that are accepted")]
    TooManyFrames { frames: u32, limit: u32 },
    #[error(
        "the animation's {frames} frames have {pixels} pixels together, more than the {limit} that are accepted"
    )]
    TooManyFramePixels { frames: u32, pixels: u64, limit: u64 },
    #[error(
        "making renditions of the image takes {needed_bytes} bytes of memory, more than the {limit_bytes} there are"
    )]
    TooMuchMemory { needed_bytes: u64, limit_bytes: u64 },
    /// A decoder met its own ceiling: what surrounds the pixels is larger than any honest file's.
    #[error("the image's metadata takes more memory than the {limit_bytes} bytes that it may")]
    MetadataTooLarge { limit_bytes: u64 },
    #[error("the {} file is damaged: {problem}", name(*.media_type))]
    Corrupt { media_type: MediaType, problem: String },
    /// Ours: an encoder refused, or is not in this build.
    #[error("the {format} encoder failed: {problem}")]
    Encoder { format: Format, problem: String },
    /// Ours: the system has no thread for a decoder.
    #[error("there is no thread to decode on: {problem}")]
    NoThread { problem: String },
    /// Ours: pixels that decoded well could not be resized.
    #[error("resizing failed: {problem}")]
    Resize { problem: String },
}

impl Error {
    pub(crate) fn corrupt(media_type: MediaType, problem: impl ToString) -> Self {
        Self::Corrupt { media_type, problem: problem.to_string() }
    }

    /// What to tell the uploader where the bytes are at fault; none where we are.
    pub fn rejection(&self) -> Option<Rejection> {
        let code = match self {
            Self::Empty => RejectionCode::Empty,
            Self::Unsupported { .. } | Self::Unknown => RejectionCode::UnsupportedType,
            Self::TooManyPixels { .. } | Self::SideTooLong { .. } | Self::TooManyFramePixels { .. } => {
                RejectionCode::TooManyPixels
            }
            Self::TooManyFrames { .. } => RejectionCode::TooManyFrames,
            Self::TooMuchMemory { .. } | Self::MetadataTooLarge { .. } => RejectionCode::TooMuchMemory,
            Self::Corrupt { .. } => RejectionCode::Corrupt,
            Self::Encoder { .. } | Self::NoThread { .. } | Self::Resize { .. } => return None,
        };
        Some(Rejection { code, message: sentence(&self.to_string()) })
    }
}

const fn name(media_type: MediaType) -> &'static str {
    match media_type {
        MediaType::Jpeg => "JPEG",
        MediaType::Png => "PNG",
        MediaType::Webp => "WebP",
        MediaType::Gif => "GIF",
        MediaType::Avif => "AVIF",
    }
}

/// Errors are clauses, as Rust writes them; people get a capital and a full stop.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_either_the_files_fault_with_a_code_and_a_sentence_or_ours() {
        use RejectionCode as Code;
        let table = [
            (Error::Empty, Some((Code::Empty, "The file is empty."))),
            (
                Error::Unsupported { what: "HEIC" },
                Some((
                    Code::UnsupportedType,
                    "HEIC is not accepted; image/jpeg, image/png, image/webp, image/gif, image/avif are.",
                )),
            ),
            (Error::Unknown, Some((Code::UnsupportedType, "The file is not an image that Darkroom knows."))),
            (
                Error::TooManyPixels { width_px: 20, height_px: 10, pixels: 200, limit: 199 },
                Some((
                    Code::TooManyPixels,
                    "The image has 200 pixels (20 x 10), more than the 199 that are accepted.",
                )),
            ),
            (
                Error::SideTooLong { width_px: 20, height_px: 10, limit_px: 19 },
                Some((Code::TooManyPixels, "The image is 20 x 10 px, and no side may be longer than 19 px.")),
            ),
            (
                Error::TooManyFrames { frames: 61, limit: 60 },
                Some((
                    Code::TooManyFrames,
                    "The animation has 61 frames, more than the 60 that are accepted.",
                )),
            ),
            (
                Error::TooManyFramePixels { frames: 2, pixels: 20, limit: 19 },
                Some((
                    Code::TooManyPixels,
                    "The animation's 2 frames have 20 pixels together, more than the 19 that are accepted.",
                )),
            ),
            (
                Error::TooMuchMemory { needed_bytes: 8, limit_bytes: 7 },
                Some((
                    Code::TooMuchMemory,
                    "Making renditions of the image takes 8 bytes of memory, more than the 7 there are.",
                )),
            ),
            (
                Error::MetadataTooLarge { limit_bytes: 7 },
                Some((
                    Code::TooMuchMemory,
                    "The image's metadata takes more memory than the 7 bytes that it may.",
                )),
            ),
            (
                Error::corrupt(MediaType::Jpeg, "it ends too early"),
                Some((Code::Corrupt, "The JPEG file is damaged: it ends too early.")),
            ),
            (Error::Encoder { format: Format::Webp, problem: "x".into() }, None),
            (Error::NoThread { problem: "x".into() }, None),
            (Error::Resize { problem: "x".into() }, None),
        ];
        for (error, expected) in table {
            let expected = expected.map(|(code, message)| Rejection { code, message: message.to_owned() });
            assert_eq!(error.rejection(), expected, "{error:?}");
        }
    }
}
