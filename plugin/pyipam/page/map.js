/** The map of a part of the plan: a grid of cells, each a link to the next map or to an address. */

import { h } from "./dom.js";
import { link } from "./routes.js";

const COLUMNS = 16;

/** What the states of cells mean, in the order of the legend. */
const STATES = {
  free: "free",
  held: "held",
  gateway: "gateway",
  container: "container",
  unclaimed: "unclaimed",
  resting: "resting",
  "held back": "kept for whoever asks by name",
  reserved: "reserved",
  route: "route of the host",
  "not usable": "network or broadcast address",
  outside: "outside every scope",
};

/** The map of a block, and the way back to what it lies in. */
export function map(view) {
  return h("section", { class: "map", "aria-label": "map" }, path(view), cellsOf(view, ""));
}

/** The map around an address. */
export function mapAround(address, view) {
  return h(
    "section",
    { class: "map", "aria-label": "map" },
    h(
      "h2",
      {},
      "Around it: ",
      h("a", { href: link("map", view.block) }, view.block || "whole plan"),
    ),
    cellsOf(view, address),
  );
}

function cellsOf(view, chosen) {
  return [h("p", { class: "small" }, about(view)), grid(view, chosen), legend(view.cells)];
}

/** The way back: what the block lies in, and the block as the heading. */
function path(view) {
  const outer = view.path.slice(0, -1);
  return [
    h(
      "nav",
      { class: "path", "aria-label": "where this is" },
      h(
        "ol",
        {},
        view.block && h("li", {}, h("a", { href: link("map") }, "whole plan")),
        outer.map((block) => h("li", { key: block }, h("a", { href: link("map", block) }, block))),
      ),
    ),
    view.block ? h("h1", {}, view.block) : h("h1", {}, "The whole plan"),
  ];
}

function about(view) {
  if (!view.block) return "Each cell is one of the outermost scopes.";
  const where = view.scope ? `in scope ${view.scope}` : "outside every scope";
  const tags = view.tags.length ? ` (tags: ${view.tags.join(", ")})` : "";
  const addresses = view.cell_prefix === (view.block.includes(":") ? 128 : 32);
  return `${where}${tags}; each cell is ${addresses ? "an address" : `a /${view.cell_prefix}`}`;
}

function grid(view, chosen) {
  const columns = Math.min(COLUMNS, view.cells.length);
  const rows = [];
  for (let first = 0; first < view.cells.length; first += columns) {
    const cells = view.cells.slice(first, first + columns);
    rows.push(
      h(
        "div",
        { role: "row", key: cells[0].subnet },
        h("span", { role: "rowheader" }, rowName(cells[0].subnet)),
        cells.map((cell, column) =>
          drawCell(cell, view.block ? lastDigits(cell.subnet) : cell.subnet, {
            isFirst: first + column === 0,
            isChosen: cell.subnet === chosen,
          })
        ),
      ),
    );
  }
  const label = view.block ? `cells of ${view.block}` : "outermost scopes";
  const wide = columns < COLUMNS ? " few" : "";
  return h(
    "div",
    { role: "grid", class: `grid${wide}`, "aria-label": label, onkeydown: moveFocus },
    rows,
  );
}

/** The address at which a row begins. */
function rowName(subnet) {
  return subnet.split("/")[0];
}

function drawCell(cell, label, { isFirst, isChosen }) {
  const isAddress = !cell.subnet.includes("/");
  return h(
    "div",
    { role: "gridcell", key: cell.subnet, "aria-selected": isChosen && "true" },
    h(
      "a",
      {
        class: "cell",
        href: isAddress ? link("address", cell.subnet) : link("map", cell.subnet),
        "data-state": cell.state,
        "data-fill": Math.ceil(cell.used_percent / 10),
        "data-has-scopes": cell.scopes.length > 0 && "true",
        "aria-label": cell.sentence,
        title: cell.sentence,
        tabindex: isFirst ? 0 : -1,
      },
      h("span", { "aria-hidden": "true" }, label),
    ),
  );
}

/** What tells a cell from its neighbours: the part of its address in which its prefix ends. */
function lastDigits(subnet) {
  const [address, length] = subnet.split("/");
  if (address.includes(":")) {
    const group = Math.ceil(Number(length ?? 128) / 16) - 1;
    return `:${groupsOf(address)[Math.max(group, 0)]}`;
  }
  const part = Math.ceil(Number(length ?? 32) / 8) - 1;
  return `.${address.split(".")[Math.max(part, 0)]}`;
}

function groupsOf(address) {
  const [before, after] = address.split("::").map((half) => half.split(":").filter(Boolean));
  if (!after) return before;
  return [...before, ...Array(8 - before.length - after.length).fill("0"), ...after];
}

const STEPS = {
  ArrowRight: () => 1,
  ArrowLeft: () => -1,
  ArrowDown: (columns) => columns,
  ArrowUp: (columns) => -columns,
};

/** The arrow keys, Home and End move among the cells; only one of them is reached by Tab. */
function moveFocus(event) {
  const cells = [...event.currentTarget.querySelectorAll(".cell")];
  const from = cells.indexOf(event.target);
  const columns = event.currentTarget.querySelector("[role=row]").querySelectorAll(".cell").length;
  let to = event.key in STEPS ? from + STEPS[event.key](columns) : from;
  if (event.key === "Home") to = from - (from % columns);
  if (event.key === "End") to = from - (from % columns) + columns - 1;
  if (from < 0 || to === from || !cells[to]) return;
  event.preventDefault();
  cells[from].tabIndex = -1;
  cells[to].tabIndex = 0;
  cells[to].focus();
}

function legend(cells) {
  const present = new Set(cells.map((cell) => cell.state));
  const shown = Object.entries(STATES).filter(([state]) => present.has(state));
  return h(
    "ul",
    { class: "legend", "aria-label": "legend" },
    shown.map(([state, meaning]) =>
      h(
        "li",
        { key: state },
        h("span", { class: "cell swatch", "data-state": state, "data-fill": 10 }),
        ` ${meaning}`,
      )
    ),
    cells.some((cell) => cell.scopes.length > 0) &&
      h(
        "li",
        {},
        h("span", {
          class: "cell swatch",
          "data-state": "free",
          "data-has-scopes": "true",
        }),
        " contains scopes",
      ),
  );
}
