"""What is stored, and the verbs of a store.

A store keeps records durably and knows no policy. A batch of changes is committed whole or not at
all, and is on disk when `commit` returns. Every record has a key; putting one replaces what had
the key before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

LeaseKind = Literal["gateway", "container"]


@dataclass(frozen=True, slots=True)
class Claim:
    """How often one driver name holds a pool, and the epoch in which it last said so."""

    driver: str
    epoch: int
    references: int


@dataclass(frozen=True, slots=True)
class PoolRecord:
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


@dataclass(frozen=True, slots=True)
class LeaseRecord:
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


@dataclass(frozen=True, slots=True)
class DriverRecord:
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


class Store(Protocol):
    """The verbs. One behavioural suite runs over every implementation."""

    def load(self) -> Iterable[Record]:
        """Every stored record. Raises StateDamaged when anything cannot be read."""

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the batch durable, whole or not at all. Raises StoreFailure, and then nothing of
        it is stored."""

    def maintain(self, stopping: threading.Event) -> None:
        """Do what no commit waits for, until told to stop. For a thread of its own."""

    def close(self) -> None:
        """Bring the store to rest. Nothing is committed afterwards."""


def subnet_of(pool_id: str) -> str:
    """SPACE/SUBNET of a pool's id: what its ip-range is not part of."""
    return "/".join(pool_id.split("/", 3)[:3])
