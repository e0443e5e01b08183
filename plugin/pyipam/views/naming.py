"""The names that Docker had for pools and leases, joined with them: where `pyipam record` runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyipam.history.names import Name, read_names
from pyipam.space.address import parse_address
from pyipam.space.block import Block
from pyipam.store.pool_id import is_on_other_node, subnet_of
from pyipam.views.leases import LeaseView
from pyipam.views.order import Pause, in_parts
from pyipam.views.pools import PoolView

# About a tenth of a millisecond.
_VIEWS_AT_A_TIME = 10
# Of one subnet, or of one address. More would help nobody, and anybody may have written the file.
_MOST_NAMES = 16
_Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The names of networks by subnet, and of containers by subnet and address, as they were at
    `time`, a UNIX time in seconds; and `names`, all of them as they are in the file."""

    time: float = 0.0
    names: tuple[tuple[Block, Name], ...] = ()
    networks: _Names = field(default_factory=dict)
    containers: _Names = field(default_factory=dict)

    def are_of(self, pool_id: str, since: float) -> bool:
        """Whether they can be those of what has been held since then, a UNIX time: what was given
        out later, or is held on another node, is called otherwise."""
        return since <= self.time and not is_on_other_node(pool_id)


class LatestNames:
    """The names in a file, read again when it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._latest = KnownNames()

    def latest(self, pause: Pause) -> KnownNames:
        """The names that there are now; none where there is no file."""
        try:
            seen = os.lstat(self._path)
        except OSError:
            return KnownNames()
        version = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
        if version != self._version:
            self._latest = _read(self._path, pause)
            self._version = version
        return self._latest


def with_networks(
    pools: Iterable[PoolView], known: KnownNames, pause: Pause
) -> tuple[PoolView, ...]:
    """The pools, with the names of their networks."""
    if not known.networks:
        return tuple(pools)
    found: list[PoolView] = []
    for some in in_parts(pools, _VIEWS_AT_A_TIME):
        found += (_with_networks(pool, known) for pool in some)
        pause()
    return tuple(found)


def with_containers(
    leases: Iterable[LeaseView], known: KnownNames, pause: Pause
) -> tuple[LeaseView, ...]:
    """The leases, with the names of their networks and containers."""
    if not known.networks:
        return tuple(leases)
    found: list[LeaseView] = []
    for some in in_parts(leases, _VIEWS_AT_A_TIME):
        found += (_with_container(lease, known) for lease in some)
        pause()
    return tuple(found)


def _with_networks(pool: PoolView, known: KnownNames) -> PoolView:
    networks = known.networks.get(pool.subnet)
    if networks is None or not known.are_of(pool.id, pool.created):
        return pool
    return replace(pool, networks=networks, named_at=known.time)


def _with_container(lease: LeaseView, known: KnownNames) -> LeaseView:
    subnet = subnet_of(lease.pool)
    networks = known.networks.get(subnet)
    if networks is None or not known.are_of(lease.pool, lease.granted):
        return lease
    containers = known.containers.get(f"{subnet} {lease.address}", ())
    return replace(lease, networks=networks, containers=containers, named_at=known.time)


def _read(path: Path, pause: Pause) -> KnownNames:
    names = read_names(path, pause)
    if names is None:
        return KnownNames()
    networks: dict[str, tuple[str, ...]] = {}
    containers: dict[str, tuple[str, ...]] = {}
    for some in in_parts(names.names):
        for block, name in some:
            subnet = str(block)
            networks[subnet] = _with(networks.get(subnet, ()), name.network)
            if name.address:
                key = f"{subnet} {parse_address(name.address)}"
                containers[key] = _with(containers.get(key, ()), name.container)
        pause()
    return KnownNames(names.time, names.names, networks, containers)


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names or len(names) == _MOST_NAMES else (*names, name)
