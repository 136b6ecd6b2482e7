//! The items of an HEIF file: what its `meta` box says that there is, and where their bytes are. Owns the
//! boxes' syntax (ISO 14496-12 and 23008-12); what a picture is made of is `avif`'s to say. Never
//! allocates by a count that the file claims, follows a nested box further than one of these needs, or
//! reads outside the file.

use std::collections::BTreeMap;

use contract::MediaType;

use crate::error::Error;

/// Most items of a file: a grid of `avif::MAX_TILES`, as many of alpha, metadata and thumbnails.
const MAX_ITEMS: usize = 16_384;
/// Most pieces that the bytes of one item are in; writers make one, or one per layer.
const MAX_EXTENTS: usize = 64;
/// Most references between items: each of a grid, two or three.
const MAX_REFERENCES: u64 = 32_768;

/// A four-character code.
pub(crate) type Kind = [u8; 4];

/// What `meta` says.
#[derive(Debug, Default)]
pub(crate) struct Items<'a> {
    file: &'a [u8],
    /// The bytes that items may have within `meta` itself.
    idat: &'a [u8],
    pub primary: u32,
    items: BTreeMap<u32, Item>,
    properties: Vec<Property<'a>>,
    references: Vec<Reference>,
}

#[derive(Debug, Default)]
pub(crate) struct Item {
    pub kind: Kind,
    location: Location,
    /// In the order of their application: where it is among all, and whether a reader must know it.
    associations: Vec<(usize, bool)>,
}

#[derive(Debug, Default)]
struct Location {
    method: u16,
    is_elsewhere: bool,
    /// Offset and length.
    extents: Vec<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Property<'a> {
    pub kind: Kind,
    pub payload: &'a [u8],
}

#[derive(Debug)]
struct Reference {
    kind: Kind,
    from: u32,
    to: Vec<u32>,
}

impl<'a> Items<'a> {
    /// Reads the file up to its first `meta` box, and that.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it breaks its syntax or ends, [`Error::Unsupported`] where there is none.
    pub fn read(file: &'a [u8]) -> Result<Self, Error> {
        let mut rest = Reader(file);
        let mut has_tracks = false;
        while let Some((kind, payload)) = rest.next_box()? {
            if &kind == b"meta" {
                return Self::read_meta(file, payload);
            }
            has_tracks |= &kind == b"moov";
        }
        Err(match has_tracks {
            true => Error::Unsupported { what: "an AVIF sequence without a still picture" },
            false => corrupt("it ends within its header"),
        })
    }

    fn read_meta(file: &'a [u8], mut meta: Reader<'a>) -> Result<Self, Error> {
        let mut items = Self { file, ..Self::default() };
        let mut primary = None;
        meta.version_and_flags()?;
        while let Some((kind, payload)) = meta.next_box()? {
            match &kind {
                b"pitm" => primary = Some(read_primary(payload)?),
                b"iinf" => items.read_infos(payload)?,
                b"iloc" => items.read_locations(payload)?,
                b"iprp" => items.read_properties(payload)?,
                b"iref" => items.read_references(payload)?,
                b"idat" => items.idat = payload.0,
                _ => {}
            }
        }
        items.primary = primary.ok_or_else(|| corrupt("it has no primary item"))?;
        Ok(items)
    }

    pub fn item(&self, id: u32) -> Result<&Item, Error> {
        self.items.get(&id).ok_or_else(|| corrupt("an item is missing"))
    }

    /// Every item of these that refers to `to`, by the type of the reference.
    pub fn referring(&self, kind: Kind, to: u32) -> impl Iterator<Item = u32> {
        let refers = move |reference: &&Reference| reference.kind == kind && reference.to.contains(&to);
        self.references.iter().filter(refers).map(|reference| reference.from)
    }

    /// What an item refers to, in its order.
    pub fn referred(&self, kind: Kind, from: u32) -> &[u32] {
        let found = self.references.iter().find(|reference| reference.kind == kind && reference.from == from);
        found.map_or(&[], |reference| &reference.to)
    }

    /// An item's properties in their order, and whether each is essential.
    pub fn properties(&self, item: &Item) -> Result<Vec<(Property<'a>, bool)>, Error> {
        let property = |(index, essential): &(usize, bool)| {
            let property = self.properties.get(*index).ok_or_else(|| corrupt("a property is missing"))?;
            Ok((*property, *essential))
        };
        item.associations.iter().map(property).collect()
    }

    /// An item's bytes, joined: a copy, as long as the item is.
    pub fn data(&self, item: &Item) -> Result<Vec<u8>, Error> {
        let Location { method, is_elsewhere, extents } = &item.location;
        let source = match (method, is_elsewhere) {
            (0, false) => self.file,
            (1, false) => self.idat,
            _ => return Err(Error::Unsupported { what: "an AVIF whose pixels are not in the file" }),
        };
        let length = extents.iter().try_fold(0u64, |sum, (_, length)| sum.checked_add(*length));
        if length.is_none_or(|length| length == 0 || length > source.len() as u64) {
            return Err(corrupt("it ends before its pixels do"));
        }
        let mut data = Vec::new();
        for (offset, length) in extents {
            let piece = usize::try_from(*offset).ok().and_then(|start| {
                let end = start.checked_add(usize::try_from(*length).ok()?)?;
                source.get(start..end)
            });
            data.extend_from_slice(piece.ok_or_else(|| corrupt("it ends before its pixels do"))?);
        }
        Ok(data)
    }

    fn item_mut(&mut self, id: u32) -> Result<&mut Item, Error> {
        if self.items.len() >= MAX_ITEMS && !self.items.contains_key(&id) {
            return Err(corrupt("it has too many items"));
        }
        Ok(self.items.entry(id).or_default())
    }

    fn read_infos(&mut self, mut infos: Reader<'a>) -> Result<(), Error> {
        let (version, _) = infos.version_and_flags()?;
        infos.uint(if version == 0 { 2 } else { 4 })?;
        while let Some((kind, mut info)) = infos.next_box()? {
            if &kind != b"infe" {
                continue;
            }
            let (version, _) = info.version_and_flags()?;
            // Versions 0 and 1 have no item type: metadata of another kind of file.
            if version < 2 {
                continue;
            }
            let id = info.uint(if version == 2 { 2 } else { 4 })? as u32;
            info.uint(2)?;
            self.item_mut(id)?.kind = info.kind()?;
        }
        Ok(())
    }

    fn read_locations(&mut self, mut boxed: Reader<'a>) -> Result<(), Error> {
        let (version, _) = boxed.version_and_flags()?;
        if version > 2 {
            return Err(corrupt("its iloc box is of an unknown version"));
        }
        let sizes = boxed.uint(2)?;
        let size_at = |shift: u32| (sizes >> shift & 15) as usize;
        let (offset_bytes, length_bytes, base_bytes) = (size_at(12), size_at(8), size_at(4));
        let index_bytes = if version == 0 { 0 } else { size_at(0) };
        for _ in 0..boxed.uint(if version < 2 { 2 } else { 4 })? {
            let id = boxed.uint(if version < 2 { 2 } else { 4 })? as u32;
            let method = if version == 0 { 0 } else { (boxed.uint(2)? & 15) as u16 };
            let is_elsewhere = boxed.uint(2)? != 0;
            let base = boxed.uint(base_bytes)?;
            let count = boxed.uint(2)? as usize;
            if count > MAX_EXTENTS {
                return Err(corrupt("an item is in too many pieces"));
            }
            let mut extents = Vec::new();
            for _ in 0..count {
                boxed.uint(index_bytes)?;
                let offset = base.checked_add(boxed.uint(offset_bytes)?);
                let offset = offset.ok_or_else(|| corrupt("an item is beyond its end"))?;
                extents.push((offset, boxed.uint(length_bytes)?));
            }
            self.item_mut(id)?.location = Location { method, is_elsewhere, extents };
        }
        Ok(())
    }

    fn read_properties(&mut self, mut boxed: Reader<'a>) -> Result<(), Error> {
        while let Some((kind, mut payload)) = boxed.next_box()? {
            match &kind {
                b"ipco" => {
                    while let Some((kind, payload)) = payload.next_box()? {
                        self.properties.push(Property { kind, payload: payload.0 });
                    }
                }
                b"ipma" => self.read_associations(payload)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_associations(&mut self, mut boxed: Reader<'a>) -> Result<(), Error> {
        let (version, flags) = boxed.version_and_flags()?;
        let (index_bytes, essential_bit) = if flags & 1 == 0 { (1, 0x80) } else { (2, 0x8000) };
        for _ in 0..boxed.uint(4)? {
            let id = boxed.uint(if version == 0 { 2 } else { 4 })? as u32;
            for _ in 0..boxed.uint(1)? {
                let association = boxed.uint(index_bytes)?;
                let index = (association & !essential_bit) as usize;
                // Counted from 1; 0 means none.
                if let Some(index) = index.checked_sub(1) {
                    let essential = association & essential_bit != 0;
                    self.item_mut(id)?.associations.push((index, essential));
                }
            }
        }
        Ok(())
    }

    fn read_references(&mut self, mut boxed: Reader<'a>) -> Result<(), Error> {
        let (version, _) = boxed.version_and_flags()?;
        let id_bytes = if version == 0 { 2 } else { 4 };
        let mut total = 0;
        while let Some((kind, mut payload)) = boxed.next_box()? {
            let from = payload.uint(id_bytes)? as u32;
            let count = payload.uint(2)?;
            total += count;
            if total > MAX_REFERENCES {
                return Err(corrupt("it has too many references"));
            }
            let to = (0..count).map(|_| Ok(payload.uint(id_bytes)? as u32));
            let to = to.collect::<Result<_, Error>>()?;
            self.references.push(Reference { kind, from, to });
        }
        Ok(())
    }
}

fn read_primary(mut boxed: Reader) -> Result<u32, Error> {
    let (version, _) = boxed.version_and_flags()?;
    Ok(boxed.uint(if version == 0 { 2 } else { 4 })? as u32)
}

/// What is left of some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| corrupt("it ends within its header"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A big-endian number of 0 to 8 bytes; of none it is 0.
    pub fn uint(&mut self, count: usize) -> Result<u64, Error> {
        if count > 8 {
            return Err(corrupt("a number in its header is too long"));
        }
        Ok(self.take(count)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn kind(&mut self) -> Result<Kind, Error> {
        self.take(4).map(|kind| [kind[0], kind[1], kind[2], kind[3]])
    }

    pub fn version_and_flags(&mut self) -> Result<(u8, u32), Error> {
        let both = self.uint(4)? as u32;
        Ok(((both >> 24) as u8, both & 0x00ff_ffff))
    }

    /// The type and payload of the next box, none at the end.
    fn next_box(&mut self) -> Result<Option<(Kind, Reader<'a>)>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let size = self.uint(4)?;
        let kind = self.kind()?;
        let payload_bytes = match size {
            // To the end of what encloses it.
            0 => Some(self.0.len()),
            1 => self.uint(8)?.checked_sub(16).and_then(|size| usize::try_from(size).ok()),
            size => size.checked_sub(8).and_then(|size| usize::try_from(size).ok()),
        };
        let payload_bytes = payload_bytes.ok_or_else(|| corrupt("a box of its header has no valid size"))?;
        Ok(Some((kind, Reader(self.take(payload_bytes)?))))
    }
}

pub(crate) fn corrupt(problem: &str) -> Error {
    Error::corrupt(MediaType::Avif, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HeifFile, HeifItem, avif, heif_box, truncations};

    fn item(id: u32, data: &[u8], properties: &[([u8; 4], bool)]) -> HeifItem {
        let properties = properties.iter().map(|(kind, is_essential)| (*kind, vec![7; 3], *is_essential));
        HeifItem { id, kind: *b"av01", data: data.to_vec(), properties: properties.collect() }
    }

    fn file(is_wide: bool) -> HeifFile {
        let items = vec![
            item(3, b"three", &[(*b"aaaa", true), (*b"bbbb", false)]),
            item(1, b"first", &[]),
            item(9, b"last", &[(*b"cccc", false)]),
        ];
        HeifFile { items, references: vec![(*b"auxl", 9, vec![1, 3]), (*b"dimg", 3, vec![9, 9])], is_wide }
    }

    #[test]
    fn items_are_found_with_bytes_properties_and_references_in_every_version_of_their_boxes() {
        for is_wide in [false, true] {
            let bytes = file(is_wide).bytes();
            let items = Items::read(&bytes).unwrap();
            assert_eq!(items.primary, 3);
            for (id, data) in [(3, b"three".as_slice()), (1, b"first"), (9, b"last")] {
                let item = items.item(id).unwrap();
                assert_eq!((&item.kind, items.data(item).unwrap().as_slice()), (b"av01", data));
            }
            let properties = items.properties(items.item(3).unwrap()).unwrap();
            let kinds = properties.iter().map(|(property, is_essential)| (property.kind, *is_essential));
            assert_eq!(kinds.collect::<Vec<_>>(), [(*b"aaaa", true), (*b"bbbb", false)]);
            assert_eq!(properties[0].0.payload, [7; 3]);
            assert_eq!(items.referring(*b"auxl", 3).collect::<Vec<_>>(), [9]);
            assert_eq!(items.referring(*b"auxl", 9).count(), 0);
            assert_eq!(items.referred(*b"dimg", 3), [9, 9]);
            assert!(items.referred(*b"dimg", 1).is_empty());
        }
    }

    #[test]
    fn a_file_that_ends_early_is_corrupt_wherever_that_be() {
        for is_wide in [false, true] {
            let whole = file(is_wide).bytes();
            for length in 0..whole.len() {
                let read = Items::read(&whole[..length]).and_then(|items| items.data(items.item(9)?));
                assert!(read.is_err(), "{length}");
            }
        }
    }

    #[test]
    fn damage_anywhere_is_read_or_refused() {
        let whole = file(false).bytes();
        for at in 0..whole.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= mask;
                let Ok(items) = Items::read(&damaged) else { continue };
                for id in [1, 3, 9] {
                    let Ok(item) = items.item(id) else { continue };
                    let _ = (items.data(item), items.properties(item));
                }
            }
        }
    }

    #[test]
    fn a_box_may_be_as_long_as_it_likes_and_no_longer_than_what_encloses_it() {
        let meta = heif_box(b"meta", &[&[0; 4], &heif_box(b"pitm", &[&[0, 0, 0, 0, 0, 5]])]);
        let long = [[0, 0, 0, 1].as_slice(), b"free", &18u64.to_be_bytes(), &[0; 2], &meta].concat();
        let open = [&[0; 4], &meta[4..]].concat();
        for bytes in [&meta, &long, &open] {
            assert_eq!(Items::read(bytes).unwrap().primary, 5);
        }
        let too_long = [[0, 0, 0, 1].as_slice(), b"free", &[0xff; 8], &[0; 8]].concat();
        let too_short = [[0, 0, 0, 7].as_slice(), b"free", &meta].concat();
        for bytes in [too_long, too_short] {
            assert!(matches!(Items::read(&bytes), Err(Error::Corrupt { .. })));
        }
    }

    #[test]
    fn an_item_is_never_longer_than_its_file_and_never_elsewhere() {
        let read = |location: &[u8]| {
            let location = [&[0, 0, 0, 0, 0x44, 0, 0, 1, 0, 5], location].concat();
            let pitm = heif_box(b"pitm", &[&[0, 0, 0, 0, 0, 5]]);
            let bytes = heif_box(b"meta", &[&[0; 4], &pitm, &heif_box(b"iloc", &[&location])]);
            let items = Items::read(&bytes)?;
            items.data(items.item(5)?)
        };
        let extent = |offset: u32, length: u32| [offset.to_be_bytes(), length.to_be_bytes()].concat();
        assert_eq!(read(&[&[0, 0, 0, 1], extent(4, 4).as_slice()].concat()).unwrap(), *b"meta");
        let early = Err(corrupt("it ends before its pixels do"));
        for (offset, length) in [(0, 100), (0, u32::MAX), (50, 40), (u32::MAX, 1), (0, 0)] {
            assert_eq!(read(&[&[0, 0, 0, 1], extent(offset, length).as_slice()].concat()), early);
        }
        // Twice, it is longer than the file.
        let twice = [&[0, 0, 0, 2], extent(0, 40).as_slice(), &extent(0, 40)].concat();
        assert_eq!(read(&twice), early);
        let elsewhere = read(&[&[0, 1, 0, 1], extent(4, 4).as_slice()].concat());
        assert!(matches!(elsewhere, Err(Error::Unsupported { .. })));
        let many = [[0, 0, 0, 65].as_slice(), &extent(4, 1).repeat(65)].concat();
        assert_eq!(read(&many), Err(corrupt("an item is in too many pieces")));
    }

    #[test]
    fn a_file_of_another_encoder_is_read() {
        let items = Items::read(avif()).unwrap();
        let item = items.item(items.primary).unwrap();
        assert_eq!(&item.kind, b"av01");
        assert!(items.data(item).unwrap().len() > 50);
        for length in truncations(avif().len()) {
            let read =
                Items::read(&avif()[..length]).and_then(|items| items.data(items.item(items.primary)?));
            assert!(read.is_err(), "{length}");
        }
    }
}
