//! What the first bytes of a file say that it is. Owns the signatures, those of formats that are not
//! accepted too, so that people are told what they sent. Never reads beyond the first few bytes.

use contract::MediaType;

/// How far to look for the root element of an SVG, bytes: past a declaration and a comment.
const SVG_HEAD_BYTES: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// A type that is accepted.
    Known(MediaType),
    /// A type that is recognised, and not accepted; as people call it.
    Named(&'static str),
    Unknown,
    Empty,
}

/// What the magic bytes say; whether the rest agrees is for [`crate::probe`] to find out.
pub fn sniff(bytes: &[u8]) -> Sniffed {
    match bytes {
        [] => Sniffed::Empty,
        [0xff, 0xd8, 0xff, ..] => Sniffed::Known(MediaType::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Sniffed::Known(MediaType::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Sniffed::Known(MediaType::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Sniffed::Known(MediaType::Webp),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => heif(bytes),
        _ => not_accepted(bytes).map_or(Sniffed::Unknown, Sniffed::Named),
    }
}

fn not_accepted(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some("TIFF"),
        // BigTIFF
        [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => Some("TIFF"),
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some("JPEG XL"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("PDF"),
        [0, 0, 1, 0, count, 0, ..] if *count > 0 => Some("ICO"),
        // Two letters prove little; a BMP also says how long its second header is, and none is longer
        // than a byte can tell.
        [b'B', b'M', ..] if matches!(bytes.get(14..18), Some([12..=124, 0, 0, 0])) => Some("BMP"),
        _ => is_svg(bytes).then_some("SVG"),
    }
}

/// By the major brand, then by the compatible ones, of an ISO base media file.
fn heif(bytes: &[u8]) -> Sniffed {
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let Some(brands) = bytes.get(8..length.clamp(12, 128).min(bytes.len())) else { return Sniffed::Unknown };
    let (brands, _) = brands.as_chunks::<4>();
    let named = brands.iter().find_map(|brand| match brand {
        b"avif" | b"avis" => Some(Sniffed::Known(MediaType::Avif)),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" => Some(Sniffed::Named("HEIC")),
        b"mif1" | b"msf1" if !brands.contains(b"avif") => Some(Sniffed::Named("HEIC")),
        _ => None,
    });
    named.unwrap_or(Sniffed::Unknown)
}

fn is_svg(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SVG_HEAD_BYTES)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    head.starts_with("<svg") || (head.starts_with("<?xml") || head.starts_with("<!")) && head.contains("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_named_by_its_first_bytes() {
        let bmp = [b"BM".as_slice(), &[0; 12], &[40, 0, 0, 0]].concat();
        for (bytes, expected) in [
            (b"".as_slice(), Sniffed::Empty),
            (b"\xff\xd8\xff\xe0", Sniffed::Known(MediaType::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Sniffed::Known(MediaType::Png)),
            (b"GIF87a", Sniffed::Known(MediaType::Gif)),
            (b"GIF89a", Sniffed::Known(MediaType::Gif)),
            (b"RIFF\0\0\0\0WEBPVP8 ", Sniffed::Known(MediaType::Webp)),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Sniffed::Named("HEIC")),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Sniffed::Named("HEIC")),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", Sniffed::Known(MediaType::Avif)),
            (b"\0\0\0\x1cftypmif1\0\0\0\0avifmif1", Sniffed::Known(MediaType::Avif)),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Sniffed::Named("SVG")),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a --><svg/>", Sniffed::Named("SVG")),
            (&bmp, Sniffed::Named("BMP")),
            (b"II*\0", Sniffed::Named("TIFF")),
            (b"MM\0*", Sniffed::Named("TIFF")),
            (b"\xff\x0a", Sniffed::Named("JPEG XL")),
            (b"\0\0\0\x0cJXL \r\n\x87\n", Sniffed::Named("JPEG XL")),
            (b"%PDF-1.7", Sniffed::Named("PDF")),
            (b"\0\0\x01\0\x01\0", Sniffed::Named("ICO")),
            (b"\0\0\0\x18ftypisom\0\0\0\0mp41", Sniffed::Unknown),
            (b"\xff\xd8", Sniffed::Unknown),
            (b"RIFF\0\0\0\0WAVE", Sniffed::Unknown),
            (b"BMW", Sniffed::Unknown),
            (b"<?xml version='1.0'?><html/>", Sniffed::Unknown),
            (b"hello", Sniffed::Unknown),
        ] {
            assert_eq!(sniff(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
