// What of the page is pure: its words, how renditions are arranged, the line of the live panel, what metrics come to.

import { describe, expect, test } from "vitest";

import { cardsOf, codesOf, columnsOf, histogramInWords, lineInWords, totalOf } from "../page/metrics.js";
import { sparkPath } from "../page/spark.js";
import { firstPair, gridOf, thumbName } from "../page/sets.js";
import {
  announcementInWords,
  bytesInWords,
  count,
  either,
  msInWords,
  percentOf,
  savingInWords,
  statusInWords,
  summaryInWords,
  typeName,
} from "../page/words.js";

const rendition = (name, format, width, height = width, bytes = 1000) => ({ name, format, key: `${name}.${format}`, width, height, bytes });
const RENDITIONS = [
  rendition("w320", "jpeg", 320, 240),
  rendition("w320", "avif", 320, 240),
  rendition("w640", "webp", 640, 480),
  rendition("w640", "jpeg", 640, 480),
  rendition("thumb", "jpeg", 256),
];

describe("words", () => {
  test.each([
    ["image/webp", "WebP"],
    ["webp", "WebP"],
    ["image/jpeg", "JPEG"],
    ["image/svg+xml", "SVG"],
    ["text/plain", "text/plain"],
    ["", ""],
  ])("the type %s is called %s", (type, name) => expect(typeName(type)).toBe(name));

  test.each([
    [[], ""],
    [["a"], "a"],
    [["a", "b"], "a or b"],
    [["a", "b", "c"], "a, b or c"],
  ])("either of %j is %s", (words, said) => expect(either(words)).toBe(said));

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KB"],
    [1536, "1.5 KB"],
    [1023.6 * 1024, "1 MB"],
    [3779026, "3.6 MB"],
    [26214400, "25 MB"],
    [5 * 1024 ** 4, "5120 GB"],
  ])("%d bytes are %s", (bytes, said) => expect(bytesInWords(bytes)).toBe(said));

  test.each([
    [0, "0 ms"],
    [0.0042, "4.2 µs"],
    [0.42, "420 µs"],
    [0.9996, "1 ms"],
    [12.34, "12 ms"],
    [999.4, "999 ms"],
    [999.6, "1 s"],
    [1234, "1.2 s"],
    [900_000, "900 s"],
    [1_000_000, "17 min"],
    [5_970_000, "1.7 h"],
    [200_000_000, "56 h"],
  ])("%d ms are %s", (ms, said) => expect(msInWords(ms)).toBe(said));

  test.each([
    [30, 1000, "−97 %"],
    [7, 1000, "−99.3 %"],
    [1, 10_000_000, "−99.9 %"],
    [1120, 1000, "+12 %"],
    [1003, 1000, "±0 %"],
    [1000, 1000, "±0 %"],
    [1000, 0, ""],
    [1000, undefined, ""],
  ])("%d bytes in place of %s save %s", (bytes, original, said) => expect(savingInWords(bytes, original)).toBe(said));

  test("one has no plural", () => expect([count(1, "photo"), count(0, "photo")]).toEqual(["1 photo", "0 photos"]));

  test("an upload is at 100 % only once all of it is sent, and an empty one at none", () => {
    expect([percentOf(999, 1000), percentOf(1000, 1000), percentOf(0, 0)]).toEqual([99, 100, 0]);
  });

  test("only sending has a percentage", () => {
    expect(statusInWords({ phase: "uploading", loaded: 1, total: 2 })).toBe("uploading 50 %");
    expect(statusInWords({ phase: "processing", loaded: 2, total: 2 })).toBe("processing");
  });

  test("the summary counts ends apart and all else as under way", () => {
    const tally = { preparing: 1, uploading: 2, ready: 3, rejected: 0, stopped: 1 };
    expect(summaryInWords(tally)).toBe("7 photos · 3 ready · 1 stopped · 3 under way");
    expect(summaryInWords({ ready: 1 })).toBe("1 photo · 1 ready");
  });

  test("few ends are named and many are counted", () => {
    const ready = { name: "a.jpg", phase: "ready" };
    const rejected = { name: "b.jpg", phase: "rejected", sentence: "The file is empty." };
    expect(announcementInWords([])).toBe("");
    expect(announcementInWords([ready, rejected])).toBe("a.jpg: ready. b.jpg: rejected. The file is empty.");
    expect(announcementInWords([ready, ready, ready, rejected])).toBe("4 photos: 3 ready, 1 rejected.");
  });
});

describe("sets", () => {
  test("the grid has a row per name in the recipe's order, and a column per format, best first", () => {
    const { formats, rows } = gridOf(RENDITIONS);
    expect(formats).toEqual(["avif", "webp", "jpeg"]);
    expect(rows.map((row) => [row.name, row.width, row.height])).toEqual([["w320", 320, 240], ["w640", 640, 480], ["thumb", 256, 256]]);
    expect(rows.map((row) => row.cells.map((cell) => cell?.key))).toEqual([
      ["w320.avif", undefined, "w320.jpeg"],
      [undefined, "w640.webp", "w640.jpeg"],
      [undefined, undefined, "thumb.jpeg"],
    ]);
  });

  test("a format that nobody foresaw comes last", () => {
    expect(gridOf([rendition("a", "jxl", 1), rendition("a", "jpeg", 1)]).formats).toEqual(["jpeg", "jxl"]);
  });

  test("a tile shows `thumb`, else the smallest that fills it, else the largest", () => {
    expect(thumbName(RENDITIONS)).toBe("thumb");
    expect(thumbName([rendition("l", "jpeg", 900), rendition("m", "jpeg", 300), rendition("s", "jpeg", 100)])).toBe("m");
    expect(thumbName([rendition("s", "jpeg", 100), rendition("xs", "jpeg", 50)])).toBe("s");
    expect(thumbName([])).toBeUndefined();
  });

  test("the original is compared with the largest of the best format; without it, the common format is", () => {
    const original = { key: "original" };
    expect(firstPair(original, RENDITIONS).map((one) => one.key)).toEqual(["original", "w320.avif"]);
    expect(firstPair(undefined, RENDITIONS).map((one) => one.key)).toEqual(["w640.jpeg", "w320.avif"]);
  });
});

describe("the live panel's line", () => {
  test("runs from the oldest sample to the newest, the largest at the top", () => {
    expect(sparkPath([0, 5, 10])).toBe("M0 19L1 10L2 1");
  });

  test("lies at the bottom while there is nothing", () => {
    expect(sparkPath([0, 0])).toBe("M0 19L1 19");
  });
});

describe("metrics", () => {
  const count = (name, sum, parts = {}) => ({ name, unit: "Count", dimensions: { Service: "worker", ...parts }, count: sum, sum });
  const time = (name, p50, p99 = p50, max = p99) => ({ name, unit: "Milliseconds", dimensions: { Service: "worker" }, p50, p99, max });
  const METRICS = [
    count("Published", 9),
    count("Puts", 12),
    count("Rejected", 3),
    count("Rejected", 1, { Code: "corrupt" }),
    count("Rejected", 2, { Code: "empty" }),
    count("UrlsIssued", 12, { Method: "PUT", Type: "image/jpeg" }),
    count("UrlsIssued", 14),
    time("UploadLag", 850, 4200),
  ];

  test("what counts all is told from its parts, in whatever order they come", () => {
    expect(totalOf(METRICS, "UrlsIssued").sum).toBe(14);
    expect(totalOf(METRICS, "Rejected").sum).toBe(3);
    expect(totalOf(METRICS, "GivenUp")).toBeUndefined();
    expect(totalOf([count("Rejected", 1, { Code: "corrupt" })], "Rejected")).toBeUndefined();
  });

  test("of the reasons, the most frequent comes first", () => {
    expect(codesOf(METRICS, "Rejected")).toEqual([["empty", 2], ["corrupt", 1]]);
    expect(codesOf(METRICS, "Retried")).toEqual([]);
  });

  test("every time is in one of 19 columns, of which the last has no end", () => {
    const bins = [[1, 4], [2, 0], [5, 3], [500_000, 2], [1_000_000, 1], [2_000_000, 1]];
    const columns = columnsOf(bins.map(([to, count]) => ({ to, count })));
    expect(columns).toEqual([4, 0, 3, ...new Array(14).fill(0), 2, 2]);
    expect(columnsOf([])).toEqual(new Array(19).fill(0));
  });

  test("a histogram is said without its empty bins", () => {
    const histogram = [{ to: 200, count: 7 }, { to: 500, count: 0 }, { to: 1000, count: 1 }];
    expect(histogramInWords(histogram)).toBe("7 up to 200 ms, 1 up to 1 s");
  });

  test("the summary says what there is", () => {
    expect(lineInWords([])).toBe("nothing yet");
    expect(lineInWords(METRICS)).toBe("14 URLs · 12 PUTs · 9 published · 3 rejected · upload 850 ms");
    expect(lineInWords([...METRICS, count("GivenUp", 1)])).toContain(" · 1 given up · ");
  });

  test("a card says nothing yet until any of its metrics is there, and then zero for the others", () => {
    expect(new Set(Object.values(cardsOf([])).map(String))).toEqual(new Set(["–,nothing yet"]));
    const { urls, puts, published, upload, queue, bytes } = cardsOf(METRICS);
    expect([urls, puts, upload, queue]).toEqual([["14", "0 refused"], ["12", "0 delivered again"], ["850 ms", "p99 4.2 s"], ["–", "nothing yet"]]);
    expect(published.join(" ").replaceAll("\u00a0", " ")).toBe("9 3 rejected · 0 retried · 0 given up");
    expect(bytes).toEqual(["–", "nothing yet"]);
    expect(cardsOf([time("QueueAge", 20, 1500, 2500), count("BytesIn", 3 * 1024 * 1024)])).toMatchObject({
      queue: ["20 ms", "p99 1.5 s · max 2.5 s"],
      bytes: ["3 MB", "0 B out"],
    });
  });
});
