/** The names that Docker has for what is held, where `pyipam record` runs on the host. */

import { readAll } from "./api.js";
import { h } from "./dom.js";
import { moment } from "./words.js";

/** Read the names of what the parameters of the view say: in a subnet, at an address, or so
 * called. */
export async function readNames(parameters = {}) {
  const { items } = await readAll("names", parameters);
  return new Names(items);
}

/** Names by subnet and address; the first item says when all of them were true. */
class Names {
  constructor(items) {
    this.items = items;
    this.since = items[0]?.time ?? null;
    this.networks = new Map();
    this.containers = new Map();
    for (const { subnet, network, address, container } of items) {
      if (address) this.containers.set(`${subnet} ${address}`, container);
      else this.networks.set(subnet, [...(this.networks.get(subnet) ?? []), network]);
    }
  }

  /** The names of the networks on a subnet, as text. */
  of(subnet) {
    return (this.networks.get(subnet) ?? []).join(", ");
  }

  /** The name of who has an address of a subnet; the networks' where it is their gateway. */
  at(subnet, { address, kind }) {
    return this.containers.get(`${subnet} ${address}`) ??
      (kind === "gateway" ? this.of(subnet) : "");
  }

  /** When the names were true; how to get them where there are none. */
  get remark() {
    return this.since === null
      ? [
        "Names of networks and containers are shown where ",
        h("code", {}, "pyipam record"),
        " runs on the host.",
      ]
      : `Names as of ${moment(this.since)}.`;
  }
}

/** The subnet in the id of a pool. */
export function subnetOf(poolId) {
  return poolId.split("/").slice(1, 3).join("/");
}
