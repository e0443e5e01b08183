"""The bodies of Docker's calls, read into what the core is asked for.

The members of each body are those of moby's libnetwork/ipams/remote/api/api.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, TypeVar

import falcon
import orjson

from pyipam.core.requests import AddressRequest, PoolRequest
from pyipam.errors import InvalidRequest
from pyipam.plan.network_options import parse_network_options, unknown_options
from pyipam.settings import Alias
from pyipam.space.address import Address, AddressSpace, parse_address
from pyipam.space.block import Network

Result = TypeVar("Result")

MAX_BODY_BYTES = 256 * 1024
_MAX_KNOWN_BODIES = 256
_MAX_KNOWN_BODY_BYTES = 1024

# Names that dockerd gives to options of its own (libnetwork, ipamapi and netlabel).
_REQUEST_TYPE = "RequestAddressType"
_GATEWAY = "com.docker.network.gateway"
_ENDPOINT = "com.docker.network.endpoint.name"
_SERIAL = "com.docker.network.ipam.serial"


class Body:
    """The JSON object of a request, read member by member. A member that is missing or null reads
    as empty. Every method raises InvalidRequest if the member has another type."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

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

    def count(self, name: str) -> int:
        """A member that is a number of things."""
        value = self._members.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidRequest(f"{name} of the request must be a whole number, 0 or more")
        return value

    def time(self, name: str) -> float:
        """A member that is a UNIX time in seconds."""
        value = self._members.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InvalidRequest(f"{name} of the request must be a number of seconds")
        return value or 0.0

    def objects(self, name: str) -> list[Body]:
        """A member that is a list of objects."""
        value = self._members.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise InvalidRequest(f"{name} of the request must be a list of objects")
        return [Body(item) for item in value]

    def has(self, name: str) -> bool:
        """Whether a member is there, and not null."""
        return self._members.get(name) is not None

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


def read_content(request: falcon.Request) -> bytes:
    """The body of a request as it came. Raises InvalidRequest if it is empty or too large."""
    content: bytes = request.stream.read(MAX_BODY_BYTES + 1)
    if len(content) > MAX_BODY_BYTES:
        raise InvalidRequest(f"the request is larger than {MAX_BODY_BYTES} bytes")
    if not content.strip():
        # dockerd repeats a call whose answer it never got, but without the body.
        raise InvalidRequest(
            "the request is empty: the call before it was cut off; try the command again"
        )
    return content


def parse_body(content: bytes) -> Body:
    """The body that came as these bytes. Raises InvalidRequest if they are not a JSON object."""
    try:
        members = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the request is not valid JSON: {error}") from error
    if not isinstance(members, dict):
        raise InvalidRequest("the request is not a JSON object")
    return Body(members)


def read_body(request: falcon.Request) -> Body:
    """The body of a request. Raises InvalidRequest if it is not a JSON object."""
    return parse_body(read_content(request))


def remembering(read: Callable[..., Result]) -> Callable[..., Result]:
    """The same function of a body, and perhaps of other strings, but it remembers the latest
    results, which nobody may change. Networks and containers are alike, so dockerd sends the same
    few bodies again and again."""
    known = lru_cache(maxsize=_MAX_KNOWN_BODIES)(read)

    def read_or_remember(content: bytes, *others: str) -> Result:
        return (known if len(content) <= _MAX_KNOWN_BODY_BYTES else read)(content, *others)

    return read_or_remember


def read_pool_request(body: Body, alias: Alias, engine: str) -> PoolRequest:
    """The body of RequestPool. `engine` is the run of the engine that sent it, empty if unknown.

    Raises InvalidRequest.
    """
    options = body.options()
    pool = body.string("Pool")
    subnet = _parse_network(pool, "subnet") if pool else None
    version = subnet.version if subnet else 6 if body.boolean("V6") else 4
    ip_range = _read_ip_range(body.string("SubPool"), subnet)
    own = parse_network_options(options)
    wanted = own.over(alias.options)
    # Default tags are for networks that leave it to the plugin where they lie.
    is_placed = subnet is not None and int(subnet.network_address) != 0
    return PoolRequest(
        driver=alias.name,
        space=body.address_space(),
        version=version,
        subnet=subnet,
        ip_range=ip_range,
        length=None if subnet else wanted.length(version),
        tag_filter=own.tag_filter if is_placed else wanted.tag_filter,
        label=wanted.label or "",
        engine=engine,
        # Swarm's allocator adds the option to what it has allocated (swarmkit,
        # manager/allocator/cnmallocator), so a new network does not have it yet.
        is_repeated=subnet is not None and options.get(_SERIAL) == "true",
        unknown_options=tuple(unknown_options(options)) if options else (),
        # A node asks for the subnet of a swarm's network again when a release has been missed.
        shared=bool(wanted.shared) or options.get(_SERIAL) == "true",
        has_options=body.has("Options"),
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
        # Neither an auxiliary address nor a replay has one (libnetwork, Network.createEndpoint).
        is_new_container=_ENDPOINT in options,
    )


def read_address(body: Body) -> Address:
    """The member `Address`, which must be one. Raises InvalidRequest."""
    text = body.string("Address")
    try:
        return parse_address(text)
    except ValueError as error:
        raise InvalidRequest(f"address {text!r} cannot be read: {error}") from error


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
