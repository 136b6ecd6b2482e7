// Owns decoding a ThumbHash (https://evanw.github.io/thumbhash/), some 25 bytes that hold a blurred photo, into a data: URL.
// The bytes are a header, then 4-bit cosine coefficients of luminance, two colour differences and, perhaps, alpha.

const LONGER_SIDE_PX = 32;

/** A small PNG of the hash, or undefined if it is none; a placeholder is not worth an error. */
export function thumbHashUrl(base64) {
  try {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return bytes.length < 5 ? undefined : pngUrl(decode(bytes));
  } catch {
    return undefined;
  }
}

function pngUrl(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function decode(bytes) {
  const header = readHeader(bytes);
  const nextCoefficient = nibbles(bytes, header.hasAlpha ? 6 : 5);
  // In the order in which their coefficients lie in the bytes.
  const luminance = readChannel(header.luminance, nextCoefficient);
  const yellowBlue = readChannel(header.yellowBlue, nextCoefficient);
  const redGreen = readChannel(header.redGreen, nextCoefficient);
  const alpha = readChannel(header.alpha, nextCoefficient);
  return paint(header, (at) => toRgba(valueAt(luminance, at), valueAt(yellowBlue, at), valueAt(redGreen, at), valueAt(alpha, at)));
}

/** Bit fields, lowest first: 24 bits, 16 bits, and a byte more if there is alpha. */
function readHeader(bytes) {
  const first = bytes[0] | (bytes[1] << 8) | (bytes[2] << 16);
  const second = bytes[3] | (bytes[4] << 8);
  const hasAlpha = Boolean(first >> 23);
  const isLandscape = Boolean(second >> 15);
  const longer = hasAlpha ? 5 : 7;
  const shorter = second & 7;
  const [across, down] = isLandscape ? [longer, shorter] : [shorter, longer];
  return {
    hasAlpha,
    aspect: across / down,
    luminance: { mean: (first & 63) / 63, scale: ((first >> 18) & 31) / 31, across: Math.max(3, across), down: Math.max(3, down) },
    // Colour is kept a quarter stronger than it was measured, since four bits wash it out.
    yellowBlue: { mean: ((first >> 6) & 63) / 31.5 - 1, scale: (((second >> 3) & 63) / 63) * 1.25, across: 3, down: 3 },
    redGreen: { mean: ((first >> 12) & 63) / 31.5 - 1, scale: (((second >> 9) & 63) / 63) * 1.25, across: 3, down: 3 },
    alpha: hasAlpha
      ? { mean: (bytes[5] & 15) / 15, scale: (bytes[5] >> 4) / 15, across: 5, down: 5 }
      : { mean: 1, scale: 0, across: 0, down: 0 },
  };
}

/** A function that gives the next four bits as -1 to 1, the lower half of a byte first. */
function nibbles(bytes, start) {
  let read = 0;
  return () => {
    const byte = bytes[start + (read >> 1)];
    const nibble = read % 2 === 0 ? byte & 15 : byte >> 4;
    read += 1;
    return nibble / 7.5 - 1;
  };
}

/** The mean and the waves of one channel; only the triangle of low frequencies is stored. */
function readChannel({ mean, scale, across, down }, nextCoefficient) {
  const waves = [];
  for (let fy = 0; fy < down; fy += 1) {
    for (let fx = fy === 0 ? 1 : 0; fx * down < across * (down - fy); fx += 1) {
      waves.push({ fx, fy, amplitude: nextCoefficient() * scale });
    }
  }
  return { mean, waves };
}

/** One channel at a point, `x` and `y` in 0 to 1. Every wave but the mean counts twice, as in any such transform. */
function valueAt({ mean, waves }, { x, y }) {
  return waves.reduce(
    (sum, { fx, fy, amplitude }) => sum + amplitude * Math.cos(Math.PI * x * fx) * Math.cos(Math.PI * y * fy) * 2,
    mean,
  );
}

function toRgba(luminance, yellowBlue, redGreen, alpha) {
  const blue = luminance - (2 / 3) * yellowBlue;
  const red = (3 * luminance - blue + redGreen) / 2;
  return [red, red - redGreen, blue, alpha];
}

function paint({ aspect }, colourAt) {
  const width = Math.round(aspect > 1 ? LONGER_SIDE_PX : LONGER_SIDE_PX * aspect);
  const height = Math.round(aspect > 1 ? LONGER_SIDE_PX / aspect : LONGER_SIDE_PX);
  const image = new ImageData(width, height);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const colour = colourAt({ x: (column + 0.5) / width, y: (row + 0.5) / height });
      // The array is clamped, so what overshoots 0 to 255 is cut there.
      image.data.set(colour.map((part) => part * 255), (row * width + column) * 4);
    }
  }
  return image;
}
