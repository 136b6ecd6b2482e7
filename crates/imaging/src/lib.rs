//! Bytes in, bytes out: judges a source by its header, decodes it once and makes every rendition of a
//! recipe. Never does I/O, reads the environment or knows AWS; CI checks its tree. Never leaves a thread
//! behind, but one that a decoder's panic stopped (`guard`).

mod animation;
mod attention;
mod av1;
mod avif;
mod colour;
mod copyright;
mod cost;
mod decode;
mod encode;
mod error;
mod fit;
mod geometry;
mod graphics;
mod guard;
mod heif;
mod jobs;
#[cfg(feature = "avif")]
mod libaom;
mod libjpeg;
mod libwebp;
#[doc(hidden)]
pub mod measure;
mod orientation;
mod pixels;
mod placeholder;
mod probe;
mod render;
mod resize;
mod riff;
mod sniff;
#[cfg(test)]
mod testing;
mod threads;

pub use cost::Cost;
pub use encode::{ENCODERS, check_recipe};
pub use error::Error;
pub use libjpeg::jpeg_simd;
pub use orientation::Orientation;
pub use probe::{Probe, probe};
pub use render::{Encoded, render};
pub use sniff::{Sniffed, sniff};
