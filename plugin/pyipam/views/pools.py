"""Pools, as the views show them: of this node, of the global space, and of other nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pyipam.core.aggregates import cidr_of
from pyipam.core.claims import references_of
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.errors import NotHeld
from pyipam.plan.scope import Scope
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block
from pyipam.store.pool_id import (
    ip_range_of,
    is_local,
    is_on_other_node,
    space_of,
    split_node,
    subnet_id_of,
    subnet_of,
)
from pyipam.store.records import PoolRecord
from pyipam.views.order import Key, Page, Part, Pause, Subnets, in_parts, key_of_pool
from pyipam.views.strays import is_known_stray

# About a twentieth of a millisecond.
_VIEWS_AT_A_TIME = 10


@dataclass(frozen=True, slots=True)
class ClaimView:
    """How many networks of a driver name hold a pool, and the epoch in which it last claimed it.
    The driver name of another node is NAME@NODE."""

    driver: str
    epoch: int
    references: int


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool. Times are UNIX times in seconds.

    `scope` is the one that it was drawn from, empty if none. `leases` counts the addresses of its
    subnet that are in use or rest. `references` says how many networks hold it, and `claims` under
    which driver names; `claimed` whether Docker has named it since it last started, as far as
    anybody can tell. `node` is empty where nodes share no plan, and for the global space.
    `networks` are the names that Docker had for the networks on its subnet at `named_at`, where
    `pyipam record` runs; else there are none. `aggregate` is the one of this node that the pool
    lies in. A `stray` lies in none though nodes claim the blocks of its scope.
    """

    id: str
    space: AddressSpace
    subnet: str
    ip_range: str | None
    scope: str
    label: str
    tags: str
    drivers: tuple[str, ...]
    references: int
    claims: tuple[ClaimView, ...]
    claimed: bool
    resting: bool
    leases: int
    created: float
    released: float | None
    node: str
    networks: tuple[str, ...] = ()
    named_at: float | None = None
    aggregate: str | None = None
    stray: bool = False


@dataclass(frozen=True, slots=True)
class PoolFilter:
    """Which pools are wanted; None leaves a question open.

    `overlapping` and `inside` are blocks; `tag` is one of the scope in force that the pool lies in;
    `containing` is a part of its label, in lower case.
    Pools of other nodes are wanted only `everywhere`, or if `node` or `id` names one.
    """

    overlapping: Block | None = None
    inside: Block | None = None
    tag: str | None = None
    id: str | None = None
    label: str | None = None
    containing: str | None = None
    space: str | None = None
    node: str | None = None
    unclaimed: bool | None = None
    resting: bool | None = None
    everywhere: bool = False

    @property
    def within(self) -> Block | None:
        """The block that everything wanted overlaps, or None."""
        return self.overlapping or self.inside

    def may_have(self, key: Key) -> bool:
        """Whether pools of that subnet may be wanted, as far as its id and its addresses say."""
        if self.id is not None and subnet_id_of(self.id) != key[3]:
            return False
        is_asked_for = self.everywhere or (self.node, self.id) != (None, None)
        if not is_asked_for and is_on_other_node(key[3]):
            return False
        if self.overlapping is None and self.inside is None:
            return True
        block = Block(*key[:3])
        return (self.overlapping is None or block.overlaps(self.overlapping)) and (
            self.inside is None or block.is_inside(self.inside)
        )

    def has_record(self, pool: PoolRecord) -> bool:
        """Whether the pool may be wanted, as far as its record says."""
        return (
            self.id in (None, pool.id)
            and self.label in (None, pool.label)
            and (self.containing is None or self.containing in pool.label.lower())
            and self.resting in (None, pool.released is not None)
        )

    def has(self, pool: PoolView, scope: Scope | None) -> bool:
        """Whether a pool, whose record is wanted and which lies in this scope, is wanted."""
        return (
            self.space in (None, pool.space)
            and self.node in (None, pool.node)
            and self.unclaimed in (None, not pool.claimed and not pool.resting)
            and (self.tag is None or (scope is not None and self.tag in scope.tags))
        )


class _Seen(NamedTuple):
    """What the state says of a pool at one moment."""

    pool: PoolRecord
    leases: int
    claimed: bool
    scope: Scope | None
    aggregate: str | None
    stray: bool


def list_pools(
    ipam: Ipam, subnets: Subnets, wanted: PoolFilter, part: Part, node: str, pause: Pause
) -> Page[PoolView]:
    """A part of the pools that are wanted, by address. `node` is the name of this node where a
    plan is shared, else empty. Raises InvalidRequest."""
    found: list[PoolView] = []
    first = key_of_pool(part.after) if part.after else None
    for keys in subnets.touching(wanted.within, pause, first):
        with ipam.reading() as state:
            seen = [
                _see(state, key, pool)
                for key in keys
                if wanted.may_have(key)
                for pool in sorted(pools_of(state, key[3]))
                if wanted.has_record(pool) and (key != first or pool.id > part.after)
            ]
        for some in in_parts(seen, _VIEWS_AT_A_TIME):
            for each in some:
                view = _view(each, node)
                if wanted.has(view, each.scope):
                    found.append(view)
            pause()
        if len(found) > part.limit:
            return Page(tuple(found[: part.limit]), found[part.limit - 1].id)
    return Page(tuple(found))


def pools_in_use(ipam: Ipam, pause: Pause) -> Iterator[tuple[str, Block]]:
    """The ids and subnets of the pools that this node and its swarm use, by address."""
    for keys in in_parts(Subnets(ipam).keys(pause)):
        with ipam.reading() as state:
            found = [
                (pool.id, Block(*key[:3]))
                for key in keys
                if not is_on_other_node(key[3])
                for pool in sorted(pools_of(state, key[3]))
                if pool.released is None
            ]
        yield from found
        pause()


def pools_of(state: State, subnet_id: str) -> Iterable[PoolRecord]:
    """The pools of a subnet of any node. Needs the lock."""
    if is_on_other_node(subnet_id):
        return state.elsewhere.pools_of(subnet_id)
    subnet = state.holdings.subnets.get(subnet_id)
    return () if subnet is None else subnet.pools.values()


def is_claimed(state: State, pool: PoolRecord) -> bool:
    """Whether a pool counts as claimed: of other nodes nothing else is known than that they hold
    theirs. Needs the lock."""
    return bool(pool.claims) if is_on_other_node(pool.id) else state.holdings.is_claimed(pool)


def is_unclaimed(state: State, pool: PoolRecord) -> bool:
    """Whether a pool is held, and not claimed. Needs the lock."""
    return pool.released is None and not is_claimed(state, pool)


def _see(state: State, key: Key, pool: PoolRecord) -> _Seen:
    subnet = state.holdings.subnets.get(key[3])
    leases = len(state.elsewhere.leases_of(pool.id)) if subnet is None else subnet.leased
    block = Block(*key[:3])
    scope = state.placement.tree.containing(block)
    own = state.aggregates.active_around(block) if is_local(pool.id) else None
    return _Seen(
        pool,
        leases,
        claimed=is_claimed(state, pool),
        scope=scope,
        aggregate=None if own is None else cidr_of(own),
        stray=is_known_stray(state, key[3], scope),
    )


def _view(seen: _Seen, node: str) -> PoolView:
    pool = seen.pool
    space, owner = split_node(space_of(pool.id))
    in_local_space = space == "local"
    return PoolView(
        id=pool.id,
        space="local" if in_local_space else "global",
        subnet=subnet_of(pool.id),
        ip_range=ip_range_of(pool.id),
        scope=pool.scope,
        label=pool.label,
        tags=pool.tags,
        drivers=tuple(split_node(claim.driver)[0] for claim in pool.claims),
        references=references_of(pool),
        claims=tuple(ClaimView(*claim) for claim in pool.claims),
        claimed=seen.claimed,
        resting=pool.released is not None,
        leases=seen.leases,
        created=pool.created,
        released=pool.released,
        node=owner or (node if in_local_space else ""),
        aggregate=seen.aggregate,
        stray=seen.stray,
    )


def no_such_pool(pool_id: str) -> NotHeld:
    """The refusal of a view of a pool that there is not."""
    return NotHeld(f"pool {pool_id!r} is not held by pyipam; /v1/pools lists those that are")
