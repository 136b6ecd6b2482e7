// The worker as a good tutorial writes it: makes every rendition of each uploaded photo and puts it under processed/.
// Unlike Darkroom's it never judges a source, writes no manifest, and minds neither duplicates nor removals.
import { PutObjectCommand } from "@aws-sdk/client-s3";
import sharp from "sharp";
import { encoded, forEachObject, FORMATS, readSource, RENDITIONS, resized, s3, STYLE } from "./common.mjs";

const CACHING = "public, max-age=31536000, immutable";
const LARGEST = RENDITIONS.find(({ name }) => name === "w1920");

export const handler = (event) => forEachObject(event, publish);

async function publish(bucket, key) {
  const source = await readSource(bucket, key);
  const puts = [];
  for await (const file of makers[STYLE](source)) {
    const put = write(bucket, key, file);
    put.catch(() => {}); // told below, once the others are made
    puts.push(put);
  }
  await Promise.all(puts);
}

function write(bucket, key, { rendition, format, bytes }) {
  return s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: `${key.replace(/^raw\//, "processed/")}/${rendition.name}.${format.extension}`,
      Body: bytes,
      ContentType: `image/${format.name}`,
      CacheControl: CACHING,
    }),
  );
}

const makers = { usual, tuned };

/** A pipeline from the source for each file. */
async function* usual(source) {
  for (const rendition of RENDITIONS) {
    for (const format of FORMATS) yield { rendition, format, bytes: await encoded(resized(source, rendition), format) };
  }
}

/** One decode, to the largest rendition, and all others from its pixels. */
async function* tuned(source) {
  const largest = await pixels(resized(source, LARGEST).toColourspace("srgb"));
  for (const rendition of RENDITIONS) {
    const raw = rendition === LARGEST ? largest : await pixels(from(largest).resize(rendition.box));
    for (const format of FORMATS) yield { rendition, format, bytes: await encoded(from(raw), format) };
  }
}

const pixels = (pipeline) => pipeline.raw().toBuffer({ resolveWithObject: true });
const from = ({ data, info: { width, height, channels } }) => sharp(data, { raw: { width, height, channels } });
