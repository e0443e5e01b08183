/** One address: who has it, since when, and if nobody has it, whether somebody could. */

import { read } from "./api.js";
import { h } from "./dom.js";
import { mapAround } from "./map.js";
import { readNames } from "./names.js";
import { link } from "./routes.js";
import { historyRows, leaseRows, poolRows, table } from "./tables.js";

const LATEST = 50;

/** Read what is known of an address, its past, its names, and the map around it. */
export async function readAddress(address) {
  const explanation = await read("explain", { address });
  const around = explanation.pools[0]?.subnet ?? explanation.scope?.network ?? "";
  const [view, names, past] = await Promise.all([
    read("map", { block: near(explanation.address, around) }),
    readNames({ address }),
    // Somebody else may be looking through it.
    read("history", { address, limit: LATEST }).catch(() => ({ items: [] })),
  ]);
  return { explanation, view, names, past: past.items };
}

/** The block whose map shows the address: what it lies in, or the smallest part of it whose cells
 * are addresses. */
function near(address, around) {
  const length = Number(around.split("/")[1] ?? 0);
  if (address.includes(":") || length >= 24 || !around) return around;
  return `${address.split(".").slice(0, 3).join(".")}.0/24`;
}

/** Everything about the address, and the map around it. */
export function showAddress({ explanation, view, names, past }) {
  const { address, sentences, pools, leases, scopes } = explanation;
  return [
    h(
      "section",
      { class: "address", "aria-label": "address" },
      h("h1", {}, address, " ", h("span", { class: "tag" }, explanation.state)),
      h("ul", {}, sentences.map((sentence) => h("li", {}, sentence))),
      scopes.length > 0 &&
        h(
          "p",
          {},
          "It lies in ",
          scopes.map((network, position) => [
            position > 0 && " › ",
            h("a", { href: link("map", network) }, network),
          ]),
          ".",
        ),
      leases.length > 0 &&
        [h("h2", {}, "Leases"), table(leaseRows(names), leases, { label: "leases" })],
      pools.length > 0 && [h("h2", {}, "Pools"), table(poolRows(names), pools, { label: "pools" })],
      h("p", { class: "small" }, names.remark),
    ),
    mapAround(address, view),
    past.length > 0 &&
    h(
      "section",
      { class: "history", "aria-label": "history" },
      h("h2", {}, "History, the latest first"),
      table(historyRows, past, { label: "past" }),
    ),
  ];
}
