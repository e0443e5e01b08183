"""Whose aggregate something lies in, in words; or whether this node could claim one there."""

from __future__ import annotations

from pyipam.core.aggregates import block_of_aggregate, cidr_of, node_of
from pyipam.core.claimed_subnets import claim_for_subnet
from pyipam.core.giving_back import from_when_claimable, rest_in_words
from pyipam.core.messages import on_day
from pyipam.core.requests import ExplicitSubnet
from pyipam.core.state import State
from pyipam.errors import PyipamError
from pyipam.plan.scope import Scope
from pyipam.space.block import Block, parse_network
from pyipam.store.pool_id import is_local
from pyipam.store.records import AggregateRecord
from pyipam.views.aggregates import state_of_aggregate

_NOBODY_ELSE = "no other node gives out anything there"


def whose_aggregate(aggregate: AggregateRecord) -> str:
    """Who claimed an aggregate, and since when."""
    return f"{cidr_of(aggregate)}, which {_claimer(aggregate)} claimed on {on_day(aggregate.since)}"


def claimed_in_words(state: State, cell: Block, aggregate: AggregateRecord) -> str:
    """What is to be said of a cell that is an aggregate, or a part of one. Needs the lock."""
    is_part = block_of_aggregate(aggregate) != cell
    if is_part and is_local(aggregate.id):
        return f"in {cidr_of(aggregate)} of this node"
    fates = {
        "active": "",
        "draining": ", being drained",
        "resting": ", given back and at rest",
        "forgotten": "; that node was forgotten",
    }
    fate = fates[state_of_aggregate(state, aggregate)]
    where = f"in {cidr_of(aggregate)}, " if is_part else ""
    return f"{where}claimed by {_claimer(aggregate)} on {on_day(aggregate.since)}{fate}"


def fate_of_aggregate(state: State, aggregate: AggregateRecord) -> str:
    """What else is to be said of an aggregate, as the end of a sentence. Needs the lock."""
    match state_of_aggregate(state, aggregate):
        case "forgotten":
            return f"; that node was forgotten, and {from_when_claimable(state, aggregate)}"
        case "resting":
            return f" and gave back: it {rest_in_words(state, aggregate)}"
        case "draining":
            drained = ", and which is being drained"
            return drained if is_local(aggregate.id) else f"{drained}: {_NOBODY_ELSE}"
        case "active":
            return "" if is_local(aggregate.id) else f": {_NOBODY_ELSE}"


def who_knows(state: State, address: str, aggregate: AggregateRecord) -> str:
    """What can be said of an address in an aggregate of another node. Needs the lock."""
    if state_of_aggregate(state, aggregate) == "forgotten":
        return (
            f"{address} is in a block that node {node_of(aggregate)}, which was forgotten, had "
            "claimed"
        )
    return (
        f"{address} is in a block that node {node_of(aggregate)} has claimed: only that node knows "
        "whether it is in use"
    )


def whether_claimable(state: State, scope: Scope, length: int, block: Block) -> str:
    """Whether this node could claim the block of `node_prefix` around a block, which lies in this
    scope and in no aggregate, for a subnet of this length: a sentence, in the words of the refusal
    if not. Needs the lock."""
    subnet = parse_network(str(block.widened_to(length)))
    try:
        claimed = claim_for_subnet(state, ExplicitSubnet(subnet, scope))
    except PyipamError as error:
        return str(error)
    return (
        f"no node has claimed {claimed.aggregate} around it: a network that names a subnet there "
        "claims it"
    )


def _claimer(aggregate: AggregateRecord) -> str:
    return "this node" if is_local(aggregate.id) else f"node {node_of(aggregate)}"
