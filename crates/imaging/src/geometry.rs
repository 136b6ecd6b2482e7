//! Which part of a source a rendition shows, and how large. Integers only, and no pixels: every size is known
//! here before any is decoded, and every part's place, but for those that attention finds. Never enlarges.

use contract::recipe::{Fit, RenditionSpec};

use crate::orientation::Orientation;

/// Where a box leaves a side open, px: the most that any format which we write can hold (WebP).
const OPEN_SIDE_PX: u32 = 16_383;

/// Width and height, px; neither is ever 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Size {
    pub width_px: u32,
    pub height_px: u32,
}

impl Size {
    pub const fn new(width_px: u32, height_px: u32) -> Self {
        Self { width_px, height_px }
    }

    pub const fn pixels(self) -> u64 {
        self.width_px as u64 * self.height_px as u64
    }

    /// Width and height, as indices count.
    pub const fn sides(self) -> (usize, usize) {
        (self.width_px as usize, self.height_px as usize)
    }

    pub const fn transposed(self) -> Self {
        Self::new(self.height_px, self.width_px)
    }

    /// The largest size of this aspect ratio within `limit`; never larger than it is.
    fn shrunk_into(self, limit: Self) -> Self {
        if self.width_px <= limit.width_px && self.height_px <= limit.height_px {
            return self;
        }
        let Self { width_px, height_px } = self;
        if limit.width_px as u64 * height_px as u64 <= limit.height_px as u64 * width_px as u64 {
            Self::new(limit.width_px, scaled(height_px, limit.width_px, width_px))
        } else {
            Self::new(scaled(width_px, limit.height_px, height_px), limit.height_px)
        }
    }
}

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rect {
    pub left_px: u32,
    pub top_px: u32,
    pub size: Size,
}

impl Rect {
    pub const fn whole(size: Size) -> Self {
        Self { left_px: 0, top_px: 0, size }
    }
}

/// What to cut out of a source, and the size to bring it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    pub crop: Rect,
    pub target: Size,
}

impl Geometry {
    /// The geometry of one rendition of a picture that is displayed at the size `source`.
    pub fn of(source: Size, spec: &RenditionSpec) -> Self {
        let limit = Size::new(spec.width.unwrap_or(OPEN_SIDE_PX), spec.height.unwrap_or(OPEN_SIDE_PX));
        match spec.fit {
            Fit::Inside => Self::inside(source, limit),
            Fit::Cover => Self::cover(source, limit),
        }
    }

    /// All of the picture, in a box.
    pub fn inside(source: Size, limit: Size) -> Self {
        Self { crop: Rect::whole(source), target: source.shrunk_into(limit) }
    }

    /// The box filled, around the centre. A box that exceeds the source shrinks, keeping its shape.
    fn cover(source: Size, limit: Size) -> Self {
        let target = limit.shrunk_into(source);
        let size = grown_into(target, source);
        let left_px = (source.width_px - size.width_px) / 2;
        let top_px = (source.height_px - size.height_px) / 2;
        Self { crop: Rect { left_px, top_px, size }, target }
    }

    /// The same, on the pixels as they are stored: before `orientation` turns them as displayed.
    pub fn stored(self, orientation: Orientation, displayed: Size) -> Self {
        let Self { crop, target } = self;
        let Size { width_px, height_px } = crop.size;
        let right_px = displayed.width_px - crop.left_px - width_px;
        let bottom_px = displayed.height_px - crop.top_px - height_px;
        let left_px = if orientation.flips_x() { right_px } else { crop.left_px };
        let top_px = if orientation.flips_y() { bottom_px } else { crop.top_px };
        if orientation.swaps_axes() {
            let crop = Rect { left_px: top_px, top_px: left_px, size: crop.size.transposed() };
            return Self { crop, target: target.transposed() };
        }
        Self { crop: Rect { left_px, top_px, size: crop.size }, target }
    }

    /// Whether pixels of the size `base`, made from all of a `source`, have at least `numerator` /
    /// `denominator` times the resolution that this needs.
    pub fn is_served_by(&self, base: Size, source: Size, numerator: u64, denominator: u64) -> bool {
        let enough = |target_px: u32, crop_px: u32, base_px: u32, source_px: u32| {
            base_px == source_px
                || numerator * u64::from(target_px) * u64::from(source_px)
                    <= denominator * u64::from(crop_px) * u64::from(base_px)
        };
        let (target, crop) = (self.target, self.crop.size);
        enough(target.width_px, crop.width_px, base.width_px, source.width_px)
            && enough(target.height_px, crop.height_px, base.height_px, source.height_px)
    }
}

/// The largest part of `limit` that has the shape of `shape`, which fits into it.
fn grown_into(shape: Size, limit: Size) -> Size {
    let Size { width_px, height_px } = limit;
    if shape.width_px as u64 * height_px as u64 >= shape.height_px as u64 * width_px as u64 {
        Size::new(width_px, scaled(width_px, shape.height_px, shape.width_px).min(height_px))
    } else {
        Size::new(scaled(height_px, shape.width_px, shape.height_px).min(width_px), height_px)
    }
}

/// `length * to / from` to the nearest px, at least 1.
fn scaled(length_px: u32, to_px: u32, from_px: u32) -> u32 {
    let (length, to, from) = (u64::from(length_px), u64::from(to_px), u64::from(from_px));
    let nearest = (length * to * 2 + from) / (from * 2);
    u32::try_from(nearest.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(width: Option<u32>, height: Option<u32>, fit: Fit) -> RenditionSpec {
        RenditionSpec {
            name: "a".into(),
            width,
            height,
            fit,
            gravity: Default::default(),
            formats: None,
            max_bytes: None,
        }
    }

    #[test]
    fn inside_keeps_the_whole_picture_within_the_box_and_never_enlarges() {
        for (source, width, height, target) in [
            ((4032, 3024), Some(640), None, (640, 480)),
            ((3024, 4032), Some(640), None, (640, 853)),
            ((3024, 4032), None, Some(640), (480, 640)),
            ((4000, 3000), Some(1000), Some(300), (400, 300)),
            ((4000, 3000), Some(300), Some(1000), (300, 225)),
            ((500, 300), Some(640), None, (500, 300)),
            ((500, 300), Some(500), Some(300), (500, 300)),
            ((500, 300), Some(499), None, (499, 299)),
            ((10_000, 1), Some(640), None, (640, 1)),
            ((100, 16_384), Some(640), None, (100, 16_383)),
            ((1, 1), Some(1), Some(1), (1, 1)),
        ] {
            let source = Size::new(source.0, source.1);
            let geometry = Geometry::of(source, &spec(width, height, Fit::Inside));
            assert_eq!(geometry.crop, Rect::whole(source));
            assert_eq!(geometry.target, Size::new(target.0, target.1), "{source:?} {width:?} {height:?}");
        }
    }

    #[test]
    fn cover_fills_the_box_from_the_centre_and_shrinks_a_box_that_exceeds_the_source() {
        for (source, limit, crop, target) in [
            ((4032, 3024), (256, 256), (504, 0, 3024, 3024), (256, 256)),
            ((3024, 4032), (256, 256), (0, 504, 3024, 3024), (256, 256)),
            ((500, 100), (256, 256), (200, 0, 100, 100), (100, 100)),
            ((500, 300), (1000, 500), (0, 25, 500, 250), (500, 250)),
            ((500, 300), (500, 300), (0, 0, 500, 300), (500, 300)),
            ((500, 301), (500, 300), (0, 0, 500, 300), (500, 300)),
            ((1, 1), (256, 100), (0, 0, 1, 1), (1, 1)),
        ] {
            let source = Size::new(source.0, source.1);
            let geometry = Geometry::of(source, &spec(Some(limit.0), Some(limit.1), Fit::Cover));
            let Rect { left_px, top_px, size } = geometry.crop;
            assert_eq!((left_px, top_px, size.width_px, size.height_px), crop, "{source:?} {limit:?}");
            assert_eq!(geometry.target, Size::new(target.0, target.1), "{source:?} {limit:?}");
        }
    }

    #[test]
    fn a_crop_is_found_again_in_stored_pixels() {
        let displayed = Size::new(300, 200);
        let crop = Rect { left_px: 10, top_px: 20, size: Size::new(100, 50) };
        let geometry = Geometry { crop, target: Size::new(10, 5) };
        for (exif, left_px, top_px) in [(1, 10, 20), (2, 190, 20), (3, 190, 130), (4, 10, 130)] {
            let stored = geometry.stored(Orientation::from_exif(exif), displayed);
            assert_eq!(stored, Geometry { crop: Rect { left_px, top_px, ..crop }, ..geometry }, "{exif}");
        }
        for (exif, left_px, top_px) in [(5, 20, 10), (6, 20, 190), (7, 130, 190), (8, 130, 10)] {
            let stored = geometry.stored(Orientation::from_exif(exif), displayed);
            let crop = Rect { left_px, top_px, size: Size::new(50, 100) };
            assert_eq!(stored, Geometry { crop, target: Size::new(5, 10) }, "{exif}");
        }
    }

    fn off_by_at_most_a_pixel(small: Size, large: Size) -> bool {
        let cross = |a: u32, b: u32| u64::from(a) * u64::from(b);
        let (one, other) = (cross(small.width_px, large.height_px), cross(small.height_px, large.width_px));
        one.abs_diff(other) <= u64::from(large.width_px.max(large.height_px))
    }

    proptest! {
        #[test]
        fn nothing_is_enlarged_or_empty_or_out_of_shape(
            width in 1u32..20_000, height in 1u32..20_000,
            limit_width in 1u32..=16_383, limit_height in 1u32..=16_383,
            open in 0..3, cover in any::<bool>(), exif in 1u8..=8,
        ) {
            let source = Size::new(width, height);
            let spec = match (cover, open) {
                (true, _) => spec(Some(limit_width), Some(limit_height), Fit::Cover),
                (false, 0) => spec(Some(limit_width), Some(limit_height), Fit::Inside),
                (false, 1) => spec(None, Some(limit_height), Fit::Inside),
                (false, _) => spec(Some(limit_width), None, Fit::Inside),
            };
            let geometry = Geometry::of(source, &spec);
            let Geometry { crop, target } = geometry;
            prop_assert!(target.width_px >= 1 && target.height_px >= 1);
            prop_assert!(target.width_px <= spec.width.unwrap_or(OPEN_SIDE_PX));
            prop_assert!(target.height_px <= spec.height.unwrap_or(OPEN_SIDE_PX));
            prop_assert!(target.width_px <= crop.size.width_px);
            prop_assert!(target.height_px <= crop.size.height_px);
            prop_assert!(crop.left_px + crop.size.width_px <= width);
            prop_assert!(crop.top_px + crop.size.height_px <= height);
            prop_assert!(off_by_at_most_a_pixel(target, crop.size), "{geometry:?}");

            let orientation = Orientation::from_exif(exif);
            let stored_size = if orientation.swaps_axes() { source.transposed() } else { source };
            let stored = geometry.stored(orientation, source);
            prop_assert!(stored.crop.left_px + stored.crop.size.width_px <= stored_size.width_px);
            prop_assert!(stored.crop.top_px + stored.crop.size.height_px <= stored_size.height_px);
        }
    }
}
