"""Leases, as the views show them: of this node, of the global space, and of other nodes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.errors import InvalidRequest
from pyipam.space.address import parse_address, to_number
from pyipam.store.pool_id import (
    is_local,
    is_on_other_node,
    make_lease_id,
    parse_lease_id,
    space_of,
    split_node,
    subnet_id_of,
)
from pyipam.store.records import LeaseKind, LeaseRecord
from pyipam.views.order import Key, Page, Part, Pause, Subnets, in_parts, key_of_pool, no_such_page
from pyipam.views.pools import PoolFilter, no_such_pool, pools_of

_NUMBERS_AT_A_TIME = 5000
_LEASES_AT_A_TIME = 100


@dataclass(frozen=True, slots=True)
class LeaseView:
    """An address that is given out, or that rests or is held back. Times are UNIX times in seconds.

    `epoch` is the one in which it was last claimed. `claimed` says whether Docker has named it
    since it started last, `resting` whether it was released, and `held_back` whether it is then
    kept for whoever asks for it by name.
    """

    pool: str
    address: str
    kind: LeaseKind
    driver: str
    epoch: int
    claimed: bool
    resting: bool
    held_back: bool
    granted: float
    released: float | None
    node: str


@dataclass(frozen=True, slots=True)
class LeaseFilter:
    """Which leases are wanted; None leaves a question open. `pools` says in which pools; of those,
    its questions about address, space and node count, and its id."""

    pools: PoolFilter
    address: str | None = None
    kind: str | None = None
    unclaimed: bool | None = None
    resting: bool | None = None

    def has(self, lease: LeaseView, subnet_id: str) -> bool:
        """Whether a lease of the subnet is wanted."""
        return (
            self.pools.id in (None, lease.pool)
            and self.pools.space in (None, split_node(space_of(subnet_id))[0])
            and self.pools.node in (None, lease.node)
            and self.address in (None, lease.address)
            and self.kind in (None, lease.kind)
            and self.resting in (None, lease.resting)
            and self.unclaimed in (None, not lease.claimed)
        )


def list_leases(
    ipam: Ipam, subnets: Subnets, wanted: LeaseFilter, part: Part, node: str, pause: Pause
) -> Page[LeaseView]:
    """A part of the leases that are wanted, by address. `node` is the name of this node where a
    plan is shared, else empty. Raises InvalidRequest, or NotHeld for a pool that there is not."""
    if wanted.pools.id is not None:
        _check_known(ipam, wanted.pools.id)
    found: list[LeaseView] = []
    first, above = _read_cursor(part.after) if part.after else (None, -1)
    for keys in subnets.beginning_with(first, pause):
        with ipam.reading() as state:
            likely = [key for key in keys if _may_have(state, key, wanted)]
        for key in likely:
            lowest = above if key == first else -1
            for lease in _leases_of(ipam, key, lowest, wanted, node, pause):
                if len(found) == part.limit:
                    last = found[-1]
                    return Page(tuple(found), make_lease_id(subnet_id_of(last.pool), last.address))
                found.append(lease)
    return Page(tuple(found))


def view_of_lease(state: State, lease: LeaseRecord, node: str) -> LeaseView:
    """A lease of the state. Needs the lock."""
    owner = split_node(space_of(lease.pool))[1]
    driver, _ = split_node(lease.driver)
    subnet = state.holdings.subnets.get(subnet_id_of(lease.pool))
    return LeaseView(
        pool=lease.pool,
        address=lease.address,
        kind=lease.kind,
        driver=driver,
        epoch=lease.epoch,
        claimed=subnet is None or not subnet.is_unclaimed(lease),
        resting=lease.released is not None,
        held_back=lease.is_held_back,
        granted=lease.granted,
        released=lease.released,
        node=owner or (node if is_local(lease.pool) else ""),
    )


def leases_in(state: State, subnet_id: str) -> Mapping[int, LeaseRecord]:
    """The leases of a subnet of any node, by address as an integer. Needs the lock."""
    if not is_on_other_node(subnet_id):
        subnet = state.holdings.subnets.get(subnet_id)
        return {} if subnet is None else subnet.leases
    return {
        to_number(lease.address): lease
        for pool in pools_of(state, subnet_id)
        for lease in state.elsewhere.leases_of(pool.id)
    }


def lowest_numbers(numbers: list[int], above: int, most: int, pause: Pause) -> list[int]:
    """The lowest of the numbers that are above another one, in order."""
    lowest: list[int] = []
    for some in in_parts(numbers, _NUMBERS_AT_A_TIME):
        lowest = heapq.nsmallest(most, chain(lowest, (n for n in some if n > above)))
        pause()
    return lowest


def _leases_of(
    ipam: Ipam, key: Key, above: int, wanted: LeaseFilter, node: str, pause: Pause
) -> Iterator[LeaseView]:
    """The wanted leases of a subnet whose addresses are above this number, by address."""
    subnet_id = key[3]
    with ipam.reading() as state:
        numbers = _numbers(state, subnet_id, wanted.address)
    while some := lowest_numbers(numbers, above, _LEASES_AT_A_TIME, pause):
        with ipam.reading() as state:
            leases = leases_in(state, subnet_id)
            views = [view_of_lease(state, leases[n], node) for n in some if n in leases]
        yield from (view for view in views if wanted.has(view, subnet_id))
        above = some[-1]


def _check_known(ipam: Ipam, pool_id: str) -> None:
    with ipam.reading() as state:
        if all(pool.id != pool_id for pool in pools_of(state, subnet_id_of(pool_id))):
            raise no_such_pool(pool_id)


def _may_have(state: State, key: Key, wanted: LeaseFilter) -> bool:
    """Whether leases of the subnet may be wanted, as far as can be said without looking at them."""
    if not wanted.pools.may_have(key):
        return False
    if not wanted.unclaimed:
        return True
    subnet = state.holdings.subnets.get(key[3])
    return subnet is not None and subnet.unclaimed > 0


def _numbers(state: State, subnet_id: str, address: str | None) -> list[int]:
    leases = leases_in(state, subnet_id)
    if address is None:
        return list(leases)
    number = to_number(address)
    return [number] if number in leases else []


def _read_cursor(after: str) -> tuple[Key, int]:
    subnet_id, address = parse_lease_id(after)
    try:
        return key_of_pool(subnet_id), parse_address(address).number
    except (InvalidRequest, ValueError):
        raise no_such_page(after) from None
