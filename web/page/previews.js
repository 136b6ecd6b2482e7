// Owns the small pictures of photos that are still files: decoded only for tiles that are on the screen, and few at a time,
// because a 20 megapixel photo costs 80 MB for the moment. It knows tiles as elements and nothing of uploads.

import { element } from "./dom.js";

const AT_ONCE = 2;
/** Twice a usual tile, for dense screens. */
const PREVIEW_PX = 400;
/** Decoded ahead of scrolling. */
const MARGIN = "200px";

/** What to do for a tile that waits to be seen. */
const wanted = new WeakMap();
const queue = [];
let running = 0;

const onSight = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      onSight.unobserve(target);
      queue.push(wanted.get(target));
    }
    startNext();
  },
  { rootMargin: MARGIN },
);

/** Calls `onPreview` with a canvas once the tile is on the screen; never, if the browser cannot decode the file. */
export function requestPreview(tile, file, onPreview) {
  wanted.set(tile, { tile, file, onPreview });
  onSight.observe(tile);
}

/** The tile has something better by now. */
export function dropPreview(tile) {
  onSight.unobserve(tile);
  wanted.delete(tile);
}

async function startNext() {
  if (running >= AT_ONCE) return;
  const job = queue.shift();
  if (!job) return;
  running += 1;
  startNext();
  if (wanted.has(job.tile)) await makePreview(job);
  running -= 1;
  startNext();
}

async function makePreview({ tile, file, onPreview }) {
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: PREVIEW_PX, resizeQuality: "medium" });
    const canvas = element("canvas", { className: "tile-preview", width: bitmap.width, height: bitmap.height });
    // Not "bitmaprenderer", which in Chromium forgets which way is up.
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    if (wanted.has(tile)) onPreview(canvas);
  } catch {
    // The tile stays plain; the server will say what is wrong with the file, if anything is.
  }
  wanted.delete(tile);
}
