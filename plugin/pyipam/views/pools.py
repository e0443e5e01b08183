"""Pools, as the views show them: of this node, of the global space, and of other nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.plan.scope import Scope
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block
from pyipam.store.pool_id import is_on_other_node, parse_stored_pool_id, split_node, subnet_id_of
from pyipam.store.records import PoolRecord
from pyipam.views.order import Key, Page, Part, Pause, Subnets, key_of_pool


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool. Times are UNIX times in seconds.

    `scope` is the one that it was drawn from, empty if none. `leases` counts the addresses of its
    subnet that are in use or rest. `references` says how many networks hold it; `claimed` whether
    Docker has named it since it started last. `node` is empty where nodes share no plan, and for
    the global space.
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
    claimed: bool
    resting: bool
    leases: int
    created: float
    released: float | None
    node: str


@dataclass(frozen=True, slots=True)
class PoolFilter:
    """Which pools are wanted; None and "" leave a question open.

    `overlapping` and `inside` are blocks; `tag` is one of the scope in force that the pool lies in.
    """

    overlapping: Block | None = None
    inside: Block | None = None
    tag: str | None = None
    id: str | None = None
    label: str | None = None
    space: str | None = None
    node: str | None = None
    unclaimed: bool | None = None
    resting: bool | None = None

    def may_have(self, key: Key) -> bool:
        """Whether pools of that subnet may be wanted, as far as its addresses say."""
        if self.id is not None and subnet_id_of(self.id) != key[3]:
            return False
        if self.overlapping is None and self.inside is None:
            return True
        block = Block(*key[:3])
        return (self.overlapping is None or block.overlaps(self.overlapping)) and (
            self.inside is None or block.is_inside(self.inside)
        )

    def has(self, pool: PoolView, scope: Scope | None) -> bool:
        """Whether the pool, which lies in this scope, is wanted."""
        return (
            self.id in (None, pool.id)
            and self.label in (None, pool.label)
            and self.space in (None, pool.space)
            and self.node in (None, pool.node)
            and self.resting in (None, pool.resting)
            and self.unclaimed in (None, not pool.claimed and not pool.resting)
            and (self.tag is None or (scope is not None and self.tag in scope.tags))
        )


def list_pools(
    ipam: Ipam, subnets: Subnets, wanted: PoolFilter, part: Part, node: str, pause: Pause
) -> Page[PoolView]:
    """A part of the pools that are wanted, by address. `node` is the name of this node where a
    plan is shared, else empty. Raises InvalidRequest."""
    found: list[PoolView] = []
    first = key_of_pool(part.after) if part.after else None
    for keys in subnets.beginning_with(first, pause):
        with ipam.reading() as state:
            for key in filter(wanted.may_have, keys):
                scope = state.placement.tree.containing(Block(*key[:3])) if wanted.tag else None
                for pool in sorted(pools_of(state, key[3])):
                    if key == first and pool.id <= part.after:
                        continue
                    view = view_of_pool(state, pool, node)
                    if wanted.has(view, scope):
                        found.append(view)
        if len(found) > part.limit:
            return Page(tuple(found[: part.limit]), found[part.limit - 1].id)
    return Page(tuple(found))


def pools_of(state: State, subnet_id: str) -> Iterable[PoolRecord]:
    """The pools of a subnet of any node."""
    if is_on_other_node(subnet_id):
        return state.elsewhere.pools_of(subnet_id)
    subnet = state.holdings.subnets.get(subnet_id)
    return () if subnet is None else subnet.pools.values()


def is_claimed(state: State, pool: PoolRecord) -> bool:
    """Whether some driver name has claimed the pool in its present epoch. Of other nodes nothing
    else is known than that they hold it."""
    if is_on_other_node(pool.id):
        return bool(pool.claims)
    space = state.holdings.subnet_of(pool).space
    return any(claim.epoch >= state.holdings.epoch(claim.driver, space) for claim in pool.claims)


def view_of_pool(state: State, pool: PoolRecord, node: str) -> PoolView:
    """A pool of the state. Needs the lock."""
    parsed = parse_stored_pool_id(pool.id)
    if parsed.node:
        leases = len(state.elsewhere.leases_of(pool.id))
    else:
        leases = state.holdings.subnet_of(pool).leased
    return PoolView(
        id=pool.id,
        space=parsed.space,
        subnet=str(parsed.subnet),
        ip_range=None if parsed.ip_range is None else str(parsed.ip_range),
        scope=pool.scope,
        label=pool.label,
        tags=pool.tags,
        drivers=tuple(split_node(claim.driver)[0] for claim in pool.claims),
        references=sum(claim.references for claim in pool.claims),
        claimed=is_claimed(state, pool),
        resting=pool.released is not None,
        leases=leases,
        created=pool.created,
        released=pool.released,
        node=parsed.node or (node if parsed.space == "local" else ""),
    )
