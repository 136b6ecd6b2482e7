// Owns the stack under test: `darkroom dev` on ports of its own, with nothing on disk. It never decides what is right.

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const DARKROOM = process.env.DARKROOM ?? `${ROOT}target/debug/darkroom`;
const HOST = "127.0.0.1";
/** The stack listens on four ports in a row: API, S3, CDN, queue. */
const PORTS = { first: 20000, last: 20199, each: 4 };
const STARTED = "Ctrl-C ends it.";
const ATTEMPTS = 5;

/** A running stack: its addresses, and `stop`. Further flags as of `darkroom dev`. */
export async function startStack(flags = []) {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePorts();
    try {
      return await start(port, flags);
    } catch (error) {
      // Another test may have taken the ports in the meantime.
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function start(port, flags) {
  const child = spawn(DARKROOM, ["dev", "--memory", "--port", String(port), ...flags]);
  const ended = new Promise((resolve) => child.once("close", resolve));
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  // A test run that is interrupted leaves nothing behind.
  process.once("exit", () => child.kill("SIGKILL"));
  await saysThatItStarted(child, ended);
  const at = (offset) => `http://${HOST}:${port + offset}`;
  return { api: at(0), s3: at(1), cdn: at(2), stop };
}

function saysThatItStarted(child, ended) {
  return new Promise((resolve, reject) => {
    let said = "";
    const listen = (bytes) => {
      said += bytes;
      if (said.includes(STARTED)) resolve();
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("error", (cause) => reject(new Error(`${DARKROOM} cannot be run; DARKROOM says which to test`, { cause })));
    void ended.then((code) => reject(new Error(`darkroom dev ended with ${code}: ${said}`)));
  });
}

async function freePorts() {
  const blocks = Math.floor((PORTS.last - PORTS.first + 1) / PORTS.each);
  const from = Math.floor(Math.random() * blocks);
  for (let block = 0; block < blocks; block += 1) {
    const first = PORTS.first + ((from + block) % blocks) * PORTS.each;
    const ports = Array.from({ length: PORTS.each }, (_, offset) => first + offset);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
  throw new Error(`no ${PORTS.each} ports in a row are free from ${PORTS.first} to ${PORTS.last}`);
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
