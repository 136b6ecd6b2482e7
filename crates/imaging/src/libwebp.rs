//! The one door to libwebp, and all unsafe code that it takes. Owns the lives of its pictures and buffers:
//! each is freed on every path. Never decides what is encoded how: `encode` does. Sources are not decoded
//! here, but by a decoder without unsafe code; tests hold that one against libwebp's own.
#![expect(unsafe_code, reason = "libwebp is a C library")]

use std::ffi::{CStr, c_int};
use std::ptr::{self, NonNull};
use std::slice;

use libwebp_sys as ffi;

use crate::geometry::Size;
use crate::pixels::Picture;
use crate::riff;

/// The longest side that a WebP can have, px.
const MAX_SIDE_PX: u32 = 16_383;

/// How hard a lossless encoder tries, 0 to 100: what libwebp's own tools set.
const LOSSLESS_EFFORT: u8 = 75;

/// The most effort beside alpha. With more, libwebp tries everything at the alpha of a lossy picture, and
/// noise takes it 90 µs a pixel: a minute where this takes half a second, for a few bytes.
const MAX_ALPHA_METHOD: u8 = 5;

/// What an encoder may lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    /// Visible pixels stay as they are; the colour of what is fully transparent may change.
    Lossless,
    /// 1 to 100.
    Lossy { quality: u8 },
}

/// The picture as a still WebP. `method` is effort, 0 to 6.
///
/// # Errors
/// libwebp's words and number for what went wrong.
pub(crate) fn encode(picture: &Picture, fidelity: Fidelity, method: u8) -> Result<Vec<u8>, String> {
    let config = config(fidelity, method, picture.has_alpha)?;
    // Lossy encoding starts from YUV, and then needs no copy as ARGB.
    let mut raw = RawPicture::import(picture, fidelity == Fidelity::Lossless)?;
    let mut bytes = Vec::new();
    raw.0.writer = Some(append);
    raw.0.custom_ptr = (&raw mut bytes).cast();
    // SAFETY: both structs were initialised by libwebp, the picture owns its pixels, and `bytes`, which
    // nothing else touches meanwhile, outlives the call, after which libwebp writes no more.
    let done = unsafe { ffi::WebPEncode(&config, &mut raw.0) } != 0;
    if done { Ok(bytes) } else { Err(raw.problem()) }
}

fn config(fidelity: Fidelity, method: u8, may_have_alpha: bool) -> Result<ffi::WebPConfig, String> {
    let mut config = ffi::WebPConfig::new().map_err(|()| "another version of libwebp".to_owned())?;
    let (lossless, quality) = match fidelity {
        Fidelity::Lossless => (1, LOSSLESS_EFFORT),
        Fidelity::Lossy { quality } => (0, quality),
    };
    config.lossless = lossless;
    config.quality = quality.into();
    let is_costly = may_have_alpha && fidelity != Fidelity::Lossless;
    config.method = if is_costly { method.min(MAX_ALPHA_METHOD) } else { method }.into();
    // The caller knows how many pictures are under way; an encoder with threads of its own does not.
    config.thread_level = 0;
    Ok(config)
}

/// Takes what libwebp has written. Gives 0, which libwebp reports as a failed write, where memory is short.
extern "C" fn append(data: *const u8, length: usize, picture: *const ffi::WebPPicture) -> c_int {
    if length == 0 {
        return 1;
    }
    // SAFETY: libwebp calls this within `WebPEncode`, with the picture that it was given, whose
    // `custom_ptr` is the Vec that `encode` put there, and with `length` bytes that it has written.
    let (bytes, data) = unsafe {
        let bytes: *mut Vec<u8> = (*picture).custom_ptr.cast();
        (&mut *bytes, slice::from_raw_parts(data, length))
    };
    // An allocation that fails must not unwind into C.
    let reserved = bytes.try_reserve(length).is_ok();
    if reserved {
        bytes.extend_from_slice(data);
    }
    c_int::from(reserved)
}

/// A picture in libwebp's memory.
struct RawPicture(ffi::WebPPicture);

impl RawPicture {
    /// A copy of the pixels, as ARGB or as YUV with alpha where any of them needs it.
    fn import(picture: &Picture, as_argb: bool) -> Result<Self, String> {
        let Size { width_px, height_px } = picture.size;
        let (width, height) = sides(picture.size)?;
        let channels: u32 = if picture.has_alpha { 4 } else { 3 };
        let stride = (width_px * channels) as c_int;
        if picture.data.len() as u64 != u64::from(width_px * channels) * u64::from(height_px) {
            return Err("the picture has not as many samples as it says".to_owned());
        }
        let raw = ffi::WebPPicture::new().map_err(|()| "another version of libwebp".to_owned())?;
        let mut raw = Self(raw);
        raw.0.use_argb = c_int::from(as_argb);
        (raw.0.width, raw.0.height) = (width, height);
        let import = if picture.has_alpha { ffi::WebPPictureImportRGBA } else { ffi::WebPPictureImportRGB };
        // SAFETY: the struct was initialised by libwebp and says the size; the data has `height` rows of
        // `stride` bytes, as checked above, and is only read during the call.
        let imported = unsafe { import(&mut raw.0, picture.data.as_ptr(), stride) } != 0;
        if imported { Ok(raw) } else { Err(raw.problem()) }
    }

    fn problem(&self) -> String {
        let code = self.0.error_code;
        format!("{code:?}, error {} of libwebp", code as u32)
    }
}

impl Drop for RawPicture {
    fn drop(&mut self) {
        // SAFETY: the struct was initialised by libwebp; pixels that it does not have are null, and freed
        // as such.
        unsafe { ffi::WebPPictureFree(&mut self.0) }
    }
}

/// How the frames of an animation are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    All(Fidelity),
    /// Each frame lossless or lossy, whichever is smaller. Takes twice the work.
    Smaller {
        quality: u8,
    },
}

/// An animation under way. libwebp keeps three canvases of it, and what is encoded of the frames so far.
pub(crate) struct AnimationEncoder {
    raw: NonNull<ffi::WebPAnimEncoder>,
    config: ffi::WebPConfig,
    next_ms: u32,
    has_alpha: bool,
}

impl AnimationEncoder {
    /// Of frames of one size, played `loop_count` times or, where that is 0, for ever.
    pub fn new(size: Size, loop_count: u16, compression: Compression, method: u8) -> Result<Self, String> {
        let (width, height) = sides(size)?;
        let (fidelity, is_mixed) = match compression {
            Compression::All(fidelity) => (fidelity, false),
            Compression::Smaller { quality } => (Fidelity::Lossy { quality }, true),
        };
        // What does not change from frame to frame may be left transparent.
        let config = config(fidelity, method, true)?;
        let version = ffi::WebPGetMuxABIVersion();
        let mut options = ffi::WebPAnimEncoderOptions {
            anim_params: ffi::WebPMuxAnimParams { bgcolor: 0, loop_count: 0 },
            minimize_size: 0,
            kmin: 0,
            kmax: 0,
            allow_mixed: 0,
            verbose: 0,
            padding: [0; 4],
        };
        // SAFETY: fills in a struct that is ours.
        if unsafe { ffi::WebPAnimEncoderOptionsInitInternal(&mut options, version) } == 0 {
            return Err("another version of libwebp".to_owned());
        }
        options.anim_params.loop_count = loop_count.into();
        options.allow_mixed = is_mixed.into();
        // SAFETY: the options were initialised by libwebp, which copies them.
        let raw = unsafe { ffi::WebPAnimEncoderNewInternal(width, height, &options, version) };
        let raw = NonNull::new(raw).ok_or_else(|| "no memory for the canvases of an animation".to_owned())?;
        Ok(Self { raw, config, next_ms: 0, has_alpha: false })
    }

    /// The next frame: the whole canvas, as it is shown for `duration_ms`.
    pub fn add(&mut self, picture: &Picture, duration_ms: u32) -> Result<(), String> {
        let mut frame = RawPicture::import(picture, true)?;
        // SAFETY: the picture's pixels are there as ARGB, and are only read.
        self.has_alpha |= picture.has_alpha && unsafe { ffi::WebPPictureHasTransparency(&frame.0) } != 0;
        // SAFETY: the encoder is alive, the frame's pixels are there as ARGB; both are only used during the
        // call, as the configuration is.
        let added = unsafe {
            ffi::WebPAnimEncoderAdd(self.raw.as_ptr(), &mut frame.0, self.next_ms as c_int, &self.config)
        };
        // That the clock wraps around, after 49 days, is fine with libwebp.
        self.next_ms = self.next_ms.wrapping_add(duration_ms);
        if added == 0 { Err(self.problem()) } else { Ok(()) }
    }

    /// The file. Where all frames were equal, it is a still.
    pub fn finish(self) -> Result<Vec<u8>, String> {
        let encoder = self.raw.as_ptr();
        let mut file = RawData(ffi::WebPData::default());
        // SAFETY: the encoder is alive; no frame means that the last one ends now. `file` is empty, and takes
        // over what libwebp allocates.
        let done = unsafe {
            ffi::WebPAnimEncoderAdd(encoder, ptr::null_mut(), self.next_ms as c_int, ptr::null()) != 0
                && ffi::WebPAnimEncoderAssemble(encoder, &mut file.0) != 0
        };
        if !done {
            return Err(self.problem());
        }
        let mut bytes = file.bytes().to_vec();
        // libwebp looks at its own frames only, which leave out what is transparent around a picture; without
        // the flag, many a decoder paints that black.
        if self.has_alpha {
            riff::declare_alpha(&mut bytes);
        }
        Ok(bytes)
    }

    /// Its words, which have libwebp's number in them.
    fn problem(&self) -> String {
        // SAFETY: the encoder is alive, and its text ends with 0 and is copied before the next call.
        let text = unsafe { CStr::from_ptr(ffi::WebPAnimEncoderGetError(self.raw.as_ptr())) };
        text.to_string_lossy().into_owned()
    }
}

impl Drop for AnimationEncoder {
    fn drop(&mut self) {
        // SAFETY: made by libwebp, and not freed before.
        unsafe { ffi::WebPAnimEncoderDelete(self.raw.as_ptr()) }
    }
}

/// Bytes that libwebp has allocated.
struct RawData(ffi::WebPData);

impl RawData {
    fn bytes(&self) -> &[u8] {
        if self.0.bytes.is_null() {
            return &[];
        }
        // SAFETY: libwebp has allocated and written as many bytes.
        unsafe { slice::from_raw_parts(self.0.bytes, self.0.size) }
    }
}

impl Drop for RawData {
    fn drop(&mut self) {
        // SAFETY: allocated by libwebp, or null, which is freed as nothing.
        unsafe { ffi::WebPDataClear(&mut self.0) }
    }
}

/// Width and height as C has them, where a WebP can be as large.
fn sides(size: Size) -> Result<(c_int, c_int), String> {
    let Size { width_px, height_px } = size;
    if width_px.max(height_px) > MAX_SIDE_PX || width_px.min(height_px) == 0 {
        return Err(format!("{width_px} x {height_px} px, and sides must be from 1 to {MAX_SIDE_PX}"));
    }
    Ok((width_px as c_int, height_px as c_int))
}

/// What libwebp's own decoder makes of a still, as RGBA.
#[cfg(test)]
pub(crate) fn reference_decode(bytes: &[u8]) -> Option<(Size, Vec<u8>)> {
    let (mut width, mut height) = (0, 0);
    // SAFETY: the bytes are only read during the call; what it returns is null or `width * height` pixels
    // of 4 bytes, to be freed by `WebPFree`.
    unsafe {
        let data = ffi::WebPDecodeRGBA(bytes.as_ptr(), bytes.len(), &mut width, &mut height);
        if data.is_null() {
            return None;
        }
        let size = Size::new(width as u32, height as u32);
        let pixels = slice::from_raw_parts(data, size.pixels() as usize * 4).to_vec();
        ffi::WebPFree(data.cast());
        Some((size, pixels))
    }
}

/// A frame as libwebp's own decoder composes it: the canvas as RGBA, and when it ends.
#[cfg(test)]
pub(crate) type ReferenceFrame = (Vec<u8>, u32);

/// What libwebp's own decoder makes of an animation: its loop count and frames.
#[cfg(test)]
pub(crate) fn reference_frames(bytes: &[u8]) -> Option<(u32, Size, Vec<ReferenceFrame>)> {
    let data = ffi::WebPData { bytes: bytes.as_ptr(), size: bytes.len() };
    let mut info = ffi::WebPAnimInfo::default();
    let mut frames = Vec::new();
    // SAFETY: the bytes outlive the decoder, which is deleted on every path; the canvas that it lends is
    // `width * height` pixels of 4 bytes, and copied before the next call.
    unsafe {
        let decoder = ffi::WebPAnimDecoderNew(&data, ptr::null());
        if decoder.is_null() {
            return None;
        }
        ffi::WebPAnimDecoderGetInfo(decoder, &mut info);
        let length = info.canvas_width as usize * info.canvas_height as usize * 4;
        let (mut canvas, mut end_ms) = (ptr::null_mut(), 0);
        while ffi::WebPAnimDecoderGetNext(decoder, &mut canvas, &mut end_ms) != 0 {
            frames.push((slice::from_raw_parts(canvas, length).to_vec(), end_ms as u32));
        }
        ffi::WebPAnimDecoderDelete(decoder);
    }
    Some((info.loop_count, Size::new(info.canvas_width, info.canvas_height), frames))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{quadrants, screenshot};

    const LOSSY: Fidelity = Fidelity::Lossy { quality: 80 };

    /// Every pixel another, with alpha from end to end.
    fn gradient(width_px: u32, height_px: u32) -> Picture {
        let pixel = |index: u32| {
            let (x, y) = (index % width_px, index / width_px);
            [x, y, x ^ y, (x * 255).div_ceil(width_px)].map(|sample| sample as u8)
        };
        let data = (0..width_px * height_px).flat_map(pixel).collect();
        Picture { size: Size::new(width_px, height_px), has_alpha: true, data }
    }

    #[test]
    fn the_alpha_of_a_lossy_picture_never_gets_the_effort_that_takes_minutes() {
        let method = |fidelity, may_have_alpha| config(fidelity, 6, may_have_alpha).unwrap().method;
        let lossy = Fidelity::Lossy { quality: 80 };
        assert_eq!((method(lossy, true), method(lossy, false), method(Fidelity::Lossless, true)), (5, 6, 6));
    }

    #[test]
    fn lossless_keeps_every_visible_pixel() {
        let picture = gradient(300, 200);
        let (size, pixels) = reference_decode(&encode(&picture, Fidelity::Lossless, 4).unwrap()).unwrap();
        assert_eq!(size, picture.size);
        let visible = |pixel: &[u8; 4]| if pixel[3] == 0 { [0; 4] } else { *pixel };
        assert!(pixels.as_chunks().0.iter().map(visible).eq(picture.data.as_chunks().0.iter().map(visible)));
    }

    #[test]
    fn lossy_comes_close_and_is_smaller_at_lower_quality() {
        let picture = quadrants(64, 48);
        let (_, pixels) = reference_decode(&encode(&picture, LOSSY, 4).unwrap()).unwrap();
        assert!(pixels[0] > 240 && pixels[1] < 16 && pixels[2] < 16, "red: {:?}", &pixels[..4]);
        let picture = gradient(300, 200);
        let at = |quality| encode(&picture, Fidelity::Lossy { quality }, 4).unwrap().len();
        assert!(at(20) < at(60) && at(60) < at(95));
    }

    #[test]
    fn alpha_is_kept_where_there_is_any_and_not_written_where_there_is_none() {
        for fidelity in [LOSSY, Fidelity::Lossless] {
            let picture = gradient(300, 200);
            let (_, pixels) = reference_decode(&encode(&picture, fidelity, 4).unwrap()).unwrap();
            let alpha = |pixels: &[u8]| pixels.iter().skip(3).step_by(4).copied().collect::<Vec<_>>();
            assert_eq!(alpha(&pixels), alpha(&picture.data));
        }
        let opaque = Picture { size: Size::new(2, 2), has_alpha: true, data: vec![255; 16] };
        assert_eq!(&encode(&opaque, LOSSY, 4).unwrap()[12..16], b"VP8 ");
    }

    #[test]
    fn sides_are_taken_to_the_last_pixel_that_the_format_can_hold() {
        let line = |width_px: u32| Picture {
            size: Size::new(width_px, 1),
            has_alpha: false,
            data: vec![9; width_px as usize * 3],
        };
        for fidelity in [LOSSY, Fidelity::Lossless] {
            let (size, _) = reference_decode(&encode(&line(16_383), fidelity, 0).unwrap()).unwrap();
            assert_eq!(size, Size::new(16_383, 1));
            assert!(encode(&line(16_384), fidelity, 0).unwrap_err().contains("from 1 to 16383"));
            assert!(encode(&line(0), fidelity, 0).is_err());
        }
    }

    #[test]
    fn pixels_that_do_not_match_their_size_are_refused() {
        for length in [0, 11, 13] {
            let picture = Picture { size: Size::new(2, 2), has_alpha: false, data: vec![0; length] };
            encode(&picture, LOSSY, 4).unwrap_err();
        }
    }

    #[test]
    fn an_error_is_told_by_libwebps_name_and_number() {
        let error = encode(&quadrants(8, 8), LOSSY, 7).unwrap_err();
        assert_eq!(error, "VP8_ENC_ERROR_INVALID_CONFIGURATION, error 4 of libwebp");
    }

    fn animated(compression: Compression, frames: &[(Picture, u32)]) -> Result<Vec<u8>, String> {
        let mut encoder = AnimationEncoder::new(frames[0].0.size, 3, compression, 4)?;
        for (picture, duration_ms) in frames {
            encoder.add(picture, *duration_ms)?;
        }
        encoder.finish()
    }

    #[test]
    fn an_animation_has_all_its_frames_with_their_durations_and_loops() {
        let mut other = gradient(40, 30);
        other.data.rotate_left(400);
        let pictures = [(gradient(40, 30), 40), (other, 1000), (gradient(40, 30), 70)];
        let all = Compression::All(Fidelity::Lossless);
        let (loops, size, frames) = reference_frames(&animated(all, &pictures).unwrap()).unwrap();
        assert_eq!((loops, size), (3, Size::new(40, 30)));
        assert_eq!(frames.iter().map(|frame| frame.1).collect::<Vec<_>>(), [40, 1040, 1110]);
        for ((picture, _), (pixels, _)) in pictures.iter().zip(&frames) {
            let visible = |pixel: &[u8; 4]| if pixel[3] == 0 { [0; 4] } else { *pixel };
            let (shown, made) = (pixels.as_chunks().0, picture.data.as_chunks().0);
            assert!(shown.iter().map(visible).eq(made.iter().map(visible)));
        }
    }

    #[test]
    fn every_compression_gives_an_animation_and_mixed_is_no_larger_than_either() {
        let frames = [(quadrants(64, 48), 50), (quadrants(64, 48), 50), (gradientless(64, 48), 50)];
        let [lossy, lossless, mixed] = [
            Compression::All(LOSSY),
            Compression::All(Fidelity::Lossless),
            Compression::Smaller { quality: 80 },
        ]
        .map(|compression| animated(compression, &frames).unwrap());
        // Lossless frames among others are made with another effort.
        assert!(mixed.len() <= lossy.len().min(lossless.len()) + 50);
        // Equal frames become one.
        assert_eq!(
            reference_frames(&lossless).unwrap().2.iter().map(|f| f.1).collect::<Vec<_>>(),
            [100, 150]
        );
    }

    fn gradientless(width_px: u32, height_px: u32) -> Picture {
        let mut picture = quadrants(width_px, height_px);
        picture.data.reverse();
        picture
    }

    #[test]
    fn what_no_frame_covers_is_transparent_to_every_decoder() {
        let mut frames = [(gradient(40, 30), 40), (gradient(40, 30), 40)];
        for (index, (picture, _)) in frames.iter_mut().enumerate() {
            for (at, pixel) in picture.data.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *pixel = if at % 40 < 10 + index { [255, 0, 0, 255] } else { [0; 4] };
            }
        }
        let bytes = animated(Compression::All(Fidelity::Lossless), &frames).unwrap();
        let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
        let first = image::DynamicImage::from_decoder(decoder).unwrap().into_rgba8();
        assert_eq!((first.get_pixel(0, 0).0, first.get_pixel(39, 0).0), ([255, 0, 0, 255], [0; 4]));
    }

    #[test]
    fn frames_of_another_size_and_animations_without_frames_are_refused() {
        let lossless = Compression::All(Fidelity::Lossless);
        let mut encoder = AnimationEncoder::new(Size::new(8, 8), 0, lossless, 4).unwrap();
        assert!(encoder.add(&quadrants(8, 9), 10).unwrap_err().contains("dimensions"));
        encoder.finish().unwrap_err();
        assert!(AnimationEncoder::new(Size::new(16_384, 1), 0, lossless, 4).is_err());
        let bad = animated(Compression::All(Fidelity::Lossy { quality: 200 }), &[(quadrants(8, 8), 9)]);
        assert!(bad.unwrap_err().contains("Config"));
    }

    /// The corpus, where there is one, and what we encode.
    fn stills() -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for (index, picture) in
            [quadrants(301, 203), gradient(255, 127), screenshot(400, 300)].iter().enumerate()
        {
            for quality in [5, 50, 80, 100] {
                let bytes = encode(picture, Fidelity::Lossy { quality }, 4).unwrap();
                all.push((format!("{index} at {quality}"), bytes));
            }
            all.push((format!("{index} lossless"), encode(picture, Fidelity::Lossless, 4).unwrap()));
        }
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/webp");
        for entry in std::fs::read_dir(&corpus).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "webp") {
                all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
        all
    }

    #[test]
    fn the_decoder_without_unsafe_code_shows_what_libwebps_own_shows() {
        for (name, bytes) in stills() {
            let Some((size, expected)) = reference_decode(&bytes) else {
                assert!(reference_frames(&bytes).is_some(), "{name}");
                continue;
            };
            let decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
            let found = image::DynamicImage::from_decoder(decoder).unwrap().into_rgba8();
            assert_eq!(found.dimensions(), (size.width_px, size.height_px), "{name}");
            // Not a sample differs: chroma is interpolated alike, and rounded alike.
            assert!(*found.as_raw() == expected, "{name}");
        }
    }

    #[test]
    fn an_animation_that_is_given_up_is_freed() {
        let lossless = Compression::All(Fidelity::Lossless);
        for _ in 0..100 {
            let mut encoder = AnimationEncoder::new(Size::new(64, 48), 0, lossless, 0).unwrap();
            encoder.add(&quadrants(64, 48), 10).unwrap();
        }
    }
}
