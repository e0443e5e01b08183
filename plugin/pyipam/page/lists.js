/** The list below the map: the pools or the leases of what the map shows. */

import { read } from "./api.js";
import { h } from "./dom.js";
import { readNames } from "./names.js";
import { link } from "./routes.js";
import { leaseRows, poolRows, table } from "./tables.js";

// Twice as many take a third longer to draw.
const ROWS_OF_A_PAGE = 100;
const LISTS = {
  pools: { title: "Pools", rows: poolRows, only: ["tag"] },
  leases: { title: "Leases", rows: leaseRows, only: ["kind"] },
};
/** The filters that are offered: parameter, value, title, and for which list, if for one. */
const FILTERS = [
  { name: "unclaimed", value: "true", title: "unclaimed" },
  { name: "resting", value: "true", title: "resting" },
  { name: "kind", value: "gateway", title: "gateways", of: "leases" },
  { name: "kind", value: "container", title: "containers", of: "leases" },
  { name: "everywhere", value: "true", title: "of all nodes" },
];
const PARAMETERS = ["unclaimed", "resting", "everywhere"];

/** Read the list that a route asks for, and the names of what is in it. */
export async function readList({ subject, parameters }) {
  const name = nameOf(parameters);
  const asked = { limit: ROWS_OF_A_PAGE, after: parameters.after, subnet: subject };
  for (const each of [...PARAMETERS, ...LISTS[name].only]) asked[each] = parameters[each];
  const [page, names] = await Promise.all([read(name, asked), readNames({ subnet: subject })]);
  return { ...page, names };
}

/** The list, with its filters and the way to its next page. */
export function list(page, route) {
  const { subject, parameters } = route;
  const { title, rows } = LISTS[nameOf(parameters)];
  const isPart = Boolean(page.next || parameters.after);
  return h(
    "section",
    { class: "list", "aria-label": "list" },
    h("h2", {}, `${title}${subject ? ` in ${subject}` : ""}`),
    choices(route),
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

function choices({ subject, parameters }) {
  const name = nameOf(parameters);
  const offered = FILTERS.filter((each) => !each.of || each.of === name);
  return h(
    "p",
    { class: "choices" },
    Object.entries(LISTS).map(([each, { title }]) =>
      choice(title, link("map", subject, { list: each }), each === name)
    ),
    h("span", { class: "small" }, "Only:"),
    offered.map(({ name: filter, value, title }) => {
      const isOn = parameters[filter] === value;
      const wanted = { ...firstPage(parameters), [filter]: isOn ? "" : value };
      return choice(title, link("map", subject, wanted), isOn);
    }),
    parameters.tag &&
      choice(
        `tag ${parameters.tag}`,
        link("map", subject, { ...firstPage(parameters), tag: "" }),
        true,
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
