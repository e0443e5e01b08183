/** One address: who has it, since when, and if nobody has it, whether somebody could. */

import { read } from "./api.js";
import { h } from "./dom.js";
import { mapAround } from "./map.js";
import { link } from "./routes.js";
import { leaseRows, poolRows, table } from "./tables.js";

/** Read what is known of an address, and the map around it. */
export async function readAddress(address) {
  const explanation = await read("explain", { address });
  const around = explanation.pools[0]?.subnet ?? explanation.scope?.network ?? "";
  return { explanation, view: await read("map", { block: near(explanation.address, around) }) };
}

/** The block whose map shows the address: what it lies in, or the smallest part of it whose cells
 * are addresses. */
function near(address, around) {
  const length = Number(around.split("/")[1] ?? 0);
  if (address.includes(":") || length >= 24 || !around) return around;
  return `${address.split(".").slice(0, 3).join(".")}.0/24`;
}

export function showAddress({ explanation, view }) {
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
        [h("h2", {}, "Leases"), table(leaseRows, leases, { label: "leases" })],
      pools.length > 0 && [h("h2", {}, "Pools"), table(poolRows, pools, { label: "pools" })],
    ),
    mapAround(address, view),
  ];
}
