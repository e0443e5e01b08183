/** Numbers, times and counts in words. */

/** A count and its noun: "1 pool", "2 pools". */
export function counted(count, noun) {
  return `${count} ${noun}${String(count) === "1" ? "" : "s"}`;
}

// Made once: that takes a thousand times as long as writing a time with it.
const MOMENTS = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });

/** A UNIX time in seconds, as the browser's user writes times. */
export function moment(seconds) {
  return MOMENTS.format(seconds * 1000);
}

/** How many percent of a scope's blocks are taken. Counts are strings: they may be larger than a
 * number can say. Null for a scope that gives out nothing. */
export function takenPercent(scope) {
  const blocks = BigInt(scope.blocks);
  if (blocks === 0n) return null;
  return Number((100n * (blocks - BigInt(scope.free))) / blocks);
}

/** A large whole number, given as a string: up to a million as it is, above as "2^k" or "about". */
export function large(text) {
  const number = BigInt(text);
  if (number <= 1_000_000n) return Number(number).toLocaleString();
  const bits = number.toString(2).length - 1;
  return number === 1n << BigInt(bits) ? `2^${bits}` : `about 2^${bits}`;
}
