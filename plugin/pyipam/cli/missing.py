"""What networks of the plugin use and the plugin does not hold, as after a new installation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyipam.cli.differences import Difference, Sides
from pyipam.cli.docker_use import UsedSubnet, used_addresses
from pyipam.store.pool_id import subnet_id_of


def missing(sides: Sides) -> Iterator[Difference]:
    """The pools and addresses that are missing."""
    for (pool_id, driver), networks in sides.own_networks.items():
        yield from _missing_in(sides, pool_id, driver, networks)
    if sides.use.swarm is not None and sides.use.swarm.leads:
        yield from _missing_of_swarm(sides)


def _missing_of_swarm(sides: Sides) -> Iterator[Difference]:
    """The pools of the swarm that its leader's plugin does not hold. Only the leader knows all
    addresses in them, and tells them when it starts to lead."""
    for used in sides.use.subnets:
        pool_id = used.pool_id("global")
        is_mine = used.scope == "swarm" and used.driver in sides.drivers
        if is_mine and pool_id not in sides.pools:
            yield Difference(
                "missing pool",
                pool_id,
                "",
                False,
                f"network {used.network} of the swarm has the subnet: restart dockerd, which tells "
                "the plugin about it and all its addresses",
                sides.drivers[used.driver],
                networks=1,
                options=used.options,
            )


def _missing_in(
    sides: Sides, pool_id: str, driver: str, networks: Sequence[UsedSubnet]
) -> Iterator[Difference]:
    leases = sides.leases.get(subnet_id_of(pool_id), {})
    addresses = [each for each in used_addresses(networks) if each.address not in leases]
    if pool_id in sides.pools:
        for each in addresses:
            yield Difference(
                "missing address",
                pool_id,
                each.address,
                True,
                f"{each.user} has it",
                driver,
                addresses=(each,),
            )
        return
    names = ", ".join(used.network for used in networks)
    yield Difference(
        "missing pool",
        pool_id,
        "",
        True,
        f"network {names} has the subnet",
        driver,
        networks=len(networks),
        options=networks[0].options,
        addresses=tuple(addresses),
    )
