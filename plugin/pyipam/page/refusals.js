/** The last calls that were refused, and why. */

import { h } from "./dom.js";
import { refusalRows, table } from "./tables.js";

export function refusals(status) {
  const newestFirst = [...status.refusals].sort((one, other) => other.time - one.time);
  return h(
    "section",
    { "aria-label": "refusals" },
    h("h1", {}, "Refusals"),
    newestFirst.length < status.refused &&
      h("p", {}, `The latest ${newestFirst.length} of ${status.refused}.`),
    newestFirst.length
      ? table(refusalRows, newestFirst)
      : h("p", {}, "No call has been refused since the plugin started."),
  );
}
