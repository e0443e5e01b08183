"""What the plugin holds and Docker uses, and what counts as leaked all the same.

Its engine has not named it since it started, or the plugin does not know that it has: after an
import, a restore, or a start of the engine while the plugin was away. It could be given out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyipam.cli.client import Answer
from pyipam.cli.differences import Difference, HeldAddress, Sides
from pyipam.cli.docker_use import UsedSubnet, used_addresses
from pyipam.store.pool_id import subnet_id_of

_WHY = "its engine has not named it since it started, so it may be given out again"


def unclaimed(sides: Sides) -> Iterator[Difference]:
    """The pools and addresses that are in use and unclaimed, also those that cannot be judged
    yet."""
    for (pool_id, driver), networks in sides.own_networks.items():
        pool = sides.pools.get(pool_id)
        if pool is None:
            continue
        doubt = _why_unclaimed(pool, driver)
        if doubt:
            yield _unclaimed_pool(sides, pool, driver, networks, doubt)
        else:
            yield from _unclaimed_addresses(sides, pool_id, driver, networks)
    if sides.use.swarm is not None and sides.use.swarm.leads:
        yield from _unclaimed_of_swarm(sides)


def _why_unclaimed(pool: Answer, driver: str) -> str:
    """Why a pool does not count as that of networks of a driver name; empty if it does."""
    holders = [claim["driver"] for claim in pool["claims"]]
    if driver not in holders:
        return f"it is held for driver name {', '.join(holders)} and not for theirs, {driver}"
    return "" if pool["claimed"] else _WHY


def _unclaimed_pool(
    sides: Sides, pool: Answer, driver: str, networks: Sequence[UsedSubnet], why: str
) -> Difference:
    leases = _held(sides, pool["id"], networks)
    in_use = {lease.address for lease in leases}
    others = [x for x in sides.leases_through(pool["id"]) if x["address"] not in in_use]
    return Difference(
        "unclaimed pool",
        pool["id"],
        "",
        True,
        f"network {', '.join(used.network for used in networks)} has the subnet; {why}",
        driver,
        # A container that is being made may have one of those that Docker does not show.
        granted=max((lease["granted"] for lease in others), default=0.0),
        created=pool["created"],
        claims=tuple(dict(claim) for claim in pool["claims"]),
        networks=len(networks),
        leases=tuple(leases),
    )


def _unclaimed_addresses(
    sides: Sides, pool_id: str, driver: str, networks: Sequence[UsedSubnet]
) -> Iterator[Difference]:
    users = {each.address: each.user for each in used_addresses(networks)}
    leases = sides.leases.get(subnet_id_of(pool_id), {})
    for held in _held(sides, pool_id, networks):
        if not leases[held.address]["claimed"]:
            yield Difference(
                "unclaimed address",
                pool_id,
                held.address,
                True,
                f"{users.get(held.address, 'a gateway')} has it; {_WHY}",
                driver,
                held.epoch,
                held.granted,
                leases=(held,),
            )


def _held(sides: Sides, pool_id: str, networks: Sequence[UsedSubnet]) -> list[HeldAddress]:
    """The leases in force that networks of a pool use. Their gateway is one even if Docker does not
    show it, and pools of a subnet share theirs."""
    used = {each.address: each.networks for each in used_addresses(networks)}
    leases = sides.leases.get(subnet_id_of(pool_id), {}).values()
    return [
        HeldAddress(
            lease["pool"],
            lease["address"],
            lease["kind"],
            lease["epoch"],
            lease["granted"],
            used.get(lease["address"], 0),
        )
        for lease in leases
        if _is_held_for(lease, pool_id, lease["address"] in used)
    ]


def _is_held_for(lease: Answer, pool_id: str, is_used: bool) -> bool:
    if lease["pool"] == pool_id:
        return is_used or lease["kind"] == "gateway"
    return is_used and lease["kind"] == "gateway"


def _unclaimed_of_swarm(sides: Sides) -> Iterator[Difference]:
    """The pools of the swarm that its leader's plugin holds unclaimed: see `missing`."""
    for used in sides.use.subnets:
        pool = sides.pools.get(used.pool_id("global"))
        is_mine = used.scope == "swarm" and used.driver in sides.drivers
        if is_mine and pool is not None and not pool["claimed"]:
            yield Difference(
                "unclaimed pool",
                pool["id"],
                "",
                False,
                f"network {used.network} of the swarm has the subnet: restart dockerd, which tells "
                "the plugin about it and all its addresses",
                sides.drivers[used.driver],
                created=pool["created"],
                claims=tuple(dict(claim) for claim in pool["claims"]),
                networks=1,
            )
