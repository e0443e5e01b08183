/** What the plugin knows, read from `/v1`. */

/** How many rows of a list are asked for at once. */
export const ROWS = 200;
const TIMEOUT_MILLISECONDS = 10_000;

/** The plugin answered with a refusal; its message says why. */
export class Refused extends Error {}

/** Read a view. Parameters that are empty are left out. Throws Refused, or another error where the
 * plugin does not answer. */
export async function read(view, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  const query = new URLSearchParams(given).toString();
  const response = await fetch(`v1/${view}${query && `?${query}`}`, {
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refused(answer.Err);
  return answer;
}

/** The first items of a list, as far as `most` pages go; and whether there are more. */
export async function readAll(view, parameters = {}, most = 5) {
  const items = [];
  let after = "";
  for (let page = 0; page < most && after !== null; page += 1) {
    const answer = await read(view, { ...parameters, limit: ROWS, after });
    items.push(...answer.items);
    after = answer.next;
  }
  return { items, hasMore: after !== null };
}
