"""What pyipam knows, read-only, as JSON under /v1.

A list comes in pages, `{"items": […], "next": …}`: what `next` names is asked for with `after`,
and is null at the end. The dataclasses of the room `views`, and of `api/status`, are the answers;
`api/catalogue` says what each view takes and answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import falcon

from pyipam.api.answers import to_json
from pyipam.api.catalogue import DESCRIPTION, VIEWS
from pyipam.api.parameters import Parameters
from pyipam.api.status import StatusView, status_of
from pyipam.core.ipam import Ipam
from pyipam.core.requests import PoolRequest
from pyipam.driver_names import MAIN_DRIVER
from pyipam.errors import InvalidRequest, PyipamError, Unavailable
from pyipam.history.reading import HistoryFilter
from pyipam.plan.network_options import version_of_length
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.runtime.plugin import Plugin
from pyipam.space.block import Block, parse_network
from pyipam.views.aggregates import (
    AggregateFilter,
    AggregatesInOrder,
    AggregatesOfScope,
    count_by_scope,
    list_aggregates,
)
from pyipam.views.census import Censuses
from pyipam.views.explanation import explain
from pyipam.views.free_addresses import list_free_addresses
from pyipam.views.history import list_history
from pyipam.views.lease_counts import LeaseState, count_leases
from pyipam.views.leases import LeaseFilter, list_leases
from pyipam.views.names import NameFilter, list_names
from pyipam.views.naming import LatestNames, with_containers, with_networks
from pyipam.views.nodes import list_nodes
from pyipam.views.order import Page, Subnets
from pyipam.views.plan_map import MapSources, draw_map
from pyipam.views.pools import PoolFilter, list_pools
from pyipam.views.routes import RouteFilter, list_routes
from pyipam.views.scopes import (
    ScopeFullness,
    fullness_of_scopes,
    list_children,
    list_free_blocks,
    list_scopes,
)
from pyipam.views.trial import try_request

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# The path of a view is this and the view's name.
VIEW_PREFIX = "/v1/"
ROUTES_PATH = f"{VIEW_PREFIX}routes"
# The list, in the environment of a request, to which True is added if the answer is what the client
# knows already. Whoever serves it may then ask again later.
UNCHANGED = "pyipam.unchanged"

_NOT_BOTH = "ask for a subnet or for an address, not for both"


class _Plan(NamedTuple):
    """A core, and what the views keep of it."""

    ipam: Ipam
    subnets: Subnets
    censuses: Censuses
    aggregates: AggregatesInOrder


class Views:
    """One resource for the read-only views."""

    ROUTES = (*VIEWS, "openapi")

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._latest: _Plan | None = None
        self._names = LatestNames(plugin.names)

    def status(self) -> StatusView:
        """How the plugin is doing."""
        try:
            censuses = self._plan().censuses
        except PyipamError:
            # It is told under `failure`.
            censuses = None
        return status_of(self._plugin, censuses, self._node, self._pause)

    def fullness(self) -> tuple[list[ScopeFullness], dict[str, int]]:
        """How full the scopes are, and how many pools lie in each, by its network. Raises
        PyipamError."""
        plan = self._plan()
        pools = plan.censuses.latest(self._pause).by_scope
        by_network = {str(scope): count for scope, count in pools.items()}
        return fullness_of_scopes(plan.ipam, self._pause), by_network

    def lease_counts(self) -> Mapping[str, Mapping[LeaseState, int]]:
        """How many leases are in each scope, by its network and by their state. Raises
        PyipamError."""
        plan = self._plan()
        return count_leases(plan.ipam, plan.subnets, self._pause)

    def aggregates(self) -> Mapping[str, AggregatesOfScope]:
        """What is claimed of the scopes with `node_prefix`, by network. Raises PyipamError."""
        plan = self._plan()
        return count_by_scope(plan.ipam, plan.aggregates, self._pause)

    def on_get_status(self, request: falcon.Request, response: falcon.Response) -> None:
        _asked(request, "status")
        self._answer(response, self.status())

    def on_get_scopes(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "scopes")
        tag, subnet, part = asked.text("tag") or "", asked.text("scope") or "", asked.part()
        plan = self._plan()
        self._answer(
            response, list_scopes(plan.ipam, plan.censuses, part, self._pause, tag, subnet)
        )

    def on_get_children(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "children")
        subnet, part = asked.text("scope"), asked.part()
        if subnet is None:
            raise InvalidRequest("children are listed by scope: ask for /v1/children?scope=SUBNET")
        self._answer(response, list_children(self._plan().ipam, subnet, part, self._pause))

    def on_get_pools(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "pools")
        part = asked.part()
        wanted = PoolFilter(
            overlapping=_block_asked_for(asked),
            inside=asked.block("scope"),
            tag=asked.text("tag"),
            id=asked.text("id"),
            label=asked.text("label"),
            containing=asked.lower("containing"),
            space=asked.choice("space"),
            node=asked.text("node"),
            unclaimed=asked.flag("unclaimed"),
            resting=asked.flag("resting"),
            everywhere=asked.flag("everywhere") or False,
        )
        plan = self._plan()
        page = list_pools(plan.ipam, plan.subnets, wanted, part, self._node, self._pause)
        known = self._names.latest(self._pause)
        self._answer(response, replace(page, items=with_networks(page.items, known, self._pause)))

    def on_get_leases(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "leases")
        address, part = asked.address("address"), asked.part()
        wanted = LeaseFilter(
            PoolFilter(
                overlapping=_block_asked_for(asked),
                inside=asked.block("scope"),
                id=asked.text("pool"),
                space=asked.choice("space"),
                node=asked.text("node"),
                everywhere=asked.flag("everywhere") or False,
            ),
            address=None if address is None else str(address),
            kind=asked.choice("kind"),
            unclaimed=asked.flag("unclaimed"),
            resting=asked.flag("resting"),
        )
        plan = self._plan()
        page = list_leases(plan.ipam, plan.subnets, wanted, part, self._node, self._pause)
        known = self._names.latest(self._pause)
        self._answer(response, replace(page, items=with_containers(page.items, known, self._pause)))

    def on_get_free(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "free")
        scope, pool = asked.text("scope"), asked.text("pool")
        length, part = asked.number("prefix"), asked.part()
        if scope is not None and pool is None:
            ipam = self._plan().ipam
            self._answer(response, list_free_blocks(ipam, scope, length, part, self._pause))
        elif pool is not None and scope is None and length is None:
            self._answer(response, list_free_addresses(self._plan().ipam, pool, part, self._pause))
        else:
            raise InvalidRequest(
                "free is asked for as /v1/free?scope=SUBNET (blocks, perhaps with prefix=LENGTH) "
                "or as /v1/free?pool=ID (addresses)"
            )

    def on_get_plan(self, request: falcon.Request, response: falcon.Response) -> None:
        wish = _wish_asked_for(_asked(request, "plan"))
        ipam = self._plan().ipam
        with ipam.reading() as state:
            trial = try_request(state, ipam.policy, wish)
        self._answer(response, trial)

    def on_get_explain(self, request: falcon.Request, response: falcon.Response) -> None:
        address = _asked(request, "explain").address("address")
        if address is None:
            raise InvalidRequest("name the address: /v1/explain?address=10.0.0.1")
        plan = self._plan()
        view = explain(plan.ipam, plan.subnets, plan.censuses, address, self._node, self._pause)
        known = self._names.latest(self._pause)
        pools = with_networks(view.pools, known, self._pause)
        leases = with_containers(view.leases, known, self._pause)
        self._answer(response, replace(view, pools=pools, leases=leases))

    def on_get_map(self, request: falcon.Request, response: falcon.Response) -> None:
        block = _asked(request, "map").block("block")
        plan = self._plan()
        sources = MapSources(plan.ipam, plan.subnets, plan.aggregates)
        self._answer(response, draw_map(sources, block, self._pause))

    def on_get_aggregates(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "aggregates")
        wanted = AggregateFilter(asked.text("node"), asked.block("scope"), asked.choice("state"))
        plan, part = self._plan(), asked.part()
        self._answer(
            response,
            list_aggregates(plan.ipam, plan.subnets, plan.aggregates, wanted, part, self._pause),
        )

    def on_get_nodes(self, request: falcon.Request, response: falcon.Response) -> None:
        _asked(request, "nodes")
        plan, node = self._plan(), self._plugin.settings.node
        nodes = list_nodes(plan.ipam, plan.subnets, plan.aggregates, node, self._pause)
        self._answer(response, Page(tuple(nodes)))

    def on_get_routes(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "routes")
        wanted = RouteFilter(
            asked.flag("exact") or False,
            parse_tag_filter(asked.text("tags") or "", "tags"),
            asked.text("node"),
            asked.flag("everywhere") or False,
        )
        after = asked.text("after")
        asked.number("wait")
        # Whoever waits for other routes has a thread with others: loading is not waited for.
        _ = self._plugin.ipam
        plan = self._plan()
        view = list_routes(plan.ipam, wanted, self._plugin.settings.node, self._pause)
        request.env.get(UNCHANGED, []).append(view.version == after)
        self._answer(response, view)

    def on_get_history(self, request: falcon.Request, response: falcon.Response) -> None:
        asked, history = _asked(request, "history"), self._plugin.history
        wanted, part = _history_asked_for(asked, history.moment), asked.part()
        if not history.reading.acquire(blocking=False):
            raise Unavailable(
                "another request is searching the history, which can take a while; try again later"
            )
        try:
            history.write()
            self._answer(response, list_history(history.folder, wanted, part, self._pause))
        finally:
            history.reading.release()

    def on_get_names(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = _asked(request, "names")
        address, block, part = asked.address("address"), asked.block("subnet"), asked.part()
        if address is not None and block is not None:
            raise InvalidRequest(_NOT_BOTH)
        wanted = NameFilter(address, block, asked.text("name"), asked.lower("containing"))
        known = self._names.latest(self._pause)
        self._answer(response, list_names(known, wanted, part, self._pause))

    def on_get_openapi(self, request: falcon.Request, response: falcon.Response) -> None:
        Parameters(request, ())
        response.data = DESCRIPTION.read_bytes()

    @property
    def _node(self) -> str:
        """The name of this node where nodes share a plan, else empty."""
        return self._plugin.settings.node if self._plugin.has_shared_plan else ""

    def _answer(self, response: falcon.Response, answer: DataclassInstance) -> None:
        response.data = to_json(answer, self._pause)

    def _pause(self) -> None:
        self._plugin.calls.let_pass()

    def _plan(self) -> _Plan:
        """The plan, once it is loaded. A database is not waited for. Raises PyipamError."""
        if not self._plugin.has_shared_plan:
            self._plugin.wait_until_loaded()
        ipam = self._plugin.ipam
        if self._latest is None or self._latest.ipam is not ipam:
            subnets, aggregates = Subnets(ipam), AggregatesInOrder(ipam)
            self._latest = _Plan(ipam, subnets, Censuses(ipam, subnets), aggregates)
        return self._latest


def _asked(request: falcon.Request, view: str) -> Parameters:
    return Parameters(request, VIEWS[view].parameters)


def _wish_asked_for(asked: Parameters) -> PoolRequest:
    """What a new network wants: a block, or the subnet that it names. Raises InvalidRequest."""
    subnet, version, length = asked.block("subnet"), asked.choice("version"), asked.number("prefix")
    if subnet is not None and (version, length) != (None, None):
        raise InvalidRequest(
            f"subnet={subnet} already has a prefix length and an IP version; leave out prefix and "
            "version"
        )
    of_version = subnet.version if subnet is not None else 6 if version == "6" else 4
    return PoolRequest(
        MAIN_DRIVER,
        "global" if asked.choice("space") == "global" else "local",
        of_version,
        None if subnet is None else parse_network(str(subnet)),
        length=_length_asked_for(length, of_version),
        tag_filter=parse_tag_filter(asked.text("tags") or "", "tags"),
    )


def _history_asked_for(asked: Parameters, moment: Callable[[float], float]) -> HistoryFilter:
    """Which entries of the history are wanted; `moment` turns a time into the one to ask for.
    Raises InvalidRequest."""
    address, block, pool = asked.address("address"), asked.block("subnet"), asked.text("id")
    at, node = asked.moment("at"), asked.text("node")
    if address is not None and block is not None:
        raise InvalidRequest(_NOT_BOTH)
    if node is not None and (address, block, pool, at) != (None,) * 4:
        raise InvalidRequest(
            f"node={node} asks for what was said of a node; leave out address, subnet, id and at"
        )
    return HistoryFilter(address, block, pool, None if at is None else moment(at), node)


def _length_asked_for(length: int | None, version: int) -> int | None:
    """The length that `prefix` names, which a block of that version can have. Raises
    InvalidRequest."""
    if length is None or version_of_length(length) == version:
        return length
    if version == 4:
        raise InvalidRequest(
            f"prefix='{length}' must be a number from 1 to 32; for IPv6, ask with version=6"
        )
    raise InvalidRequest(
        f"prefix='{length}' must be a number from 33 to 128 with version=6: a network that asks "
        "for a length up to 32 asks for IPv4"
    )


def _block_asked_for(asked: Parameters) -> Block | None:
    """The block that `subnet` or `address` names. Raises InvalidRequest."""
    address, block = asked.address("address"), asked.block("subnet")
    if address is None:
        return block
    if block is not None:
        raise InvalidRequest(_NOT_BOTH)
    return Block(address.version, address.number, 32 if address.version == 4 else 128)
