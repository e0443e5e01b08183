/** The tree of the scopes, with their tags and how full they are. */

import { h } from "./dom.js";
import { link } from "./routes.js";
import { large, takenPercent } from "./words.js";

/** The tree. `current` is the network of the scope that is looked at, if any. */
export function scopeTree({ items, hasMore }, current) {
  return h(
    "nav",
    { class: "scopes", "aria-label": "scopes" },
    h("h2", {}, h("a", { href: link("map") }, "Scopes")),
    items.length === 0 && h("p", {}, "The schema has no scope."),
    h("ul", {}, items.map((scope) => entry(scope, current))),
    hasMore && h("p", {}, "There are more; search for one by its network or by a tag."),
  );
}

function entry(scope, current) {
  const percent = takenPercent(scope);
  return h(
    "li",
    { key: `${scope.network} ${scope.depth}`, class: `depth-${Math.min(scope.depth, 5)}` },
    h(
      "a",
      {
        href: link("map", scope.network),
        "aria-current": scope.network === current && "true",
        title: scope.description,
      },
      scope.network,
    ),
    h(
      "span",
      { class: "tags" },
      scope.tags.map((tag) =>
        h("a", {
          class: "tag",
          href: link("map", "", { tag }),
          title: `pools in scopes tagged ${tag}`,
        }, tag)
      ),
    ),
    percent === null ? h("span", { class: "small" }, "gives out nothing itself") : h(
      "span",
      { class: "small" },
      h("meter", { min: 0, max: 100, value: percent, "aria-hidden": "true" }),
      ` ${percent} % taken, ${large(scope.free)} of ${
        large(scope.blocks)
      } /${scope.child_prefix} free`,
    ),
  );
}
