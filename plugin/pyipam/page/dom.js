/**
 * Descriptions of elements, and how the document is brought up to them in place: what is the same
 * stays, with its focus, its selection and its scroll position.
 *
 * Whatever comes from the plugin ends up as text or as the value of an attribute, never as markup.
 */

/** Describe an element. An attribute that is false, null or undefined is left out; one that begins
 * with "on" is a handler; `key` tells siblings apart. Children are descriptions or text. */
export function h(tag, attributes = {}, ...children) {
  const { key, ...rest } = attributes;
  return { tag, key, attributes: rest, children: children.flat(Infinity).filter(isShown) };
}

/** Make the children of a node those that are described. */
export function update(parent, ...wanted) {
  const children = wanted.flat(Infinity).filter(isShown);
  const keys = new Set(children.map(({ key }) => key));
  const known = new Map();
  for (const node of [...parent.childNodes]) {
    if (node.describedKey === undefined) continue;
    // What goes goes first: what stays is not moved then, and keeps its focus.
    if (keys.has(node.describedKey)) known.set(node.describedKey, node);
    else node.remove();
  }
  let place = parent.firstChild;
  for (const child of children) {
    const found = child.key !== undefined ? known.get(child.key) : place;
    let node;
    if (found && fits(found, child)) {
      node = found;
      if (node === place) place = place.nextSibling;
      else parent.insertBefore(node, place);
    } else {
      node = make(child);
      parent.insertBefore(node, place);
    }
    bringUp(node, child);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false && child !== "";
}

function isText(child) {
  return typeof child !== "object";
}

function fits(node, child) {
  if (isText(child)) return node.nodeType === Node.TEXT_NODE;
  return node.localName === child.tag && node.describedKey === child.key;
}

function make(child) {
  if (isText(child)) return document.createTextNode("");
  const node = document.createElement(child.tag);
  node.describedKey = child.key;
  return node;
}

function bringUp(node, child) {
  if (isText(child)) {
    if (node.data !== String(child)) node.data = child;
    return;
  }
  for (const name of node.getAttributeNames()) {
    // What the user has opened stays open.
    if (name !== "open" && !isSet(child.attributes[name])) node.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(child.attributes)) setAttribute(node, name, value);
  update(node, child.children);
}

function isSet(value) {
  return value !== undefined && value !== null && value !== false;
}

function setAttribute(node, name, value) {
  if (name.startsWith("on")) node[name] = value;
  else if (!isSet(value)) node.removeAttribute(name);
  else if (node.getAttribute(name) !== textOf(value)) {
    node.setAttribute(name, textOf(value));
    // What the user has typed stays until another value is wanted.
    if (name === "value") node.value = value;
  }
}

function textOf(value) {
  return value === true ? "" : String(value);
}
