"""How much is held, kept up to date by whatever changes it, so that nobody has to count."""

from __future__ import annotations

from dataclasses import dataclass

from pyipam.store.records import PoolRecord


@dataclass(slots=True)
class Counts:
    """The numbers of pools and leases of this node and of the global space. Needs the lock of the
    state.

    `pools` and `leases` are all there are; of these, `resting_pools`, `resting_leases` and
    `held_back_leases` are released. `claims_version` grows with each change that can claim
    something, or leave it unclaimed; a new lease does not.
    """

    pools: int = 0
    resting_pools: int = 0
    leases: int = 0
    resting_leases: int = 0
    held_back_leases: int = 0
    claims_version: int = 0

    def replace_pool(self, before: PoolRecord | None, after: PoolRecord | None) -> None:
        """A pool was put in the place of another one, or of none, or deleted."""
        self.claims_version += 1
        if before is not None:
            self.pools -= 1
            self.resting_pools -= before.released is not None
        if after is not None:
            self.pools += 1
            self.resting_pools += after.released is not None
