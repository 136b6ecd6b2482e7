//! The one door to libaom: planes in, one AV1 key frame out. Owns all unsafe code of the AVIF encoder and
//! every setting of it. Never sees RGB nor the container around the frame: `avif` does.
#![expect(unsafe_code, reason = "libaom is a C library")]

use std::ffi::{CStr, CString, c_int};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::slice;

use libaom_sys as ffi;

use crate::geometry::Size;

/// 8-bit planes of full range, rows without padding.
pub(crate) struct Planes<'a> {
    pub size: Size,
    pub luma: &'a [u8],
    /// Cb and Cr at half the width and height, rounded up; none for a grey picture.
    pub chroma: Option<[&'a [u8]; 2]>,
}

/// What libaom takes 63 for, the coarsest quantiser.
pub(crate) const MAX_QUANTISER: u8 = 63;

/// Settings of every frame, by their names on aomenc's command line. At speed 9 a frame costs less than
/// WebP's, and the quantiser matrices save bytes at equal quality. The colours are what browsers and MIAF take for granted: sRGB, and BT.601's matrix.
const OPTIONS: [(&CStr, &CStr); 8] = [
    (c"end-usage", c"q"),
    (c"cpu-used", c"9"),
    (c"enable-qm", c"1"),
    (c"qm-min", c"2"),
    (c"qm-max", c"10"),
    (c"color-primaries", c"bt709"),
    (c"transfer-characteristics", c"srgb"),
    (c"matrix-coefficients", c"bt601"),
];

/// The frame as AV1 in low-overhead format, made on this thread alone. `quantiser` is 0 (fine) to
/// [`MAX_QUANTISER`].
///
/// # Errors
/// libaom's own words, or which plane is too short.
pub(crate) fn encode(planes: &Planes<'_>, quantiser: u8) -> Result<Vec<u8>, String> {
    let neutral = planes.neutral_chroma();
    let image = planes.image(&neutral)?;
    let mut encoder = Encoder::new(planes)?;
    for (name, value) in OPTIONS.into_iter().filter(|(name, _)| *name != c"end-usage") {
        encoder.set(name, value)?;
    }
    let level = CString::new(quantiser.min(MAX_QUANTISER).to_string()).map_err(|error| error.to_string())?;
    encoder.set(c"cq-level", &level)?;
    encoder.encode(&image)
}

impl Planes<'_> {
    fn chroma_size(&self) -> Size {
        Size::new(self.size.width_px.div_ceil(2), self.size.height_px.div_ceil(2))
    }

    /// libaom wants chroma planes of a grey picture too, and codes nothing of them.
    fn neutral_chroma(&self) -> Vec<u8> {
        if self.chroma.is_some() { Vec::new() } else { vec![128; self.chroma_size().pixels() as usize] }
    }

    /// libaom's view of the planes, which it only reads, and only as long as they are borrowed here.
    fn image(&self, neutral: &[u8]) -> Result<ffi::aom_image_t, String> {
        let [cb, cr] = self.chroma.unwrap_or([neutral, neutral]);
        let chroma_size = self.chroma_size();
        for (plane, size) in [(self.luma, self.size), (cb, chroma_size), (cr, chroma_size)] {
            if (plane.len() as u64) < size.pixels() {
                return Err(format!("a plane has {} bytes of {}", plane.len(), size.pixels()));
            }
        }
        let stride = |size: Size| c_int::try_from(size.width_px).map_err(|error| error.to_string());
        // SAFETY: all zeroes is a valid value of this struct of integers and raw pointers.
        let mut image: ffi::aom_image_t = unsafe { mem::zeroed() };
        image.fmt = ffi::AOM_IMG_FMT_I420;
        image.range = ffi::AOM_CR_FULL_RANGE;
        image.monochrome = self.chroma.is_none().into();
        image.bit_depth = 8;
        (image.x_chroma_shift, image.y_chroma_shift) = (1, 1);
        (image.w, image.h) = (self.size.width_px, self.size.height_px);
        (image.d_w, image.d_h) = (image.w, image.h);
        image.planes = [self.luma, cb, cr].map(|plane| plane.as_ptr().cast_mut());
        image.stride = [stride(self.size)?, stride(chroma_size)?, stride(chroma_size)?];
        Ok(image)
    }
}

/// A libaom encoder for one frame, freed at its end.
struct Encoder {
    /// On the heap: libaom's own parts may point back at it.
    context: Box<ffi::aom_codec_ctx_t>,
}

impl Encoder {
    fn new(planes: &Planes<'_>) -> Result<Self, String> {
        let mut config = MaybeUninit::<ffi::aom_codec_enc_cfg_t>::uninit();
        // SAFETY: libaom fills the struct in where it answers that all is well, and it is read only then.
        let mut config = unsafe {
            let usage = ffi::AOM_USAGE_ALL_INTRA;
            checked(ffi::aom_codec_enc_config_default(ffi::aom_codec_av1_cx(), config.as_mut_ptr(), usage))?;
            config.assume_init()
        };
        (config.g_w, config.g_h) = (planes.size.width_px, planes.size.height_px);
        config.g_limit = 1; // a still picture, and marked as one
        config.g_lag_in_frames = 0;
        config.g_threads = 1;
        config.rc_end_usage = ffi::AOM_Q;
        config.monochrome = planes.chroma.is_none().into();
        // SAFETY: all zeroes is a valid value of this struct of integers and raw pointers. It is made here
        // only: where `init` fails, nothing is left to destroy.
        unsafe {
            let mut context: Box<ffi::aom_codec_ctx_t> = Box::new(mem::zeroed());
            let version = ffi::AOM_ENCODER_ABI_VERSION as c_int;
            let codec = ffi::aom_codec_av1_cx();
            checked(ffi::aom_codec_enc_init_ver(&mut *context, codec, &config, 0, version))?;
            let mut encoder = Self { context };
            let (key, range) = (ffi::AV1E_SET_COLOR_RANGE as c_int, ffi::AOM_CR_FULL_RANGE as c_int);
            let answer = ffi::aom_codec_control(&mut *encoder.context, key, range);
            encoder.checked(answer)?;
            Ok(encoder)
        }
    }

    fn set(&mut self, name: &CStr, value: &CStr) -> Result<(), String> {
        // SAFETY: the context was initialised, and both strings end with a 0 and are only read.
        let answer = unsafe { ffi::aom_codec_set_option(&mut *self.context, name.as_ptr(), value.as_ptr()) };
        self.checked(answer).map_err(|problem| format!("{}: {problem}", name.to_string_lossy()))
    }

    fn encode(&mut self, image: &ffi::aom_image_t) -> Result<Vec<u8>, String> {
        let mut frame = Vec::new();
        // The second call says that nothing follows.
        for image in [ptr::from_ref(image), ptr::null()] {
            // SAFETY: the context was initialised; the image's planes are as long as its size says, which
            // `Planes::image` has seen, and libaom does not keep them.
            let answer = unsafe { ffi::aom_codec_encode(&mut *self.context, image, 0, 1, 0) };
            self.checked(answer)?;
            self.take_packets(&mut frame);
        }
        if frame.is_empty() { Err("libaom gave no frame".to_owned()) } else { Ok(frame) }
    }

    fn take_packets(&mut self, frame: &mut Vec<u8>) {
        let mut iterator = ptr::null();
        // SAFETY: the context was initialised. A packet is valid until the next call, and of a frame
        // packet `frame` is the part of the union that is set.
        unsafe {
            while let Some(packet) = ffi::aom_codec_get_cx_data(&mut *self.context, &mut iterator).as_ref() {
                if packet.kind == ffi::AOM_CODEC_CX_FRAME_PKT && !packet.data.frame.buf.is_null() {
                    let data = packet.data.frame;
                    frame.extend_from_slice(slice::from_raw_parts(data.buf.cast(), data.sz));
                }
            }
        }
    }

    fn checked(&self, answer: ffi::aom_codec_err_t) -> Result<(), String> {
        checked(answer).map_err(|problem| {
            // SAFETY: the context was initialised; the text is a constant or lives as long as it does.
            let detail = unsafe { text(ffi::aom_codec_error_detail(&*self.context)) };
            detail.map_or(problem.clone(), |detail| format!("{problem}: {detail}"))
        })
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the context was initialised, and is not used again.
        unsafe { ffi::aom_codec_destroy(&mut *self.context) };
    }
}

fn checked(answer: ffi::aom_codec_err_t) -> Result<(), String> {
    if answer == ffi::AOM_CODEC_OK {
        return Ok(());
    }
    // SAFETY: takes a number, and gives a constant.
    let known = unsafe { text(ffi::aom_codec_err_to_string(answer)) };
    Err(known.unwrap_or_else(|| format!("error {answer}")))
}

/// # Safety
/// `text` is null, or ends with a 0 and lives until this returns.
unsafe fn text(text: *const std::ffi::c_char) -> Option<String> {
    // SAFETY: the caller's word.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_small_and_odd_size_is_encoded_in_colour_and_in_grey() {
        for (width, height) in [(1, 1), (1, 9), (2, 1), (7, 5), (16, 16), (17, 64), (65, 33)] {
            let size = Size::new(width, height);
            let luma = vec![100; size.pixels() as usize];
            let chroma = vec![90; (width.div_ceil(2) * height.div_ceil(2)) as usize];
            for chroma in [None, Some([chroma.as_slice(); 2])] {
                let frame = encode(&Planes { size, luma: &luma, chroma }, 20).unwrap();
                // A temporal delimiter may come first; a sequence header must be near the start.
                assert!(frame.len() > 10 && frame.iter().take(4).any(|byte| byte >> 3 == 1), "{size:?}");
            }
        }
    }

    #[test]
    fn planes_that_are_too_short_are_refused_before_libaom_reads_them() {
        let (size, whole) = (Size::new(7, 5), [0; 35]);
        let chroma = &whole[..12];
        for (luma, chroma) in [
            (&whole[..34], Some([chroma, chroma])),
            (&whole, Some([&chroma[..11], chroma])),
            (&whole, Some([chroma, &chroma[..11]])),
            (&whole[..34], None),
        ] {
            let error = encode(&Planes { size, luma, chroma }, 20).unwrap_err();
            assert!(error.starts_with("a plane has "), "{error}");
        }
    }
}
