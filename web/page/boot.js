// Owns the order of the start: the page is painted first, then what brings it to life is loaded. It must never do more.

// A photo that is dropped before anybody listens must not make the browser leave the page.
for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());

requestAnimationFrame(() => setTimeout(() => import("./app.js")));
