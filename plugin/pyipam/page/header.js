/** The top of the page: whether all is well, the search, and the way to the other pages. */

import { h } from "./dom.js";
import { link } from "./routes.js";
import { counted, moment } from "./words.js";

const SOURCES = {
  mount: "the schema file is in force",
  remembered: "the schema that was used last is in force, as SCHEMA_PATH names no file",
  default: "the built-in schema is in force, as SCHEMA_PATH names no file",
};

/** The header. `search` is what the search box says. */
export function header(status, search) {
  return [
    h("a", { class: "name", href: link("map") }, "pyipam"),
    status?.node && h("span", { class: "node" }, `node ${status.node}`),
    searchBox(search),
    h(
      "nav",
      { "aria-label": "pages" },
      h("a", { href: link("map") }, "Plan"),
      h("a", { href: link("plan") }, "What would I get?"),
      h("a", { href: link("refusals") }, "Refusals"),
    ),
  ];
}

function searchBox(search) {
  return h(
    "form",
    { role: "search", onsubmit: goToSearch },
    h("label", { for: "search" }, "Search"),
    h("input", {
      id: "search",
      name: "search",
      type: "search",
      value: search,
      placeholder: "address, subnet, tag, id or name",
      autocomplete: "off",
      spellcheck: "false",
    }),
    h("button", {}, "Find"),
  );
}

function goToSearch(event) {
  event.preventDefault();
  const text = event.target.elements.search.value.trim();
  if (text) location.hash = link("search", text);
}

/** Whether all is well, in words, each a link to its place. */
export function health(status) {
  const { problems, remarks, counts } = status;
  const unclaimed = counts.unclaimed_pools + counts.unclaimed_leases;
  const facts = [
    SOURCES[status.schema.source] ?? status.schema.source,
    ...status.full_scopes.map((scope) =>
      h(
        "a",
        { href: link("map", scope.network) },
        `${scope.network} is ${scope.used_percent} % full`,
      )
    ),
    unclaimed > 0 &&
    h(
      "a",
      { href: link("map", "", { list: "leases", unclaimed: "true" }) },
      unclaimedText(counts),
    ),
    status.refusals.length > 0 &&
    h("a", { href: link("refusals") }, `${counted(status.refusals.length, "refusal")} noted`),
  ].filter(Boolean);
  return h(
    "section",
    { class: problems.length ? "health bad" : "health good", "aria-label": "Is all well?" },
    h("h2", {}, problems.length ? "Not well" : "All is well"),
    h("ul", {}, [
      ...problems.map((each) => h("li", { class: "problem" }, remark(each))),
      ...facts.map((fact) => h("li", {}, fact)),
    ]),
    remarks.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, counted(remarks.length, "remark")),
        h("ul", {}, remarks.map((each) => h("li", {}, remark(each)))),
      ),
    h(
      "p",
      { class: "small" },
      `${counted(counts.pools, "pool")}, ${counted(counts.leases, "lease")}; `,
      `version ${status.version}, running since ${moment(status.started)}`,
    ),
  );
}

function unclaimedText(counts) {
  const kinds = [
    counts.unclaimed_pools > 0 && counted(counts.unclaimed_pools, "pool"),
    counts.unclaimed_leases > 0 && counted(counts.unclaimed_leases, "lease"),
  ];
  return `unclaimed: ${kinds.filter(Boolean).join(", ")}`;
}

function remark({ message, subnet }) {
  return subnet ? h("a", { href: link("map", subnet) }, message) : message;
}
