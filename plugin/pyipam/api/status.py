"""How the plugin is doing, as /v1/status shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeVar

from pyipam import __version__
from pyipam.core.counts import Counts
from pyipam.core.ipam import Ipam
from pyipam.core.node_marks import about_drained, about_forgotten
from pyipam.errors import PyipamError
from pyipam.runtime.plugin import Plugin
from pyipam.views.census import Census, Censuses
from pyipam.views.nodes import NodeState, state_of_node
from pyipam.views.order import Pause
from pyipam.views.scopes import FullScopeView, fullness_of_scopes, nearly_full

Item = TypeVar("Item")

_MOST_ITEMS = 200


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """The schema in force: where it is from, in a word and in words, and what is wrong with the one
    that is not."""

    source: str
    source_in_words: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    new_pools_refused: bool


@dataclass(frozen=True, slots=True)
class SettingsStatus:
    """What the operator set. An error says which value cannot be used, a warning which networks it
    leaves without a driver. `status_address` is where the listener on TCP is to be, or empty, and
    `status_error` why it is not there."""

    default_tags: str
    aliases: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    status_address: str
    status_error: str | None


@dataclass(frozen=True, slots=True)
class CountsStatus:
    """How much is held on this node and in the global space."""

    pools: int
    resting_pools: int
    unclaimed_pools: int
    leases: int
    resting_leases: int
    held_back_leases: int
    unclaimed_leases: int


@dataclass(frozen=True, slots=True)
class AggregatesStatus:
    """How many aggregates this node has in total, how many of them it gave back, which are
    `resting`, and how many of its pools are `strays`: in scopes with `node_prefix`, and in none of
    its aggregates."""

    total: int
    resting: int
    strays: int


@dataclass(frozen=True, slots=True)
class CoveringRoute:
    """A route of the host that keeps automatic blocks out of a part of a scope."""

    route: str
    interface: str
    scope: str


@dataclass(frozen=True, slots=True)
class RoutesStatus:
    """The routes of the host; `failure` says why they are not known."""

    failure: str | None
    covering: tuple[CoveringRoute, ...]


@dataclass(frozen=True, slots=True)
class LeftScope:
    """A scope that the schema no longer has, and how many pools of it are in use that lie in no
    scope which would give their subnets."""

    network: str
    pools: int


@dataclass(frozen=True, slots=True)
class RefusalStatus:
    """A call that was refused, and when (UNIX time in seconds)."""

    time: float
    call: str
    message: str


@dataclass(frozen=True, slots=True)
class IgnoredOptionStatus:
    """An option of a network that had no effect, and when (UNIX time in seconds)."""

    time: float
    option: str
    pool: str


# What a problem or a remark may be about.
Subject = Literal[
    "store", "settings", "schema", "routes", "listener", "scopes", "options", "pools", "node"
]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that an operator should look at. `subnet` is the network that it is about, or
    empty."""

    about: Subject
    message: str
    subnet: str = ""


@dataclass(frozen=True, slots=True)
class StatusView:
    """How the plugin is doing. `problems` keep it from working, `remarks` do not. `failure` says
    why calls are refused, or is null. `node` is empty where nodes share no plan. `node_state` says
    whether an operator has drained or forgotten this node. `pools` and `leases` count what is in
    use or rests. No list has more than 200 items."""

    problems: tuple[Remark, ...]
    remarks: tuple[Remark, ...]
    version: str
    node: str
    store: Literal["tinydb", "mongodb"]
    started: float
    failure: str | None
    schema: SchemaStatus
    settings: SettingsStatus
    warnings: tuple[str, ...]
    routes: RoutesStatus
    scopes_left: tuple[LeftScope, ...]
    full_scopes: tuple[FullScopeView, ...]
    pools: int
    leases: int
    counts: CountsStatus
    node_state: NodeState
    aggregates: AggregatesStatus
    refused: int
    refusals: tuple[RefusalStatus, ...]
    ignored_options: tuple[IgnoredOptionStatus, ...]


def status_of(plugin: Plugin, censuses: Censuses | None, node: str, pause: Pause) -> StatusView:
    """How the plugin is doing. `censuses` are those of its core, if its plan is loaded."""
    ipam = None if censuses is None else _core_of(plugin)
    counts, census, full = Counts(), Census(), list[FullScopeView]()
    covering: list[CoveringRoute] = []
    node_state: NodeState = "serving"
    aggregates = AggregatesStatus(0, 0, 0)
    if ipam is not None and censuses is not None:
        census, full = censuses.latest(pause), nearly_full(fullness_of_scopes(ipam, pause))
        counts = ipam.counts()
        node_state, aggregates = _node_of(ipam, census)
        covering = [
            CoveringRoute(str(route.block), route.interface, str(scope))
            for route, scope in ipam.routes()
        ]
    view = StatusView(
        problems=(),
        remarks=(),
        version=__version__,
        node=node,
        store="mongodb" if plugin.has_shared_plan else "tinydb",
        started=plugin.started,
        failure=plugin.problem,
        schema=_schema_of(plugin),
        settings=_settings_of(plugin, ipam, census),
        warnings=_some(census.warnings),
        routes=RoutesStatus(plugin.routes.failure, _some(covering)),
        scopes_left=_some(LeftScope(*item) for item in census.left.items()),
        full_scopes=_some(full),
        pools=counts.pools,
        leases=counts.leases - counts.held_back_leases,
        counts=_counts_of(counts, census),
        node_state=node_state,
        aggregates=aggregates,
        refused=plugin.refusals.count,
        refusals=tuple(RefusalStatus(i.time, i.call, i.message) for i in plugin.refusals),
        ignored_options=tuple(
            IgnoredOptionStatus(i.time, i.name, i.pool) for i in plugin.ignored_options
        ),
    )
    return replace(
        view,
        problems=_some(_problems(view, plugin.settings.node)),
        remarks=_some(_remarks(view, plugin.settings.node)),
    )


def _some(items: Iterable[Item]) -> tuple[Item, ...]:
    """The first of the items."""
    return tuple(islice(items, _MOST_ITEMS))


def _core_of(plugin: Plugin) -> Ipam | None:
    try:
        return plugin.ipam
    except PyipamError:
        # It is told under `failure`.
        return None


def _schema_of(plugin: Plugin) -> SchemaStatus:
    schema = plugin.schema
    return SchemaStatus(
        schema.origin,
        schema.origin_in_words,
        _some(str(error) for error in schema.errors),
        _some(schema.warnings),
        plugin.new_pools_refused,
    )


def _settings_of(plugin: Plugin, ipam: Ipam | None, census: Census) -> SettingsStatus:
    settings = plugin.settings
    return SettingsStatus(
        getattr(settings.default_filter, "text", ""),
        tuple(alias.name for alias in settings.aliases),
        tuple(settings.errors),
        () if ipam is None else tuple(plugin.about_dropped_aliases(ipam, census.drivers)),
        "" if settings.status_address is None else str(settings.status_address),
        settings.status_error or plugin.status_listener.failure,
    )


def _counts_of(counts: Counts, census: Census) -> CountsStatus:
    return CountsStatus(
        pools=counts.pools,
        resting_pools=counts.resting_pools,
        unclaimed_pools=census.unclaimed_pools,
        leases=counts.leases,
        resting_leases=counts.resting_leases,
        held_back_leases=counts.held_back_leases,
        unclaimed_leases=census.unclaimed_leases,
    )


def _node_of(ipam: Ipam, census: Census) -> tuple[NodeState, AggregatesStatus]:
    """In which state this node is, and what it has claimed."""
    with ipam.reading() as state:
        own = list(state.aggregates.own())
        node_state = state_of_node(state.mark)
    resting = sum(aggregate.released is not None for aggregate in own)
    return node_state, AggregatesStatus(len(own), resting, census.strays)


def _problems(status: StatusView, node: str) -> Iterator[Remark]:
    schema, settings = status.schema, status.settings
    if status.failure:
        yield Remark("store", status.failure)
    yield from (Remark("settings", error) for error in settings.errors)
    if settings.status_error:
        yield Remark("listener", settings.status_error)
    yield from (Remark("schema", f"schema at {error}") for error in schema.errors)
    if schema.new_pools_refused and not (status.failure or settings.errors or schema.errors):
        yield Remark("schema", "new pools are refused")
    if status.routes.failure:
        yield Remark("routes", f"the routes of the host are not known: {status.routes.failure}")
    if status.node_state == "forgotten":
        yield Remark("node", about_forgotten(node))


def _remarks(status: StatusView, node: str) -> Iterator[Remark]:
    if status.node_state == "draining":
        yield Remark("node", about_drained(node))
    yield from (Remark("schema", warning) for warning in status.schema.warnings)
    yield from (Remark("settings", warning) for warning in status.settings.warnings)
    yield from (Remark("pools", warning) for warning in status.warnings)
    if status.aggregates.strays:
        yield Remark("pools", _about_strays(status.aggregates.strays))
    for left in status.scopes_left:
        pools = f"{left.pools} pool{'' if left.pools == 1 else 's'}"
        message = f"scope {left.network} has left the schema, and has {pools} in use"
        yield Remark("scopes", message, left.network)
    for route in status.routes.covering:
        yield Remark(
            "routes",
            f"the host's route {route.route} ({route.interface}) keeps networks out of a part of "
            f"scope {route.scope}",
            route.route,
        )
    for ignored in status.ignored_options:
        yield Remark("options", f"option {ignored.option} of {ignored.pool} had no effect")


def _about_strays(count: int) -> str:
    if count == 1:
        return (
            "1 pool of a scope with node_prefix lies outside the blocks that this node has "
            "claimed, and is announced by itself until its network ends"
        )
    return (
        f"{count} pools of scopes with node_prefix lie outside the blocks that this node has "
        "claimed, and are announced one by one until their networks end"
    )
