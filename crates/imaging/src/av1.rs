//! AV1 by `re_rav1d`: one coded picture to its planes. Owns the decoder's settings and what is checked before
//! it sees any data; knows nothing of files or of colours' meaning. Never hands out a picture of another size
//! or kind than was claimed, or than memory was reckoned for.

use bytemuck::Pod;
use re_rav1d::{Decoder, Picture, PlanarImageComponent, Plane, Settings};

use crate::error::Error;
use crate::geometry::Size;
use crate::guard::confined;
use crate::heif::corrupt;

/// Most frames of one item: one, or one for each of the layers that `a1lx` can tell of. Only the last is
/// shown, but each costs as much.
pub(crate) const MAX_LAYERS: u64 = 4;

/// How much chroma there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subsampling {
    /// None.
    Monochrome,
    /// Half of the columns, half of the rows.
    Yuv420,
    /// Half of the columns.
    Yuv422,
    Yuv444,
}

/// How samples are coded: what `av1C` and the sequence header both say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    /// 8, 10 or 12.
    pub depth_bits: u8,
    pub subsampling: Subsampling,
}

/// What a sequence header says. AV1 specification, 5.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceHeader {
    pub size: Size,
    pub config: Config,
    /// Code points of ITU-T H.273.
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
    pub is_full_range: bool,
    pub siting: Siting,
}

/// Where a chroma sample is among the luma samples that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Siting {
    /// In their middle. Where nothing is said too: so still pictures are made.
    Centre,
    /// Half way down their left side.
    Left,
    /// On the first.
    TopLeft,
}

impl Config {
    /// From the payload of `av1C`. AV1-ISOBMFF, 2.3.3.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let [0x81, _, flags, _, ..] = payload else {
            return Err(corrupt("it does not say how its pixels are coded"));
        };
        let bit = |shift: u8| flags >> shift & 1 == 1;
        Ok(Self::new(bit(6), bit(5), bit(4), (bit(3), bit(2))))
    }

    const fn new(is_high: bool, is_twelve: bool, is_monochrome: bool, halved: (bool, bool)) -> Self {
        let depth_bits = match (is_high, is_twelve) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        let subsampling = match (is_monochrome, halved) {
            (true, _) => Subsampling::Monochrome,
            (false, (true, true)) => Subsampling::Yuv420,
            (false, (true, false)) => Subsampling::Yuv422,
            (false, (false, _)) => Subsampling::Yuv444,
        };
        Self { depth_bits, subsampling }
    }

    /// Whether samples are as deep as those, and take no more room. Some writers say 4:4:4 of everything.
    fn is_within(self, claimed: Self) -> bool {
        let is_monochrome = |config: Self| config.subsampling == Subsampling::Monochrome;
        self.depth_bits == claimed.depth_bits
            && is_monochrome(self) == is_monochrome(claimed)
            && self.chroma_quarters() <= claimed.chroma_quarters()
    }

    /// Samples of chroma to every four of luma.
    pub const fn chroma_quarters(self) -> u64 {
        match self.subsampling {
            Subsampling::Monochrome => 0,
            Subsampling::Yuv420 => 2,
            Subsampling::Yuv422 => 4,
            Subsampling::Yuv444 => 8,
        }
    }

    pub const fn sample_bytes(self) -> u8 {
        if self.depth_bits > 8 { 2 } else { 1 }
    }
}

/// What is known of coded data before it is decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub size: Size,
    pub config: Config,
    pub operating_point: u8,
    pub max_frames: u64,
}

/// A decoded picture.
pub(crate) struct Frame {
    pub header: SequenceHeader,
    luma: PlaneRows,
    chroma: Option<[PlaneRows; 2]>,
}

/// The rows of one plane.
pub(crate) struct PlaneRows {
    plane: Plane,
    stride_bytes: usize,
    size: Size,
}

impl Frame {
    pub const fn luma(&self) -> &PlaneRows {
        &self.luma
    }

    /// None where the picture is monochrome.
    pub const fn chroma(&self) -> Option<&[PlaneRows; 2]> {
        self.chroma.as_ref()
    }
}

impl PlaneRows {
    fn new(picture: &Picture, component: PlanarImageComponent, size: Size) -> Self {
        let stride_bytes = picture.stride(component) as usize;
        Self { plane: picture.plane(component), stride_bytes, size }
    }

    pub const fn width(&self) -> usize {
        self.size.width_px as usize
    }

    pub const fn height(&self) -> usize {
        self.size.height_px as usize
    }

    /// One row; `T` must be as wide as the picture's samples are.
    pub fn row<T: Pod>(&self, y: usize) -> &[T] {
        let row_bytes = self.size.width_px as usize * size_of::<T>();
        bytemuck::cast_slice(&self.plane[y * self.stride_bytes..][..row_bytes])
    }
}

/// Decodes the one picture of an item.
///
/// # Errors
/// Whatever is not the whole picture that was claimed; [`Error::NoThread`], which is our fault.
pub(crate) fn decode(data: Vec<u8>, claim: Claim) -> Result<Frame, Error> {
    let header = check(&data, claim)?;
    // Its Rust interface is made of its C one.
    confined(move || decode_unguarded(data, claim, header))
        .map_err(|error| Error::NoThread { problem: error.to_string() })?
        .map_err(|problem| corrupt(&problem))?
}

fn decode_unguarded(data: Vec<u8>, claim: Claim, header: SequenceHeader) -> Result<Frame, Error> {
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_apply_grain(true);
    settings.set_all_layers(false);
    settings.set_operating_point(claim.operating_point.into());
    settings.set_frame_size_limit(u32::try_from(claim.size.pixels()).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(|_| damaged())?;
    decoder.send_data(data, None, None, None).map_err(|_| damaged())?;
    let picture = decoder.get_picture().map_err(|_| damaged())?;
    // All but the picture: what follows needs the memory.
    drop(decoder);
    if Size::new(picture.width(), picture.height()) != claim.size {
        return Err(corrupt("its pixels are of another size than it claims"));
    }
    Ok(frame(&picture, header))
}

fn frame(picture: &Picture, header: SequenceHeader) -> Frame {
    let Size { width_px, height_px } = header.size;
    let chroma = match header.config.subsampling {
        Subsampling::Monochrome => None,
        Subsampling::Yuv420 => Some(Size::new(width_px.div_ceil(2), height_px.div_ceil(2))),
        Subsampling::Yuv422 => Some(Size::new(width_px.div_ceil(2), height_px)),
        Subsampling::Yuv444 => Some(header.size),
    };
    let plane = |component, size| PlaneRows::new(picture, component, size);
    let chroma = chroma.map(|size| {
        [PlanarImageComponent::U, PlanarImageComponent::V].map(|component| plane(component, size))
    });
    Frame { header, luma: plane(PlanarImageComponent::Y, header.size), chroma }
}

fn damaged() -> Error {
    corrupt("its coded pixels are damaged")
}

/// Everything that can be known without decoding, since that costs what the data says.
fn check(data: &[u8], claim: Claim) -> Result<SequenceHeader, Error> {
    let mut header = None;
    let mut frames = 0;
    for unit in Units(data) {
        let (kind, payload) = unit?;
        match kind {
            unit::SEQUENCE_HEADER => {
                let found = SequenceHeader::parse(payload)?;
                if header.replace(found).is_some_and(|first| first != found) {
                    return Err(corrupt("its coded pixels have two headers"));
                }
            }
            unit::FRAME_HEADER | unit::FRAME => frames += 1,
            _ => {}
        }
    }
    let header = header.ok_or_else(|| corrupt("its coded pixels have no header"))?;
    if header.size != claim.size || !header.config.is_within(claim.config) {
        return Err(corrupt("its coded pixels are of another size or kind than it claims"));
    }
    if frames == 0 || frames > claim.max_frames {
        return Err(corrupt("its coded pixels have another number of frames than it claims"));
    }
    Ok(header)
}

/// Types of open bitstream units. AV1 specification, 6.2.2.
mod unit {
    pub const SEQUENCE_HEADER: u8 = 1;
    pub const FRAME_HEADER: u8 = 3;
    pub const FRAME: u8 = 6;
}

/// The type and payload of every open bitstream unit. AV1 specification, 5.3.
struct Units<'a>(&'a [u8]);

impl<'a> Iterator for Units<'a> {
    type Item = Result<(u8, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let unit = take_unit(self.0);
        self.0 = unit.map_or(&[], |(.., rest)| rest);
        Some(
            unit.map(|(kind, payload, _)| (kind, payload))
                .ok_or_else(|| corrupt("its coded pixels end early")),
        )
    }
}

/// The first unit's type and payload, and what follows.
fn take_unit(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, mut rest) = data.split_first()?;
    if head & 4 != 0 {
        rest = rest.get(1..)?;
    }
    let mut length = rest.len();
    if head & 2 != 0 {
        (length, rest) = leb128(rest)?;
    }
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((head >> 3 & 15, payload, rest))
}

/// A number of up to 8 bytes, 7 bits in each, the lowest first.
fn leb128(data: &[u8]) -> Option<(usize, &[u8])> {
    let last = data.iter().take(8).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = data.split_at(last + 1);
    let value = number.iter().rev().fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((usize::try_from(value).ok()?, rest))
}

impl SequenceHeader {
    fn parse(payload: &[u8]) -> Result<Self, Error> {
        Self::read(&mut Bits { data: payload, at: 0 }).ok_or_else(|| corrupt("its coded pixels end early"))
    }

    fn read(bits: &mut Bits) -> Option<Self> {
        let profile = bits.take(3)?;
        bits.skip(1)?;
        let is_reduced = bits.flag()?;
        if is_reduced {
            bits.skip(5)?;
        } else {
            skip_operating_points(bits)?;
        }
        let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
        let size = Size::new(bits.take(width_bits)? + 1, bits.take(height_bits)? + 1);
        skip_tools(bits, is_reduced)?;
        Self::read_colour(bits, profile, size)
    }

    fn read_colour(bits: &mut Bits, profile: u32, size: Size) -> Option<Self> {
        let is_high = bits.flag()?;
        let is_twelve = profile == 2 && is_high && bits.flag()?;
        let is_monochrome = profile != 1 && bits.flag()?;
        let mut code = [2; 3];
        if bits.flag()? {
            code = [bits.take(8)? as u8, bits.take(8)? as u8, bits.take(8)? as u8];
        }
        let [primaries, transfer, matrix] = code;
        // sRGB as it is, without a matrix, is always of full range and size.
        let is_rgb = !is_monochrome && code == [1, 13, 0];
        let is_full_range = is_rgb || bits.flag()?;
        let halved = match profile {
            _ if is_rgb || is_monochrome => (false, false),
            0 => (true, true),
            1 => (false, false),
            _ if !is_twelve => (true, false),
            _ => {
                let across = bits.flag()?;
                (across, across && bits.flag()?)
            }
        };
        let position = if halved == (true, true) && !is_monochrome { bits.take(2)? } else { 0 };
        let siting = match position {
            1 => Siting::Left,
            2 => Siting::TopLeft,
            _ => Siting::Centre,
        };
        let config = Config::new(is_high, is_twelve, is_monochrome, halved);
        Some(Self { size, config, primaries, transfer, matrix, is_full_range, siting })
    }
}

/// From the timing to the last operating point.
fn skip_operating_points(bits: &mut Bits) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.skip_uvlc()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.skip(12)?;
        // Levels above 7 have two tiers.
        if bits.take(5)? > 7 {
            bits.skip(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

/// From the frame numbers to the last coding tool.
fn skip_tools(bits: &mut Bits, is_reduced: bool) -> Option<()> {
    if !is_reduced && bits.flag()? {
        bits.skip(4 + 3)?;
    }
    bits.skip(3)?;
    if !is_reduced {
        bits.skip(4)?;
        let has_order_hint = bits.flag()?;
        if has_order_hint {
            bits.skip(2)?;
        }
        let chooses_screen_tools = bits.flag()?;
        if (chooses_screen_tools || bits.flag()?) && !bits.flag()? {
            bits.skip(1)?;
        }
        if has_order_hint {
            bits.skip(3)?;
        }
    }
    bits.skip(3)
}

/// Bits, the highest of each byte first.
struct Bits<'a> {
    data: &'a [u8],
    /// Of the next bit.
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// At most 32.
    fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(|_| ()))
    }

    /// As many bits as there are zeroes before the first one; AV1 specification, 4.10.3.
    fn skip_uvlc(&mut self) -> Option<()> {
        let mut zeroes = 0;
        while !self.flag()? {
            zeroes += 1;
        }
        if zeroes >= 32 { Some(()) } else { self.skip(zeroes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avif::Avif;
    use crate::testing::{avif, truncations};

    fn sample() -> (Vec<u8>, Claim) {
        let file = Avif::read(avif()).unwrap();
        let coded = file.coded(&file.colour).next().unwrap().unwrap();
        let (size, config) = (file.colour.tile, file.colour.config);
        (coded.data, Claim { size, config, operating_point: 0, max_frames: 1 })
    }

    #[test]
    fn a_sequence_header_is_read_as_the_encoder_wrote_it() {
        let (data, claim) = sample();
        let header = check(&data, claim).unwrap();
        assert_eq!(header.size, Size::new(300, 200));
        assert_eq!(header.config, Config { depth_bits: 8, subsampling: Subsampling::Yuv420 });
        assert_eq!((header.primaries, header.transfer, header.matrix), (1, 13, 6));
        assert!(header.is_full_range);
    }

    #[test]
    fn a_picture_that_ends_early_is_refused_before_it_is_decoded() {
        let (data, claim) = sample();
        assert!(decode(data.clone(), claim).is_ok());
        for length in truncations(data.len()) {
            assert!(check(&data[..length], claim).is_err(), "{length}");
        }
    }

    #[test]
    fn a_unit_says_its_length_or_takes_the_rest() {
        let units = |data: &[u8]| {
            Units(data).map(|unit| unit.map(|(kind, payload)| (kind, payload.len())).ok()).collect::<Vec<_>>()
        };
        assert_eq!(units(&[0x12, 0, 0x0a, 1, 9, 0x32, 2, 9, 9]), [Some((2, 0)), Some((1, 1)), Some((6, 2))]);
        assert_eq!(units(&[0x36, 0, 1, 9, 0x30, 9, 9]), [Some((6, 1)), Some((6, 2))]);
        assert_eq!(units(&[0x32, 3, 9, 9]), [None]);
        assert_eq!(units(&[0x32, 0x80]), [None]);
        assert_eq!(units(&[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), [None]);
        assert_eq!(units(&[0x36]), [None]);
    }
}
