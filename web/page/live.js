// Owns the live panel: the counts of the stack's queue and worker, whether the stack is there, and the line of the last minute.

import { announce } from "./announcer.js";
import { byId, setText } from "./dom.js";
import { startSpark } from "./spark.js";

const LINKS = { live: "live", gone: "no answer" };

/**
 * Starts the panel; the answer shows it the counts and whether the stack answers. `onBack` is called when a stack that was
 * gone answers again.
 */
export function createLive(onBack) {
  const panel = byId("live");
  const cells = [...panel.querySelectorAll("[data-count]")];
  let inPipeline = 0;
  let link;
  startSpark(() => inPipeline);
  return {
    showCounts(counts) {
      for (const cell of cells) showCount(cell, counts[cell.dataset.count] ?? 0);
      inPipeline = (counts.waiting ?? 0) + (counts.inFlight ?? 0) + (counts.delayed ?? 0);
    },
    showLink(next) {
      if (next === link) return;
      if (next === "gone") announce("Darkroom does not answer.");
      if (link === "gone") {
        announce("Darkroom answers again.");
        onBack();
      }
      link = next;
      document.body.dataset.link = panel.dataset.link = next;
      setText(byId("live-link"), LINKS[next]);
    },
  };
}

function showCount(cell, number) {
  setText(cell, String(number));
  cell.classList.toggle("is-lit", number > 0);
}
