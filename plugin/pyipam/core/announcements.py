"""What the engines have done since this process started: kept in memory only.

See "Replays and epochs" in docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyipam.space.address import AddressSpace


@dataclass(frozen=True)
class Announcements:
    """Which driver names have been announced, and which have been used for a replay.

    `back_until` maps a driver name and an engine to the monotonic time, in seconds, until which the
    engine only says with an announcement that the plugin is back. `replayed` holds each driver name
    and address space in which the engine has asked again, in the present epoch, for a pool that it
    held before.
    """

    back_until: Mapping[tuple[str, str], float] = field(default_factory=dict)
    replayed: frozenset[tuple[str, AddressSpace]] = frozenset()

    def with_back_until(self, driver: str, engine: str, seconds: float) -> Announcements:
        """The same, with the time until which the engine only returns under the driver name."""
        return replace(self, back_until={**self.back_until, (driver, engine): seconds})

    def with_replay(self, driver: str, space: AddressSpace) -> Announcements:
        """The same, with a replay under the driver name in the address space."""
        return replace(self, replayed=self.replayed | {(driver, space)})

    def without_replays(self, driver: str, *spaces: AddressSpace) -> Announcements:
        """The same, without any replay under the driver name in these address spaces."""
        return replace(self, replayed=self.replayed - {(driver, space) for space in spaces})
