// Owns plain file serving for pages that the stack does not serve itself: examples and test pages, on a port of their own,
// so that they talk to the stack across origins as a real site does.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { after } from "node:test";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};
// So that a browser which asks for one does not find a fault.
const TEXTS = { "/favicon.ico": "" };

/**
 * Serves folders under their prefixes (`{"/web/": path}`) and texts under their paths, until the test is over or, outside of
 * tests, all of the file's are. Returns the origin.
 */
export async function serve({ folders = {}, texts = {} }) {
  const server = createServer(async ({ url }, response) => {
    const path = decodeURIComponent(new URL(url, "http://127.0.0.1").pathname);
    const body = { ...TEXTS, ...texts }[path] ?? (await fromFolder(folders, path));
    const type = TYPES[path.endsWith("/") ? ".html" : extname(path)] ?? "application/octet-stream";
    response.writeHead(body === undefined ? 404 : 200, { "Content-Type": type }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

async function fromFolder(folders, path) {
  const prefix = Object.keys(folders).find((one) => path.startsWith(one));
  if (!prefix) return undefined;
  const inside = normalize(`/${path.slice(prefix.length)}`);
  return readFile(join(folders[prefix], inside.endsWith("/") ? `${inside}index.html` : inside)).catch(() => undefined);
}
