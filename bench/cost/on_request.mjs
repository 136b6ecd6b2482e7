// What a function that resizes on request does when the CDN misses: fetches, decodes, resizes and encodes for one file,
// and keeps nothing. It does so for all files of the recipe in one invocation, and the bytes, each an answer, are dropped.
import { encoded, forEachObject, FORMATS, readSource, RENDITIONS, resized } from "./common.mjs";

export const handler = (event) => forEachObject(event, answerAll);

async function answerAll(bucket, key) {
  for (const rendition of RENDITIONS) {
    for (const format of FORMATS) await answer(bucket, key, rendition, format);
  }
}

async function answer(bucket, key, rendition, format) {
  return encoded(resized(await readSource(bucket, key), rendition), format);
}
