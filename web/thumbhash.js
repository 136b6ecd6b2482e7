// Owns decoding a ThumbHash (https://evanw.github.io/thumbhash/), some 25 bytes that hold a blurred photo, into a data: URL.
// The bytes are a header, then 4-bit cosine coefficients of luminance, two colour differences and, perhaps, alpha.
// It uses neither canvas nor DOM, so that a server can make placeholders as well, and must never throw.

/**
 * @typedef {{mean: number, scale: number, across: number, down: number}} ChannelHeader
 * @typedef {{mean: number, waves: {fx: number, fy: number, amplitude: number}[]}} Channel
 * @typedef {{width: number, height: number, hasAlpha: boolean, rows: Uint8ClampedArray}} Image as PNG has it: a byte before each
 *   row names its filter, 0 for none
 */

const LONGER_SIDE_PX = 32;
// The number of waves along a side is told in three bits.
const MOST_WAVES = 7;

/**
 * A small PNG of the hash, or "" if it is none: a placeholder is not worth an error.
 * @param {string} base64
 * @returns {string} a data: URL of some 4 KB
 */
export function thumbHashUrl(base64) {
  try {
    const hash = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return `data:image/png;base64,${btoa(String.fromCharCode(...pngBytes(decode(hash))))}`;
  } catch {
    return "";
  }
}

/** @param {Uint8Array} hash */
function decode(hash) {
  const { hasAlpha, aspect, channels } = readHeader(hash);
  const nextCoefficient = nibbles(hash, hasAlpha ? 6 : 5);
  const [width, height] = aspect > 1 ? [LONGER_SIDE_PX, LONGER_SIDE_PX / aspect] : [LONGER_SIDE_PX * aspect, LONGER_SIDE_PX];
  return paint(
    Math.round(width),
    Math.round(height),
    channels.map((channel) => readChannel(channel, nextCoefficient)),
  );
}

/**
 * Bit fields, lowest first: 24 bits, 16 bits, and a byte more if there is alpha. The channels are in the order in which
 * their coefficients lie in the bytes.
 * @param {Uint8Array} hash
 * @returns {{hasAlpha: boolean, aspect: number, channels: ChannelHeader[]}}
 */
function readHeader(hash) {
  const first = hash[0] | (hash[1] << 8) | (hash[2] << 16);
  const second = hash[3] | (hash[4] << 8);
  const hasAlpha = Boolean(first >> 23);
  const longer = hasAlpha ? 5 : MOST_WAVES;
  const shorter = second & 7;
  if (shorter === 0) throw new RangeError("A side has no waves.");
  const [across, down] = second >> 15 ? [longer, shorter] : [shorter, longer];
  const luminance = { mean: (first & 63) / 63, scale: ((first >> 18) & 31) / 31, across: Math.max(3, across), down: Math.max(3, down) };
  // Colour is kept a quarter stronger than it was measured, since four bits wash it out.
  const yellowBlue = { mean: ((first >> 6) & 63) / 31.5 - 1, scale: (((second >> 3) & 63) / 63) * 1.25, across: 3, down: 3 };
  const redGreen = { mean: ((first >> 12) & 63) / 31.5 - 1, scale: (((second >> 9) & 63) / 63) * 1.25, across: 3, down: 3 };
  const alpha = { mean: (hash[5] & 15) / 15, scale: (hash[5] >> 4) / 15, across: 5, down: 5 };
  const channels = [luminance, yellowBlue, redGreen];
  return { hasAlpha, aspect: across / down, channels: hasAlpha ? [...channels, alpha] : channels };
}

/**
 * A function that gives the next four bits as -1 to 1, the lower half of a byte first.
 * @param {Uint8Array} hash
 * @param {number} start
 */
function nibbles(hash, start) {
  let read = start * 2;
  return () => {
    if (read >= hash.length * 2) throw new RangeError("The hash is cut off.");
    const byte = hash[read >> 1];
    const nibble = read % 2 === 0 ? byte & 15 : byte >> 4;
    read += 1;
    return nibble / 7.5 - 1;
  };
}

/**
 * The mean and the waves of one channel; only the triangle of low frequencies is stored.
 * @param {ChannelHeader} header
 * @param {() => number} nextCoefficient
 * @returns {Channel}
 */
function readChannel({ mean, scale, across, down }, nextCoefficient) {
  const waves = [];
  for (let fy = 0; fy < down; fy += 1) {
    for (let fx = fy === 0 ? 1 : 0; fx * down < across * (down - fy); fx += 1) {
      // Every wave but the mean counts twice, as in any such transform.
      waves.push({ fx, fy, amplitude: nextCoefficient() * scale * 2 });
    }
  }
  return { mean, waves };
}

/**
 * @param {number} width
 * @param {number} height
 * @param {Channel[]} channels
 * @returns {Image}
 */
function paint(width, height, channels) {
  const bytesPerPixel = channels.length;
  const rowBytes = 1 + width * bytesPerPixel;
  // The array is clamped, so what overshoots 0 to 255 is cut there.
  const rows = new Uint8ClampedArray(height * rowBytes);
  const columns = cosines(width);
  cosines(height).forEach((row, y) => {
    columns.forEach((column, x) => {
      const colour = toColour(channels.map((channel) => valueAt(channel, column, row)));
      rows.set(colour, y * rowBytes + 1 + x * bytesPerPixel);
    });
  });
  return { width, height, hasAlpha: bytesPerPixel === 4, rows };
}

/**
 * For each pixel along a side, every wave's height there.
 * @param {number} lengthPx
 */
function cosines(lengthPx) {
  return Array.from({ length: lengthPx }, (_, px) =>
    Array.from({ length: MOST_WAVES }, (_, frequency) => Math.cos((Math.PI / lengthPx) * (px + 0.5) * frequency)),
  );
}

/**
 * One channel at a pixel, mostly within 0 to 1.
 * @param {Channel} channel
 * @param {number[]} column
 * @param {number[]} row
 */
function valueAt({ mean, waves }, column, row) {
  let sum = mean;
  for (const { fx, fy, amplitude } of waves) sum += amplitude * column[fx] * row[fy];
  return sum;
}

/**
 * Red, green, blue, and alpha if there is any.
 * @param {number[]} values
 */
function toColour([luminance, yellowBlue, redGreen, ...alpha]) {
  const blue = luminance - (2 / 3) * yellowBlue;
  const red = (3 * luminance - blue + redGreen) / 2;
  return [red, red - redGreen, blue, ...alpha].map((part) => part * 255);
}

/**
 * A PNG that is not compressed: a page that is sent with its placeholders is compressed as a whole.
 * @param {Image} image
 */
function pngBytes({ width, height, hasAlpha, rows }) {
  return [
    ...[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
    ...pngChunk("IHDR", [...uint32(width), ...uint32(height), 8, hasAlpha ? 6 : 2, 0, 0, 0]),
    ...pngChunk("IDAT", zlibStored(rows)),
    ...pngChunk("IEND", []),
  ];
}

/**
 * @param {string} type
 * @param {number[]} data
 */
function pngChunk(type, data) {
  const body = [...Array.from(type, (letter) => letter.charCodeAt(0)), ...data];
  return [...uint32(data.length), ...body, ...uint32(crc32(body))];
}

/**
 * A zlib stream of one stored block, which may have 65535 bytes; the largest placeholder has 4128.
 * @param {Uint8ClampedArray} data
 */
function zlibStored(data) {
  const [low, high] = [data.length & 255, data.length >> 8];
  return [0x78, 0x01, 1, low, high, low ^ 255, high ^ 255, ...data, ...uint32(adler32(data))];
}

/** @param {number[]} bytes */
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

/** @param {Uint8ClampedArray} bytes */
function adler32(bytes) {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return (b << 16) | a;
}

/** @param {number} value */
function uint32(value) {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}
