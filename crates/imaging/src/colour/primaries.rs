//! What red, green, blue and white a source means. Owns the way from them to sRGB's; never judges how
//! bright a sample is.

use moxcms::{Chromaticity, ColorPrimaries, Matrix3d, XyY, adapt_to_d50_d};

/// x and y of white, red, green and blue, as PNG orders them.
pub(super) type Chromaticities = [(f64, f64); 4];

pub(super) const SRGB: Chromaticities = [D65, (0.64, 0.33), (0.3, 0.6), (0.15, 0.06)];

const D65: (f64, f64) = (0.3127, 0.329);
/// Illuminant C.
const C: (f64, f64) = (0.31, 0.316);
/// Chromaticities this close to sRGB's were rounded on their way.
const TOLERANCE: f64 = 0.001;

/// By H.273, table 2; none where it is unspecified or unknown.
pub(super) fn from_code_point(code_point: u8) -> Option<Chromaticities> {
    Some(match code_point {
        1 => SRGB,
        4 => [C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)],
        5 => [D65, (0.64, 0.33), (0.29, 0.6), (0.15, 0.06)],
        6 | 7 => [D65, (0.63, 0.34), (0.31, 0.595), (0.155, 0.07)],
        8 => [C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)],
        // BT.2020 and BT.2100
        9 => [D65, (0.708, 0.292), (0.17, 0.797), (0.131, 0.046)],
        // XYZ itself
        10 => [(1.0 / 3.0, 1.0 / 3.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)],
        // The cinema's P3
        11 => [(0.314, 0.351), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)],
        // Display P3
        12 => [D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)],
        22 => [D65, (0.63, 0.34), (0.295, 0.605), (0.155, 0.077)],
        _ => return None,
    })
}

pub(super) fn is_srgb(chromaticities: &Chromaticities) -> bool {
    chromaticities
        .iter()
        .zip(&SRGB)
        .all(|(one, other)| (one.0 - other.0).abs() < TOLERANCE && (one.1 - other.1).abs() < TOLERANCE)
}

/// From linear light of these primaries to sRGB's, white to white (Bradford); none where they span no
/// colours.
pub(super) fn to_srgb(chromaticities: &Chromaticities) -> Option<[[f32; 3]; 3]> {
    let matrix = to_d50(&SRGB)?.inverse().mat_mul_const(to_d50(chromaticities)?);
    let all_finite = matrix.v.as_flattened().iter().all(|value| value.is_finite());
    all_finite.then(|| matrix.v.map(|row| row.map(|value| value as f32)))
}

fn to_d50(chromaticities: &Chromaticities) -> Option<Matrix3d> {
    let [white, red, green, blue] = *chromaticities;
    let point = |(x, y): (f64, f64)| Chromaticity::new(x as f32, y as f32);
    let column = |(x, y): (f64, f64)| [x, y, 1.0 - x - y];
    let spanned = Matrix3d { v: [red, green, blue].map(column) }.determinant()?.abs();
    if spanned < 1e-6 || white.1 <= 0.0 {
        return None;
    }
    let primaries = ColorPrimaries { red: point(red), green: point(green), blue: point(blue) };
    let white = XyY::new(white.0, white.1, 1.0);
    Some(adapt_to_d50_d(primaries.transform_to_xyz_d(white), white))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_stays_white_from_all_primaries() {
        for code_point in 0..=255 {
            let Some(chromaticities) = from_code_point(code_point) else { continue };
            for row in to_srgb(&chromaticities).unwrap() {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-4, "{code_point}: {sum}");
            }
        }
    }

    #[test]
    fn what_spans_no_colours_has_no_way_to_srgb() {
        let [white, red, green, blue] = SRGB;
        for broken in [
            [white, red, green, green],
            [(0.0, 0.0), red, green, blue],
            [white, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)],
            [white, (f64::NAN, 0.3), green, blue],
        ] {
            assert_eq!(to_srgb(&broken), None, "{broken:?}");
        }
    }

    #[test]
    fn srgb_that_was_rounded_is_srgb() {
        let [white, red, green, _] = SRGB;
        assert!(is_srgb(&[white, red, green, (0.15001, 0.05999)]));
        assert!(!is_srgb(&from_code_point(12).unwrap()));
    }
}
