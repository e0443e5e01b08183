"""What is unclaimed, what lies in which scope, and what an operator must act on: found by looking
at everything that is held, once after each change that may concern it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pyipam.core.aggregates import block_of_aggregate
from pyipam.core.ipam import Ipam
from pyipam.core.pool_calls import warning_about_size
from pyipam.core.state import State
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.space.block import Block
from pyipam.store.pool_id import is_local, is_on_other_node, parse_subnet_id
from pyipam.store.records import AggregateRecord, PoolRecord
from pyipam.views.order import Pause, Subnets, in_parts
from pyipam.views.pools import is_claimed, pools_of
from pyipam.views.strays import is_known_stray

# About a tenth of a millisecond.
_AGGREGATES_AT_A_TIME = 100


@dataclass(slots=True)
class ClaimedOfScope:
    """How many aggregates this node and `others` have in a scope and in none below it, and how many
    rest, whoever had them."""

    own: int = 0
    others: int = 0
    resting: int = 0

    def add(self, aggregate: AggregateRecord) -> None:
        """Count an aggregate."""
        if aggregate.released is not None:
            self.resting += 1
        elif is_local(aggregate.id):
            self.own += 1
        else:
            self.others += 1


@dataclass(frozen=True, slots=True)
class Census:
    """`by_scope` counts the pools of all nodes that lie in each scope in force; `left` those in
    use that were drawn from a scope that is no longer in force, by its network, unless they lie in
    another one that would give their subnets. The rest is about this node and the global space;
    `drivers` are the driver names that hold something. `strays` counts the pools in scopes that
    nodes claim blocks of, outside of this node's blocks, and `aggregates` says who has how many
    blocks of each such scope."""

    unclaimed_pools: int = 0
    unclaimed_leases: int = 0
    strays: int = 0
    warnings: tuple[str, ...] = ()
    by_scope: Mapping[Scope, int] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    drivers: frozenset[str] = frozenset()
    aggregates: Mapping[Scope, ClaimedOfScope] = field(default_factory=dict)


@dataclass(slots=True)
class _Tally:
    """A census that is being taken."""

    tree: ScopeTree
    unclaimed_pools: int = 0
    unclaimed_leases: int = 0
    strays: int = 0
    warnings: list[str] = field(default_factory=list)
    by_scope: Counter[Scope] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    drivers: set[str] = field(default_factory=set)
    # The pools in use in no aggregate of this node, of scopes whose blocks nodes do not claim.
    outside: Counter[Scope] = field(default_factory=Counter)

    def add(self, state: State, subnet_id: str, present: frozenset[str]) -> None:
        """Count the pools and leases of a subnet. Needs the lock."""
        pools = list(pools_of(state, subnet_id))
        scope = self.tree.containing(Block(*parse_subnet_id(subnet_id)[1]))
        if scope is not None:
            self.by_scope[scope] += len(pools)
        if is_on_other_node(subnet_id):
            return
        subnet = state.holdings.subnets.get(subnet_id)
        self.unclaimed_leases += 0 if subnet is None else subnet.unclaimed
        if is_known_stray(state, subnet_id, scope):
            self.strays += sum(bool(pool.claims) for pool in pools)
        if scope is not None and _is_outside(state, subnet_id, scope):
            self.outside[scope] += sum(bool(p.claims) and not p.follows_swarm for p in pools)
        for pool in pools:
            if not pool.claims:
                continue
            self.unclaimed_pools += not is_claimed(state, pool)
            self.drivers.update(claim.driver for claim in pool.claims)
            warning = warning_about_size(pool)
            if warning is not None:
                self.warnings.append(warning)
            if pool.scope and pool.scope not in present and _has_left_plan(pool, scope):
                self.left[pool.scope] += 1


def _has_left_plan(pool: PoolRecord, scope: Scope | None) -> bool:
    """Whether the scope that a pool lies in now would not give its subnet to its network: it lies
    in none, or in one that gives out nothing, or that the network's tags do not select."""
    if scope is None or not scope.can_be_drawn_from:
        return True
    tag_filter = parse_tag_filter(pool.tags)
    return tag_filter is not None and not tag_filter.matches(scope)


def _is_outside(state: State, subnet_id: str, scope: Scope) -> bool:
    """Whether a subnet of this node lies in a scope without `node_prefix` in which nodes still have
    claimed blocks, perhaps, and in none of this node. Needs the lock."""
    if not state.aggregates or scope.node_prefix is not None or not is_local(subnet_id):
        return False
    return state.aggregates.own_around(parse_subnet_id(subnet_id)[1]) is None


def _about_unannounced(
    outside: Mapping[Scope, int], claimed: Mapping[Scope, ClaimedOfScope]
) -> Iterator[str]:
    """A warning for each scope that has lost its `node_prefix`, as long as blocks that nodes have
    claimed there are announced, and pools beside them are not."""
    for scope, pools in sorted(outside.items(), key=lambda item: item[0].position):
        if pools and scope in claimed and claimed[scope].own + claimed[scope].others:
            lie = "1 pool lies" if pools == 1 else f"{pools} pools lie"
            yield (
                f"scope {scope} has no node_prefix any more, and {lie} in no block that this node "
                "has claimed of it: such networks are announced only with `pyipam routes --exact`, "
                "or when the key is back"
            )


class Censuses:
    """The latest census, which holds until a pool or a claim changes."""

    def __init__(self, ipam: Ipam, subnets: Subnets) -> None:
        self._ipam = ipam
        self._subnets = subnets
        self._version: tuple[int, int, int, ScopeTree] | None = None
        self._latest = Census()

    def latest(self, pause: Pause) -> Census:
        """How things stand now."""
        with self._ipam.reading() as state:
            tree = state.placement.tree
            version = (
                state.holdings.counts.claims_version,
                state.elsewhere.subnets_version,
                state.aggregates.version,
                tree,
            )
        if version != self._version:
            self._latest = self._take(tree, pause)
            self._version = version
        return self._latest

    def _take(self, tree: ScopeTree, pause: Pause) -> Census:
        tally = _Tally(tree)
        present = frozenset(str(scope) for scope in tree)
        for keys in in_parts(self._subnets.keys(pause)):
            with self._ipam.reading() as state:
                for key in keys:
                    tally.add(state, key[3], present)
            pause()
        claimed = self._claimed(tree, pause)
        return Census(
            tally.unclaimed_pools,
            tally.unclaimed_leases,
            tally.strays,
            (*tally.warnings, *_about_unannounced(tally.outside, claimed)),
            dict(tally.by_scope),
            dict(sorted(tally.left.items())),
            frozenset(tally.drivers),
            claimed,
        )

    def _claimed(self, tree: ScopeTree, pause: Pause) -> Mapping[Scope, ClaimedOfScope]:
        with self._ipam.reading() as state:
            known = list(state.aggregates)
        found: dict[Scope, ClaimedOfScope] = {}
        for some in in_parts(known, _AGGREGATES_AT_A_TIME):
            for aggregate in some:
                scope = tree.containing(block_of_aggregate(aggregate))
                if scope is not None:
                    found.setdefault(scope, ClaimedOfScope()).add(aggregate)
            pause()
        return found
