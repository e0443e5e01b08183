"""The calls of Docker's remote IPAM driver: read a request, call the core, write its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, ClassVar

import falcon
import orjson

from pyipam.api.engine import ENGINE
from pyipam.core.ipam import Ipam
from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.errors import InvalidRequest
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.runtime.plugin import Plugin
from pyipam.settings import Alias
from pyipam.space.address import Address, AddressSpace, parse_address
from pyipam.space.block import Network
from pyipam.store.pool_id import cidr_of

MAXIMUM_BODY = 256 * 1024

# Names that dockerd gives to options of its own (libnetwork, ipamapi and netlabel).
_REQUEST_TYPE = "RequestAddressType"
_GATEWAY = "com.docker.network.gateway"
_SERIAL = "com.docker.network.ipam.serial"

_LENGTH = re.compile(r"[0-9]{1,3}")
_LONGEST_IPV4_PREFIX = 32
_LONGEST_IPV6_PREFIX = 128


class DriverCalls:
    """One resource for all calls that come on one socket, under one driver name."""

    ROUTES: ClassVar[dict[str, str]] = {
        "GetCapabilities": "capabilities",
        "GetDefaultAddressSpaces": "spaces",
        "RequestPool": "request_pool",
        "ReleasePool": "release_pool",
        "RequestAddress": "request_address",
        "ReleaseAddress": "release_address",
    }

    OF_THE_STORE = frozenset(ROUTES) - {"GetDefaultAddressSpaces"}
    OF_WHAT_IS_STORED = OF_THE_STORE - {"GetCapabilities"}

    def __init__(self, plugin: Plugin, alias: Alias) -> None:
        self._plugin = plugin
        self._alias = alias

    def on_post_activate(self, _: falcon.Request, response: falcon.Response) -> None:
        # Only called where a spec file of the host names the socket (legacy discovery).
        _answer(response, {"Implements": ["IpamDriver"]})

    def on_post_capabilities(self, request: falcon.Request, response: falcon.Response) -> None:
        self._plugin.announce(self._alias.name, request.env.get(ENGINE, ""))
        _answer(response, {"RequiresMACAddress": False, "RequiresRequestReplay": True})

    def on_post_spaces(self, _: falcon.Request, response: falcon.Response) -> None:
        _answer(
            response, {"LocalDefaultAddressSpace": "local", "GlobalDefaultAddressSpace": "global"}
        )

    def on_post_request_pool(self, request: falcon.Request, response: falcon.Response) -> None:
        body = _Body(request)
        pool_id = self._ipam.request_pool(self._pool_request(body, request.env.get(ENGINE, "")))
        _answer(response, {"PoolID": pool_id, "Pool": cidr_of(pool_id), "Data": {}})

    def on_post_release_pool(self, request: falcon.Request, response: falcon.Response) -> None:
        body = _Body(request)
        self._ipam.release_pool(self._alias.name, body.text("PoolID"))
        _answer(response, {})

    def on_post_request_address(self, request: falcon.Request, response: falcon.Response) -> None:
        body = _Body(request)
        options = body.options()
        text = body.text("Address")
        grant = self._ipam.request_address(
            AddressRequest(
                driver=self._alias.name,
                pool_id=body.text("PoolID"),
                address=_parse_address(text) if text else None,
                kind="gateway" if options.get(_REQUEST_TYPE) == _GATEWAY else "container",
                serial=options.get(_SERIAL) == "true",
            )
        )
        _answer(response, {"Address": str(grant), "Data": {}})

    def on_post_release_address(self, request: falcon.Request, response: falcon.Response) -> None:
        body = _Body(request)
        address = _parse_address(body.text("Address"))
        self._ipam.release_address(self._alias.name, body.text("PoolID"), address)
        _answer(response, {})

    @property
    def _ipam(self) -> Ipam:
        if self._plugin.failure is not None:
            raise self._plugin.failure
        assert self._plugin.ipam is not None
        return self._plugin.ipam

    def _pool_request(self, body: _Body, engine: str) -> PoolRequest:
        options = body.options()
        pool, sub_pool = body.text("Pool"), body.text("SubPool")
        network = _parse_network(pool, "subnet") if pool else None
        wants_ipv6 = body.flag("V6")
        version = network.version if network else 6 if wants_ipv6 else 4
        # 0.0.0.0/28 and ::/72 ask for a length, not for a place.
        length = network.prefixlen if network and not int(network.network_address) else None
        subnet = None if length is not None else network
        if length == 0:
            raise InvalidRequest(f"subnet {pool!r} asks for the whole IPv{version} address space")
        space = body.space()
        if length is not None and space == "global":
            # Swarm keeps what the user wrote, and would tell every node 0.0.0.0/28.
            raise InvalidRequest(
                f"subnet {pool!r} asks for a length alone, which swarm would take for the subnet "
                f"itself; ask with --ipam-opt prefix={length} instead"
            )
        if sub_pool and subnet is None:
            raise InvalidRequest(f"ip-range {sub_pool!r} needs a subnet that it is in")
        ip_range = _parse_network(sub_pool, "ip-range") if sub_pool else None
        if subnet and ip_range and not _contains(subnet, ip_range):
            raise InvalidRequest(f"ip-range {ip_range} is not inside subnet {subnet}")
        tags = parse_tag_filter(options.get("scope_filter_tags", ""))
        if tags is None and subnet is None:
            tags = self._alias.tag_filter
        if length is None and subnet is None:
            length = _prefix_option(options.get("prefix", ""), version)
        return PoolRequest(
            driver=self._alias.name,
            space=space,
            version=version,
            subnet=subnet,
            ip_range=ip_range,
            length=length,
            tag_filter=tags,
            label=options.get("id", ""),
            engine=engine,
        )


class _Body:
    """The JSON object of a request."""

    def __init__(self, request: falcon.Request) -> None:
        content = request.stream.read(MAXIMUM_BODY + 1)
        if len(content) > MAXIMUM_BODY:
            raise InvalidRequest(f"the request is larger than {MAXIMUM_BODY} bytes")
        if not content.strip():
            # dockerd repeats a call whose answer it never got, but without the body.
            raise InvalidRequest(
                "the request is empty: the call before it was cut off; try the command again"
            )
        try:
            members = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"the request is no JSON: {error}") from error
        if not isinstance(members, dict):
            raise InvalidRequest("the request is no JSON object")
        self._members: dict[str, Any] = members

    def text(self, name: str) -> str:
        value = self._members.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise InvalidRequest(f"{name} of the request must be a text")
        return value

    def flag(self, name: str) -> bool:
        value = self._members.get(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidRequest(f"{name} of the request must be true or false")
        return bool(value)

    def options(self) -> Mapping[str, str]:
        value = self._members.get("Options")
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise InvalidRequest("Options of the request must be an object of texts")
        return value

    def space(self) -> AddressSpace:
        name = self.text("AddressSpace")
        if name == "local":
            return "local"
        if name == "global":
            return "global"
        raise InvalidRequest(f"address space {name!r} is none of pyipam's: local, global")


def _answer(response: falcon.Response, content: Mapping[str, Any]) -> None:
    response.data = orjson.dumps(content)


def _parse_network(text: str, what: str) -> Network:
    try:
        if "/" not in text or "%" in text:
            raise ValueError("write an address, '/' and a length")
        # Host bits are ignored, as Docker's own driver does.
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidRequest(f"{what} {text!r} cannot be read: {error}") from error


def _parse_address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise InvalidRequest(f"address {text!r} cannot be read: {error}") from error


def _contains(outer: Network, inner: Network) -> bool:
    return (
        outer.version == inner.version
        and outer.prefixlen <= inner.prefixlen
        and outer.overlaps(inner)
    )


@lru_cache(maxsize=64)
def _prefix_option(text: str, version: int) -> int | None:
    """The length that `prefix=28` or `prefix=28,72` asks for in this family, or None."""
    wanted: dict[int, int] = {}
    for part in filter(None, (part.strip(" \"'/") for part in text.split(","))):
        if not _LENGTH.fullmatch(part) or not 1 <= int(part) <= _LONGEST_IPV6_PREFIX:
            raise InvalidRequest(
                f"prefix={text!r} cannot be read at {part!r}: write a length from 1 to 32 for "
                "IPv4, from 33 to 128 for IPv6, or one of each divided by ','"
            )
        family = 4 if int(part) <= _LONGEST_IPV4_PREFIX else 6
        if family in wanted:
            raise InvalidRequest(f"prefix={text!r} names two lengths for IPv{family}")
        wanted[family] = int(part)
    return wanted.get(version)
