//! The ceilings on what one source may cost. Owns their defaults and their names in the environment.
//! Enforced elsewhere: presign signs them into URLs, the worker and imaging judge sources by them.

use serde::{Deserialize, Serialize};

use crate::setting::{self, Lookup, SettingError, Variable};

const MIB: u64 = 1024 * 1024;
/// S3 takes at most 5 GiB in one PUT.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>
const MAX_PUT_BYTES: u64 = 5 * 1024 * MIB;

/// What one source may be at most. Part of the recipe's fingerprint: raise one, and what it refused is
/// due again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    pub max_source_bytes: u64,
    /// Width times height, before orientation.
    pub max_pixels: u64,
    /// Either side, px.
    pub max_side_px: u32,
    /// Frames of an animation, where the recipe asks for all of them; together they may have
    /// `max_pixels`. Else only the first is looked at.
    pub max_frames: u32,
    /// Estimated peak memory of making all renditions of one source, beyond the source's own bytes.
    pub max_job_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_source_bytes: 25 * MIB,
            max_pixels: 100_000_000,
            max_side_px: 16_384,
            max_frames: 60,
            max_job_bytes: job_share(DEFAULT_MEMORY_MIB),
        }
    }
}

/// What a function is given when nothing says otherwise, MiB; the template's default too.
pub const DEFAULT_MEMORY_MIB: u64 = 2048;

/// 60 % of a function's memory: the rest is for the sources' bytes, renditions on their way out, and
/// the runtime.
pub const fn job_share(memory_mib: u64) -> u64 {
    memory_mib * MIB * 6 / 10
}

impl Limits {
    pub const MAX_SOURCE_BYTES: Variable = Variable {
        name: "MAX_SOURCE_BYTES",
        default: "26214400",
        meaning: "largest source, bytes; asked of whoever tells a length, and checked by the worker of all",
    };
    pub const MAX_PIXELS: Variable = Variable {
        name: "MAX_PIXELS",
        default: "100000000",
        meaning: "most pixels of a source (width times height)",
    };
    pub const MAX_SIDE_PX: Variable =
        Variable { name: "MAX_SIDE_PX", default: "16384", meaning: "longest side of a source, px" };
    pub const MAX_FRAMES: Variable = Variable {
        name: "MAX_FRAMES",
        default: "60",
        meaning: "most frames of an animation, where the recipe asks for all of them",
    };

    /// Reads the limits; `memory_mib` is the function's memory, of which pixel work gets 60 %.
    pub fn from_settings(lookup: &Lookup, memory_mib: u64) -> Result<Self, SettingError> {
        let default = Self::default();
        Ok(Self {
            max_source_bytes: Self::source_bytes_from_settings(lookup)?,
            max_pixels: setting::number(
                lookup,
                Self::MAX_PIXELS.name,
                default.max_pixels,
                1..=u64::from(u32::MAX),
            )?,
            // 65 535 is the most that a JPEG can say of itself.
            max_side_px: setting::number(lookup, Self::MAX_SIDE_PX.name, default.max_side_px, 1..=65_535)?,
            max_frames: setting::number(lookup, Self::MAX_FRAMES.name, default.max_frames, 1..=100_000)?,
            max_job_bytes: job_share(memory_mib),
        })
    }

    /// The one limit that presign needs.
    pub fn source_bytes_from_settings(lookup: &Lookup) -> Result<u64, SettingError> {
        let default = Self::default().max_source_bytes;
        setting::number(lookup, Self::MAX_SOURCE_BYTES.name, default, 1..=MAX_PUT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_the_real_ones() {
        let limits = Limits::from_settings(&|_| None, DEFAULT_MEMORY_MIB).unwrap();
        assert_eq!(limits, Limits::default());
        assert_eq!(Limits::MAX_SOURCE_BYTES.default, limits.max_source_bytes.to_string());
        assert_eq!(Limits::MAX_PIXELS.default, limits.max_pixels.to_string());
        assert_eq!(Limits::MAX_SIDE_PX.default, limits.max_side_px.to_string());
        assert_eq!(Limits::MAX_FRAMES.default, limits.max_frames.to_string());
    }

    #[test]
    fn a_bad_limit_is_refused_by_name() {
        let lookup = |name: &str| (name == "MAX_SIDE_PX").then(|| "70000".to_owned());
        let error = Limits::from_settings(&lookup, 512).unwrap_err();
        assert_eq!(error.to_string(), "MAX_SIDE_PX: `70000` is not a whole number from 1 to 65535");
    }
}
