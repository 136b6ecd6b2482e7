// Owns the two ways this page touches the document: making an element and finding one. No state.

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
