"""Both sides compared, in both directions: what `reconcile` reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from pyipam.cli.client import Answer, Client
from pyipam.cli.differences import Difference, Sides
from pyipam.cli.docker_use import DockerUse, read_use
from pyipam.cli.engine import Engine, Plugin
from pyipam.cli.leaked import leaked
from pyipam.cli.missing import missing
from pyipam.cli.refusal import CommandRefused
from pyipam.cli.spec_files import alias_names
from pyipam.cli.unclaimed import unclaimed
from pyipam.driver_names import MAIN_DRIVER
from pyipam.store.pool_id import subnet_of


@dataclass(frozen=True)
class Comparison:
    """Both directions. `unsettled` counts what was given out too short ago to be judged, `latest`
    is the UNIX time at which the last of it was: one to come, if the clock was set back since."""

    differences: tuple[Difference, ...]
    unsettled: int
    latest: float


def compare(client: Client, engine: Engine, plugin: Plugin, seconds_to_settle: float) -> Comparison:
    """Both sides as they are now. Raises CommandRefused or EngineAway."""
    return _compare_around(lambda: _read_held(client), engine, plugin, seconds_to_settle)


def compare_at(
    address: str, client: Client, engine: Engine, plugin: Plugin, seconds_to_settle: float
) -> list[Difference]:
    """The same for one address alone: the differences that concern it. Raises CommandRefused or
    EngineAway."""

    def read() -> _Held:
        return _read_held(client, address=address)

    found = _compare_around(read, engine, plugin, seconds_to_settle).differences
    # Of the pools of other addresses nothing was read.
    return [
        each
        for each in found
        if each.address == address
        or (not each.address and ip_address(address) in ip_network(subnet_of(each.pool)))
    ]


def _compare_around(
    read_held: Callable[[], _Held], engine: Engine, plugin: Plugin, seconds_to_settle: float
) -> Comparison:
    """The plugin is asked before Docker and after it: what comes or goes meanwhile is no
    difference."""
    settled = time.time() - seconds_to_settle
    before = read_held()
    use = read_use(engine)
    first = _compare(_sides(before, use, plugin, settled))
    if not first.differences:
        return first
    second = _compare(_sides(read_held(), use, plugin, settled))
    seen = {difference.seen for difference in first.differences}
    lasting = tuple(each for each in second.differences if each.seen in seen)
    return replace(second, differences=lasting)


class _Held(NamedTuple):
    """What the plugin holds on this node and for the swarm, and whether several nodes share the
    plan."""

    pools: Sequence[Answer]
    leases: Sequence[Answer]
    shared: bool


def _read_held(client: Client, **asked: str) -> _Held:
    status = client.get("status")
    if status["failure"] is not None:
        raise CommandRefused(f"the plugin does not serve its plan: {status['failure']}")
    pools = list(client.items("pools", resting="false", **asked))
    leases = list(client.items("leases", resting="false", **asked))
    return _Held(pools, leases, status["store"] != "tinydb")


def _sides(held: _Held, use: DockerUse, plugin: Plugin, settled: float) -> Sides:
    drivers = _drivers_of(plugin, held.pools)
    return Sides(held.pools, held.leases, use, drivers, shared=held.shared, settled=settled)


def _drivers_of(plugin: Plugin, pools: Sequence[Answer]) -> dict[str, str]:
    """The plugin's own driver names by those that networks of Docker show. A short name that is no
    longer set still has its networks."""
    dropped = (claim["driver"] for pool in pools for claim in pool["claims"])
    names = [*alias_names(plugin.aliases), *(x for x in dropped if x != MAIN_DRIVER)]
    return {plugin.short_name: MAIN_DRIVER, **{x: x for x in names}, plugin.name: MAIN_DRIVER}


def _compare(sides: Sides) -> Comparison:
    found = [*leaked(sides), *unclaimed(sides)]
    judged = [each for each in found if sides.is_settled(each)]
    differences = sorted([*judged, *missing(sides)], key=_order)
    latest = max((each.given_out for each in found if not sides.is_settled(each)), default=0.0)
    return Comparison(tuple(differences), len(found) - len(judged), latest)


def _order(difference: Difference) -> tuple[object, ...]:
    subnet = ip_network(subnet_of(difference.pool))
    address = int(ip_address(difference.address)) if difference.address else -1
    return subnet.version, int(subnet.network_address), difference.pool, address, difference.kind
