//! What rules a file out before any pixel is decoded: its declared type, its size, its magic bytes,
//! its header. Pure, so that the worker and `darkroom process` judge alike.

use contract::{Limits, MediaType, Recipe, Rejection, RejectionCode};
use imaging::{Probe, Sniffed};

use crate::error::Error;

/// Judged by what is known without the bytes: the declared content type and the size.
pub fn declaration(content_type: Option<&str>, size_bytes: u64, limits: &Limits) -> Result<MediaType, Error> {
    size(size_bytes, limits)?;
    let declared = content_type.unwrap_or_default();
    MediaType::from_content_type(declared).ok_or_else(|| {
        // The manifest is public, and this is text of the uploader's: letters only, and not many.
        let essence = declared.split(';').next().unwrap_or_default();
        let shown: String = essence.chars().filter(char::is_ascii_graphic).take(60).collect();
        let accepted = MediaType::accepted();
        rejected(
            RejectionCode::UnsupportedType,
            format!("The file was uploaded as `{shown}`; accepted are {accepted}."),
        )
    })
}

/// Judged by size alone.
pub fn size(size_bytes: u64, limits: &Limits) -> Result<(), Error> {
    let limit = limits.max_source_bytes;
    if size_bytes <= limit {
        return Ok(());
    }
    let message = format!("The file has {size_bytes} bytes; at most {limit} are accepted.");
    Err(rejected(RejectionCode::TooManyBytes, message))
}

/// Judged by magic bytes, against what was declared if anything was, and by the header: of as many frames
/// as the recipe asks for.
pub fn header(
    declared: Option<MediaType>,
    bytes: &[u8],
    limits: &Limits,
    recipe: &Recipe,
) -> Result<Probe, Error> {
    match (declared, imaging::sniff(bytes)) {
        (Some(declared), Sniffed::Known(found)) if found != declared => {
            let (declared, found) = (declared.content_type(), found.content_type());
            let message = format!("The file was uploaded as {declared}, but its bytes are {found}.");
            Err(rejected(RejectionCode::TypeMismatch, message))
        }
        _ => imaging::probe(bytes, limits, recipe).map_err(Error::Imaging),
    }
}

fn rejected(code: RejectionCode, message: String) -> Error {
    Error::Rejected(Rejection { code, message })
}
