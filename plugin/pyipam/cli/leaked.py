"""What the plugin holds and Docker does not use.

Everything is matched by address and pool, never by a name, and against the networks of all drivers.
See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_network

from pyipam.cli.client import Answer
from pyipam.cli.differences import Difference, Sides
from pyipam.cli.docker_use import SwarmUse, UsedSubnet, addresses_of
from pyipam.core.freeing import fingerprint_of
from pyipam.space.block import Network
from pyipam.store.pool_id import is_global, subnet_of

_OTHERS_SHARE = "the networks that have its subnet have other pools"


def leaked(sides: Sides) -> Iterator[Difference]:
    """The pools and addresses that leaked, also those that cannot be judged yet."""
    for pool in sides.pools.values():
        if is_global(pool["id"]):
            yield from _leaked_of_swarm(sides, pool)
        else:
            yield from _leaked_here(sides, pool)


def _leaked_here(sides: Sides, pool: Answer) -> Iterator[Difference]:
    subnet = ip_network(subnet_of(pool["id"]))
    networks = sides.networks_on(subnet)
    if any(_has(sides, used, pool["id"]) for used in networks):
        yield from _leaked_addresses(sides, pool, addresses_of(networks))
    else:
        found = _leaked_pool(sides, pool, _doubt_about(sides, subnet, networks))
        is_shared = found.sure and bool(networks)
        yield replace(found, why=_OTHERS_SHARE) if is_shared else found


def _has(sides: Sides, used: UsedSubnet, pool_id: str) -> bool:
    """Whether the pool is that of a network of the plugin on this node."""
    return used.is_here and used.driver in sides.drivers and used.pool_id("local") == pool_id


def _leaked_of_swarm(sides: Sides, pool: Answer) -> Iterator[Difference]:
    swarm = sides.use.swarm
    subnet = ip_network(subnet_of(pool["id"]))
    networks = [used for used in sides.networks_on(subnet) if used.scope != "local"]
    if swarm is None:
        if not sides.use.in_swarm and not sides.shared:
            yield _leaked_pool(sides, pool, _doubt_about(sides, subnet, networks))
    elif not networks:
        if swarm.leads or not sides.shared:
            yield _leaked_pool(sides, pool, "")
    elif swarm.leads:
        yield from _leaked_addresses_of_swarm(sides, pool, swarm, networks)


def _leaked_addresses_of_swarm(
    sides: Sides, pool: Answer, swarm: SwarmUse, networks: list[UsedSubnet]
) -> Iterator[Difference]:
    used = addresses_of(networks)
    for network in networks:
        used |= swarm.users.get(network.network_id, {})
        used |= dict.fromkeys(swarm.former.get(network.network_id, ()), "a former task")
    found = list(_leaked_addresses(sides, pool, used))
    others = swarm.nodes - 1
    settled = [each for each in found if sides.is_settled(each)]
    yield from (each for each in found if each not in settled)
    if len(settled) <= others:
        # The load balancers of other nodes, which Docker shows there alone.
        return
    for each in settled:
        doubt = f"; {others} of these may be load balancers on other nodes"
        yield replace(each, sure=False, why=each.why + doubt) if others else each


def _leaked_pool(sides: Sides, pool: Answer, doubt: str) -> Difference:
    leases = sides.leases_through(pool["id"])
    return Difference(
        "leaked pool",
        pool["id"],
        "",
        not doubt,
        doubt or "no network of Docker has the subnet",
        created=pool["created"],
        claims=tuple(dict(claim) for claim in pool["claims"]),
        fingerprint=fingerprint_of((x["address"], x["epoch"], x["granted"]) for x in leases),
    )


def _leaked_addresses(sides: Sides, pool: Answer, used: Mapping[str, str]) -> Iterator[Difference]:
    for lease in sides.leases_through(pool["id"]):
        # A gateway ends with its pool.
        if lease["kind"] != "gateway" and lease["address"] not in used:
            yield Difference(
                "leaked address",
                lease["pool"],
                lease["address"],
                True,
                "no endpoint of Docker has it",
                lease["driver"],
                lease["epoch"],
                lease["granted"],
            )


def _doubt_about(sides: Sides, subnet: Network, networks: Iterable[UsedSubnet]) -> str:
    """Why a pool on the subnet may be in use all the same; empty if nothing says so."""
    for used in networks:
        if used.driver not in sides.drivers:
            return f"network {used.network} of IPAM driver {used.driver} overlaps it"
        if not used.is_here:
            return f"network {used.network} of the swarm has no endpoint on this node"
        if used.subnet == subnet and used.pool_id("local") in sides.pools:
            # Networks that share a subnet have an ip-range each, and this one's pool is held.
            continue
        return f"network {used.network} is on {used.subnet}, through another pool"
    for used in sides.use.subnets:
        is_length_alone = not int(used.subnet.network_address)
        size = (used.subnet.version, used.subnet.prefixlen)
        if is_length_alone and size == (subnet.version, subnet.prefixlen):
            return f"network {used.network} shows only the length of its subnet"
    for name, driver in sides.use.unclear.items():
        if driver in sides.drivers:
            return f"network {name} does not show its subnet"
    return ""
