"""What the core is asked for, in its own terms, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyipam.driver_names import MAIN_DRIVER
from pyipam.plan.scope import Scope
from pyipam.plan.tag_filter import TagFilter
from pyipam.space.address import Address, AddressSpace
from pyipam.space.block import Network
from pyipam.store.pool_id import is_global
from pyipam.store.records import LeaseKind


class PoolRequest(NamedTuple):
    """A network wants a pool of IP version 4 or 6.

    Either `subnet` names it, or it is a block of prefix length `length` (None: the scope's
    child_prefix) from a scope that `tag_filter` selects. A subnet at address 0, `0.0.0.0/26`, asks
    for a length alone. `label` is the user's `--ipam-opt id`. `engine` identifies the run of the
    engine that asks, empty if unknown. `unknown_options` are the names of the network's options
    that neither pyipam nor Docker knows. `is_repeated` says that swarm names the subnet of a
    network that it has: to a node that gets a container of it, or to the node that leads now.
    `shared` says that other networks may have the same subnet. `has_options` says that the network
    itself sent options, if only an empty object of them.
    """

    driver: str
    space: AddressSpace
    version: int
    subnet: Network | None = None
    ip_range: Network | None = None
    length: int | None = None
    tag_filter: TagFilter | None = None
    label: str = ""
    engine: str = ""
    is_repeated: bool = False
    unknown_options: tuple[str, ...] = ()
    shared: bool = False
    has_options: bool = False

    @property
    def may_be_of_swarm(self) -> bool:
        """Whether a node may repeat the subnet of a swarm's network: not by a short name, which
        Docker does not take in a swarm."""
        return (
            (self.driver, self.space) == (MAIN_DRIVER, "local")
            and self.ip_range is None
            and (self.is_repeated or not self.has_options)
        )

    def length_in(self, scope: Scope) -> int:
        """The prefix length of the block that the scope would give."""
        if self.length is not None:
            return self.length
        if scope.child_prefix is not None:
            return scope.child_prefix
        return scope.network.max_prefixlen


class ExplicitSubnet(NamedTuple):
    """A subnet that a network names or has, and the scope that it lies in, if any.

    `would_get_block` tells whether the network would get a block if it named none, which is worth
    knowing only where the subnet is refused. By default there is no network that could.
    """

    subnet: Network
    scope: Scope | None
    would_get_block: Callable[[], bool] = lambda: False


class AddressRequest(NamedTuple):
    """A network or a container wants an address of a pool: a given one, or any. `serial` asks for
    the next after the last one given, as swarm does, and not for the lowest. `is_new_container`
    says that a container is certainly asking, which did not have the address before: Docker tells
    that from version 29 on."""

    driver: str
    pool_id: str
    address: Address | None = None
    kind: LeaseKind = "container"
    serial: bool = False
    is_new_container: bool = False

    @property
    def may_be_of_swarm(self) -> bool:
        """Whether a node may repeat an address of a swarm's network."""
        return self.driver == MAIN_DRIVER and not is_global(self.pool_id)


class AddressGrant(NamedTuple):
    """An address that was given out, and the prefix length of the pool that it came from."""

    address: str
    length: int

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"
