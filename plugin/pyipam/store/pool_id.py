"""Pool ids, and the names of nodes in them: the one module that writes and reads these strings.

    pool id    SPACE/SUBNET or SPACE/SUBNET/IP-RANGE, such as local/10.0.0.0/24
    subnet id  SPACE/SUBNET: common to the pools of one subnet, which share its addresses
    space      local or global; local@NODE for the local space of another node that shares the plan
    driver     NAME; NAME@NODE for a driver name that another node uses
    lease id   SUBNET-ID/ADDRESS, such as local/10.0.0.0/24/10.0.0.2

An id in a local space, and a driver name, is qualified if it names its node. A node reads and
writes those of other nodes qualified, and its own without a node.

Ids are compared, hashed and stored as strings. The functions that every call needs work on the
strings, without building objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network

from pyipam.errors import InvalidRequest
from pyipam.space.address import AddressSpace, to_number
from pyipam.space.block import Block, Network, block_of, parse_network

SPACES: tuple[AddressSpace, ...] = ("local", "global")

LOCAL_PREFIX = "local/"
GLOBAL_PREFIX = "global/"
# How every id in the local space of another node begins.
OTHER_NODE_PREFIX = "local@"

_NODE_SEPARATOR = "@"
# A node name that no host has: whoever opens a shared store by it sees every name with its node.
NO_NODE = "(nobody)"
NODE_NAME_EXCLUDES = frozenset("/@")


@dataclass(frozen=True)
class PoolId:
    """The parts of a pool id: the address space, the subnet, and the ip-range inside it, if any.

    `node` is the node whose local space it is, or empty if the id does not name one.
    """

    space: AddressSpace
    subnet: Network
    ip_range: Network | None = None
    node: str = ""

    def __str__(self) -> str:
        suffix = "" if self.ip_range is None else f"/{self.ip_range}"
        return f"{with_node(self.space, self.node)}/{self.subnet}{suffix}"


@lru_cache(maxsize=4096)
def parse_pool_id(pool_id: str) -> PoolId:
    """The parts of a pool id of this node, or of the global space. Raises InvalidRequest."""
    space, *parts = pool_id.split("/")
    try:
        if space not in SPACES or len(parts) not in (2, 4):
            raise ValueError
        subnet = ip_network("/".join(parts[:2]))
        ip_range = ip_network("/".join(parts[2:])) if len(parts) == 4 else None
    except ValueError:
        raise InvalidRequest(
            f"{pool_id!r} is not a pool id of pyipam, which reads local/SUBNET or global/SUBNET"
        ) from None
    return PoolId("local" if space == "local" else "global", subnet, ip_range)


def parse_stored_pool_id(pool_id: str) -> PoolId:
    """Read a pool id of any node. Raises ValueError unless it is written as pyipam writes it."""
    space, *parts = pool_id.split("/")
    plain, node = split_node(space)
    if plain not in SPACES or with_node(plain, node) != space or (node and plain != "local"):
        raise ValueError(f"{space!r} is not an address space")
    if len(parts) not in (2, 4):
        raise ValueError(f"{pool_id!r} is not written as SPACE/SUBNET or SPACE/SUBNET/IP-RANGE")
    subnet = parse_network("/".join(parts[:2]))
    ip_range = parse_network("/".join(parts[2:])) if len(parts) == 4 else None
    if ip_range is not None and not block_of(ip_range).is_inside(block_of(subnet)):
        raise ValueError(f"ip-range {ip_range} is not inside subnet {subnet}")
    return PoolId("local" if plain == "local" else "global", subnet, ip_range, node)


def make_subnet_id(space: AddressSpace, subnet: str) -> str:
    """The id of a subnet in a space: `10.0.0.0/24` becomes `local/10.0.0.0/24`."""
    return f"{space}/{subnet}"


def parse_subnet_id(subnet_id: str) -> tuple[AddressSpace, Block]:
    """The address space and the block of a valid subnet id. The local space of another node is a
    local space."""
    space, address, length = subnet_id.split("/")
    version = 6 if ":" in address else 4
    return (
        "global" if space == "global" else "local",
        Block(version, to_number(address), int(length)),
    )


def subnet_id_of(pool_id: str) -> str:
    """The subnet id in a pool id: everything but the ip-range."""
    if pool_id.count("/") <= 2:
        return pool_id
    return "/".join(pool_id.split("/", 3)[:3])


def subnet_of(pool_id: str) -> str:
    """The subnet of a pool id or a subnet id, such as `10.0.0.0/24`; empty if it has none."""
    return subnet_id_of(pool_id).partition("/")[2]


def ip_range_of(pool_id: str) -> str | None:
    """The ip-range of a pool id, such as `10.0.0.128/25`, or None."""
    parts = pool_id.split("/")
    return "/".join(parts[3:]) if len(parts) > 3 else None


def space_of(pool_id: str) -> str:
    """The space of a pool id or a subnet id, with the node if it is qualified."""
    return pool_id.partition("/")[0]


def with_space(pool_id: str, space: str) -> str:
    """The same pool id in another space."""
    _, separator, rest = pool_id.partition("/")
    return space + separator + rest


def qualify_pool_id(pool_id: str, node: str) -> str:
    """A pool id or subnet id of a node as the other nodes write it: `local/10.0.0.0/24` of nodea
    becomes `local@nodea/10.0.0.0/24`. An id in the global space, or of another node, stays."""
    if not is_local(pool_id):
        return pool_id
    return f"{OTHER_NODE_PREFIX}{node}/{pool_id.removeprefix(LOCAL_PREFIX)}"


def unqualify_pool_id(pool_id: str, node: str) -> str:
    """The reverse of `qualify_pool_id`: the id as that node itself writes it."""
    prefix = f"{OTHER_NODE_PREFIX}{node}/"
    if not pool_id.startswith(prefix):
        return pool_id
    return LOCAL_PREFIX + pool_id.removeprefix(prefix)


def make_lease_id(subnet_id: str, address: str) -> str:
    """The id of the lease of an address in a subnet."""
    return f"{subnet_id}/{address}"


def parse_lease_id(lease_id: str) -> tuple[str, str]:
    """The subnet id and the address in the id of a lease."""
    subnet_id, _, address = lease_id.rpartition("/")
    return subnet_id, address


def is_local(pool_id: str) -> bool:
    """Whether a pool id or a subnet id is in the local space of this node."""
    return pool_id.startswith(LOCAL_PREFIX)


def is_global(pool_id: str) -> bool:
    """Whether a pool id or a subnet id is in the global space."""
    return pool_id.startswith(GLOBAL_PREFIX)


def is_on_other_node(pool_id: str) -> bool:
    """Whether a pool id or a subnet id is in the local space of another node."""
    return pool_id.startswith(OTHER_NODE_PREFIX)


def is_driver_of_other_node(driver: str) -> bool:
    """Whether a driver name is qualified: another node uses it."""
    return _NODE_SEPARATOR in driver


def split_node(name: str) -> tuple[str, str]:
    """A space or a driver name without its node, and the node; empty if it is not qualified."""
    plain, _, node = name.partition(_NODE_SEPARATOR)
    return plain, node


def with_node(name: str, node: str) -> str:
    """A space or a driver name, qualified with a node; unchanged if `node` is empty."""
    return f"{name}{_NODE_SEPARATOR}{node}" if node else name


def is_valid_node_name(node: str) -> bool:
    """Whether a node can have this name, which becomes part of ids and of lines of the log."""
    return node.isprintable() and not NODE_NAME_EXCLUDES & set(node)
