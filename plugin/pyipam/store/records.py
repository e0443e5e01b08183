"""What is stored: records, their keys, and the changes that a commit consists of.

Times are UNIX times in seconds. An epoch is a number that grows each time that an engine announces
itself: see "Replays and epochs" in docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from pyipam.store.pool_id import is_driver_of_other_node, is_on_other_node, subnet_id_of

# A mirror is a lease in the local space of a node for a container on a swarm's network: the leader
# has decided in the global space who has the address.
LeaseKind = Literal["gateway", "container", "mirror"]
LEASE_KINDS: dict[str, LeaseKind] = {kind: kind for kind in get_args(LeaseKind)}


class Claim(NamedTuple):
    """How many networks of a driver name hold a pool, and the epoch in which it last claimed it."""

    driver: str
    epoch: int
    references: int


class PoolRecord(NamedTuple):
    """A pool that Docker holds, or one that rests after its release.

    `id` is a pool id (see pool_id). `scope` is the network of the scope it lies in, such as
    `10.0.0.0/8`, and empty for a pool outside every scope. `label` is what the user gave as
    `--ipam-opt id`, `tags` the filter that chose the scope. `created` and `released` are times;
    `released` is None, and there are claims, while the pool is held. `shared` says that the network
    it was made for lets others have the same subnet. `aggregate` is the block of this node that it
    was drawn from, such as `10.1.16.0/20`, and empty if it was drawn from none. `follows_swarm`
    says that it is a node's part of a network of a swarm, which other nodes have as well.
    """

    id: str
    scope: str
    label: str
    tags: str
    claims: tuple[Claim, ...]
    created: float
    released: float | None = None
    shared: bool = False
    aggregate: str = ""
    follows_swarm: bool = False

    @property
    def key(self) -> PoolKey:
        """The key that the record is stored under."""
        return PoolKey(self.id)


class Sharer(NamedTuple):
    """A further network that has a gateway: its pool and driver name, and the epoch of the driver
    name in which it last asked for the gateway."""

    pool: str
    driver: str
    epoch: int


class LeaseRecord(NamedTuple):
    """An address that is given out, or one that rests or is held back after its release.

    `pool` is a pool id, `address` an address such as `10.0.0.2`. `driver` is the name that asked
    for it, and `epoch` the epoch in which it last did. `granted` and `released` are times;
    `released` is None while the address is in use. `named` says that a container has asked for
    this very address: once released, it is held back until its pool ends.
    `sharers` are further networks of the subnet that have the same gateway.
    """

    pool: str
    address: str
    kind: LeaseKind
    driver: str
    epoch: int
    granted: float
    released: float | None = None
    named: bool = False
    sharers: tuple[Sharer, ...] = ()

    @property
    def key(self) -> LeaseKey:
        """The key that the record is stored under."""
        return LeaseKey(subnet_id_of(self.pool), self.address)

    @property
    def is_held_back(self) -> bool:
        """Whether nobody has the address, and whoever asks for any is given it last."""
        return self.named and self.released is not None


class Run(NamedTuple):
    """A run of an engine, and the epochs of the address spaces that it last began."""

    engine: str
    local_epoch: int
    global_epoch: int


class DriverRecord(NamedTuple):
    """A driver name under which Docker knows the plugin, with its epochs.

    `engine` identifies the run of the engine that last began an epoch; it is empty if unknown.
    `local_epoch` and `global_epoch` are the numbers of the present epochs of the address spaces.
    `runs` are the latest runs that began one, the last of all at the end; it is empty where only
    that one is known.
    """

    name: str
    engine: str
    local_epoch: int
    global_epoch: int
    runs: tuple[Run, ...] = ()

    def run_of(self, engine: str) -> Run | None:
        """The run of an engine, if it is one of those that are known."""
        runs = self.runs or (Run(self.engine, self.local_epoch, self.global_epoch),)
        return next((run for run in runs if run.engine == engine != ""), None)

    @property
    def key(self) -> DriverKey:
        """The key that the record is stored under."""
        return DriverKey(self.name)


class AggregateRecord(NamedTuple):
    """A block that a node has claimed from a scope with `node_prefix`, to draw its pools from.

    `id` is SPACE/BLOCK as that of a pool: `local/10.1.16.0/20`, or `local@NODE/10.1.16.0/20` of
    another node. `scope` is the network of the scope. `since` is the time at which it was claimed,
    and `released` the time since which it rests, or None. `forgotten` says that it rests because
    its node was forgotten: others get it only where nothing else is free.
    """

    id: str
    scope: str
    since: float
    released: float | None = None
    forgotten: bool = False

    @property
    def key(self) -> AggregateKey:
        """The key that the record is stored under."""
        return AggregateKey(self.id)


class NodeRecord(NamedTuple):
    """What operators said of a node, by its name: since when no new network of it gets a pool
    (`draining`), and since when it gets nothing at all (`forgotten`); None if it does."""

    name: str
    draining: float | None = None
    forgotten: float | None = None

    @property
    def key(self) -> NodeKey:
        """The key that the record is stored under."""
        return NodeKey(self.name)


@dataclass(frozen=True, slots=True)
class PoolKey:
    """The key of a pool: its id, such as `local/10.0.0.0/24`."""

    id: str


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """The key of a lease: the subnet id of its pool, and its address. The pools of a subnet share
    its addresses, so the pool is not part of the key."""

    subnet: str
    address: str


@dataclass(frozen=True, slots=True)
class DriverKey:
    """The key of a driver name: itself."""

    name: str


@dataclass(frozen=True, slots=True)
class AggregateKey:
    """The key of an aggregate: its id, such as `local/10.1.16.0/20`."""

    id: str


@dataclass(frozen=True, slots=True)
class NodeKey:
    """The key of what was said of a node: the name of the node."""

    name: str


Record = PoolRecord | LeaseRecord | DriverRecord | AggregateRecord | NodeRecord
Key = PoolKey | LeaseKey | DriverKey | AggregateKey | NodeKey


@dataclass(frozen=True, slots=True)
class Put:
    """Store the record under its key, in place of the one that was there."""

    record: Record


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete what is stored under the key, if anything is."""

    key: Key


Change = Put | Delete


def key_of(change: Change) -> Key:
    """The key of the record that a change puts or deletes."""
    return change.record.key if isinstance(change, Put) else change.key


def is_elsewhere(item: Record | Key) -> bool:
    """Whether a record, or the record of a key, belongs to another node alone."""
    if isinstance(item, LeaseRecord):
        return is_on_other_node(item.pool)
    if isinstance(item, LeaseKey):
        return is_on_other_node(item.subnet)
    if isinstance(item, PoolRecord | PoolKey | AggregateRecord | AggregateKey):
        return is_on_other_node(item.id)
    if isinstance(item, NodeRecord | NodeKey):
        # Every node has to know of each whether it is forgotten.
        return False
    return is_driver_of_other_node(item.name)
