"""The views under /v1: what each may be asked, and what it answers.

`api/views` reads the parameters by these tables, and tools/openapi.py writes the description that
is published from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyipam.api.parameters import MOST_ITEMS, Parameter
from pyipam.api.status import StatusView
from pyipam.store.records import LEASE_KINDS
from pyipam.views.aggregates import AGGREGATE_STATES, AggregateView
from pyipam.views.explanation import ExplanationView
from pyipam.views.free_addresses import FreeRangeView
from pyipam.views.history import EntryView
from pyipam.views.leases import LeaseView
from pyipam.views.names import NameView
from pyipam.views.nodes import NodeView
from pyipam.views.order import Page
from pyipam.views.plan_map import MapView
from pyipam.views.pools import PoolView
from pyipam.views.routes import RoutesView
from pyipam.views.scopes import ChildView, FreeBlockView, ScopeView
from pyipam.views.trial import TrialView

# The views as OpenAPI, written by tools/openapi.py.
DESCRIPTION = Path(__file__).with_name("openapi.json")
# A client gives up after 30 seconds.
MOST_SECONDS_TO_WAIT = 25


@dataclass(frozen=True, slots=True)
class View:
    """A view: what it shows, what it may be asked, the types of its answers, and whether it
    answers 404 where there is not what it is asked for."""

    shows: str
    parameters: tuple[Parameter, ...]
    answers: tuple[Any, ...]
    may_find_nothing: bool = False


_PAGE = (
    Parameter("limit", "How many items the page may have.", "number", 1, MOST_ITEMS),
    Parameter("after", "The `next` of the previous page."),
)
_SPACES = ("local", "global")
# Whatever is held somewhere in the plan.
_HELD = (
    Parameter("scope", "Only what lies in this subnet, that of a scope.", "subnet"),
    Parameter("subnet", "Only what overlaps this subnet.", "subnet"),
    Parameter("address", "Only what contains this address.", "address"),
    Parameter("space", "Only what is in this address space.", "choice", choices=_SPACES),
    Parameter("node", "Only what the node with this name holds, where nodes share a plan."),
    Parameter("everywhere", "Also what other nodes hold.", "flag"),
    Parameter("unclaimed", "Whether Docker has not named it since Docker last started.", "flag"),
    Parameter("resting", "Whether it was released and rests.", "flag"),
)
VIEWS: dict[str, View] = {
    "status": View("How the plugin is doing.", (), (StatusView,)),
    "scopes": View(
        "The scopes of the schema in force, in its order.",
        (
            Parameter("tag", "Only scopes with this tag."),
            Parameter("scope", "Only the scope of this subnet.", "subnet"),
            *_PAGE,
        ),
        (Page[ScopeView],),
    ),
    "children": View(
        "The pre-seeded children of a scope. `scope` is required.",
        (Parameter("scope", "The subnet of the scope.", "subnet"), *_PAGE),
        (Page[ChildView],),
        may_find_nothing=True,
    ),
    "pools": View(
        "The pools, by address. `subnet` and `address` exclude each other.",
        (
            Parameter("tag", "Only pools in scopes with this tag."),
            Parameter("id", "Only the pool of this id."),
            Parameter("label", "Only pools of networks with this `id` among their options."),
            Parameter("containing", "Only those whose `id` contains this, in whatever case."),
            *_HELD,
            *_PAGE,
        ),
        (Page[PoolView],),
    ),
    "leases": View(
        "The leases, by address. `subnet` and `address` exclude each other.",
        (
            Parameter("pool", "Only leases of the pool of this id."),
            Parameter("kind", "Only leases of this kind.", "choice", choices=tuple(LEASE_KINDS)),
            *_HELD,
            *_PAGE,
        ),
        (Page[LeaseView],),
        may_find_nothing=True,
    ),
    "free": View(
        "The largest free blocks of a scope, or the ranges of free addresses of a pool. Either "
        "`scope` or `pool` is required; `prefix` goes with `scope`.",
        (
            Parameter("scope", "The subnet of the scope.", "subnet"),
            Parameter("pool", "The id of the pool."),
            Parameter("prefix", "The length of the blocks to count.", "number", 1, 128),
            *_PAGE,
        ),
        (Page[FreeBlockView], Page[FreeRangeView]),
        may_find_nothing=True,
    ),
    "plan": View(
        "Which block a network would get, and from which scope. Nothing is taken. `subnet` goes "
        "with neither `prefix` nor `version`.",
        (
            Parameter("tags", "As `scope_filter_tags`, the option of a network."),
            Parameter("prefix", "The length of the block: up to 32 in IPv4.", "number", 1, 128),
            Parameter("subnet", "The network names this subnet, and wants no other.", "subnet"),
            Parameter("version", "The IP version; 4 if left out.", "choice", choices=("4", "6")),
            Parameter("space", "The address space; local if left out.", "choice", choices=_SPACES),
        ),
        (TrialView,),
    ),
    "explain": View(
        "What is known of an address. `address` is required.",
        (Parameter("address", "The address.", "address"),),
        (ExplanationView,),
    ),
    "map": View(
        "A block in at most 256 cells.",
        (Parameter("block", "The block; without it, the outermost scopes.", "subnet"),),
        (MapView,),
    ),
    "history": View(
        "What became of pools, addresses and claimed blocks, and what was said of nodes: the "
        "latest first. `subnet` and `address` exclude each other, and `node` goes with none of the "
        "other filters.",
        (
            Parameter("address", "Only of this address, and of pools around it.", "address"),
            Parameter("subnet", "Only of what overlaps this subnet.", "subnet"),
            Parameter("id", "Only of the pool of this id, and of addresses in it."),
            Parameter("node", "Only what operators said of the node with this name."),
            Parameter("at", "Only what was given out then, a UNIX time in seconds.", "time"),
            *_PAGE,
        ),
        (Page[EntryView],),
    ),
    "names": View(
        "The names of networks and containers, where `pyipam record` runs. `subnet` and `address` "
        "exclude each other.",
        (
            Parameter("address", "Only of this address, and of networks around it.", "address"),
            Parameter("subnet", "Only of what overlaps this subnet.", "subnet"),
            Parameter("name", "Only of the network or the container of this name."),
            Parameter("containing", "Only of those whose names contain this, in whatever case."),
            *_PAGE,
        ),
        (Page[NameView],),
    ),
    "routes": View(
        "What a node has to announce to the routers around it. Answered with 503 until the plan is "
        "loaded: an empty list says that there is nothing to announce.",
        (
            Parameter("exact", "Also every pool by itself.", "flag"),
            Parameter("tags", "Only in scopes that this filter selects, as `scope_filter_tags`."),
            Parameter("node", "Of the node with this name, where hosts share a plan."),
            Parameter("everywhere", "Of all nodes.", "flag"),
            Parameter("after", "The `version` that is known already: with `wait`."),
            Parameter(
                "wait",
                "How many seconds to wait for another version.",
                "number",
                least=0,
                most=MOST_SECONDS_TO_WAIT,
            ),
        ),
        (RoutesView,),
    ),
    "aggregates": View(
        "The blocks that nodes have claimed in scopes with `node_prefix`, by address; of all nodes "
        "that share the plan.",
        (
            Parameter("node", "Only those of the node with this name."),
            Parameter("scope", "Only what lies in this subnet, that of a scope.", "subnet"),
            Parameter("state", "Only those in this state.", "choice", choices=AGGREGATE_STATES),
            *_PAGE,
        ),
        (Page[AggregateView],),
    ),
    "nodes": View("The nodes that share the plan.", (), (Page[NodeView],)),
}
