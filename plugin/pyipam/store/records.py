"""What is stored, and the verbs of a store.

A store keeps records durably and knows no policy. A batch of changes is committed whole or not at
all, and is on disk when `commit` returns. Every record has a key; putting one replaces what had
the key before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

# A mirror is an address of a pool of the local space whose subnet is held in the global space too:
# the swarm's leader has decided who has it.
LeaseKind = Literal["gateway", "container", "mirror"]

# How many seconds a commit may take. dockerd gives up after 30, and then forgets what it was given.
PATIENCE = 20.0


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
        return LeaseKey(subnet_of(self.pool), self.address)


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


_MARK = "@"
_ELSEWHERE = f"local{_MARK}"


def is_elsewhere(item: Record | Key) -> bool:
    """Whether the record, or what the key names, belongs to another node alone."""
    if isinstance(item, LeaseRecord):
        return item.pool.startswith(_ELSEWHERE)
    if isinstance(item, LeaseKey):
        return item.subnet.startswith(_ELSEWHERE)
    if isinstance(item, PoolRecord | PoolKey):
        return item.id.startswith(_ELSEWHERE)
    return _MARK in item.name


def name_of(driver: str) -> str:
    """A driver name without the node that it is used on."""
    return driver.partition(_MARK)[0]


class Store(Protocol):
    """The verbs. One behavioural suite runs over every implementation.

    In a store that several nodes share, what belongs to another node carries its name: a pool of
    its local space is of the space `local@NODE`, its driver name is `driver@NODE`.
    """

    @property
    def shared(self) -> bool:
        """Whether other nodes commit to the same plan."""

    def load(self) -> Iterable[Record]:
        """Every stored record. Raises StateDamaged when anything cannot be read."""

    def begin(self, changes: Sequence[Change]) -> None:
        """Begin to make durable, without waiting, what the next commit will consist of. Nobody is
        told whether that went well, and nothing is stored before the commit says so."""

    def commit(self, changes: Sequence[Change], within: float = PATIENCE) -> None:
        """Make the batch durable, whole or not at all, in so many seconds.

        Raises StoreFailure, and then nothing of it is stored: as Conflict when other nodes' records
        stand in the way, as Uncertain when nobody can tell whether it is stored.
        """

    def news(self) -> Sequence[Change]:
        """What other nodes are known to have changed since this was asked last. Asks nobody."""

    def reread(self, within: float = PATIENCE) -> Iterable[Record]:
        """Every record of the global space as other nodes have left it. Raises Unavailable when
        that cannot be had in so many seconds."""

    def problem(self) -> str | None:
        """Why nothing can be committed now, as far as is known; None where nothing is known to
        be wrong. Asks nobody, and waits for nobody."""

    def maintain(self, stopping: threading.Event) -> None:
        """Do what no commit waits for, until told to stop. For a thread of its own."""

    def close(self) -> None:
        """Bring the store to rest. Nothing is committed afterwards."""


def subnet_of(pool_id: str) -> str:
    """SPACE/SUBNET of a pool's id: what its ip-range is not part of."""
    if pool_id.count("/") <= 2:
        return pool_id
    return "/".join(pool_id.split("/", 3)[:3])
