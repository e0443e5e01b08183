/** The page: what the address asks for is read from the plugin, shown, and kept up to date. */

import { readAddress, showAddress } from "./address.js";
import { read, readAll, Refused } from "./api.js";
import { h, update } from "./dom.js";
import { header, health } from "./header.js";
import { list, readList } from "./lists.js";
import { map } from "./map.js";
import { link, routeOf } from "./routes.js";
import { scopeTree } from "./scopes.js";
import { placeOf, readSearch, showSearch } from "./search.js";
import { refusals } from "./refusals.js";
import { readTrial, showTrial } from "./trial.js";

const REFRESH_MILLISECONDS = 5000;

/** What can be shown: how it is read, and how it is drawn. What is read may have a member `later`,
 * a function that reads what need not be waited for. */
const PAGES = {
  map: {
    load: (route) => Promise.all([read("map", { block: route.subject }), readList(route)]),
    draw: ([view, page], route, { scopes }) => [
      map(view, scopes.items.find((scope) => scope.network === view.block)),
      list(page, route, scopes.items),
    ],
    scope: ([view]) => view.scope,
  },
  address: {
    load: (route) => readAddress(route.subject),
    draw: showAddress,
    scope: ({ explanation }) => explanation.scope?.network,
  },
  plan: { load: readTrial, draw: showTrial },
  search: { load: (route) => readSearch(route.subject), draw: showSearch },
  refusals: { load: () => null, draw: (_, __, { status }) => refusals(status) },
};

const NOT_FOUND = {
  load: () => null,
  draw: () => [
    h("h1", {}, "There is no such page"),
    h("p", {}, h("a", { href: link("map") }, "The whole plan")),
  ],
};

let turn = 0;

/** Read everything anew and show it. What is overtaken by a later turn is dropped. */
async function refresh() {
  const mine = (turn += 1);
  const route = routeOf(location.hash);
  if (route.name === "search" && placeOf(route.subject)) {
    location.replace(placeOf(route.subject));
    return;
  }
  const page = Object.hasOwn(PAGES, route.name) ? PAGES[route.name] : NOT_FOUND;
  try {
    const [status, scopes, content] = await Promise.all([
      read("status"),
      readAll("scopes"),
      loaded(page, route),
    ]);
    if (mine !== turn) return;
    draw(route, page, status, scopes, content);
    update(document.getElementById("away"));
    const more = await content.data?.later?.();
    if (!more || mine !== turn) return;
    draw(route, page, status, scopes, { data: { ...content.data, ...more } });
  } catch (error) {
    if (mine === turn) sayAway(error);
  }
}

async function loaded(page, route) {
  try {
    return { data: await page.load(route) };
  } catch (error) {
    if (error instanceof Refused) return { refusal: error.message };
    throw error;
  }
}

function draw(route, page, status, scopes, { data, refusal }) {
  document.title = [route.subject, "pyipam"].filter(Boolean).join(" · ");
  update(document.getElementById("header"), header(status, searched(route)));
  const current = refusal || !data ? null : page.scope?.(data);
  update(
    document.getElementById("main"),
    health(status),
    h(
      "div",
      { class: "columns" },
      scopeTree(scopes, current),
      h(
        "div",
        { class: "content", key: route.name },
        refusal
          ? [
            h("h1", {}, route.subject || "Refused"),
            h("p", { class: "refusal", role: "alert" }, refusal),
          ]
          : page.draw(data, route, { status, scopes }),
      ),
    ),
  );
}

function searched(route) {
  return route.name === "search" || route.name === "address" ? route.subject : "";
}

function sayAway(error) {
  const since = new Date().toLocaleTimeString();
  update(
    document.getElementById("away"),
    h("strong", {}, "The plugin does not answer. "),
    `What is shown may be out of date (${since}: ${error.message}).`,
  );
}

/** Go to another place: the reader is told, and the keyboard goes on from there. */
async function follow() {
  await refresh();
  document.getElementById("main").focus({ preventScroll: true });
}

addEventListener("hashchange", follow);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), REFRESH_MILLISECONDS);
refresh();
