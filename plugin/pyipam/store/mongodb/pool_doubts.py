"""What may be stored of pools, after commits whose outcome is unknown.

Each such commit leaves one possibility more: a pool as it was before, or as the commit puts it, or
none. They may differ in the collection in which the pool is, with its leases, and in the claims on
which a change of it depends.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import PoolRecord

# A pool as it may be stored; None if there may be none.
PossiblePool = PoolRecord | None


class PoolDoubts:
    """The pools in doubt, each with all that may be stored under its id.

    Every method requires the lock of the store.
    """

    def __init__(self) -> None:
        self._possible: dict[str, set[PossiblePool]] = {}
        self._pool_ids_of_subnet: dict[str, set[str]] = {}

    def add(self, pool_id: str, possible: Iterable[PossiblePool]) -> None:
        """Know that these may be stored under the id, too."""
        self._possible.setdefault(pool_id, set()).update(possible)
        self._pool_ids_of_subnet.setdefault(subnet_id_of(pool_id), set()).add(pool_id)

    def settle(self, pool_id: str) -> None:
        """Know that it is not in doubt any more what is stored under an id."""
        if self._possible.pop(pool_id, None) is None:
            return
        subnet_id = subnet_id_of(pool_id)
        self._pool_ids_of_subnet[subnet_id].remove(pool_id)
        if not self._pool_ids_of_subnet[subnet_id]:
            del self._pool_ids_of_subnet[subnet_id]

    def possible(self, pool_id: str) -> Set[PossiblePool] | None:
        """What may be stored under an id; None if it is not in doubt."""
        return self._possible.get(pool_id)

    def pool_ids_of(self, subnet_id: str) -> Set[str]:
        """The ids of the pools of a subnet that are in doubt."""
        return self._pool_ids_of_subnet.get(subnet_id, frozenset())

    def clear(self) -> None:
        """Know that nothing is in doubt any more."""
        self._possible.clear()
        self._pool_ids_of_subnet.clear()
