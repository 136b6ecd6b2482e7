// Owns the line in the live panel: how much was in the queue and being worked on over the last minute.

import { byId } from "./dom.js";

const SAMPLES = 60;
const SAMPLE_EVERY_MS = 1000;
/** The height of the drawing; its width is one per sample. */
const HEIGHT = 20;

/** Asks `read` for a number every second, and draws while there is something to see of the last minute. */
export function startSpark(read) {
  const samples = new Array(SAMPLES).fill(0);
  setInterval(() => {
    samples.push(read());
    const isFlat = samples.every((sample) => sample === 0);
    samples.shift();
    if (!isFlat) draw(samples);
  }, SAMPLE_EVERY_MS);
}

function draw(samples) {
  const line = sparkPath(samples);
  byId("spark-line").setAttribute("d", line);
  byId("spark-area").setAttribute("d", `${line}V${HEIGHT}H0Z`);
}

/** The path of a line from the oldest sample to the newest, with the largest at the top. */
export function sparkPath(samples) {
  const largest = Math.max(1, ...samples);
  const points = samples.map((sample, at) => `${at} ${round(HEIGHT - 1 - (sample / largest) * (HEIGHT - 2))}`);
  return `M${points.join("L")}`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
