"""What the engines have done since this process started: kept in memory only.

See "Replays and epochs" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pyipam.space.address import AddressSpace
from pyipam.store.records import LeaseRecord

# A driver name and the id of a pool.
DriverPool = tuple[str, str]


class Creation(NamedTuple):
    """A network that is being created: when its last call came (monotonic seconds), the addresses
    that it was given, whether the one that it asked for last was refused, and whether it is the
    only one on its pool."""

    last_call: float
    given: tuple[str, ...] = ()
    refused: bool = False
    is_alone: bool = True


@dataclass(frozen=True)
class Announcements:
    """Which driver names have been announced, and which have been used for a replay.

    `back_until` maps a driver name and an engine to the monotonic time, in seconds, until which the
    engine only says with an announcement that the plugin is back. `replayed` holds each driver name
    and address space in which the engine has asked again, in the present epoch, for a pool that it
    held before.

    By driver name and pool id, `outstanding` is how many networks that held the pool before the
    epoch have not asked again yet. `unsure` holds those that were asked for where nobody can tell
    whether that was a repetition. `creating` has, by pool id, the further network of a subnet
    that was begun last. `left_over` are the leases that a creation which failed was given, or a
    container meanwhile.
    """

    back_until: Mapping[tuple[str, str], float] = field(default_factory=dict)
    replayed: frozenset[tuple[str, AddressSpace]] = frozenset()
    outstanding: Mapping[DriverPool, int] = field(default_factory=dict)
    unsure: frozenset[DriverPool] = frozenset()
    creating: Mapping[str, Creation] = field(default_factory=dict)
    left_over: frozenset[LeaseRecord] = frozenset()

    def with_back_until(self, driver: str, engine: str, seconds: float) -> Announcements:
        """The same, with the time until which the engine only returns under the driver name."""
        return replace(self, back_until={**self.back_until, (driver, engine): seconds})

    def with_replay(self, driver: str, space: AddressSpace) -> Announcements:
        """The same, with a replay under the driver name in the address space."""
        return replace(self, replayed=self.replayed | {(driver, space)})

    def without_replays(self, driver: str, *spaces: AddressSpace) -> Announcements:
        """The same, without any replay under the driver name in these address spaces."""
        return replace(self, replayed=self.replayed - {(driver, space) for space in spaces})

    def with_outstanding(self, of: DriverPool, count: int) -> Announcements:
        """The same, with this many networks of a pool that have not asked again."""
        if not count and of not in self.outstanding:
            return self
        others = {key: n for key, n in self.outstanding.items() if key != of}
        return replace(self, outstanding={**others, of: count} if count else others)

    def with_unsure(self, of: DriverPool) -> Announcements:
        """The same, with a pool of which nobody can tell whether it was asked for again."""
        return replace(self, unsure=self.unsure | {of})

    def without_guesses(self, driver: str) -> Announcements:
        """The same, with nothing that was expected of the driver name in its last epoch."""
        return replace(
            self,
            outstanding={key: n for key, n in self.outstanding.items() if key[0] != driver},
            unsure=frozenset(key for key in self.unsure if key[0] != driver),
            left_over=frozenset(lease for lease in self.left_over if lease.driver != driver),
        )

    def without_pool(self, pool_id: str) -> Announcements:
        """The same, with nothing that was known of a pool that has ended."""
        if not (self.outstanding or self.unsure or self.creating or self.left_over):
            return self
        return replace(
            self,
            outstanding={key: n for key, n in self.outstanding.items() if key[1] != pool_id},
            unsure=frozenset(key for key in self.unsure if key[1] != pool_id),
            creating={key: item for key, item in self.creating.items() if key != pool_id},
            left_over=frozenset(lease for lease in self.left_over if lease.pool != pool_id),
        )

    def with_creation(self, pool_id: str, creation: Creation) -> Announcements:
        """The same, with the state of the network that is being created in a pool."""
        return replace(self, creating={**self.creating, pool_id: creation})

    def without_creation(self, pool_id: str) -> Announcements:
        """The same, with no network that is being created in the pool."""
        if pool_id not in self.creating:
            return self
        return replace(
            self, creating={key: item for key, item in self.creating.items() if key != pool_id}
        )

    def with_left_over(self, leases: Iterable[LeaseRecord]) -> Announcements:
        """The same, with leases that a creation which failed may have been given."""
        return replace(self, left_over=self.left_over.union(leases))

    def without_left_over(self, lease: LeaseRecord) -> Announcements:
        """The same, with a lease that is known to be in use."""
        return replace(self, left_over=self.left_over - {lease})
