/** The search: whatever is typed leads to what contains it, or to a list of what is called so. */

import { read, ROWS } from "./api.js";
import { h } from "./dom.js";
import { readNames } from "./names.js";
import { link } from "./routes.js";
import { poolRows, table } from "./tables.js";

/** Where a text leads at once: a whole address, a subnet, or the beginning of an address. Null if
 * it is none of these. */
export function placeOf(text) {
  if (/^[0-9a-f:.]+\/\d+$/i.test(text)) return link("map", text);
  const parts = text.replace(/\.$/, "").split(".");
  if (parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    if (parts.length === 4) return link("address", text);
    if (parts.length > 1 || text.endsWith(".")) {
      const zeros = Array(4 - parts.length).fill("0");
      return link("map", `${[...parts, ...zeros].join(".")}/${8 * parts.length}`);
    }
  }
  return placeOfIpv6(text);
}

function placeOfIpv6(text) {
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text)) return null;
  const groups = text.replace(/:$/, "").split(":");
  const isWhole = text.includes("::") || groups.length === 8;
  if (isWhole && !(text.endsWith("::") && groups.length < 8)) return link("address", text);
  const known = groups.filter(Boolean);
  return link("map", `${known.join(":")}::/${16 * known.length}`);
}

/** Find what has this in its name: networks and containers, and pools by label. Pools are also found
 * by a whole tag or id. */
export async function readSearch(text) {
  const asked = { limit: ROWS, everywhere: "true" };
  const [known, names, byTag, byLabel, byId] = await Promise.all([
    readNames(),
    read("names", { containing: text, limit: ROWS }),
    read("pools", { ...asked, tag: text }),
    read("pools", { ...asked, containing: text }),
    text.includes("/") ? read("pools", { ...asked, id: text }).catch(nothing) : nothing(),
  ]);
  return {
    text,
    known,
    names: names.items,
    byTag: byTag.items,
    byName: [...byLabel.items, ...byId.items],
    hasMore: [names, byTag, byLabel].some(({ next }) => next),
  };
}

function isPart(text, name) {
  return name.toLowerCase().includes(text.toLowerCase());
}

function nothing() {
  return { items: [] };
}

/** What is called so, by kind, with the scopes of the plan that have a tag with this in it. */
export function showSearch({ text, known, names, byTag, byName, hasMore }, _, plan) {
  const scopes = plan.scopes.items.filter(({ tags }) => tags.some((tag) => isPart(text, tag)));
  const isEmpty = names.length + scopes.length + byTag.length + byName.length === 0;
  return h(
    "section",
    { class: "search", "aria-label": "found" },
    h("h1", {}, `Found for "${text}"`),
    isEmpty &&
      h(
        "p",
        {},
        "Nothing is called so. Search for an address or a part of one, a subnet, a tag, the id of a ",
        "pool, or, where ",
        h("code", {}, "pyipam record"),
        " runs, the name of a network or a container. A part of a name will do.",
      ),
    hasMore &&
      h(
        "p",
        { class: "small" },
        `Only the first ${ROWS} of a kind are shown: search for more of the name.`,
      ),
    names.length > 0 && [h("h2", {}, "Networks and containers"), h("ul", {}, names.map(named))],
    scopes.length > 0 && [
      h("h2", {}, "Scopes by their tags"),
      h(
        "ul",
        {},
        scopes.map(({ network, tags }) =>
          h("li", { key: network }, [
            h("a", { href: link("map", network) }, network),
            ` (${tags.join(", ")})`,
          ])
        ),
      ),
    ],
    byName.length > 0 &&
      [
        h("h2", {}, "Pools by their ids"),
        table(poolRows(known), byName, { label: "pools by id" }),
      ],
    byTag.length > 0 &&
      [
        h("h2", {}, "Pools in scopes with this tag"),
        table(poolRows(known), byTag, { label: "pools by tag" }),
      ],
  );
}

function named({ subnet, network, address, container }) {
  return h(
    "li",
    { key: `${subnet} ${network} ${address}` },
    address
      ? [
        h("a", { href: link("address", address) }, address),
        ` is container ${container} of ${network}`,
      ]
      : [h("a", { href: link("map", subnet) }, subnet), ` is network ${network}`],
  );
}
