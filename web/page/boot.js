// Owns the order of the start: the page is painted first, then what brings it to life is loaded.

requestAnimationFrame(() => setTimeout(() => import("./app.js")));
