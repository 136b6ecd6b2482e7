//! The eight EXIF orientations: which way up stored pixels are shown. Owns turning a small picture;
//! never turns decoded pixels, of which there may be a hundred million.

use crate::geometry::Size;
use crate::pixels::Picture;

/// How stored pixels become what is displayed: transposed first (mirrored on the falling diagonal), then
/// flipped. Every EXIF orientation is one such combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orientation {
    transpose: bool,
    flip_x: bool,
    flip_y: bool,
}

impl Orientation {
    /// From EXIF's number; anything but 2 to 8 is upright, as viewers show it.
    pub const fn from_exif(number: u8) -> Self {
        let (transpose, flip_x, flip_y) = match number {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self { transpose, flip_x, flip_y }
    }

    /// Whether width and height change places.
    pub const fn swaps_axes(self) -> bool {
        self.transpose
    }

    /// Whether left and right change places, as displayed.
    pub(crate) const fn flips_x(self) -> bool {
        self.flip_x
    }

    /// Whether top and bottom change places, as displayed.
    pub(crate) const fn flips_y(self) -> bool {
        self.flip_y
    }

    /// This, and then `next` of what it shows.
    pub(crate) const fn then(self, next: Self) -> Self {
        let (flip_x, flip_y) =
            if next.transpose { (self.flip_y, self.flip_x) } else { (self.flip_x, self.flip_y) };
        Self {
            transpose: self.transpose != next.transpose,
            flip_x: flip_x != next.flip_x,
            flip_y: flip_y != next.flip_y,
        }
    }

    /// The size as displayed of pixels stored at `size`; its own inverse.
    pub(crate) const fn turned(self, size: Size) -> Size {
        if self.transpose { size.transposed() } else { size }
    }

    /// The picture as displayed.
    pub(crate) fn apply(self, picture: Picture) -> Picture {
        if self == Self::default() {
            return picture;
        }
        let size = self.turned(picture.size);
        let data = if picture.has_alpha {
            self.turn::<4>(&picture.data, size)
        } else {
            self.turn::<3>(&picture.data, size)
        };
        Picture { size, data, ..picture }
    }

    /// `size` is that of the result.
    fn turn<const CHANNELS: usize>(self, data: &[u8], size: Size) -> Vec<u8> {
        let (stored, _) = data.as_chunks::<CHANNELS>();
        let (width, height) = (size.width_px as usize, size.height_px as usize);
        let mut turned = vec![[0; CHANNELS]; stored.len()];
        for (tile_y, tile_x) in tiles(size) {
            for y in tile_y..(tile_y + TILE_PX).min(height) {
                let from_y = if self.flip_y { height - 1 - y } else { y };
                for x in tile_x..(tile_x + TILE_PX).min(width) {
                    let from_x = if self.flip_x { width - 1 - x } else { x };
                    let from =
                        if self.transpose { from_x * height + from_y } else { from_y * width + from_x };
                    turned[y * width + x] = stored[from];
                }
            }
        }
        turned.into_flattened()
    }
}

/// Pixels are turned in squares of this side: of all of a column, each is in another line of the cache.
const TILE_PX: usize = 32;

/// The corners of squares that cover a picture.
fn tiles(size: Size) -> impl Iterator<Item = (usize, usize)> {
    let (width, height) = size.sides();
    (0..height).step_by(TILE_PX).flat_map(move |y| (0..width).step_by(TILE_PX).map(move |x| (y, x)))
}

impl From<image::metadata::Orientation> for Orientation {
    fn from(orientation: image::metadata::Orientation) -> Self {
        Self::from_exif(orientation.to_exif())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 2 x 3 px, its pixels numbered from 1, and what EXIF says that each number shows.
    #[test]
    fn each_orientation_turns_a_picture_as_exif_says() {
        for (exif, width, expected) in [
            (1, 2, [1, 2, 3, 4, 5, 6]),
            (2, 2, [2, 1, 4, 3, 6, 5]),
            (3, 2, [6, 5, 4, 3, 2, 1]),
            (4, 2, [5, 6, 3, 4, 1, 2]),
            (5, 3, [1, 3, 5, 2, 4, 6]),
            (6, 3, [5, 3, 1, 6, 4, 2]),
            (7, 3, [6, 4, 2, 5, 3, 1]),
            (8, 3, [2, 4, 6, 1, 3, 5]),
        ] {
            for has_alpha in [false, true] {
                let channels = if has_alpha { 4 } else { 3 };
                let data = (1..=6u8).flat_map(|value| vec![value; channels]).collect();
                let picture = Picture { size: Size::new(2, 3), has_alpha, data };
                let turned = Orientation::from_exif(exif).apply(picture);
                assert_eq!(turned.size.width_px, width, "{exif}");
                let shown: Vec<u8> = turned.data.iter().copied().step_by(channels).collect();
                assert_eq!(shown, expected, "{exif}");
            }
        }
    }

    #[test]
    fn one_orientation_then_another_is_the_two_in_turn() {
        let data = (1..=6u8).flat_map(|value| [value; 3]).collect();
        let picture = Picture { size: Size::new(2, 3), has_alpha: false, data };
        for (first, next) in (1..=8).flat_map(|first| (1..=8).map(move |next| (first, next))) {
            let [first, next] = [first, next].map(Orientation::from_exif);
            let in_turn = next.apply(first.apply(picture.clone()));
            assert_eq!(first.then(next).apply(picture.clone()), in_turn, "{first:?} {next:?}");
        }
    }

    #[test]
    fn a_number_that_exif_does_not_know_is_upright() {
        for number in [0, 9, 255] {
            assert_eq!(Orientation::from_exif(number), Orientation::from_exif(1));
        }
    }
}
