// CloudFront's function, deploy/cdn.js, in plain Node: which format a path without one gets, and that all else passes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { test } from "node:test";
import vm from "node:vm";

const CODE = readFileSync(new URL("../../deploy/cdn.js", import.meta.url), "utf8");
const FOLDER = "/processed/articles/a1/photo.jpg/0123456789ab";
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
const MAX_CODE_BYTES = 10240;
const MAX_URL_BYTES = 8192;

function deployed(formats) {
  const context = vm.createContext({});
  vm.runInContext(CODE.replaceAll("${Formats}", formats), context);
  return context.handler;
}

// As CloudFront collapses headers of one name.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html
function header([first, ...others]) {
  const multiValue = [first, ...others].map((value) => ({ value }));
  return others.length ? { value: first, multiValue } : { value: first };
}

function request(uri, ...accept) {
  const headers = accept.length ? { accept: header(accept) } : {};
  return { method: "GET", uri, querystring: {}, headers, cookies: {} };
}

function onRequest(formats, request) {
  return deployed(formats)({ version: "1.0", context: { eventType: "viewer-request" }, request });
}

function asked(formats, uri, ...accept) {
  return onRequest(formats, request(uri, ...accept)).uri;
}

// What the path of a rendition without a format leads to.
function chosen(formats, name, ...accept) {
  const uri = asked(formats, `${FOLDER}/${name}`, ...accept);
  assert.ok(uri.startsWith(`${FOLDER}/`), uri);
  return uri.slice(FOLDER.length + 1);
}

// The values of `Vary` after an answer with these.
function vary(...values) {
  const headers = { "content-type": { value: "image/avif" } };
  if (values.length) {
    headers.vary = header(values);
  }
  const response = { statusCode: 200, headers };
  const context = { eventType: "viewer-response" };
  const made = deployed("avif,jpeg")({ version: "1.0", context, request: request(`${FOLDER}/w640`), response });
  assert.equal(made.statusCode, 200);
  assert.equal(made.headers["content-type"].value, "image/avif");
  const all = made.headers.vary.multiValue || [made.headers.vary];
  return all.flatMap((one) => one.value.split(",")).map((name) => name.trim());
}

test("the recipe says which of the formats that are accepted is best", () => {
  const chrome = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8";
  assert.equal(chosen("avif,webp,jpeg", "w640", chrome), "w640.avif");
  assert.equal(chosen("webp,avif,jpeg", "w640", chrome), "w640.webp");
  assert.equal(chosen("avif,webp,jpeg", "w640", "image/webp,*/*"), "w640.webp");
  assert.equal(chosen("avif,webp,jpeg", "w640", "image/jpeg,image/webp;q=0.1"), "w640.webp");
  assert.equal(chosen("avif,jpeg", "w640", "image/webp,*/*"), "w640.jpg");
});

test("what is refused is not served", () => {
  for (const none of ["q=0", "q=0.0", "q=0.000", "Q=0", " q=0 ", "level=1;q=0"]) {
    assert.equal(chosen("avif,jpeg", "w640", `image/avif;${none},*/*`), "w640.jpg", none);
  }
  for (const some of ["q=0.001", "q=1", "q=0.5;level=1", "v=0"]) {
    assert.equal(chosen("avif,jpeg", "w640", `image/avif;${some}`), "w640.avif", some);
  }
});

test("spelling does not matter", () => {
  assert.equal(chosen("avif,jpeg", "w640", "IMAGE/AVIF"), "w640.avif");
  assert.equal(chosen("avif,jpeg", "w640", " text/html ,  image/avif ; q=0.9 "), "w640.avif");
  assert.equal(chosen("avif,jpeg", "w640", "image/avif-sequence,ximage/avif"), "w640.jpg");
});

test("who names no format gets what everything shows", () => {
  for (const accept of [["*/*"], ["image/*"], ["text/html"], [""], [",;,"], []]) {
    assert.equal(chosen("avif,webp,jpeg", "w640", ...accept), "w640.jpg", accept[0]);
    assert.equal(chosen("webp,png", "logo", ...accept), "logo.png", accept[0]);
  }
  assert.equal(chosen("avif,webp", "w640", "*/*"), "w640.webp", "the last one where there is none of these");
});

test("formats of all the headers count", () => {
  assert.equal(chosen("avif,jpeg", "w640", "text/html", "image/avif"), "w640.avif");
  assert.equal(chosen("avif,webp,jpeg", "w640", "image/webp", "*/*"), "w640.webp");
});

test("a rendition with formats of its own has no other", () => {
  const formats = "avif,jpeg thumb=webp,jpeg logo=png";
  assert.equal(chosen(formats, "thumb", "image/avif,image/webp"), "thumb.webp");
  assert.equal(chosen(formats, "thumb", "image/avif"), "thumb.jpg");
  assert.equal(chosen(formats, "logo", "image/avif"), "logo.png");
  for (const name of ["thumb2", "thum", "humb", "w640"]) {
    assert.equal(chosen(formats, name, "image/avif,image/webp"), `${name}.avif`);
  }
});

test("folders may have any name, in either layout", () => {
  for (const folder of [
    "/processed/articles/a1/photo.tar.gz/0123456789ab",
    "/processed/articles/a1/%C3%A9%20%2B%26.jpg/0123456789ab",
    "/articles/a1/processed/photo.jpg/0123456789ab",
    "/processed/0123456789ab/0123456789ab",
  ]) {
    assert.equal(asked("avif,jpeg", `${folder}/w640`, "image/avif"), `${folder}/w640.avif`);
  }
});

test("every other path passes unchanged", () => {
  for (const uri of [
    "/",
    "/favicon.ico",
    "/w640",
    "/0123456789ab/w640",
    `${FOLDER}/w640.jpg`,
    `${FOLDER}/`,
    FOLDER,
    `${FOLDER}/W640`,
    `${FOLDER}/w640/`,
    `${FOLDER}/w%20640`,
    `${FOLDER}/${"w".repeat(33)}`,
    "/processed/articles/a1/photo.jpg/manifest.json",
    "/processed/articles/a1/photo.jpg/0123456789a/w640",
    "/processed/articles/a1/photo.jpg/0123456789AB/w640",
    "/processed/articles/a1/photo.jpg/0123456789abc/w640",
    "/raw/articles/a1/photo.jpg",
  ]) {
    assert.deepEqual(onRequest("avif,jpeg", request(uri, "image/avif")), request(uri, "image/avif"));
  }
});

test("nothing but the path of a request is changed", () => {
  const made = onRequest("avif,jpeg", request(`${FOLDER}/w640`, "image/avif"));
  assert.deepEqual(made, request(`${FOLDER}/w640.avif`, "image/avif"));
});

test("no path and no header takes long", () => {
  const long = (text) => text.repeat(MAX_URL_BYTES).slice(0, MAX_URL_BYTES);
  const started = performance.now();
  for (const text of ["/", "a", "0", "/0123456789ab", "/0123456789ab/w", ",", ";", " ", "q=0;", "image/avif;q=0,"]) {
    onRequest("avif,jpeg thumb=webp,jpeg", request(`/${long(text)}`, long(text), long(text)));
  }
  assert.ok(performance.now() - started < 500);
});

test("answers vary by Accept, once, and by all that they varied by", () => {
  assert.deepEqual(vary(), ["Accept"]);
  assert.deepEqual(vary("Accept"), ["Accept"]);
  assert.deepEqual(vary("accept"), ["accept"]);
  assert.deepEqual(vary("*"), ["*"]);
  assert.deepEqual(vary("Origin"), ["Origin", "Accept"]);
  assert.deepEqual(vary("Origin,Accept-Language"), ["Origin", "Accept-Language", "Accept"]);
  assert.deepEqual(vary("Accept-Encoding"), ["Accept-Encoding", "Accept"]);
});

test("answers with several Vary headers lose none", () => {
  assert.deepEqual(vary("Origin", "Accept-Encoding"), ["Origin", "Accept-Encoding", "Accept"]);
});

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html
test("CloudFront knows all that the code is written with, and takes as much of it", () => {
  assert.ok(Buffer.byteLength(CODE) < MAX_CODE_BYTES - 1024, "with room for the formats");
  const code = CODE.replace(/\/\/.*$/gm, "");
  assert.doesNotMatch(code, /\b(class|export|import|of|require|super|yield)\b/);
  assert.doesNotMatch(code, /\?\.|\?\?|\.\.\.|\b(const|let|var)\s*[[{]|\(\?<[=!]/, "newer operators and patterns");
  const ofArrays = ["concat", "every", "filter", "find", "includes", "indexOf", "join", "map", "push", "some"];
  const ofTexts = ["endsWith", "exec", "replace", "slice", "split", "startsWith", "test", "toLowerCase", "trim"];
  const called = [...code.matchAll(/\.(\w+)\(/g)].map(([, name]) => name);
  assert.deepEqual(called.filter((name) => ![...ofArrays, ...ofTexts].includes(name)), []);
});
