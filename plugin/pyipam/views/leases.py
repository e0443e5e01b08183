"""Leases, as the views show them: of this node, of the global space, and of other nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.errors import InvalidRequest
from pyipam.space.address import parse_address
from pyipam.space.block import Block
from pyipam.store.pool_id import (
    is_local,
    make_lease_id,
    parse_lease_id,
    space_of,
    split_node,
    subnet_id_of,
)
from pyipam.store.records import LeaseKind, LeaseRecord
from pyipam.views.numbers import in_order, leases_in, numbers_of, released, unclaimed_among
from pyipam.views.order import Key, Page, Part, Pause, Subnets, in_parts, key_of_pool, no_such_page
from pyipam.views.pools import PoolFilter, no_such_pool, pools_of


@dataclass(frozen=True, slots=True)
class LeaseView:
    """An address that is given out, or that rests or is held back. Times are UNIX times in seconds.

    `epoch` is the one in which it was last claimed. `claimed` says whether Docker has named it
    since it last started, `resting` whether it was released, and `held_back` whether it is then
    kept for whoever asks for it by name. `networks` and `containers` are the names that Docker had
    for them at `named_at`, where `pyipam record` runs; else there are none.
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
    networks: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    named_at: float | None = None


@dataclass(frozen=True, slots=True)
class LeaseFilter:
    """Which leases are wanted; None leaves a question open. `pools` says in which pools; of those,
    its questions about space and node count, and its id; and of its `overlapping`, that the address
    lies there."""

    pools: PoolFilter
    address: str | None = None
    kind: str | None = None
    unclaimed: bool | None = None
    resting: bool | None = None

    def has_record(self, lease: LeaseRecord) -> bool:
        """Whether a lease may be wanted, as far as its record says."""
        return (
            self.pools.id in (None, lease.pool)
            and self.address in (None, lease.address)
            and self.kind in (None, lease.kind)
            and self.resting in (None, lease.released is not None)
        )

    def has(self, lease: LeaseView, subnet_id: str) -> bool:
        """Whether a lease of the subnet, whose record is wanted, is wanted."""
        return (
            self.pools.space in (None, split_node(space_of(subnet_id))[0])
            and self.pools.node in (None, lease.node)
            and self.unclaimed in (None, not lease.claimed and not lease.resting)
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
    for keys in subnets.touching(wanted.pools.within, pause, first):
        with ipam.reading() as state:
            likely = [key for key in keys if _may_have(state, key, wanted)]
        for key in likely:
            pause()
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


def _leases_of(
    ipam: Ipam, key: Key, above: int, wanted: LeaseFilter, node: str, pause: Pause
) -> Iterator[LeaseView]:
    """The wanted leases of a subnet whose addresses are above this number, by address."""
    subnet_id = key[3]
    numbers = _numbers(ipam, key, wanted, pause)
    in_turn = (number for number in in_order(numbers, pause) if number > above)
    for some in in_parts(in_turn):
        with ipam.reading() as state:
            leases = leases_in(state, subnet_id)
            views = [
                view_of_lease(state, leases[number], node)
                for number in some
                if number in leases and wanted.has_record(leases[number])
            ]
        yield from (view for view in views if wanted.has(view, subnet_id))
        pause()


def _check_known(ipam: Ipam, pool_id: str) -> None:
    with ipam.reading() as state:
        if all(pool.id != pool_id for pool in pools_of(state, subnet_id_of(pool_id))):
            raise no_such_pool(pool_id)


def _may_have(state: State, key: Key, wanted: LeaseFilter) -> bool:
    """Whether leases of the subnet may be wanted, as far as can be said without looking at them."""
    if not wanted.pools.may_have(key):
        return False
    subnet = state.holdings.subnets.get(key[3])
    if subnet is None:
        return not wanted.unclaimed
    return (not wanted.unclaimed or subnet.unclaimed > 0) and (
        not wanted.resting or bool(subnet.resting or subnet.held_back)
    )


def _numbers(ipam: Ipam, key: Key, wanted: LeaseFilter, pause: Pause) -> list[int]:
    """The addresses of a subnet whose leases may be wanted, in any order."""
    subnet_id, within = key[3], Block(*key[:3])
    if wanted.address is not None:
        address = parse_address(wanted.address)
        if not within.contains(address):
            return []
        within = Block(address.version, address.number, within.width)
    elif wanted.pools.overlapping is not None:
        within = max(within, wanted.pools.overlapping, key=lambda block: block.length)
    numbers = numbers_of(ipam, subnet_id, within, released if wanted.resting else leases_in, pause)
    return unclaimed_among(ipam, subnet_id, numbers, pause) if wanted.unclaimed else numbers


def _read_cursor(after: str) -> tuple[Key, int]:
    subnet_id, address = parse_lease_id(after)
    try:
        return key_of_pool(subnet_id), parse_address(address).number
    except (InvalidRequest, ValueError):
        raise no_such_page(after) from None
