/** The map of a part of the plan: a grid of cells, each a link to the next map or to an address. */

import { lastDigits, overlap } from "./blocks.js";
import { h } from "./dom.js";
import { link } from "./routes.js";
import { large } from "./words.js";

const COLUMNS = 16;

/** What the states of cells mean, in the order of the legend. */
const STATES = {
  free: "free",
  held: "held",
  claimed: "claimed by another node",
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

/** The map of a block, and the way back to what it lies in. `scope` is the scope of this network, if
 * the block is one. */
export function map(view, scope) {
  const marked = { cells: cellsIn(view, scope?.first_free), meaning: "has what is given out next" };
  return h(
    "section",
    { class: "map", "aria-label": "map" },
    path(view),
    scope?.description && h("p", {}, scope.description),
    scope?.first_free && h("p", { class: "small" }, firstFree(scope)),
    scope?.aggregates && h("p", { class: "small" }, claimed(scope)),
    cellsOf(view, marked),
  );
}

/** The first free blocks of a scope: the one that is given out next, and larger ones. */
function firstFree({ first_free: next, first_free_by_length: byLength }) {
  const larger = byLength.filter((block) => block !== next).reverse();
  return [
    "Next: ",
    h("a", { href: link("map", next) }, next),
    larger.length > 0 && "; the first that are larger: ",
    larger.map((block, position) => [
      position > 0 && ", ",
      h("a", { href: link("map", block) }, block),
    ]),
    ".",
  ];
}

/** Who has how much of a scope whose blocks nodes claim. */
function claimed({ network, node_prefix: prefix, aggregates: { own, others, resting, free } }) {
  return [
    `Nodes claim /${prefix} blocks: `,
    h("a", { href: link("map", network, { list: "aggregates" }) }, "of this node"),
    ` ${own}, of others ${others}, ${resting > 0 ? `resting ${resting}, ` : ""}free ${
      large(free)
    }.`,
  ];
}

/** The map around an address or a block, which are marked in it. */
export function mapAround(place, view) {
  const marked = { cells: cellsIn(view, place), meaning: place };
  return h(
    "section",
    { class: "map", "aria-label": "map" },
    h(
      "h2",
      {},
      "Around it: ",
      h("a", { href: link("map", view.block) }, view.block || "whole plan"),
    ),
    cellsOf(view, marked),
  );
}

function cellsOf(view, marked) {
  return [
    h("p", { class: "small" }, about(view)),
    grid(view, marked),
    legend(view.cells, marked),
  ];
}

/** The subnets of the cells that overlap a block or an address. */
function cellsIn(view, place) {
  if (!place) return [];
  return view.cells.map(({ subnet }) => subnet).filter((subnet) => overlap(subnet, place));
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

function grid(view, marked) {
  const columns = Math.min(COLUMNS, view.cells.length);
  const showsOwn = isPartlyOwn(view.cells);
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
            isMarked: marked.cells.includes(cell.subnet),
            isOwn: showsOwn && cell.own,
          })
        ),
      ),
    );
  }
  const label = view.block ? `cells of ${view.block}` : "outermost scopes";
  return h(
    "div",
    {
      role: "grid",
      class: view.block ? "grid" : "grid few",
      "aria-label": label,
      onkeydown: moveFocus,
    },
    rows,
  );
}

/** The address at which a row begins. */
function rowName(subnet) {
  return subnet.split("/")[0];
}

function drawCell(cell, label, { isFirst, isMarked, isOwn }) {
  return h(
    "div",
    { role: "gridcell", key: cell.subnet, "aria-selected": isMarked && "true" },
    h(
      "a",
      {
        class: "cell",
        href: isAddress(cell) ? link("address", cell.subnet) : link("map", cell.subnet),
        "data-state": cell.state,
        "data-fill": Math.ceil(cell.used_percent / 10),
        "data-some": isPartly(cell) && "true",
        "data-has-scopes": cell.scopes.length > 0 && "true",
        "data-own": isOwn && "true",
        "aria-label": cell.sentence,
        title: cell.sentence,
        tabindex: isFirst ? 0 : -1,
      },
      h("span", { "aria-hidden": "true" }, label),
      cell.aggregate === cell.subnet &&
        h("span", { class: "whose", "aria-hidden": "true" }, cell.node),
    ),
  );
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

function isAddress(cell) {
  return !cell.subnet.includes("/");
}

/** Whether only a part of what a cell holds is unclaimed. */
function isPartly(cell) {
  return !isAddress(cell) && cell.pools + cell.leases > cell.unclaimed;
}

/** Whether this node has claimed some of the cells, and not all. */
function isPartlyOwn(cells) {
  return cells.some((cell) => cell.own) && cells.some((cell) => !cell.own);
}

function legend(cells, marked) {
  const present = new Set(cells.map((cell) => cell.state));
  if (cells.some((cell) => cell.state === "unclaimed" && isPartly(cell))) present.add("held");
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
    isPartlyOwn(cells) &&
      h(
        "li",
        {},
        h("span", { class: "cell swatch", "data-state": "free", "data-own": "true" }),
        " claimed by this node",
      ),
    marked.cells.length > 0 &&
      h(
        "li",
        { class: "marked" },
        h("span", { class: "cell swatch", "data-state": "free" }),
        ` ${marked.meaning}`,
      ),
  );
}
