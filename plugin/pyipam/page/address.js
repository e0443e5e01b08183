/** One address: who has it, since when, and if nobody has it, whether somebody could. */

import { read } from "./api.js";
import { h } from "./dom.js";
import { mapAround } from "./map.js";
import { readNames } from "./names.js";
import { link } from "./routes.js";
import { historyRows, leaseRows, poolRows, table } from "./tables.js";

const LATEST = 50;

/** The past of the address that was looked at last. */
let known = { address: "", past: [] };

/** Read what is known of an address, its names, and the map around it. Its past comes later: to look
 * through a long history takes a while. */
export async function readAddress(address) {
  const [[explanation, view], names] = await Promise.all([
    read("explain", { address }).then(withMap),
    readNames({ address }),
  ]);
  const past = known.address === address ? known.past : [];
  return { explanation, view, names, past, later: () => readPast(address) };
}

async function readPast(address) {
  try {
    const { items } = await read("history", { address, limit: LATEST });
    known = { address, past: items };
  } catch {
    // Somebody else may be looking through it: the next refresh asks again.
    return {};
  }
  return { past: known.past };
}

async function withMap(explanation) {
  if (explanation.state === "claimed" && explanation.scope) {
    // Nothing is known of what is near: it is seen who has claimed what.
    return [explanation, await read("map", { block: explanation.scope.network })];
  }
  const around = explanation.pools[0]?.subnet ?? explanation.scope?.network ?? "";
  return [explanation, await read("map", { block: near(explanation.address, around) })];
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
