//! The one door to libjpeg's own interface, and the only unsafe code here. Owns which of its complaints
//! refuse a file, and whether it has its SIMD. Never touches pixels: the `mozjpeg` crate does, and every
//! call into that goes through [`contained`](crate::guard::contained), since libjpeg fails by unwinding.
#![expect(unsafe_code, reason = "libjpeg's error manager is a C struct of callbacks")]

use std::ffi::{c_int, c_uint};
use std::mem;
use std::panic::resume_unwind;

use mozjpeg_sys as ffi;

/// libjpeg's JMSG_LENGTH_MAX: the longest text that it formats, with its final 0.
const MESSAGE_BYTES: usize = 200;

/// An error manager under which a damaged file fails, at the first sign of it. libjpeg's own decodes
/// what it can of one, and counts warnings.
pub(crate) fn strict_errors() -> ffi::jpeg_error_mgr {
    // SAFETY: all zeroes is a valid value of this struct of integers, raw pointers and optional function
    // pointers, and `jpeg_std_error` then fills it in. It keeps no pointer to itself, so it may be moved.
    let mut errors: ffi::jpeg_error_mgr = unsafe {
        let mut errors = mem::zeroed();
        ffi::jpeg_std_error(&mut errors);
        errors
    };
    errors.error_exit = Some(fail);
    errors.emit_message = Some(fail_if_damaged);
    errors
}

/// Whether the JPEG codec of this build has its SIMD. On x86-64 it is assembled by `nasm`; a build
/// without that works, and decodes two to four times slower.
pub fn jpeg_simd() -> bool {
    unsafe extern "C" {
        fn jsimd_can_idct_islow() -> c_uint;
    }
    // SAFETY: takes nothing, and only reads what the CPU can do; a build without SIMD has it too, as a
    // function that returns 0.
    unsafe { jsimd_can_idct_islow() != 0 }
}

/// `resume_unwind` rather than a panic: a bad upload is nothing for the panic hook to print.
extern "C-unwind" fn fail(cinfo: &mut ffi::jpeg_common_struct) {
    resume_unwind(Box::new(message(cinfo)));
}

/// `level` is below 0 for a warning, else how deep a trace message is.
extern "C-unwind" fn fail_if_damaged(cinfo: &mut ffi::jpeg_common_struct, level: c_int) {
    if level >= 0 {
        return;
    }
    match message_code(cinfo) {
        ffi::JWRN_JPEG_EOF => note_end(cinfo),
        ffi::JWRN_HIT_MARKER if has_ended(cinfo) => resume_unwind(Box::new(ENDS.to_owned())),
        ffi::JWRN_HIT_MARKER => resume_unwind(Box::new(BREAKS_OFF.to_owned())),
        code if is_damage(code) => fail(cinfo),
        _ => {}
    }
}

/// What people are told of a scan whose data is not all there, since the file or since another marker
/// came; where that is goes behind.
const ENDS: &str = "it ends";
const BREAKS_OFF: &str = "its data breaks off";

/// Whether a warning means that pixels are missing or wrong.
fn is_damage(code: c_int) -> bool {
    match code {
        // The header says something odd of itself; pixels are not concerned.
        ffi::JWRN_ADOBE_XFORM | ffi::JWRN_JFIF_MAJOR | ffi::JWRN_BOGUS_ICC => false,
        // Bytes between segments that belong to none. Webcams leave some before the end of every picture.
        ffi::JWRN_EXTRANEOUS_DATA => false,
        // A sequential scan with the parameters of a progressive one, which have no meaning there.
        ffi::JWRN_NOT_SEQUENTIAL => false,
        // Pixels were asked for after the last row: about us, not the file.
        ffi::JWRN_TOO_MUCH_DATA => false,
        // A scan refines what was never sent, or sends it twice: what is shown is anyone's guess.
        ffi::JWRN_BOGUS_PROGRESSION => true,
        // The file ends. That harms nothing if all data has come: the decoder looks ahead, and many a
        // file lacks only the end marker. Where it lacks more, `JWRN_HIT_MARKER` follows; whole scans that
        // are missing are for `probe::scans` to see.
        ffi::JWRN_JPEG_EOF => false,
        // Data ends within a scan: the rest would be grey.
        ffi::JWRN_HIT_MARKER => true,
        // The data is not what was written.
        ffi::JWRN_HUFF_BAD_CODE | ffi::JWRN_MUST_RESYNC => true,
        // None that this version of libjpeg has.
        _ => true,
    }
}

fn message_code(cinfo: &ffi::jpeg_common_struct) -> c_int {
    // SAFETY: libjpeg calls back with the error manager that it was given, which outlives the decoder.
    unsafe { cinfo.err.as_ref() }.map_or(0, |errors| errors.msg_code)
}

/// Counts it, as libjpeg's own manager counts every warning.
fn note_end(cinfo: &mut ffi::jpeg_common_struct) {
    // SAFETY: as in `message_code`; nothing else holds a reference to it during a callback.
    if let Some(errors) = unsafe { cinfo.err.as_mut() } {
        errors.num_warnings += 1;
    }
}

fn has_ended(cinfo: &ffi::jpeg_common_struct) -> bool {
    // SAFETY: as in `message_code`.
    unsafe { cinfo.err.as_ref() }.is_some_and(|errors| errors.num_warnings > 0)
}

/// The current message, with its figures.
fn message(cinfo: &mut ffi::jpeg_common_struct) -> String {
    type Format = unsafe extern "C-unwind" fn(&mut ffi::jpeg_common_struct, *mut u8);
    // SAFETY: as in `message_code`.
    let format = unsafe { cinfo.err.as_ref() }.and_then(|errors| errors.format_message);
    let mut buffer = [0u8; MESSAGE_BYTES];
    if let Some(format) = format {
        // SAFETY: in C this is `void (*)(j_common_ptr, char *)`, writing at most JMSG_LENGTH_MAX bytes;
        // the binding says a shared reference to fewer, through which nothing could be written.
        unsafe {
            let format: Format = mem::transmute(format);
            format(cinfo, buffer.as_mut_ptr());
        }
    }
    let text = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::contained;
    use crate::testing::{jpeg, quadrants};

    fn decode(bytes: &[u8]) -> Result<usize, String> {
        contained(|| {
            let decoder = mozjpeg::Decompress::builder().with_err(strict_errors()).from_mem(bytes)?;
            let mut started = decoder.rgb()?;
            let data: Vec<u8> = started.read_scanlines()?;
            started.finish()?;
            Ok::<_, std::io::Error>(data.len())
        })
    }

    #[test]
    fn a_file_may_lack_its_end_marker_but_no_data_before_it() {
        let whole = jpeg(&quadrants(64, 48));
        for missing in 0..=2 {
            assert_eq!(decode(&whole[..whole.len() - missing]), Ok(64 * 48 * 3), "{missing}");
        }
        for missing in 3..40 {
            assert_eq!(decode(&whole[..whole.len() - missing]), Err(ENDS.into()), "{missing}");
        }
        let end = whole.len() - 20;
        let broken = [&whole[..end], &[0xff, 0xd9], &whole[end..]].concat();
        assert_eq!(decode(&broken), Err(BREAKS_OFF.into()));
    }

    #[test]
    fn bytes_that_belong_to_no_segment_and_junk_after_the_end_are_harmless() {
        let whole = jpeg(&quadrants(64, 48));
        let (data, end) = whole.split_at(whole.len() - 2);
        assert_eq!(decode(&[data, &[0; 7], end].concat()), Ok(64 * 48 * 3));
        assert_eq!(decode(&[&whole[..2], &[0, 1, 2], &whole[2..]].concat()), Ok(64 * 48 * 3));
        assert_eq!(decode(&[&whole, b"junk".as_slice()].concat()), Ok(64 * 48 * 3));
    }

    #[test]
    fn a_fatal_error_is_told_in_libjpegs_own_words() {
        assert_eq!(decode(b"\xff\xd8\xff\xd9"), Err("no image in the JPEG file".into()));
        let error = decode(b"BM0123").unwrap_err();
        assert!(error.starts_with("Not a JPEG file: starts with 0x42 0x4d"), "{error}");
    }
}
