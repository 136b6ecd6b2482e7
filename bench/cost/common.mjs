// What both functions share: the recipe, which is Darkroom's default one, the source, and an SQS event's records one by
// one. It never decides how pixels are made, nor writes to S3.
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import sharp from "sharp";

sharp.concurrency(1);
sharp.cache(false);

/** `usual`, as sharp's documentation and tutorials write it, or `tuned`: one decode where it can, and the least effort for AVIF. */
export const STYLE = process.env.STYLE ?? "usual";

export const RENDITIONS = [
  ...[320, 640, 1280, 1920].map((width) => ({ name: `w${width}`, box: { width, withoutEnlargement: true } })),
  { name: "thumb", box: { width: 256, height: 256, fit: "cover", withoutEnlargement: true } },
];

export const FORMATS = [
  // sharp's defaults, effort 4 included, but for its 4:4:4: that is more work, and Darkroom does 4:2:0.
  { name: "avif", extension: "avif", options: { quality: 50, chromaSubsampling: "4:2:0", effort: STYLE === "tuned" ? 0 : 4 } },
  { name: "jpeg", extension: "jpg", options: { quality: 80 } },
];

// Region, credentials and endpoint come from the environment.
export const s3 = new S3Client({ forcePathStyle: true });

export async function readSource(bucket, key) {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Body.transformToByteArray();
}

export const resized = (source, { box }) => sharp(source).rotate().resize(box);

export const encoded = (pipeline, { name, options }) => pipeline.toFormat(name, options).toBuffer();

/** Has `work` done for every object that the event's messages name, and answers which messages are to come again. */
export async function forEachObject({ Records }, work) {
  const batchItemFailures = [];
  for (const { messageId, body } of Records) {
    try {
      for (const { bucket, key } of createdObjects(JSON.parse(body))) await work(bucket, key);
    } catch (error) {
      console.error(messageId, error);
      batchItemFailures.push({ itemIdentifier: messageId });
    }
  }
  return { batchItemFailures };
}

// The test event that S3 sends when the notification is configured has no records.
function createdObjects({ Records = [] }) {
  return Records.filter(({ eventName }) => eventName.startsWith("ObjectCreated:")).map(({ s3: { bucket, object } }) => ({
    bucket: bucket.name,
    key: decodeURIComponent(object.key.replaceAll("+", " ")),
  }));
}
