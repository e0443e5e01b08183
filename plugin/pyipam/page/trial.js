/** "What would I get?": which block a network would get now, and why; nothing is taken. */

import { read } from "./api.js";
import { h } from "./dom.js";
import { mapAround } from "./map.js";
import { link } from "./routes.js";
import { large } from "./words.js";

/** Read what a network with these options would get, and the map around it. */
export async function readTrial({ parameters }) {
  const trial = await read("plan", parameters);
  return { trial, view: trial.around && await read("map", { block: trial.around }) };
}

export function showTrial({ trial, view }, { parameters }) {
  return [answer(trial, parameters), view && mapAround(trial.block, view)];
}

function answer(trial, parameters) {
  return h(
    "section",
    { class: "trial", "aria-label": "what would I get" },
    h("h1", {}, "What would I get?"),
    form(parameters),
    h(
      "p",
      { class: "outcome", role: "status" },
      trial.block
        ? [
          "You would get ",
          h("a", { href: link("map", trial.block) }, trial.block),
          `${trial.outcome.slice(trial.block.length)}.`,
        ]
        : `Nothing: ${trial.outcome}`,
    ),
    trial.scopes.length > 0 && h(
      "ol",
      {},
      trial.scopes.map((scope) => h("li", { key: scope.network }, candidate(scope))),
    ),
  );
}

function candidate(scope) {
  const free = `${large(scope.free)} free`;
  return [
    h("a", { href: link("map", scope.network) }, scope.network),
    h("span", { class: "tags" }, scope.tags.map((tag) => h("span", { class: "tag" }, tag))),
    scope.order === null
      ? ` is not tried: it ${scope.reason}`
      : ` is tried as number ${scope.order}`,
    scope.order !== null &&
    (scope.block
      ? `: ${scope.block} is next${origin(scope)}, ${free}`
      : `, but ${scope.reason ?? "has nothing free"}`),
  ];
}

/** From which aggregate a block would come. */
function origin({ aggregate, claims }) {
  if (!aggregate) return "";
  return claims ? `, with ${aggregate} to be claimed` : `, from ${aggregate}`;
}

function form(parameters) {
  return h(
    "form",
    { onsubmit: ask },
    field("tags", "Tags", parameters.tags, { placeholder: "ingress", spellcheck: "false" }),
    field("prefix", "Prefix length", parameters.prefix, {
      inputmode: "numeric",
      placeholder: "any",
    }),
    field("subnet", "or this subnet", parameters.subnet, {
      placeholder: "any",
      spellcheck: "false",
    }),
    choice("version", "IP version", { 4: "IPv4", 6: "IPv6" }, parameters.version),
    choice(
      "space",
      "For",
      { local: "networks of this host", global: "networks of a swarm" },
      parameters.space,
    ),
    h("button", {}, "Ask"),
  );
}

function field(name, label, value, attributes) {
  return h("label", {}, `${label} `, h("input", { name, value: value ?? "", ...attributes }));
}

function choice(name, label, options, chosen) {
  return h(
    "label",
    {},
    `${label} `,
    h(
      "select",
      { name },
      Object.entries(options).map(([value, text]) =>
        h("option", { value, selected: value === chosen }, text)
      ),
    ),
  );
}

function ask(event) {
  event.preventDefault();
  const asked = Object.fromEntries(new FormData(event.target));
  // A subnet says its IP version itself.
  if (asked.subnet.trim()) asked.version = "";
  location.hash = link("plan", "", asked);
}
