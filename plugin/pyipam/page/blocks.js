/** Blocks and addresses as text: `100.64.3.0/24`, `fc00:f00f::/48`, `100.64.3.2`. */

/** Whether one of two blocks or addresses lies in the other. */
export function overlap(one, other) {
  const [bits, others] = [bitsOf(one), bitsOf(other)];
  return bits.startsWith(others) || others.startsWith(bits);
}

/** What tells a block from its neighbours: the part of its address in which its prefix ends. */
export function lastDigits(subnet) {
  const [address, length] = subnet.split("/");
  if (address.includes(":")) {
    const group = Math.ceil(Number(length ?? 128) / 16) - 1;
    return `:${groupsOf(address)[Math.max(group, 0)]}`;
  }
  const part = Math.ceil(Number(length ?? 32) / 8) - 1;
  return `.${address.split(".")[Math.max(part, 0)]}`;
}

/** The IP version, and the bits of the prefix. */
function bitsOf(subnet) {
  const [address, length] = subnet.split("/");
  const isIpv6 = address.includes(":");
  const bits = isIpv6
    ? groupsOf(address).map((group) => binary(parseInt(group, 16), 16)).join("")
    : address.split(".").map((part) => binary(Number(part), 8)).join("");
  return `${isIpv6 ? 6 : 4} ${bits.slice(0, Number(length ?? bits.length))}`;
}

function binary(number, width) {
  return number.toString(2).padStart(width, "0");
}

function groupsOf(address) {
  const [before, after] = address.split("::").map((half) => half.split(":").filter(Boolean));
  if (!after) return before;
  return [...before, ...Array(8 - before.length - after.length).fill("0"), ...after];
}
