/** Tables of pools, leases, aggregates and refusals. */

import { h } from "./dom.js";
import { subnetOf } from "./names.js";
import { link } from "./routes.js";
import { moment } from "./words.js";

const KINDS = { gateway: "gateway", container: "container", mirror: "container of a swarm" };

/** A column: its title, what it shows of a row, and by what it is sorted if not by that. */
function column(title, show, by = show) {
  return { title, show, by };
}

/** A column of what somebody wrote: it may be long, and is broken anywhere. */
function freeText(title, show) {
  return { ...column(title, show), class: "free-text" };
}

/** A column of sentences. */
function sentences(title, show) {
  return { ...column(title, show), class: "free-text sentence" };
}

/** Pools, with the names of their networks. */
export const poolRows = (names) => ({
  key: (pool) => pool.id,
  columns: [
    column(
      "subnet",
      (pool) => h("a", { href: link("map", pool.subnet) }, pool.subnet),
      position,
    ),
    column("ip-range", (pool) => pool.ip_range ?? ""),
    freeText("network", (pool) => names?.of(pool.subnet) ?? ""),
    freeText("id", (pool) => pool.label || pool.id),
    freeText("tags", (pool) => pool.tags),
    column("state", (pool) => `${stateOf(pool)}${pool.stray ? ", stray" : ""}`),
    column("leases", (pool) => pool.leases),
    column("since", (pool) => moment(pool.created), (pool) => pool.created),
    column("node", (pool) => pool.node),
  ],
});

/** Leases, with the names of who has them. */
export const leaseRows = (names) => ({
  key: (lease) => `${lease.pool} ${lease.address}`,
  columns: [
    column(
      "address",
      (lease) => h("a", { href: link("address", lease.address) }, lease.address),
      position,
    ),
    freeText("name", (lease) => names?.at(subnetOf(lease.pool), lease) ?? ""),
    column("kind", (lease) => KINDS[lease.kind] ?? lease.kind),
    column("state", stateOf),
    column("pool", (lease) => lease.pool),
    column("since", (lease) => moment(lease.granted), (lease) => lease.granted),
    column("node", (lease) => lease.node),
  ],
});

/** The blocks that nodes have claimed. Of other nodes, the pools are not known. */
export const aggregateRows = () => ({
  key: (aggregate) => aggregate.id,
  columns: [
    column(
      "block",
      (aggregate) => h("a", { href: link("map", aggregate.cidr) }, aggregate.cidr),
      position,
    ),
    column("node", (aggregate) => aggregate.node),
    column("pools", (aggregate) => aggregate.pools ?? ""),
    column(
      "free",
      (aggregate) => aggregate.free === null ? "" : `${aggregate.free} of ${aggregate.blocks}`,
      (aggregate) => Number(aggregate.free ?? -1),
    ),
    column("state", (aggregate) => aggregate.state),
    column("since", (aggregate) => moment(aggregate.since), (aggregate) => aggregate.since),
    column(
      "until",
      (aggregate) => aggregate.resting_until === null ? "" : moment(aggregate.resting_until),
      (aggregate) => aggregate.resting_until ?? 0,
    ),
  ],
});

/** What became of an address, of a pool or of an aggregate. */
export const historyRows = {
  key: (entry) => `${entry.time} ${entry.event} ${entry.pool} ${entry.address}`,
  columns: [
    column("when", (entry) => moment(entry.time)),
    column("what", (entry) => `${entry.address ? "address" : entry.kind || "pool"} ${entry.event}`),
    column("kind", (entry) => KINDS[entry.kind] ?? ""),
    column("pool", (entry) => entry.pool),
    freeText("id", (entry) => entry.label),
  ],
};

export const refusalRows = {
  key: (refusal) => `${refusal.time} ${refusal.call}`,
  columns: [
    column("when", (refusal) => moment(refusal.time)),
    column("call", (refusal) => refusal.call.replace("IpamDriver.", "")),
    sentences("why", (refusal) => refusal.message),
  ],
};

/** A table of rows. `label` is its name for a screen reader. Columns without content are left out. `sort` is the title of the column that
 * it is sorted by, with "-" before it the other way round; `sorted` gives the address of the page
 * that is sorted so. */
export function table({ key, columns }, rows, { label = "table", sort = "", sorted = null } = {}) {
  const shown = columns.filter(({ show }) => rows.some((row) => show(row) !== ""));
  return h(
    "div",
    { class: "scrolled", tabindex: 0, role: "region", "aria-label": label },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, shown.map(({ title }) => heading(title, sort, sorted)))),
      h(
        "tbody",
        {},
        inOrder(rows, columns, sort).map((row) =>
          h(
            "tr",
            { key: key(row) },
            shown.map((column) => h("td", { class: column.class }, column.show(row))),
          )
        ),
      ),
    ),
  );
}

function heading(title, sort, sorted) {
  if (!sorted) return h("th", { scope: "col" }, title);
  const isUp = sort === title;
  const isDown = sort === `-${title}`;
  const arrow = (isUp && " ▲") || (isDown && " ▼") || "";
  return h(
    "th",
    { scope: "col", "aria-sort": (isUp && "ascending") || (isDown && "descending") },
    h("a", { href: sorted(isUp ? `-${title}` : title) }, `${title}${arrow}`),
  );
}

function inOrder(rows, columns, sort) {
  const by = columns.find(({ title }) => title === sort.replace("-", ""))?.by;
  if (!by) return rows;
  const direction = sort.startsWith("-") ? -1 : 1;
  return [...rows].sort((one, other) => direction * compared(by(one), by(other)));
}

function compared(one, other) {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Rows come in the order of their addresses. */
function position() {
  return 0;
}

function stateOf(item) {
  if (item.held_back) return "kept for whoever asks by name";
  if (item.resting) return "resting";
  return item.claimed ? "in use" : "unclaimed";
}
