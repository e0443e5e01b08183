/** The top of the page: whether all is well, the search, and the way to the other pages. */

import { h } from "./dom.js";
import { link } from "./routes.js";
import { counted, moment } from "./words.js";

/** How many scopes that are nearly full are named. */
const MOST_FULL = 5;

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
  const facts = [
    `schema: ${status.schema.source_in_words}`,
    ...status.full_scopes.slice(0, MOST_FULL).map((scope) =>
      h(
        "a",
        { href: link("map", scope.network) },
        `${scope.network} is ${scope.used_percent} % full`,
      )
    ),
    status.full_scopes.length > MOST_FULL &&
    `${status.full_scopes.length - MOST_FULL} more scopes are nearly full`,
    unclaimed("pools", counts.unclaimed_pools),
    unclaimed("leases", counts.unclaimed_leases),
    status.refused > 0 &&
    h("a", { href: link("refusals") }, counted(status.refused, "refusal")),
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

/** How many of a list leaked, with the way there; false if none. */
function unclaimed(list, count) {
  return count > 0 &&
    h(
      "a",
      { href: link("map", "", { list, unclaimed: "true" }) },
      `${counted(count, list.slice(0, -1))} unclaimed`,
    );
}

function remark({ message, subnet }) {
  return subnet ? h("a", { href: link("map", subnet) }, message) : message;
}
