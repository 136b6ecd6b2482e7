// Owns the ways this page touches the document: making an element, finding one, setting a text, and when. No state of its own.

/** An element with properties (`className`, `textContent`, ...), attributes (`"aria-label"`, `for`, ...) and children. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** The element of that id, which index.html holds; a missing one is a mistake worth hearing of at once. */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`index.html has no #${id}`);
  return node;
}

/** Only if it differs: a text that is set again is selected anew and, to some screen readers, said anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * A function that notes what has changed; `render` then runs once for each of them, before the next frame is painted. However
 * many events two hundred uploads fire, the document is written at most once per frame.
 */
export function perFrame(render) {
  const due = new Set();
  const renderAll = () => {
    const items = [...due];
    due.clear();
    items.forEach(render);
  };
  return (item) => {
    if (due.size === 0) requestAnimationFrame(renderAll);
    due.add(item);
  };
}
