// sharp, as one of the two ways of writing it: `usual`, a pipeline from the file for each rendition, as its
// documentation shows; or `c`, one decode, and every rendition from a raw buffer. The protocol is that of
// src/protocol.rs: a job a line on standard input, an answer a line on standard output.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import sharp from 'sharp';

sharp.concurrency(1);
sharp.cache(false);

const options = {
  jpeg: ({ quality }) => ({ quality }),
  webp: ({ quality, effort }) => ({ quality, effort }),
  // Its own default is 4:4:4, which is more work; all others do 4:2:0.
  avif: ({ quality, effort }) => ({ quality, effort, chromaSubsampling: '4:2:0' }),
};

const inside = (width) => ({ width, height: width, fit: 'inside', withoutEnlargement: true });

async function write(pipeline, job, width, format) {
  const path = `${job.out_dir}/${width}.${format.format}`;
  const { size } = await pipeline.toFormat(format.format, options[format.format](format)).toFile(path);
  return { width, format: format.format, path, bytes: size };
}

async function usual(job) {
  const files = [];
  for (const width of job.widths)
    for (const format of job.formats)
      files.push(await write(sharp(job.photo).rotate().resize(inside(width)), job, width, format));
  return files;
}

const pixels = (pipeline) => pipeline.raw().toBuffer({ resolveWithObject: true });
const from = ({ data, info: { width, height, channels } }) => sharp(data, { raw: { width, height, channels } });

async function styleC(job) {
  const [largest, ...others] = [...job.widths].sort((one, other) => other - one);
  const decoded = await pixels(sharp(job.photo).rotate().resize(inside(largest)).toColourspace('srgb'));
  const files = [];
  const all = async (raw, width) => {
    for (const format of job.formats) files.push(await write(from(raw), job, width, format));
  };
  await all(decoded, largest);
  for (const width of others) await all(await pixels(from(decoded).resize(inside(width))), width);
  return files;
}

const peakBytes = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;

const work = { usual, c: styleC }[process.argv[2]];
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const { node } = process.versions;
say({ version: `sharp ${sharp.versions.sharp} (libvips ${sharp.versions.vips}, libaom ${sharp.versions.aom}), Node.js ${node}` });
for await (const line of createInterface({ input: process.stdin })) {
  const [started, before] = [performance.now(), process.cpuUsage()];
  try {
    const files = await work(JSON.parse(line));
    const { user, system } = process.cpuUsage(before);
    const wall = performance.now() - started;
    say({ cpu_ms: (user + system) / 1000, wall_ms: wall, peak_bytes: peakBytes(), files });
  } catch (error) {
    say({ error: String(error) });
  }
}
