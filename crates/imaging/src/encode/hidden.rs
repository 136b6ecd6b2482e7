//! Colour behind what cannot be seen. Owns how it continues what is beside it; never touches a pixel that can
//! be seen. A lossy encoder lets neighbours bleed into each other: black behind an edge would stain it.

use crate::pixels::Picture;

/// RGBA, with each invisible pixel in the mean colour of what can be seen around it: of the smallest square
/// that has any, in a grid of squares of 2, 4, 8 px and so on. None where there is nothing to fill, or
/// nothing to fill it with.
pub(super) fn filled(picture: &Picture) -> Option<Vec<u8>> {
    let (pixels, _) = picture.data.as_chunks::<4>();
    if pixels.iter().all(|pixel| pixel[3] > 0) {
        return None;
    }
    let (width, height) = picture.size.sides();
    let colours = colours(pixels, width, height)?;
    let mut data = picture.data.clone();
    let columns = width.div_ceil(2);
    for (index, pixel) in data.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        if pixel[3] == 0 {
            let [red, green, blue, weight] = colours[index / width / 2 * columns + index % width / 2];
            let [red, green, blue] = [red, green, blue].map(|sum| (sum / weight).round() as u8);
            *pixel = [red, green, blue, 0];
        }
    }
    Some(data)
}

/// Red, green and blue by their alpha, and that: sums over a square.
type Cell = [f32; 4];

/// A colour for every square of 2 px. None where nothing at all can be seen.
fn colours(pixels: &[[u8; 4]], width: usize, height: usize) -> Option<Vec<Cell>> {
    let weighed = |index: usize| {
        let [red, green, blue, alpha] = pixels[index].map(f32::from);
        [red * alpha, green * alpha, blue * alpha, alpha]
    };
    let mut levels = vec![(width.div_ceil(2), halved(width, height, weighed))];
    let mut height = height.div_ceil(2);
    while let Some((columns, cells)) = levels.last().filter(|(_, cells)| cells.len() > 1) {
        let next = (columns.div_ceil(2), halved(*columns, height, |index| cells[index]));
        height = height.div_ceil(2);
        levels.push(next);
    }
    let (mut wider, mut above) = levels.pop()?;
    if above.iter().all(|cell| cell[3] == 0.0) {
        return None;
    }
    while let Some((columns, mut cells)) = levels.pop() {
        for (index, cell) in cells.iter_mut().enumerate().filter(|(_, cell)| cell[3] == 0.0) {
            *cell = above[index / columns / 2 * wider + index % columns / 2];
        }
        (wider, above) = (columns, cells);
    }
    Some(above)
}

/// The sums of squares of two by two.
fn halved(width: usize, height: usize, cell: impl Fn(usize) -> Cell) -> Vec<Cell> {
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    let mut sums = vec![[0.0; 4]; columns * rows];
    for y in 0..height {
        for x in 0..width {
            let sum = &mut sums[y / 2 * columns + x / 2];
            sum.iter_mut().zip(cell(y * width + x)).for_each(|(sum, value)| *sum += value);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use proptest::prelude::*;

    fn picture(width: u32, height: u32, data: Vec<u8>) -> Picture {
        Picture { size: Size::new(width, height), has_alpha: true, data }
    }

    #[test]
    fn what_is_hidden_takes_the_colour_of_the_smallest_square_that_shows_any() {
        let [red, blue, none] = [[200, 0, 0, 255], [0, 0, 100, 255], [9, 9, 9, 0]];
        let row = [red, none, none, none, none, none, none, blue];
        let filled = filled(&picture(8, 1, row.concat())).unwrap();
        let colours: Vec<[u8; 3]> = filled.as_chunks::<4>().0.iter().map(|p| [p[0], p[1], p[2]]).collect();
        let (red, blue) = ([200, 0, 0], [0, 0, 100]);
        assert_eq!(colours, [red, red, red, red, blue, blue, blue, blue]);
    }

    #[test]
    fn what_shows_all_or_nothing_is_left_as_it_is() {
        assert_eq!(filled(&picture(2, 1, vec![1, 2, 3, 4, 5, 6, 7, 8])), None);
        assert_eq!(filled(&picture(2, 1, vec![1, 2, 3, 0, 5, 6, 7, 0])), None);
    }

    proptest! {
        #[test]
        fn no_pixel_that_can_be_seen_changes_and_no_alpha_does(
            width in 1u32..20, height in 1u32..20, seed in any::<u32>(),
        ) {
            let noise = |index: u32| (index.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24) as u8;
            let sample = |index: u32| if index % 4 == 3 { noise(index) & 0x81 } else { noise(index) };
            let picture = picture(width, height, (0..width * height * 4).map(sample).collect());
            let filled = filled(&picture).unwrap_or_else(|| picture.data.clone());
            for (before, after) in picture.data.chunks(4).zip(filled.chunks(4)) {
                prop_assert_eq!(before[3], after[3]);
                prop_assert!(before[3] == 0 || before == after);
            }
        }
    }
}
