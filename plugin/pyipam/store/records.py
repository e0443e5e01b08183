"""What is stored, and the verbs of a store.

A store keeps records durably and knows no policy. A batch of changes is committed whole or not at
all, and is on disk when `commit` returns. Every record has a key; putting one replaces what had
the key before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from pyipam.store.pool_id import is_driver_of_other_node, is_on_other_node, subnet_id_of

# A mirror is an address of a pool of the local space whose subnet is held in the global space too:
# the swarm's leader has decided who has it.
LeaseKind = Literal["gateway", "container", "mirror"]


class Claim(NamedTuple):
    """How often one driver name holds a pool, and the epoch in which it last said so."""

    driver: str
    epoch: int
    references: int


class PoolRecord(NamedTuple):
    """A pool that Docker holds, or one that rests after its release.

    `id` is SPACE/SUBNET or SPACE/SUBNET/IP-RANGE. `scope` is the network of the scope that it
    lies in, empty where none does. `label` is the user's `--ipam-opt id`, `tags` the filter that
    chose the scope. Times are seconds of the wall clock.
    """

    id: str
    scope: str
    label: str
    tags: str
    claims: tuple[Claim, ...]
    created: float
    released: float | None = None

    @property
    def key(self) -> PoolKey:
        return PoolKey(self.id)


class LeaseRecord(NamedTuple):
    """An address that is given out, or one that rests after its release."""

    pool: str
    address: str
    kind: LeaseKind
    driver: str
    epoch: int
    granted: float
    released: float | None = None

    @property
    def key(self) -> LeaseKey:
        return LeaseKey(subnet_id_of(self.pool), self.address)


class DriverRecord(NamedTuple):
    """A driver name under which Docker knows the plugin: its engine and its epochs.

    `engine` identifies the run of the engine that last announced itself, empty if unknown.
    """

    name: str
    engine: str
    local_epoch: int
    global_epoch: int

    @property
    def key(self) -> DriverKey:
        return DriverKey(self.name)


@dataclass(frozen=True, slots=True)
class PoolKey:
    id: str


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """An address in SPACE/SUBNET: pools that differ only in their ip-range share addresses."""

    subnet: str
    address: str


@dataclass(frozen=True, slots=True)
class DriverKey:
    name: str


Record = PoolRecord | LeaseRecord | DriverRecord
Key = PoolKey | LeaseKey | DriverKey


@dataclass(frozen=True, slots=True)
class Put:
    """Store the record under its key."""

    record: Record


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget what is stored under the key, if anything is."""

    key: Key


Change = Put | Delete


def key_of(change: Change) -> Key:
    """The key of the record that a change puts or deletes."""
    return change.record.key if isinstance(change, Put) else change.key


def is_elsewhere(item: Record | Key) -> bool:
    """Whether the record, or what the key names, belongs to another node alone."""
    if isinstance(item, LeaseRecord):
        return is_on_other_node(item.pool)
    if isinstance(item, LeaseKey):
        return is_on_other_node(item.subnet)
    if isinstance(item, PoolRecord | PoolKey):
        return is_on_other_node(item.id)
    return is_driver_of_other_node(item.name)
