//! JPEGs bit by bit: what encoders at hand would not write. Every block is flat, and all of a component
//! alike; one Huffman code of a bit says "as before", the other brings the level.

/// A sequential JPEG of 32 x 32 px.
pub struct HandmadeJpeg {
    /// Of each component its id, and its samples: 128, or as far from it as 32 to 63.
    pub components: Vec<(u8, u8)>,
    /// The `transform` of Adobe's marker.
    pub adobe: Option<u8>,
    /// MCUs between restart markers, or 0.
    pub restart_mcus: u8,
    /// Quantisation tables of 16 bits.
    pub has_wide_tables: bool,
    /// One scan for each component.
    pub has_scans_apart: bool,
    pub height_px: u8,
}

impl HandmadeJpeg {
    pub fn new(components: &[(u8, u8)]) -> Self {
        Self {
            components: components.to_vec(),
            adobe: None,
            restart_mcus: 0,
            has_wide_tables: false,
            has_scans_apart: false,
            height_px: 32,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        if let Some(transform) = self.adobe {
            bytes.extend(segment(0xee, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat()));
        }
        let tables = if self.has_wide_tables { [0, 8].repeat(64) } else { vec![8; 64] };
        bytes.extend(segment(0xdb, &[&[u8::from(self.has_wide_tables) << 4], tables.as_slice()].concat()));
        let count = self.components.len() as u8;
        let mut frame = vec![8, 0, self.height_px, 0, 32, count];
        frame.extend(self.components.iter().flat_map(|(id, _)| [*id, 0x11, 0]));
        bytes.extend(segment(if self.has_wide_tables { 0xc1 } else { 0xc0 }, &frame));
        // DC: code 0 for no difference, 10 for one of six bits. AC: code 0 for the end of the block.
        let counts = |ones, twos| [[ones, twos].as_slice(), &[0; 14]].concat();
        bytes.extend(segment(0xc4, &[[0x00].as_slice(), &counts(1, 1), &[0, 6]].concat()));
        bytes.extend(segment(0xc4, &[[0x10].as_slice(), &counts(1, 0), &[0]].concat()));
        if self.restart_mcus > 0 {
            bytes.extend(segment(0xdd, &[0, self.restart_mcus]));
        }
        let scans = self.components.chunks(if self.has_scans_apart { 1 } else { self.components.len() });
        bytes.extend(scans.flat_map(|components| self.scan(components)));
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    fn scan(&self, components: &[(u8, u8)]) -> Vec<u8> {
        let mut header = vec![components.len() as u8];
        header.extend(components.iter().flat_map(|(id, _)| [*id, 0]));
        header.extend([0, 63, 0]);
        let mut bytes = segment(0xda, &header);
        let interval = if self.restart_mcus > 0 { usize::from(self.restart_mcus) } else { 16 };
        for restart in 0..16_usize.div_ceil(interval) {
            if restart > 0 {
                bytes.extend([0xff, 0xd0 + (restart as u8 - 1) % 8]);
            }
            bytes.extend(interval_of(components, interval.min(16 - restart * interval)));
        }
        bytes
    }
}

/// The MCUs from one restart to the next; the level comes with the first.
fn interval_of(components: &[(u8, u8)], mcus: usize) -> Vec<u8> {
    let mut bits = String::new();
    for mcu in 0..mcus {
        for (_, sample) in components {
            let level = i32::from(*sample) - 128;
            match level {
                0 => bits.push('0'),
                _ if mcu > 0 => bits.push('0'),
                level => bits.push_str(&format!("10{:06b}", if level > 0 { level } else { level + 63 })),
            }
            bits.push('0');
        }
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    let bytes = bits.as_bytes().chunks(8).map(|byte| {
        let value = byte.iter().fold(0, |value, bit| value << 1 | (bit - b'0'));
        if value == 0xff { vec![0xff, 0] } else { vec![value] }
    });
    bytes.flatten().collect()
}

/// Any segment of a JPEG.
pub fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], length.as_slice(), payload].concat()
}
