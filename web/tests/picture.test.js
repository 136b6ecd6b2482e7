// Holds picture.js to what a browser may rely on: only renditions that exist, widths that ascend, markup that nothing breaks.

import fc from "fast-check";
import { JSDOM } from "jsdom";
import { afterEach, describe, expect, test } from "vitest";
import {
  loader,
  pictureData,
  pictureElement,
  pictureHtml,
  placeholderStyle,
  placeholderUrl,
  renditions,
  renditionUrl,
  srcset,
} from "../picture.js";

const CDN = "https://cdn.example";
const FOLDER = "processed/articles/a1/photo/3f9a0c12be77";
const THUMBHASH = "1QcSHQRnh493V4dIh4eXh1h4kJUI";
const SIZES = { w320: [320, 427], w640: [640, 853], w1280: [1280, 1707], thumb: [256, 256] };
const EXTENSIONS = { jpeg: "jpg" };

/** A photo of 3024 x 4032 as the worker would publish it. */
function manifestOf({ formats = ["avif", "jpeg"], sizes = SIZES, ...more } = {}) {
  const made = Object.entries(sizes).flatMap(([name, [width, height]]) =>
    formats.map((format) => ({ name, format, key: `${FOLDER}/${name}.${EXTENSIONS[format] ?? format}`, width, height })),
  );
  return {
    status: "ready",
    source: { width: 3024, height: 4032 },
    renditions: made,
    placeholder: { thumbhash: THUMBHASH, color: "#7a8b64" },
    ...more,
  };
}

/** The candidates of a srcset, as a browser takes it apart. */
function candidatesOf(text) {
  return text === "" ? [] : text.split(", ").map((one) => /^(\S+) (\d+)w$/.exec(one).slice(1)).map(([url, width]) => [url, Number(width)]);
}

describe("pictureData", () => {
  test("offers a source for each format but the last, the best first, whatever the manifest's order", () => {
    const { sources, src } = pictureData(manifestOf({ formats: ["jpeg", "png", "webp", "avif"] }), { cdn: CDN });
    expect(sources.map(({ type }) => type)).toEqual(["image/avif", "image/webp", "image/png"]);
    expect(src).toBe(`${CDN}/${FOLDER}/w1280.jpg`);
  });

  test("has no source where there is one format", () => {
    expect(pictureData(manifestOf({ formats: ["webp"] }), { cdn: CDN })).toMatchObject({ sources: [], src: `${CDN}/${FOLDER}/w1280.webp` });
  });

  test("lists widths in ascending order, without the crop", () => {
    const backwards = manifestOf();
    backwards.renditions.reverse();
    const { sources } = pictureData(backwards, { cdn: CDN });
    const urls = ["w320 320w", "w640 640w", "w1280 1280w"].map((one) => `${CDN}/${FOLDER}/${one.replace(" ", ".avif ")}`);
    expect(sources).toEqual([{ type: "image/avif", srcset: urls.join(", ") }]);
  });

  test("names a width once, although a small photo has many renditions of it", () => {
    const small = manifestOf({ sizes: { w320: [200, 267], w640: [200, 267], thumb: [200, 200] }, formats: ["jpeg"] });
    expect(pictureData(small, { cdn: CDN }).srcset).toBe(`${CDN}/${FOLDER}/w320.jpg 200w`);
  });

  test("takes width and height from the file that src names, so that nothing shifts", () => {
    expect(pictureData(manifestOf(), { cdn: CDN })).toMatchObject({ width: 1280, height: 1707 });
  });

  test("keeps a rendition that is a rounded px off, of a tall photo as well", () => {
    const tall = manifestOf({ source: { width: 100, height: 10000 }, sizes: { h640: [6, 640], thumb: [100, 100] } });
    expect(renditions(tall, { whole: true }).map(({ name }) => name)).toEqual(["h640", "h640"]);
    const wide = manifestOf({ source: { width: 10000, height: 10 }, sizes: { w320: [320, 1], thumb: [10, 10] } });
    expect(renditions(wide, { whole: true }).map(({ name }) => name)).toEqual(["w320", "w320"]);
  });

  test("shows the crops of one shape where a recipe only crops", () => {
    const avatars = manifestOf({ sizes: { s: [64, 64], m: [128, 128], banner: [120, 20] }, formats: ["jpeg"] });
    expect(candidatesOf(pictureData(avatars, { cdn: CDN }).srcset).map(([, width]) => width)).toEqual([64, 128]);
  });

  test("offers one rendition alone if asked by its name, a crop as well", () => {
    const { sources, srcset, width, height } = pictureData(manifestOf(), { cdn: CDN, rendition: "thumb" });
    expect([sources.length, srcset, width, height]).toEqual([1, `${CDN}/${FOLDER}/thumb.jpg 256w`, 256, 256]);
  });

  test("offers the formats asked for alone", () => {
    const { sources, src } = pictureData(manifestOf({ formats: ["avif", "webp", "jpeg"] }), { cdn: CDN, formats: ["webp", "jpeg"] });
    expect([sources.map(({ type }) => type), src]).toEqual([["image/webp"], `${CDN}/${FOLDER}/w1280.jpg`]);
  });

  test("has the placeholder and the mean colour", () => {
    const { placeholder, color } = pictureData(manifestOf(), { cdn: CDN });
    expect([placeholder, color]).toEqual([placeholderUrl(manifestOf()), "#7a8b64"]);
    expect(placeholder).toMatch(/^data:image\/png;base64,[A-Za-z0-9+/]+=*$/);
  });
});

describe("URLs", () => {
  test.each([
    ["https://cdn.example", "processed/a.jpg", "https://cdn.example/processed/a.jpg"],
    ["https://cdn.example/", "processed/a.jpg", "https://cdn.example/processed/a.jpg"],
    ["https://cdn.example/img//", "processed/a.jpg", "https://cdn.example/img/processed/a.jpg"],
    ["", "processed/a.jpg", "/processed/a.jpg"],
    [CDN, "processed/a b,c?d#e%20&\"'<f>.jpg", "https://cdn.example/processed/a%20b%2Cc%3Fd%23e%2520%26%22'%3Cf%3E.jpg"],
    [CDN, "processed/größe 🎉.jpg", "https://cdn.example/processed/gr%C3%B6%C3%9Fe%20%F0%9F%8E%89.jpg"],
    [CDN, "processed/half\ud83c.jpg", "https://cdn.example/processed/half%EF%BF%BD.jpg"],
  ])("%j and %j make %s", (cdn, key, url) => expect(renditionUrl(cdn, key)).toBe(url));
});

describe("srcset", () => {
  test("is of the format asked for, else of the one that every browser shows", () => {
    expect(srcset(manifestOf(), { cdn: CDN, format: "avif" })).toContain("/w640.avif 640w");
    expect(srcset(manifestOf(), { cdn: CDN })).toContain("/w640.jpg 640w");
  });

  test("is empty for a format that was not made", () => {
    expect(srcset(manifestOf(), { cdn: CDN, format: "webp" })).toBe("");
  });
});

describe("loader", () => {
  test.each([
    [1, "w320"],
    [320, "w320"],
    [321, "w640"],
    [1280, "w1280"],
    [3840, "w1280"],
  ])("snaps %i px to %s", (width, name) => {
    expect(loader(manifestOf(), { cdn: CDN, format: "jpeg" })({ src: "photo", width, quality: 75 })).toBe(`${CDN}/${FOLDER}/${name}.jpg`);
  });

  test("leaves the format to the CDN if none is asked for", () => {
    expect(loader(manifestOf(), { cdn: CDN })({ src: "photo", width: 500 })).toBe(`${CDN}/${FOLDER}/w640`);
  });

  test("gives back the source of next/image where there is nothing to choose from", () => {
    expect(loader(manifestOf(), { cdn: CDN, format: "webp" })({ src: "photo", width: 500 })).toBe("photo");
    expect(loader(manifestOf({ renditions: [] }), { cdn: CDN })({ src: "photo", width: 500 })).toBe("photo");
  });
});

describe("pictureHtml", () => {
  test("is what a site would hold", () => {
    const html = pictureHtml(manifestOf({ sizes: { w320: SIZES.w320, w640: SIZES.w640 } }), { cdn: CDN, alt: "A red bicycle", sizes: "50vw", loading: "lazy" });
    expect(html).toBe(`<picture>
  <source type="image/avif" sizes="50vw" srcset="${CDN}/${FOLDER}/w320.avif 320w,
      ${CDN}/${FOLDER}/w640.avif 640w">
  <img alt="A red bicycle" width="640" height="853" decoding="async" loading="lazy" sizes="50vw" srcset="${CDN}/${FOLDER}/w320.jpg 320w,
      ${CDN}/${FOLDER}/w640.jpg 640w" src="${CDN}/${FOLDER}/w640.jpg">
</picture>`);
  });

  test("keeps an empty alt, which says that the photo only decorates", () => {
    expect(pictureHtml(manifestOf(), { cdn: CDN, alt: "" })).toContain('alt=""');
  });

  test("has no style unless a placeholder is asked for", () => {
    expect(pictureHtml(manifestOf(), { cdn: CDN, alt: "" })).not.toContain("style");
    const html = pictureHtml(manifestOf(), { cdn: CDN, alt: "", placeholder: true });
    expect(html).toMatch(/style="background-image:url\(data:image\/png;base64,[^")]+\);background-size:cover;background-position:center"/);
  });

  test("lets no text out of its attribute", () => {
    const hostile = '"><script>alert(1)</script>&amp;';
    const html = pictureHtml(
      manifestOf({
        renditions: [{ name: hostile, format: "jpeg", key: hostile, width: 10, height: 10 }],
        placeholder: { thumbhash: hostile, color: 'red"><script>' },
      }),
      { cdn: `${CDN}/${hostile}`, alt: hostile, sizes: hostile, loading: hostile, fetchPriority: hostile, placeholder: true },
    );
    const { body } = new JSDOM(html).window.document;
    expect([...body.querySelectorAll("*")].map(({ localName }) => localName)).toEqual(["picture", "img"]);
    expect(body.querySelector("img").alt).toBe(hostile);
    expect(body.querySelector("img").sizes).toBe(hostile);
  });
});

describe("pictureElement", () => {
  afterEach(() => delete globalThis.document);

  function elementOf(manifest, options) {
    globalThis.document = new JSDOM().window.document;
    const picture = pictureElement(manifest, { cdn: CDN, alt: "A red bicycle", ...options });
    return { picture, img: picture.querySelector("img") };
  }

  test("is the same picture as the HTML", () => {
    const { picture } = elementOf(manifestOf(), { placeholder: false, loading: "lazy", fetchPriority: "low" });
    const html = pictureHtml(manifestOf(), { cdn: CDN, alt: "A red bicycle", loading: "lazy", fetchPriority: "low" });
    expect(picture.outerHTML).toBe(html.replaceAll(/\n\s*(?=<)/g, "").replaceAll(/\n\s*/g, " "));
  });

  test("shows the placeholder until the photo has loaded", () => {
    const { img } = elementOf(manifestOf());
    expect(img.style.backgroundImage).toContain("data:image/png");
    img.dispatchEvent(new (img.ownerDocument.defaultView.Event)("load"));
    expect(img.style.length).toBe(0);
  });

  test("shows the mean colour where there is no hash", () => {
    const { img } = elementOf(manifestOf({ placeholder: { color: "#7a8b64" } }));
    expect(img.style.backgroundColor).toBe("rgb(122, 139, 100)");
  });

  test.each([["red"], ["#fff"], ["#7a8b64;position:fixed"], ["url(//elsewhere)"]])("takes %j for no colour", (color) => {
    expect(elementOf(manifestOf({ placeholder: { color } })).img.style.length).toBe(0);
  });

  test("shows no placeholder if none is wanted", () => {
    expect(elementOf(manifestOf(), { placeholder: false }).img.hasAttribute("style")).toBe(false);
  });
});

describe("a manifest that is not ready is told as such", () => {
  test.each([["rejected"], ["failed"], ["removed"], [undefined]])("%s", (status) => {
    const manifest = { status, source: {}, renditions: [] };
    for (const use of [pictureData, pictureHtml, srcset, loader, renditions, placeholderUrl]) {
      expect(() => use(manifest, { cdn: CDN, alt: "" })).toThrow(new TypeError(`A picture needs a manifest that is ready; the status of this one is ${status}.`));
    }
  });

  test("as are null and undefined", () => {
    for (const manifest of [null, undefined]) expect(() => pictureData(manifest, { cdn: CDN })).toThrow(TypeError);
  });
});

describe("odd manifests make a poorer picture, not an error", () => {
  const good = { name: "w1", format: "jpeg", key: "processed/w1.jpg", width: 1, height: 1 };
  test.each([
    ["no renditions", { renditions: [] }, ""],
    ["renditions missing", { renditions: undefined }, ""],
    ["renditions that are no list", { renditions: "w640" }, ""],
    ["entries that are none", { renditions: [null, 1, "x", {}, good] }, "processed/w1.jpg"],
    ["lengths that are none", { renditions: [{ ...good, width: 0 }, { ...good, width: 1.5 }, { ...good, height: "1" }, { ...good, width: Infinity }] }, ""],
    ["keys that are none", { renditions: [{ ...good, key: "" }, { ...good, key: 7 }] }, ""],
    ["formats that no browser knows", { renditions: [{ ...good, format: "tiff" }, { ...good, format: undefined }] }, ""],
    ["a single px", { source: { width: 1, height: 1 }, renditions: [good] }, "processed/w1.jpg"],
    ["no source", { source: undefined, renditions: [good] }, "processed/w1.jpg"],
    ["a source without size", { source: { width: 0, height: NaN }, renditions: [good] }, "processed/w1.jpg"],
    ["no placeholder", { placeholder: undefined, renditions: [good] }, "processed/w1.jpg"],
    ["a placeholder that is null", { placeholder: null, renditions: [good] }, "processed/w1.jpg"],
    ["a placeholder that is none", { placeholder: { thumbhash: "x", color: 7 }, renditions: [good] }, "processed/w1.jpg"],
  ])("%s", (_, change, key) => {
    const manifest = manifestOf(change);
    const data = pictureData(manifest, { cdn: CDN });
    expect(data.src).toBe(key && `${CDN}/${key}`);
    expect(() => placeholderStyle(data)).not.toThrow();
    expect(() => loader(manifest, { cdn: CDN })({ src: "", width: 640 })).not.toThrow();
    expect(pictureHtml(manifest, { cdn: CDN, alt: "", placeholder: true })).toMatch(/^<picture>\n(  <source [^>]+>\n)*  <img [^>]+>\n<\/picture>$/);
  });
});

describe("of any manifest", () => {
  const lengths = fc.integer({ min: 1, max: 4000 });
  const rendition = fc.record({
    name: fc.string({ minLength: 1 }),
    format: fc.constantFrom("avif", "webp", "png", "jpeg", "gif"),
    key: fc.string({ unit: "binary", minLength: 1 }),
    width: lengths,
    height: lengths,
  });
  const manifests = fc.record({
    status: fc.constant("ready"),
    source: fc.record({ width: lengths, height: lengths }),
    renditions: fc.array(rendition, { maxLength: 30 }),
  });

  test("every URL in a srcset is one of a rendition that exists, of that format and width; widths ascend", () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const { sources, src, srcset: fallback } = pictureData(manifest, { cdn: CDN });
        for (const { type, srcset } of [...sources, { srcset: fallback }]) {
          const candidates = candidatesOf(srcset);
          candidates.forEach(([url, width], at) => {
            const named = manifest.renditions.filter((one) => renditionUrl(CDN, one.key) === url && one.width === width);
            expect(named.some((one) => !type || type === `image/${one.format}`)).toBe(true);
            if (at > 0) expect(width).toBeGreaterThan(candidates[at - 1][1]);
          });
        }
        expect(src).toBe(candidatesOf(fallback).at(-1)?.[0] ?? "");
      }),
    );
  });

  test("all that one picture offers has the same proportions", () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const whole = renditions(manifest, { whole: true });
        const largest = whole.toSorted((a, b) => b.width - a.width)[0];
        const crops = whole.filter((one) => {
          const isNear = (shape) =>
            Math.abs(one.height - (one.width * shape.height) / shape.width) <= 1 || Math.abs(one.width - (one.height * shape.width) / shape.height) <= 1;
          return !isNear(manifest.source) && !isNear(largest);
        });
        expect(crops).toEqual([]);
      }),
    );
  });

  test("the loader gives the smallest that is wide enough, else the largest", () => {
    fc.assert(
      fc.property(manifests, lengths, (manifest, width) => {
        const offered = renditions(manifest, { whole: true, format: "jpeg" });
        fc.pre(offered.length > 0);
        const url = loader(manifest, { cdn: CDN, format: "jpeg" })({ src: "", width });
        const chosen = Math.min(...offered.map((one) => one.width).filter((px) => px >= width));
        const expected = Number.isFinite(chosen) ? chosen : Math.max(...offered.map((one) => one.width));
        expect(offered.filter((one) => one.width === expected).map((one) => renditionUrl(CDN, one.key))).toContain(url);
      }),
    );
  });

  test("the HTML is a picture and nothing else", () => {
    fc.assert(
      fc.property(manifests, fc.string(), (manifest, alt) => {
        const { body } = new JSDOM(pictureHtml(manifest, { cdn: CDN, alt })).window.document;
        expect(new Set([...body.querySelectorAll("*")].map(({ localName }) => localName))).toEqual(new Set(["picture", "img"].concat(body.querySelector("source") ? "source" : [])));
        expect(body.textContent.trim()).toBe("");
      }),
      { numRuns: 40 },
    );
  });
});
