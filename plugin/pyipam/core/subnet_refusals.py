"""Why an explicit subnet cannot be claimed, or is in the aggregate of another node, and what works.

Only a request that is about to be refused pays for this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pyipam.core.aggregates import block_of_aggregate, can_be_claimed, cidr_of, node_of
from pyipam.core.giving_back import has_rested, rests_until
from pyipam.core.growth import is_free_of_pools, own_aggregates
from pyipam.core.messages import on_day, when
from pyipam.core.requests import ExplicitSubnet
from pyipam.core.state import State
from pyipam.errors import listed
from pyipam.plan.scope import Scope
from pyipam.space.block import Block, Network, block_of
from pyipam.store.records import AggregateRecord

_MOST_LISTED = 5
_TRY_AGAIN = (
    "try again then (for a network that exists: restart dockerd, or run `pyipam reconcile`)"
)


def claimed_by_other(state: State, asked: ExplicitSubnet, aggregate: AggregateRecord) -> str:
    """An aggregate of another node is in the way."""
    cause = _about_claim(asked.subnet, aggregate)
    ways = list(_elsewhere(state, asked))
    rest = _rest_of_other(state, asked.scope, asked.subnet, aggregate)
    if rest:
        return f"{cause}; {rest}: {', or '.join((_TRY_AGAIN, *ways))}"
    cause += _fate(aggregate)
    last = _ended_there(aggregate)
    return _with_ways(state, asked.scope, cause, ways, last) + _or_forget(aggregate)


def beside_scope_below(state: State, asked: ExplicitSubnet, around: Block) -> str:
    """A scope below has a part of the block around the subnet."""
    cause = (
        f"subnet {asked.subnet} is in the block {around} of scope {asked.scope}, which no node can "
        "claim (node_prefix), as scopes below it have a part of it"
    )
    return _with_ways(state, asked.scope, cause, _elsewhere(state, asked))


def beside_pool(state: State, asked: ExplicitSubnet, around: Block, held: tuple[str, str]) -> str:
    """Somebody else holds a subnet in the block around this one: which, and who it is."""
    other, holder = held
    cause = f"{_not_claimed(asked, around)} {holder} holds {other} there"
    last = [f"remove the network that has {other}"]
    return _with_ways(state, asked.scope, cause, _elsewhere(state, asked), last)


def beside_older(
    state: State, asked: ExplicitSubnet, around: Block, aggregate: AggregateRecord
) -> str:
    """An aggregate of this node is in the way, of the time when node_prefix was longer."""
    cidr, scope = cidr_of(aggregate), asked.scope
    block = _not_claimed(asked, around)
    ways = [*_elsewhere(state, asked)]
    if aggregate.released is not None:
        cause = f"{block} the older aggregate {cidr} rests there"
        if has_rested(state, aggregate):
            return _with_ways(state, scope, f"{cause}, as long as subnets in it do", ways)
        until = when(rests_until(state, aggregate))
        return _with_ways(state, scope, f"{cause}, until {until}", [*ways, "try again then"])
    cause = f"{block} it has the older aggregate {cidr} there, claimed on {on_day(aggregate.since)}"
    release = f"remove the networks of that aggregate and release it (pyipam claims release {cidr})"
    return _with_ways(state, scope, cause, [*ways, release])


def not_taken_in(state: State, subnet: Network, aggregate: AggregateRecord) -> str:
    """An aggregate of another node is in the way of a subnet that a network of this host has."""
    claimed = _about_claim(subnet, aggregate)
    rest = _rest_of_other(state, None, subnet, aggregate)
    if rest:
        return f"{claimed}; {rest}; nothing has been taken in: try again then"
    if aggregate.released is not None and not aggregate.forgotten:
        return (
            f"{claimed}{_fate(aggregate)}; nothing has been taken in: start it"
            f"{_or_forget(aggregate)}"
        )
    return (
        f"{claimed}, and which addresses are in use there is known to that node alone; nothing has "
        f"been taken in: create the network again, with another subnet or with none"
        f"{_or_forget(aggregate)}"
    )


def _about_claim(subnet: Network, aggregate: AggregateRecord) -> str:
    relation = _relation(block_of(subnet), block_of_aggregate(aggregate))
    return (
        f"subnet {subnet} {relation} {cidr_of(aggregate)}, which node {node_of(aggregate)} claimed "
        f"on {on_day(aggregate.since)}"
    )


def _relation(subnet: Block, aggregate: Block) -> str:
    if subnet.is_inside(aggregate):
        return "is in"
    return "contains" if aggregate.is_inside(subnet) else "is in the same block as"


def _not_claimed(asked: ExplicitSubnet, around: Block) -> str:
    return (
        f"subnet {asked.subnet} is in the block {around} of scope {asked.scope}, which this node "
        "cannot claim (node_prefix) while"
    )


def _with_ways(
    state: State, scope: Scope | None, cause: str, ways: Iterable[str], last: Iterable[str] = ()
) -> str:
    """A cause with what works; if nothing does at once, with what would, given some work."""
    found = list(ways)
    if not found:
        found = [*last, *_other_scopes(state, scope), "enlarge the scope in the schema"]
    return f"{cause}; {', or '.join(found)}"


def _elsewhere(state: State, asked: ExplicitSubnet) -> Iterator[str]:
    """What the network can ask for instead and get."""
    others, scope = [], asked.scope
    own = _own_with_room(state, scope, asked.subnet)
    if own:
        others.append(f"one in what this node has claimed ({listed(own, _MOST_LISTED)})")
    elif scope is None or _has_room(state, scope, asked.subnet.prefixlen):
        others.append("a subnet in another block")
    if asked.would_get_block():
        others.append("none")
    if others:
        yield f"ask for {', or for '.join(others)}"


def _own_with_room(state: State, scope: Scope | None, subnet: Network) -> list[str]:
    """The aggregates of this node in which a subnet of that length is free."""
    if scope is None or scope.node_prefix is None:
        return []
    length, placement = subnet.prefixlen, state.placement
    return [
        cidr_of(each)
        for each in own_aggregates(state, scope)
        if each.released is None
        and block_of_aggregate(each).length < length
        and placement.count_free_in_aggregate(block_of_aggregate(each), length)
    ]


def _has_room(state: State, scope: Scope, length: int) -> bool:
    """Whether the scope has a free place for a subnet of this length outside of aggregates."""
    if not scope.can_be_drawn_from:
        return False
    claimed = length if scope.node_prefix is None else scope.node_prefix
    return state.placement.count_free(scope, max(claimed, scope.block.length)) > 0


def _other_scopes(state: State, scope: Scope | None) -> Iterator[str]:
    """Other scopes in which there is room for networks."""
    if scope is None or scope.child_prefix is None:
        return
    others = [
        each
        for each in state.placement.tree.in_order(None, scope.block.version)
        if each is not scope and each.child_prefix and _has_room(state, each, each.child_prefix)
    ]
    if others:
        yield f"ask for a subnet of another scope ({listed(others, _MOST_LISTED)})"


def _rest_of_other(
    state: State, scope: Scope | None, subnet: Network, aggregate: AggregateRecord
) -> str:
    """Until when an aggregate of another node rests, as a sentence; empty if it does not, or if the
    subnet is not to be had then, either."""
    if aggregate.released is None or not _ends_by_itself(state, scope, subnet, aggregate):
        return ""
    until = rests_until(state, aggregate)
    left = math.ceil(until - state.clock.wall())
    if left <= 0:
        return ""
    why = "was forgotten" if aggregate.forgotten else "has given it back"
    return f"that node {why}, and the block rests for another {left} s, until {when(until)}"


def _ends_by_itself(
    state: State, scope: Scope | None, subnet: Network, aggregate: AggregateRecord
) -> bool:
    """Whether a subnet can be had as soon as an aggregate of another node has rested. That of a
    node that was forgotten stays until somebody claims it, as a whole, if anybody can."""
    block = block_of_aggregate(aggregate)
    if not aggregate.forgotten or not can_be_claimed(state.placement.tree, block):
        return True
    as_a_whole = block_of(subnet).is_inside(block) or scope is None or scope.node_prefix is None
    return as_a_whole and is_free_of_pools(state, block)


def _fate(aggregate: AggregateRecord) -> str:
    """What else is to be said of an aggregate of another node for which nobody has to wait."""
    if aggregate.forgotten:
        return "; that node was forgotten, and the block stays until a node claims it"
    if aggregate.released is not None:
        return (
            "; that node has given it back, and has not freed it after its rest, so that it seems "
            "not to be running"
        )
    return ""


def _ended_there(aggregate: AggregateRecord) -> Iterator[str]:
    """How another node gives back an aggregate, or frees one that has rested."""
    if aggregate.released is not None and not aggregate.forgotten:
        yield "start it"
    if aggregate.released is None:
        cidr = cidr_of(aggregate)
        yield (
            f"remove the networks in {cidr} on node {node_of(aggregate)} and release it there "
            f"(`pyipam claims release {cidr}`)"
        )


def _or_forget(aggregate: AggregateRecord) -> str:
    """What helps besides, if the other node is not there any more."""
    if aggregate.forgotten:
        return ""
    node = node_of(aggregate)
    return (
        f", or forget that node if it is gone (`pyipam nodes forget {node}`), or set "
        f"NODE_NAME={node} again if it was this host"
    )
