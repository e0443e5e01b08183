/** What is shown is said by the part of the address behind "#": it can be sent, and the back key
 * works. For example `#/map/100.64.0.0/17?list=leases`, or `#/address/100.64.3.2`. */

/** The route that an address names: the name of what is shown, its subject, and its parameters. */
export function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [name, ...rest] = path.split("/").map(decoded);
  return {
    name: name || "map",
    subject: rest.join("/"),
    parameters: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** The address of a route. */
export function link(name, subject = "", parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  const query = new URLSearchParams(given).toString();
  const path = subject.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":");
  return `#/${name}${path && `/${path}`}${query && `?${query}`}`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
