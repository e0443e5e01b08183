"""The bodies of Docker's calls, read into what the core is asked for.

The members of each body are those of moby's libnetwork/ipams/remote/api/api.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

import falcon
import orjson

from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.errors import InvalidRequest
from pyipam.plan.tag_filter import parse_tag_filter
from pyipam.settings import Alias
from pyipam.space.address import Address, AddressSpace, parse_address
from pyipam.space.block import Network

MAX_BODY_BYTES = 256 * 1024

# Names that dockerd gives to options of its own (libnetwork, ipamapi and netlabel).
_REQUEST_TYPE = "RequestAddressType"
_GATEWAY = "com.docker.network.gateway"
_SERIAL = "com.docker.network.ipam.serial"

_LENGTH = re.compile(r"[0-9]{1,3}")
_MAX_IPV4_LENGTH = 32
_MAX_IPV6_LENGTH = 128


class Body:
    """The JSON object of a request, read member by member. A member that is missing or null reads
    as empty. Every method raises InvalidRequest if the member has another type."""

    def __init__(self, request: falcon.Request) -> None:
        """Raises InvalidRequest if the request's body is not a JSON object."""
        content = request.stream.read(MAX_BODY_BYTES + 1)
        if len(content) > MAX_BODY_BYTES:
            raise InvalidRequest(f"the request is larger than {MAX_BODY_BYTES} bytes")
        if not content.strip():
            # dockerd repeats a call whose answer it never got, but without the body.
            raise InvalidRequest(
                "the request is empty: the call before it was cut off; try the command again"
            )
        try:
            members = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"the request is not valid JSON: {error}") from error
        if not isinstance(members, dict):
            raise InvalidRequest("the request is not a JSON object")
        self._members: dict[str, Any] = members

    def string(self, name: str) -> str:
        """A member that is a string."""
        value = self._members.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise InvalidRequest(f"{name} of the request must be a string")
        return value

    def boolean(self, name: str) -> bool:
        """A member that is true or false."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidRequest(f"{name} of the request must be true or false")
        return bool(value)

    def options(self) -> Mapping[str, str]:
        """The member `Options`: what users and dockerd add to a call."""
        value = self._members.get("Options")
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise InvalidRequest("Options of the request must be an object of strings")
        return value

    def address_space(self) -> AddressSpace:
        """The member `AddressSpace`."""
        name = self.string("AddressSpace")
        if name == "local":
            return "local"
        if name == "global":
            return "global"
        raise InvalidRequest(f"address space {name!r} is unknown; pyipam has local and global")


def read_pool_request(body: Body, alias: Alias, engine: str) -> PoolRequest:
    """The body of RequestPool. `engine` is the run of the engine that sent it, empty if unknown.

    Raises InvalidRequest.
    """
    options = body.options()
    pool = body.string("Pool")
    network = _parse_network(pool, "subnet") if pool else None
    wants_ipv6 = body.boolean("V6")
    version = network.version if network else 6 if wants_ipv6 else 4
    # 0.0.0.0/28 and ::/72 ask for a length, not for a place.
    length = network.prefixlen if network and not int(network.network_address) else None
    subnet = None if length is not None else network
    space = body.address_space()
    if length is not None:
        _check_length_alone(pool, version, length, space)
    ip_range = _read_ip_range(body.string("SubPool"), subnet)
    tags = parse_tag_filter(options.get("scope_filter_tags", ""))
    if tags is None and subnet is None:
        tags = alias.tag_filter
    if length is None and subnet is None:
        length = _prefix_option(options.get("prefix", ""), version)
    return PoolRequest(
        driver=alias.name,
        space=space,
        version=version,
        subnet=subnet,
        ip_range=ip_range,
        length=length,
        tag_filter=tags,
        label=options.get("id", ""),
        engine=engine,
        # Swarm's allocator adds the option to what it has allocated (swarmkit,
        # manager/allocator/cnmallocator), so a new network does not have it yet.
        is_repeated=subnet is not None and options.get(_SERIAL) == "true",
    )


def read_address_request(body: Body, alias: Alias) -> AddressRequest:
    """The body of RequestAddress. Raises InvalidRequest."""
    options = body.options()
    return AddressRequest(
        driver=alias.name,
        pool_id=body.string("PoolID"),
        address=read_address(body) if body.string("Address") else None,
        kind="gateway" if options.get(_REQUEST_TYPE) == _GATEWAY else "container",
        serial=options.get(_SERIAL) == "true",
    )


def read_address(body: Body) -> Address:
    """The member `Address`, which must be one. Raises InvalidRequest."""
    text = body.string("Address")
    try:
        return parse_address(text)
    except ValueError as error:
        raise InvalidRequest(f"address {text!r} cannot be read: {error}") from error


def _check_length_alone(pool: str, version: int, length: int, space: AddressSpace) -> None:
    if length == 0:
        raise InvalidRequest(f"subnet {pool!r} asks for the whole IPv{version} address space")
    if space == "global":
        # Swarm keeps what the user wrote, and would tell every node 0.0.0.0/28.
        raise InvalidRequest(
            f"subnet {pool!r} asks for a length alone, which swarm would take for the subnet "
            f"itself; ask with --ipam-opt prefix={length} instead"
        )


def _read_ip_range(text: str, subnet: Network | None) -> Network | None:
    if not text:
        return None
    if subnet is None:
        raise InvalidRequest(f"ip-range {text!r} needs a subnet that contains it")
    ip_range = _parse_network(text, "ip-range")
    if not _contains(subnet, ip_range):
        raise InvalidRequest(f"ip-range {ip_range} is not inside subnet {subnet}")
    return ip_range


def _parse_network(text: str, what: str) -> Network:
    try:
        if "/" not in text or "%" in text:
            raise ValueError("write an address, '/' and a length")
        # Host bits are ignored, as Docker's own driver does.
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidRequest(f"{what} {text!r} cannot be read: {error}") from error


def _contains(outer: Network, inner: Network) -> bool:
    return (
        outer.version == inner.version
        and outer.prefixlen <= inner.prefixlen
        and outer.overlaps(inner)
    )


@lru_cache(maxsize=64)
def _prefix_option(text: str, version: int) -> int | None:
    """The length that `prefix=28` or `prefix=28,72` asks for in this IP version, or None."""
    lengths: dict[int, int] = {}
    for part in filter(None, (part.strip(" \"'/") for part in text.split(","))):
        if not _LENGTH.fullmatch(part) or not 1 <= int(part) <= _MAX_IPV6_LENGTH:
            raise InvalidRequest(
                f"prefix={text!r} cannot be read at {part!r}: write a length from 1 to 32 for "
                "IPv4, from 33 to 128 for IPv6, or one of each separated by ','"
            )
        family = 4 if int(part) <= _MAX_IPV4_LENGTH else 6
        if family in lengths:
            raise InvalidRequest(f"prefix={text!r} names two lengths for IPv{family}")
        lengths[family] = int(part)
    return lengths.get(version)
