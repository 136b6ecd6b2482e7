//! The picture that an AVIF file shows: which coded items it is put together of, and how it is cropped,
//! turned and coloured (AVIF 1.1, MIAF, HEIF). Owns which kinds of AVIF are decoded at all; never judges
//! sizes by the limits, nor looks into coded data.

use crate::av1::{Config, Subsampling};
use crate::error::Error;
use crate::geometry::{Rect, Size};
use crate::heif::{Item, Items, Property, Reader, corrupt};
use crate::orientation::Orientation;
use crate::pixels::Channels;

/// Most tiles of a grid. Phones write a few hundred.
const MAX_TILES: usize = 4096;
/// Of `lsel`: the best that there is, whichever layer that be.
const ALL_LAYERS: u64 = 0xffff;
/// What marks an auxiliary item as alpha.
const ALPHA_TYPES: [&[u8]; 2] =
    [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];

/// The picture of a file.
#[derive(Debug)]
pub(crate) struct Avif<'a> {
    items: Items<'a>,
    pub colour: Plan,
    pub alpha: Option<Plan>,
    /// Colour is multiplied by alpha already.
    pub is_premultiplied: bool,
    /// What is shown of the coded pixels.
    pub crop: Rect,
    pub orientation: Orientation,
    pub icc: Option<&'a [u8]>,
    pub nclx: Option<Nclx>,
}

/// Coded pixels: those of one item, or of several of one kind, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Without what the last tiles have too many.
    pub size: Size,
    pub tile: Size,
    columns: u32,
    pub config: Config,
    /// Some tile is coded several times, each better or larger than the last.
    pub is_layered: bool,
    tiles: Vec<Tile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    item: u32,
    operating_point: u8,
}

/// One item to decode, and where its pixels go.
pub(crate) struct Coded {
    pub data: Vec<u8>,
    pub operating_point: u8,
    /// Within the coded pixels; it may reach beyond them.
    pub area: Rect,
}

/// Code points of ITU-T H.273, which stand above those of the coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nclx {
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
    pub is_full_range: bool,
}

/// What an item's properties say.
#[derive(Debug, Default)]
struct Description<'a> {
    size: Option<Size>,
    config: Option<Config>,
    operating_point: u8,
    clap: Option<&'a [u8]>,
    orientation: Orientation,
    icc: Option<&'a [u8]>,
    nclx: Option<Nclx>,
    /// Coded several times, each better or larger than the last.
    is_layered: bool,
}

impl<'a> Avif<'a> {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it contradicts itself or ends, [`Error::Unsupported`] by a kind's name.
    pub fn read(file: &'a [u8]) -> Result<Self, Error> {
        let items = Items::read(file)?;
        let primary = items.primary;
        let description = describe(&items, items.item(primary)?)?;
        let colour = Plan::of(&items, primary)?;
        let alpha_item = alpha_of(&items, primary)?;
        let alpha = match alpha_item {
            Some(alpha) => Some(Plan::of(&items, alpha)?),
            None => Plan::of_tiles_alpha(&items, &colour)?,
        };
        if alpha.as_ref().is_some_and(|alpha| alpha.size != colour.size) {
            return Err(corrupt("its alpha is of another size"));
        }
        let is_premultiplied =
            alpha_item.is_some_and(|alpha| items.referred(*b"prem", primary).contains(&alpha));
        let crop = description.clap.map_or(Ok(Rect::whole(colour.size)), |clap| crop(clap, colour.size))?;
        let Description { orientation, mut icc, mut nclx, .. } = description;
        if icc.is_none() && nclx.is_none() {
            (icc, nclx) = colour.tiles_colour(&items)?;
        }
        Ok(Self { items, colour, alpha, is_premultiplied, crop, orientation, icc, nclx })
    }

    /// What each of its pixels is made of.
    pub fn channels(&self) -> Channels {
        match (self.colour.is_grey(), self.alpha.is_some()) {
            (true, false) => Channels::Grey,
            (true, true) => Channels::GreyAlpha,
            (false, false) => Channels::Rgb,
            (false, true) => Channels::Rgba,
        }
    }

    /// The EXIF block that describes the picture. ISO 23008-12, A.2.1: in front, a number says how many bytes
    /// further TIFF begins.
    pub fn exif(&self) -> Option<Vec<u8>> {
        let describing = self.items.referring(*b"cdsc", self.items.primary);
        let mut items = describing.filter_map(|id| self.items.item(id).ok());
        let data = self.items.data(items.find(|item| item.kind == *b"Exif")?).ok()?;
        let (skipped, rest) = data.split_first_chunk()?;
        rest.get(u32::from_be_bytes(*skipped) as usize..).map(<[u8]>::to_vec)
    }

    /// Each item of a plan with its bytes, in turn.
    pub fn coded<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = Result<Coded, Error>> + 'p {
        plan.tiles.iter().zip(0u32..).map(|(tile, index)| {
            let (column, row) = (index % plan.columns, index / plan.columns);
            let area = Rect {
                left_px: column * plan.tile.width_px,
                top_px: row * plan.tile.height_px,
                size: plan.tile,
            };
            let data = self.items.data(self.items.item(tile.item)?)?;
            Ok(Coded { data, operating_point: tile.operating_point, area })
        })
    }
}

impl Plan {
    fn of(items: &Items, id: u32) -> Result<Self, Error> {
        let item = items.item(id)?;
        match &item.kind {
            b"av01" => Self::of_coded(items, id),
            b"grid" => Self::of_grid(items, id),
            b"iovl" | b"iden" | b"tmap" => Err(Error::Unsupported { what: "an AVIF composed of others" }),
            _ => Err(Error::Unsupported { what: "an AVIF of other than AV1 pixels" }),
        }
    }

    fn of_coded(items: &Items, id: u32) -> Result<Self, Error> {
        let description = describe(items, items.item(id)?)?;
        let size = description.size()?;
        let config = description.config.ok_or_else(|| corrupt("it does not say how its pixels are coded"))?;
        let tiles = vec![Tile { item: id, operating_point: description.operating_point }];
        let is_layered = description.is_layered;
        Ok(Self { size, tile: size, columns: 1, config, is_layered, tiles })
    }

    fn of_grid(items: &Items, id: u32) -> Result<Self, Error> {
        let item = items.item(id)?;
        let (columns, rows, size) = read_grid(&items.data(item)?)?;
        if describe(items, item)?.size.is_some_and(|claimed| claimed != size) {
            return Err(corrupt("its grid is of another size than it claims"));
        }
        let tiles = items.referred(*b"dimg", id);
        if tiles.len() as u64 != u64::from(columns) * u64::from(rows) || tiles.len() > MAX_TILES {
            return Err(corrupt("its grid has another number of tiles than it claims"));
        }
        Self::joined(items, tiles, columns, size)
    }

    /// The alpha of a grid whose tiles have each their own; none where they do not.
    fn of_tiles_alpha(items: &Items, colour: &Self) -> Result<Option<Self>, Error> {
        if items.item(items.primary)?.kind != *b"grid" {
            return Ok(None);
        }
        let alphas = colour.tiles.iter().map(|tile| alpha_of(items, tile.item));
        let Some(alphas) = alphas.collect::<Result<Option<Vec<u32>>, Error>>()? else { return Ok(None) };
        Self::joined(items, &alphas, colour.columns, colour.size).map(Some)
    }

    /// Tiles must be alike, and reach the far edges without one that shows nothing.
    fn joined(items: &Items, ids: &[u32], columns: u32, size: Size) -> Result<Self, Error> {
        let mut joined: Option<Self> = None;
        for id in ids {
            if items.item(*id)?.kind != *b"av01" {
                return Err(Error::Unsupported { what: "an AVIF whose tiles are composed of others" });
            }
            let one = Self::of_coded(items, *id)?;
            match &mut joined {
                None => joined = Some(one),
                Some(all) if all.tile == one.tile && all.config == one.config => {
                    all.is_layered |= one.is_layered;
                    all.tiles.extend(one.tiles);
                }
                Some(_) => return Err(corrupt("its tiles differ in size or kind")),
            }
        }
        let joined = joined.ok_or_else(|| corrupt("its grid has no tiles"))?;
        let rows = ids.len() as u32 / columns;
        let reaches = |tile_px: u32, count: u32, side_px: u32| {
            let (tile, count, side) = (u64::from(tile_px), u64::from(count), u64::from(side_px));
            tile * count >= side && tile * (count - 1) < side
        };
        let Size { width_px, height_px } = joined.tile;
        if !reaches(width_px, columns, size.width_px) || !reaches(height_px, rows, size.height_px) {
            return Err(corrupt("its tiles do not make up its size"));
        }
        Ok(Self { size, columns, ..joined })
    }

    /// What the first tile says of colour; of a grid that says nothing.
    fn tiles_colour<'a>(&self, items: &Items<'a>) -> Result<(Option<&'a [u8]>, Option<Nclx>), Error> {
        let Some(tile) = self.tiles.first() else { return Ok((None, None)) };
        let Description { icc, nclx, .. } = describe(items, items.item(tile.item)?)?;
        Ok((icc, nclx))
    }

    /// All pixels that are decoded, those beyond the edges too.
    pub fn coded_size(&self) -> Size {
        let rows = self.tiles.len() as u32 / self.columns;
        let Size { width_px, height_px } = self.tile;
        Size::new(width_px.saturating_mul(self.columns), height_px.saturating_mul(rows))
    }

    pub fn is_tiled(&self) -> bool {
        self.tiles.len() > 1
    }

    pub fn is_grey(&self) -> bool {
        self.config.subsampling == Subsampling::Monochrome
    }
}

impl<'a> Description<'a> {
    /// Whether the property is one that is understood.
    fn add(&mut self, Property { kind, payload }: Property<'a>) -> Result<bool, Error> {
        let mut payload = Reader(payload);
        match &kind {
            b"ispe" => {
                payload.version_and_flags()?;
                self.size = Some(Size::new(payload.uint(4)? as u32, payload.uint(4)? as u32));
            }
            b"av1C" => self.config = Some(Config::parse(payload.0)?),
            b"colr" => self.add_colour(payload)?,
            b"clap" if self.orientation != Orientation::default() => {
                return Err(Error::Unsupported { what: "an AVIF that is cropped after it is turned" });
            }
            b"clap" if self.clap.is_some() => return Err(corrupt("it is cropped twice")),
            b"clap" => self.clap = Some(payload.0),
            b"irot" => self.orientation = self.orientation.then(rotation(payload.uint(1)? as u8)),
            b"imir" => self.orientation = self.orientation.then(mirroring(payload.uint(1)? as u8)),
            b"a1op" => {
                self.operating_point = payload.uint(1)? as u8;
                self.is_layered = true;
            }
            b"lsel" if payload.uint(2)? != ALL_LAYERS => {
                return Err(Error::Unsupported { what: "an AVIF that shows one of several layers" });
            }
            b"lsel" | b"a1lx" => self.is_layered = true,
            // What the coded data says too, or what does not change how a picture is shown on a page.
            b"pixi" | b"pasp" | b"auxC" | b"clli" | b"mdcv" | b"cclv" | b"amve" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_colour(&mut self, mut payload: Reader<'a>) -> Result<(), Error> {
        match payload.take(4)? {
            b"nclx" => {
                // None is above 255; 2 is "unspecified".
                let mut code = || Ok(u8::try_from(payload.uint(2)?).unwrap_or(2));
                let (primaries, transfer, matrix) = (code()?, code()?, code()?);
                let is_full_range = payload.uint(1)? & 0x80 != 0;
                self.nclx = Some(Nclx { primaries, transfer, matrix, is_full_range });
            }
            b"prof" | b"rICC" => self.icc = Some(payload.0),
            _ => {}
        }
        Ok(())
    }

    fn size(&self) -> Result<Size, Error> {
        self.size.ok_or_else(|| corrupt("it does not say its size"))
    }
}

/// `irot`: quarter turns against the clock. ISO 23008-12, 6.5.10.
const fn rotation(quarters: u8) -> Orientation {
    Orientation::from_exif(match quarters & 3 {
        0 => 1,
        1 => 8,
        2 => 3,
        _ => 6,
    })
}

/// `imir`: top and bottom change places, or left and right. ISO 23008-12, 6.5.12.
const fn mirroring(axis: u8) -> Orientation {
    Orientation::from_exif(if axis & 1 == 0 { 4 } else { 2 })
}

/// Columns, rows and the size that they make up. ISO 23008-12, 6.6.2.3.
fn read_grid(data: &[u8]) -> Result<(u32, u32, Size), Error> {
    let mut data = Reader(data);
    let (version, flags) = (data.uint(1)?, data.uint(1)?);
    let (rows, columns) = (data.uint(1)? as u32 + 1, data.uint(1)? as u32 + 1);
    let side_bytes = if flags & 1 == 0 { 2 } else { 4 };
    let size = Size::new(data.uint(side_bytes)? as u32, data.uint(side_bytes)? as u32);
    if version != 0 { Err(corrupt("its grid is of an unknown version")) } else { Ok((columns, rows, size)) }
}

/// The part that a `clap` property leaves of a picture. ISO 14496-12, 12.1.4: it says the size, and how far
/// the centre is off. Where that is half a pixel, the part begins at the whole one before.
fn crop(clap: &[u8], size: Size) -> Result<Rect, Error> {
    let mut clap = Reader(clap);
    let mut fraction = || Ok((clap.uint(4)? as u32, clap.uint(4)? as u32));
    let (width, height, across, down) = (fraction()?, fraction()?, fraction()?, fraction()?);
    let cut = |side_px: u32, (length, over): (u32, u32), (offset, offset_over): (u32, u32)| {
        let length_px = length.checked_div(over).filter(|px| *px > 0 && px * over == length)?;
        let (side, part, over) = (i128::from(side_px), i128::from(length_px), i128::from(offset_over));
        let twice = (side - part) * over + 2 * i128::from(offset as i32);
        let start = (over > 0).then(|| twice.div_euclid(2 * over))?;
        (start >= 0 && start + part <= side).then_some((start as u32, length_px))
    };
    let across = cut(size.width_px, width, across);
    let (Some((left_px, width_px)), Some((top_px, height_px))) = (across, cut(size.height_px, height, down))
    else {
        return Err(corrupt("it is cropped to what is no part of it"));
    };
    Ok(Rect { left_px, top_px, size: Size::new(width_px, height_px) })
}

/// The item whose luma is the alpha of this one.
fn alpha_of(items: &Items, id: u32) -> Result<Option<u32>, Error> {
    for auxiliary in items.referring(*b"auxl", id) {
        if has_alpha_type(items, items.item(auxiliary)?)? {
            return Ok(Some(auxiliary));
        }
    }
    Ok(None)
}

/// Looks at nothing else: a depth map may have whatever properties it likes.
fn has_alpha_type(items: &Items, item: &Item) -> Result<bool, Error> {
    let properties = items.properties(item)?;
    Ok(properties.iter().any(|(property, _)| &property.kind == b"auxC" && is_alpha_type(property.payload)))
}

fn is_alpha_type(payload: &[u8]) -> bool {
    let name = payload.get(4..).and_then(|text| text.split(|byte| *byte == 0).next());
    name.is_some_and(|name| ALPHA_TYPES.contains(&name))
}

fn describe<'a>(items: &Items<'a>, item: &Item) -> Result<Description<'a>, Error> {
    let mut description = Description::default();
    for (property, is_essential) in items.properties(item)? {
        let is_known = description.add(property)?;
        if is_essential && !is_known {
            return Err(Error::Unsupported { what: "an AVIF with properties that Darkroom does not know" });
        }
    }
    Ok(description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HeifFile, HeifItem, avif, avif_with_alpha};

    use crate::heif::Kind;

    type Properties = Vec<(Kind, Vec<u8>, bool)>;

    fn sides(width_px: u32, height_px: u32) -> Vec<u8> {
        [[0; 4], width_px.to_be_bytes(), height_px.to_be_bytes()].concat()
    }

    fn coded(id: u32, size: (u32, u32), more: Properties) -> HeifItem {
        let mut properties =
            vec![(*b"ispe", sides(size.0, size.1), false), (*b"av1C", vec![0x81, 0, 0x0c, 0], true)];
        properties.extend(more);
        HeifItem { id, kind: *b"av01", data: vec![1, 2, 3], properties }
    }

    fn one(more: Properties) -> Vec<u8> {
        HeifFile { items: vec![coded(1, (300, 200), more)], ..HeifFile::default() }.bytes()
    }

    fn alpha_type() -> (Kind, Vec<u8>, bool) {
        (*b"auxC", [&[0; 4], ALPHA_TYPES[0], &[0]].concat(), true)
    }

    fn clap(numbers: [u32; 8]) -> (Kind, Vec<u8>, bool) {
        (*b"clap", numbers.iter().flat_map(|number| number.to_be_bytes()).collect(), true)
    }

    fn grid(columns: u8, rows: u8, size: (u16, u16), tiles: Vec<HeifItem>) -> HeifFile {
        let sides = [size.0.to_be_bytes(), size.1.to_be_bytes()].concat();
        let data = [[0, 0, rows - 1, columns - 1].as_slice(), &sides].concat();
        let properties = vec![(*b"ispe", self::sides(size.0.into(), size.1.into()), false)];
        let ids = tiles.iter().map(|tile| tile.id).collect();
        let items = [vec![HeifItem { id: 99, kind: *b"grid", data, properties }], tiles].concat();
        HeifFile { items, references: vec![(*b"dimg", 99, ids)], is_wide: true }
    }

    fn problem(bytes: &[u8]) -> String {
        Avif::read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn the_files_of_another_encoder_are_understood() {
        let file = Avif::read(avif()).unwrap();
        assert_eq!((file.colour.size, file.channels()), (Size::new(300, 200), Channels::Rgb));
        assert_eq!((file.crop, file.orientation), (Rect::whole(file.colour.size), Orientation::default()));
        let file = Avif::read(avif_with_alpha()).unwrap();
        assert_eq!((file.colour.size, file.channels()), (Size::new(400, 400), Channels::Rgba));
        assert!(!file.is_premultiplied);
    }

    #[test]
    fn turns_and_mirrors_are_applied_in_the_order_of_their_listing() {
        let turn = |quarters| (*b"irot", vec![quarters], true);
        let mirror = |axis| (*b"imir", vec![axis], true);
        for (properties, exif) in [
            (vec![], 1),
            (vec![turn(1)], 8),
            (vec![turn(2)], 3),
            (vec![turn(3)], 6),
            (vec![mirror(0)], 4),
            (vec![mirror(1)], 2),
            (vec![turn(1), mirror(1)], 7),
            (vec![mirror(1), turn(1)], 5),
        ] {
            let bytes = one(properties);
            assert_eq!(Avif::read(&bytes).unwrap().orientation, Orientation::from_exif(exif), "{exif}");
        }
    }

    #[test]
    fn a_crop_is_cut_around_the_centre_and_refused_where_it_leaves_the_picture() {
        let minus = |number: i32| number as u32;
        for (numbers, expected) in [
            ([100, 1, 50, 1, 0, 1, 0, 1], Some((100, 75, 100, 50))),
            ([300, 1, 200, 1, 0, 1, 0, 1], Some((0, 0, 300, 200))),
            ([100, 1, 50, 1, minus(-100), 1, 75, 1], Some((0, 150, 100, 50))),
            // 99.5 px and 74.5 px.
            ([101, 1, 51, 1, 0, 1, 0, 1], Some((99, 74, 101, 51))),
            ([101, 1, 51, 1, 1, 2, minus(-1), 2], Some((100, 74, 101, 51))),
            ([200, 2, 50, 1, 0, 7, 0, 9], Some((100, 75, 100, 50))),
            ([100, 1, 50, 1, minus(-101), 1, 0, 1], None),
            ([100, 1, 50, 1, 0, 1, 76, 1], None),
            ([301, 1, 50, 1, 0, 1, 0, 1], None),
            ([0, 1, 50, 1, 0, 1, 0, 1], None),
            ([101, 2, 50, 1, 0, 1, 0, 1], None),
            ([100, 0, 50, 1, 0, 1, 0, 1], None),
            ([100, 1, 50, 1, 0, 0, 0, 1], None),
            ([u32::MAX, 1, u32::MAX, u32::MAX, minus(i32::MIN), 1, u32::MAX, u32::MAX], None),
        ] {
            let bytes = one(vec![clap(numbers)]);
            let expected = expected.map(|(left_px, top_px, width_px, height_px)| Rect {
                left_px,
                top_px,
                size: Size::new(width_px, height_px),
            });
            assert_eq!(Avif::read(&bytes).ok().map(|file| file.crop), expected, "{numbers:?}");
        }
        let crop = clap([100, 1, 50, 1, 0, 1, 0, 1]);
        let turn = (*b"irot", vec![1], true);
        assert!(problem(&one(vec![turn, crop.clone()])).contains("cropped after it is turned"));
        assert!(problem(&one(vec![crop.clone(), crop])).contains("cropped twice"));
    }

    #[test]
    fn what_must_be_known_and_is_not_is_named() {
        let bytes = one(vec![(*b"zzzz", vec![], false)]);
        assert!(Avif::read(&bytes).is_ok());
        assert!(
            problem(&one(vec![(*b"zzzz", vec![], true)])).contains("properties that Darkroom does not know")
        );
        assert!(Avif::read(&one(vec![(*b"lsel", vec![0xff; 2], true)])).unwrap().colour.is_layered);
        assert!(problem(&one(vec![(*b"lsel", vec![0; 2], true)])).contains("one of several layers"));
        let mut file = HeifFile { items: vec![coded(1, (8, 8), vec![])], ..HeifFile::default() };
        file.items[0].kind = *b"hvc1";
        assert!(problem(&file.bytes()).contains("other than AV1 pixels"));
        file.items[0].kind = *b"iovl";
        assert!(problem(&file.bytes()).contains("composed of others"));
    }

    #[test]
    fn an_item_that_lacks_its_size_or_kind_is_corrupt() {
        for missing in 0..2 {
            let mut file = HeifFile { items: vec![coded(1, (8, 8), vec![])], ..HeifFile::default() };
            file.items[0].properties.remove(missing);
            assert!(matches!(Avif::read(&file.bytes()), Err(Error::Corrupt { .. })));
        }
    }

    #[test]
    fn colour_is_what_the_picture_says_and_of_a_grid_else_what_its_first_tile_says() {
        let nclx = (*b"colr", b"nclx\0\x09\0\x10\0\x09\x80".to_vec(), false);
        let expected = Nclx { primaries: 9, transfer: 16, matrix: 9, is_full_range: true };
        let icc = (*b"colr", b"profICC".to_vec(), false);
        let bytes = one(vec![nclx.clone(), icc]);
        let file = Avif::read(&bytes).unwrap();
        assert_eq!((file.nclx, file.icc), (Some(expected), Some(b"ICC".as_slice())));
        let bytes = grid(1, 1, (8, 8), vec![coded(1, (8, 8), vec![nclx])]).bytes();
        assert_eq!(Avif::read(&bytes).unwrap().nclx, Some(expected));
    }

    #[test]
    fn a_grid_is_made_of_tiles_that_are_alike_and_reach_its_edges() {
        let tiles = |count| (1..=count).map(|id| coded(id, (300, 200), vec![])).collect::<Vec<_>>();
        let bytes = grid(3, 2, (700, 400), tiles(6)).bytes();
        let file = Avif::read(&bytes).unwrap();
        assert_eq!((file.colour.size, file.colour.coded_size()), (Size::new(700, 400), Size::new(900, 400)));
        let areas = file.coded(&file.colour).map(|coded| coded.unwrap().area);
        let corners = areas.map(|area| (area.left_px, area.top_px)).collect::<Vec<_>>();
        assert_eq!(corners, [(0, 0), (300, 0), (600, 0), (0, 200), (300, 200), (600, 200)]);

        for (size, expected) in [
            ((901, 400), "do not make up its size"),
            ((600, 400), "do not make up its size"),
            ((700, 200), "do not make up its size"),
            ((700, 401), "do not make up its size"),
        ] {
            assert!(problem(&grid(3, 2, size, tiles(6)).bytes()).contains(expected), "{size:?}");
        }
        assert!(problem(&grid(3, 2, (700, 400), tiles(5)).bytes()).contains("another number of tiles"));
        let mut odd = tiles(6);
        odd[3] = coded(4, (300, 201), vec![]);
        assert!(problem(&grid(3, 2, (700, 400), odd).bytes()).contains("tiles differ"));
        let mut nested = grid(1, 1, (300, 200), tiles(1));
        nested.references[0].2 = vec![99];
        assert!(problem(&nested.bytes()).contains("tiles are composed of others"));
        let mut lying = grid(1, 1, (300, 200), tiles(1));
        lying.items[0].properties[0].1 = sides(300, 201);
        assert!(problem(&lying.bytes()).contains("another size than it claims"));
    }

    #[test]
    fn alpha_is_of_the_picture_or_of_each_of_its_tiles_and_as_large() {
        let mut file = HeifFile { items: vec![coded(1, (8, 8), vec![])], ..HeifFile::default() };
        file.items.push(coded(2, (8, 8), vec![alpha_type()]));
        file.items.push(coded(3, (8, 8), vec![(*b"zzzz", vec![], true)]));
        file.references = vec![(*b"auxl", 3, vec![1]), (*b"auxl", 2, vec![1])];
        let bytes = file.bytes();
        let read = Avif::read(&bytes).unwrap();
        assert_eq!((read.alpha.is_some(), read.is_premultiplied), (true, false));
        file.references.push((*b"prem", 1, vec![2]));
        assert!(Avif::read(&file.bytes()).unwrap().is_premultiplied);
        file.items[1] = coded(2, (8, 9), vec![alpha_type()]);
        assert!(problem(&file.bytes()).contains("alpha is of another size"));

        let tiles = [1, 2].map(|id| coded(id, (300, 200), vec![]));
        let alphas = [3, 4].map(|id| coded(id, (300, 200), vec![alpha_type()]));
        let mut file = grid(2, 1, (600, 200), tiles.to_vec());
        file.items.extend(alphas);
        file.references.push((*b"auxl", 3, vec![1]));
        assert!(Avif::read(&file.bytes()).unwrap().alpha.is_none());
        file.references.push((*b"auxl", 4, vec![2]));
        let bytes = file.bytes();
        let alpha = Avif::read(&bytes).unwrap().alpha.unwrap();
        assert_eq!((alpha.size, alpha.tiles.len(), alpha.tiles[1].item), (Size::new(600, 200), 2, 4));
    }
}
