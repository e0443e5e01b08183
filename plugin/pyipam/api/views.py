"""What pyipam knows, read-only, as JSON under /v1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import falcon
import orjson

from pyipam import __version__
from pyipam.core.ipam import Ipam
from pyipam.core.subnet import Subnet
from pyipam.errors import InvalidRequest, PyipamError
from pyipam.plan.scope import Scope, seeded_children
from pyipam.runtime.plugin import Plugin
from pyipam.store.pool_id import parse_pool_id
from pyipam.store.records import PoolRecord

# The path of a view is this and the view's name.
VIEW_PREFIX = "/v1/"


class Views:
    """One resource for the read-only views."""

    ROUTES = ("status", "scopes", "pools", "leases")

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def on_get_status(self, _: falcon.Request, response: falcon.Response) -> None:
        plugin = self._loaded_plugin()
        try:
            pools = plugin.ipam.pools()
            scopes_left = _scopes_left(plugin.ipam, pools)
            warnings = plugin.ipam.warnings()
            routes = plugin.ipam.routes()
        except PyipamError:
            # The status says so under `failure`.
            pools, scopes_left, warnings, routes = [], [], [], []
        subnets = {id(subnet): subnet.leased for _, subnet in pools}
        _answer(
            response,
            {
                "version": __version__,
                "failure": plugin.problem,
                "schema": {
                    "source": plugin.schema.origin,
                    "errors": [str(error) for error in plugin.schema.errors],
                    "warnings": list(plugin.schema.warnings),
                    "new_pools_refused": plugin.schema.new_pools_refused,
                },
                "settings": {
                    "default_tags": getattr(plugin.settings.default_filter, "text", ""),
                    "aliases": [alias.name for alias in plugin.settings.aliases],
                    "errors": list(plugin.settings.errors),
                },
                "warnings": warnings,
                "routes": {
                    "failure": plugin.routes.failure,
                    "covering": [
                        {
                            "route": str(route.block),
                            "interface": route.interface,
                            "scope": str(scope),
                        }
                        for route, scope in routes
                    ],
                },
                "scopes_left": scopes_left,
                "pools": len(pools),
                "leases": sum(subnets.values()),
                "refusals": [
                    {"time": item.time, "call": item.call, "message": item.message}
                    for item in plugin.refusals
                ],
                "ignored_options": [
                    {"time": item.time, "option": item.name, "pool": item.pool}
                    for item in plugin.ignored_options
                ],
            },
        )

    def on_get_scopes(self, _: falcon.Request, response: falcon.Response) -> None:
        ipam = self._loaded_plugin().ipam
        _answer(response, [_scope(ipam, scope) for scope in ipam.tree])

    def on_get_pools(self, _: falcon.Request, response: falcon.Response) -> None:
        ipam = self._loaded_plugin().ipam
        views = []
        for pool, subnet in ipam.pools():
            pool_id = parse_pool_id(pool.id)
            views.append(
                {
                    "id": pool.id,
                    "space": pool_id.space,
                    "subnet": str(pool_id.subnet),
                    "ip_range": None if pool_id.ip_range is None else str(pool_id.ip_range),
                    "scope": pool.scope,
                    "label": pool.label,
                    "tags": pool.tags,
                    "references": sum(claim.references for claim in pool.claims),
                    "claimed": ipam.is_claimed(pool),
                    "resting": pool.released is not None,
                    "leases": subnet.leased,
                    "created": pool.created,
                }
            )
        _answer(response, views)

    def on_get_leases(self, request: falcon.Request, response: falcon.Response) -> None:
        pool = request.get_param("pool", default="")
        if not pool:
            raise InvalidRequest("leases are listed by pool: ask for /v1/leases?pool=ID")
        leases = self._loaded_plugin().ipam.leases(pool)
        _answer(
            response,
            [
                {
                    "pool": lease.pool,
                    "address": lease.address,
                    "kind": lease.kind,
                    "claimed": claimed,
                    "resting": lease.released is not None,
                    "held_back": lease.is_held_back,
                    "granted": lease.granted,
                }
                for lease, claimed in leases
            ],
        )

    def _loaded_plugin(self) -> Plugin:
        """The plugin, once its plan is loaded or could not be. A database is not waited for."""
        if not self._plugin.has_shared_plan:
            self._plugin.wait_until_loaded()
        return self._plugin


def _scopes_left(ipam: Ipam, pools: Sequence[tuple[PoolRecord, Subnet]]) -> list[dict[str, Any]]:
    """The scopes that the schema no longer has, though networks hold blocks of them."""
    present = {str(scope) for scope in ipam.tree}
    left = Counter(
        pool.scope for pool, _ in pools if pool.claims and pool.scope and pool.scope not in present
    )
    return [{"network": network, "pools": count} for network, count in sorted(left.items())]


def _scope(ipam: Ipam, scope: Scope) -> dict[str, Any]:
    length = scope.child_prefix
    drawn = length if scope.can_be_drawn_from else None
    view: dict[str, Any] = {
        "network": str(scope.network),
        "depth": scope.depth,
        "child_prefix": length,
        "tags": sorted(scope.tags),
        "lock_down": scope.lock_down,
        "address_space": scope.address_space,
        "reuse_delay": scope.reuse_delay,
        "description": scope.description,
        # As strings: an IPv6 scope can have more blocks than a JSON number holds exactly.
        "blocks": "0" if drawn is None else str(1 << (drawn - scope.network.prefixlen)),
        "free": "0" if drawn is None else str(ipam.count_free(scope, drawn)),
    }
    if scope.pre_seed_children:
        tags = sorted(scope.tags) if scope.propagate_tags else []
        view["children"] = [
            {"subnet": str(child), "tags": tags, "free": ipam.is_free(child)}
            for child in seeded_children(scope)
        ]
    return view


def _answer(response: falcon.Response, content: Any) -> None:
    response.data = orjson.dumps(content)
