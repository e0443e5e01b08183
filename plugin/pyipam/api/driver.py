"""The calls of Docker's remote IPAM driver: read a request, call the core, write its answer.

The names and members are those of moby's libnetwork/ipams/remote/api/api.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import falcon
import orjson

from pyipam.api.engine import ENGINE
from pyipam.api.requests import (
    parse_body,
    read_address,
    read_address_request,
    read_body,
    read_content,
    read_pool_request,
    remembering,
)
from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.runtime.plugin import Plugin
from pyipam.settings import Alias
from pyipam.store.pool_id import subnet_of

# The path of a call is this and the call's name.
CALL_PREFIX = "/IpamDriver."


class DriverCalls:
    """One resource for all calls that come through one socket, under one driver name."""

    ROUTES: ClassVar[dict[str, str]] = {
        "GetCapabilities": "capabilities",
        "GetDefaultAddressSpaces": "spaces",
        "RequestPool": "request_pool",
        "ReleasePool": "release_pool",
        "RequestAddress": "request_address",
        "ReleaseAddress": "release_address",
    }

    def __init__(self, plugin: Plugin, alias: Alias) -> None:
        self._plugin = plugin
        self._alias = alias
        self._read_pool_request = remembering(self._parse_pool_request)
        self._read_address_request = remembering(self._parse_address_request)

    def on_post_activate(self, _: falcon.Request, response: falcon.Response) -> None:
        """Say that this is an IPAM driver."""
        # Only called if a spec file of the host names the socket (legacy discovery).
        _answer(response, {"Implements": ["IpamDriver"]})

    def on_post_capabilities(self, request: falcon.Request, response: falcon.Response) -> None:
        """Begin an epoch, and let dockerd repeat its networks at its start."""
        self._plugin.announce(self._alias.name, request.env.get(ENGINE, ""))
        _answer(response, {"RequiresMACAddress": False, "RequiresRequestReplay": True})

    def on_post_spaces(self, _: falcon.Request, response: falcon.Response) -> None:
        """Name the address spaces."""
        _answer(
            response, {"LocalDefaultAddressSpace": "local", "GlobalDefaultAddressSpace": "global"}
        )

    def on_post_request_pool(self, request: falcon.Request, response: falcon.Response) -> None:
        """Give a network its pool."""
        content = read_content(request)
        ipam = self._plugin.ipam
        wanted = self._read_pool_request(content, request.env.get(ENGINE, ""))
        pool_id = ipam.request_pool(wanted)
        if wanted.unknown_options:
            self._plugin.ignored_options.add(wanted.unknown_options, pool_id)
        _answer(response, {"PoolID": pool_id, "Pool": subnet_of(pool_id), "Data": {}})

    def on_post_release_pool(self, request: falcon.Request, response: falcon.Response) -> None:
        """Drop a reference of a network to its pool."""
        pool_id = read_body(request).string("PoolID")
        self._plugin.ipam.release_pool(self._alias.name, pool_id)
        _answer(response, {})

    def on_post_request_address(self, request: falcon.Request, response: falcon.Response) -> None:
        """Give out an address."""
        content = read_content(request)
        ipam = self._plugin.ipam
        grant = ipam.request_address(self._read_address_request(content))
        _answer(response, {"Address": str(grant), "Data": {}})

    def on_post_release_address(self, request: falcon.Request, response: falcon.Response) -> None:
        """Take an address back."""
        body = read_body(request)
        address = read_address(body)
        self._plugin.ipam.release_address(self._alias.name, body.string("PoolID"), address)
        _answer(response, {})

    def _parse_pool_request(self, content: bytes, engine: str) -> PoolRequest:
        return read_pool_request(parse_body(content), self._alias, engine)

    def _parse_address_request(self, content: bytes) -> AddressRequest:
        return read_address_request(parse_body(content), self._alias)


def _paths(*names: str) -> frozenset[str]:
    return frozenset(CALL_PREFIX + name for name in names)


# Paths of the calls that give something back.
RELEASING_CALLS = _paths("ReleasePool", "ReleaseAddress")
# Paths of the calls that cannot be answered before the plan is loaded.
CALLS_NEEDING_PLAN = RELEASING_CALLS | _paths("RequestPool", "RequestAddress")
# Paths of the calls that may change what is stored. An announcement does: it begins an epoch.
CALLS_CHANGING_STORE = CALLS_NEEDING_PLAN | _paths("GetCapabilities")


def _answer(response: falcon.Response, content: Mapping[str, Any]) -> None:
    response.data = orjson.dumps(content)
