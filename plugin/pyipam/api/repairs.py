"""The calls by which an operator changes something.

Those of `pyipam reconcile` repair what it found, if it is still as it was seen. Others say what is
to be done with a node, or with a block that a node has claimed.

They come from the operator's command, through the same socket as Docker's calls, and are made in
the same commits. No engine knows them.
"""

from __future__ import annotations

from typing import ClassVar

import falcon
import orjson

from pyipam.api.requests import Body, read_address, read_body, read_pool_request
from pyipam.core.claiming import UnclaimedPool, UsedLease
from pyipam.core.freeing import SeenPool
from pyipam.core.seen import SeenLease
from pyipam.core.taking_in import UsedAddress, UsedPool
from pyipam.driver_names import MAIN_DRIVER
from pyipam.errors import InvalidRequest
from pyipam.runtime.plugin import Plugin
from pyipam.settings import Alias
from pyipam.store.records import Claim

# The path of a call is this and the call's name.
REPAIR_PREFIX = "/Pyipam."


class Repairs:
    """One resource for all of them. Each is answered once it is durable: with {}, but TakeInPool
    with the addresses that it left out."""

    ROUTES: ClassVar[dict[str, str]] = {
        "ClaimAddress": "claim_address",
        "ClaimPool": "claim_pool",
        "DrainNode": "drain_node",
        "FreeAddress": "free_address",
        "FreePool": "free_pool",
        "ReleaseAggregate": "release_aggregate",
        "TakeInAddress": "take_in_address",
        "TakeInPool": "take_in_pool",
        "UndrainNode": "undrain_node",
    }

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def on_post_free_address(self, request: falcon.Request, response: falcon.Response) -> None:
        self._plugin.ipam.free_address(_read_seen(read_body(request)))
        response.data = _DONE

    def on_post_free_pool(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read_body(request)
        seen = SeenPool(
            body.string("PoolID"),
            body.time("Created"),
            _read_claims(body),
            body.string("Fingerprint"),
        )
        self._plugin.ipam.free_pool(seen)
        response.data = _DONE

    def on_post_claim_address(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read_body(request)
        driver = self._alias(body).name
        self._plugin.ipam.claim_address(driver, body.string("UsedPoolID"), _read_used_lease(body))
        response.data = _DONE

    def on_post_claim_pool(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read_body(request)
        used = UnclaimedPool(
            body.string("PoolID"),
            body.time("Created"),
            _read_claims(body),
            self._alias(body).name,
            max(body.count("Networks"), 1),
            tuple(_read_used_lease(each) for each in body.objects("Leases")),
        )
        self._plugin.ipam.claim_pool(used)
        response.data = _DONE

    def on_post_take_in_address(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read_body(request)
        driver = self._alias(body).name
        self._plugin.ipam.take_in_address(driver, body.string("PoolID"), _read_used(body))
        response.data = _DONE

    def on_post_take_in_pool(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read_body(request)
        wanted = read_pool_request(body, self._alias(body), "")
        if wanted.subnet is None:
            raise InvalidRequest("Pool of the request must be the subnet that networks have")
        used = UsedPool(
            wanted,
            wanted.subnet,
            max(body.count("Networks"), 1),
            tuple(_read_used(each) for each in body.objects("Addresses")),
        )
        left_out = self._plugin.ipam.take_in_pool(used)
        answer = {"LeftOut": [{"Address": str(each.address), "Why": each.why} for each in left_out]}
        response.data = orjson.dumps(answer)

    def on_post_release_aggregate(self, request: falcon.Request, response: falcon.Response) -> None:
        self._plugin.ipam.release_aggregate(read_body(request).string("Aggregate"))
        response.data = _DONE

    def on_post_drain_node(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read_body(request)
        self._plugin.ipam.drain(body.string("Node"), _read_nodes_seen(body))
        response.data = _DONE

    def on_post_undrain_node(self, request: falcon.Request, response: falcon.Response) -> None:
        body = read_body(request)
        self._plugin.ipam.undrain(body.string("Node"), _read_nodes_seen(body))
        response.data = _DONE

    def _alias(self, body: Body) -> Alias:
        """The driver name that the networks have. Raises InvalidRequest."""
        name = body.string("Driver")
        known = (Alias(MAIN_DRIVER), *self._plugin.settings.aliases)
        found = next((alias for alias in known if alias.name == name), None)
        if found is None:
            raise InvalidRequest(
                f"driver name {name!r} does not belong to this plugin; add it to DRIVER_ALIASES, "
                "and enable the plugin again"
            )
        return found


def _read_nodes_seen(body: Body) -> list[str]:
    """The nodes that the operator was shown. A commit does not ask the store who shares the plan:
    Docker's calls would wait for that."""
    return [each.string("Node") for each in body.objects("Seen")]


def _read_seen(body: Body) -> SeenLease:
    return SeenLease(
        body.string("PoolID"), read_address(body), body.count("Epoch"), body.time("Granted")
    )


def _read_claims(body: Body) -> frozenset[Claim]:
    return frozenset(
        Claim(each.string("Driver"), each.count("Epoch"), each.count("References"))
        for each in body.objects("Claims")
    )


def _read_used_lease(body: Body) -> UsedLease:
    is_gateway = body.boolean("Gateway")
    return UsedLease(_read_seen(body), body.count("Networks") if is_gateway else None)


def _read_used(body: Body) -> UsedAddress:
    return UsedAddress(read_address(body), body.count("Networks"), body.boolean("Named"))


_DONE = b"{}"

# Paths of these calls. All of them may change what is stored.
REPAIR_CALLS = frozenset(REPAIR_PREFIX + name for name in Repairs.ROUTES)
