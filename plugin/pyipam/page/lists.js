/** The list below the map: the pools, the leases or the aggregates of what the map shows. */

import { read } from "./api.js";
import { h } from "./dom.js";
import { readNames } from "./names.js";
import { link } from "./routes.js";
import { aggregateRows, leaseRows, poolRows, table } from "./tables.js";

// Twice as many take a third longer to draw.
const ROWS_OF_A_PAGE = 100;
/** The lists: what they are called, their rows, the parameter that says which part of the plan they
 * are of, and those that leave out the rest. */
const LISTS = {
  pools: {
    title: "Pools",
    rows: poolRows,
    of: "subnet",
    only: ["unclaimed", "resting", "everywhere", "tag"],
  },
  leases: {
    title: "Leases",
    rows: leaseRows,
    of: "subnet",
    only: ["unclaimed", "resting", "everywhere", "kind"],
  },
  aggregates: {
    title: "Aggregates",
    rows: aggregateRows,
    of: "scope",
    only: ["state", "node"],
  },
};
/** The filters that are offered: parameter, value and title. */
const FILTERS = [
  { name: "unclaimed", value: "true", title: "unclaimed" },
  { name: "resting", value: "true", title: "resting" },
  { name: "kind", value: "gateway", title: "gateways" },
  { name: "kind", value: "container", title: "containers" },
  { name: "everywhere", value: "true", title: "of all nodes" },
  { name: "state", value: "draining", title: "draining" },
  { name: "state", value: "resting", title: "resting" },
  { name: "state", value: "forgotten", title: "forgotten" },
];
/** Filters whose values are too many to be offered: they are shown where one is chosen. */
const CHOSEN = ["tag", "node"];

/** Read the list that a route asks for, and the names of what is in it. */
export async function readList({ subject, parameters }) {
  const name = nameOf(parameters);
  const { of, only } = LISTS[name];
  const asked = { limit: ROWS_OF_A_PAGE, after: parameters.after, [of]: subject };
  for (const each of only) asked[each] = parameters[each];
  const [page, names] = await Promise.all([
    read(name, asked),
    name === "aggregates" ? {} : readNames({ subnet: subject }),
  ]);
  return { ...page, names };
}

/** The list, with its filters and the way to its next page. `scopes` are those of the plan. */
export function list(page, route, scopes) {
  const { subject, parameters } = route;
  const { title, rows } = LISTS[nameOf(parameters)];
  const isPart = Boolean(page.next || parameters.after);
  return h(
    "section",
    { class: "list", "aria-label": "list" },
    h("h2", {}, `${title}${subject ? ` in ${subject}` : ""}`),
    choices(route, scopes),
    page.items.length
      ? table(rows(page.names), page.items, {
        sort: parameters.sort,
        sorted: (sort) => link("map", subject, { ...parameters, sort }),
      })
      : h("p", {}, "Nothing."),
    parameters.sort && isPart && h("p", { class: "small" }, "Sorted within this page."),
    pages(page, route),
    h("p", { class: "small" }, page.names.remark),
  );
}

function choices({ subject, parameters }, scopes) {
  const name = nameOf(parameters);
  const { only } = LISTS[name];
  const shown = Object.entries(LISTS).filter(([each]) =>
    each !== "aggregates" || each === name || scopes.some((scope) => scope.aggregates)
  );
  return h(
    "p",
    { class: "choices" },
    shown.map(([each, { title }]) =>
      choice(title, link("map", subject, { list: each }), each === name)
    ),
    h("span", { class: "small" }, "Only:"),
    FILTERS.filter((filter) => only.includes(filter.name)).map(({ name: filter, value, title }) => {
      const isOn = parameters[filter] === value;
      const wanted = { ...firstPage(parameters), [filter]: isOn ? "" : value };
      return choice(title, link("map", subject, wanted), isOn);
    }),
    CHOSEN.filter((filter) => only.includes(filter) && parameters[filter]).map((filter) =>
      choice(
        `${filter} ${parameters[filter]}`,
        link("map", subject, { ...firstPage(parameters), [filter]: "" }),
        true,
      )
    ),
  );
}

function choice(title, href, isOn) {
  return h(
    "a",
    { class: "choice", href, "aria-current": isOn && "true" },
    isOn ? `${title} ✓` : title,
  );
}

function pages(page, { subject, parameters }) {
  return h(
    "p",
    { class: "choices" },
    parameters.after &&
      h("a", { href: link("map", subject, firstPage(parameters)) }, "First page"),
    page.next &&
      h(
        "a",
        { href: link("map", subject, { ...parameters, after: page.next }) },
        "Next page",
      ),
  );
}

function nameOf(parameters) {
  return Object.hasOwn(LISTS, parameters.list ?? "") ? parameters.list : "pools";
}

function firstPage(parameters) {
  return { ...parameters, after: "" };
}
