"""What other nodes hold in a plan that several nodes share.

Their pools are in their own local spaces, so an explicit subnet here may equal one of theirs. But
an automatic block never overlaps theirs, and no container here gets an address that a container
there has. What is known here may be out of date: the store has the last word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from pyipam.core.holdings import Holding, HoldingKey
from pyipam.space.address import to_number
from pyipam.space.block import Block
from pyipam.store.pool_id import parse_subnet_id, subnet_id_of
from pyipam.store.records import (
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    is_elsewhere,
)


class Elsewhere:
    """The pools in the local spaces of other nodes, and the addresses of their containers. Needs
    the lock of the state."""

    def __init__(self) -> None:
        # Grows with each subnet that comes or goes.
        self.subnets_version = 0
        self._subnets: dict[str, dict[str, PoolRecord]] = {}
        self._leases: dict[int, dict[int, LeaseRecord]] = {4: {}, 6: {}}
        self._leases_of: defaultdict[str, dict[int, LeaseRecord]] = defaultdict(dict)

    def pools(self) -> Iterator[PoolRecord]:
        """Every pool of another node."""
        for pools in self._subnets.values():
            yield from pools.values()

    def subnet_ids(self) -> Iterable[str]:
        """The ids of the subnets that other nodes hold."""
        return self._subnets

    def pools_of(self, subnet_id: str) -> Iterable[PoolRecord]:
        """The pools of one subnet of another node."""
        return self._subnets.get(subnet_id, {}).values()

    def blocks(self) -> Iterator[Block]:
        """The blocks that other nodes hold. A block that two nodes hold is returned twice."""
        return (parse_subnet_id(key)[1] for key in self._subnets)

    def leases(self, version: int) -> Mapping[int, LeaseRecord]:
        """The leases of containers on other nodes, by address, for IP version 4 or 6; in force or
        released."""
        return self._leases[version]

    def leases_of(self, pool_id: str) -> list[LeaseRecord]:
        """The leases of containers in one of the pools."""
        return list(self._leases_of.get(pool_id, {}).values())

    def put(self, record: Holding) -> Block | None:
        """Put a record. Returns the block that is now held and was not before, or None."""
        if isinstance(record, LeaseRecord):
            self._put_lease(record)
        elif isinstance(record, PoolRecord):
            key = subnet_id_of(record.id)
            known = key in self._subnets
            self._subnets.setdefault(key, {})[record.id] = record
            self.subnets_version += not known
            return None if known else parse_subnet_id(key)[1]
        return None

    def delete(self, key: HoldingKey) -> Block | None:
        """Delete the record of the key. Returns the block that is no longer held, or None."""
        if isinstance(key, LeaseKey):
            self._delete_lease(key)
        elif isinstance(key, PoolKey):
            subnet_id = subnet_id_of(key.id)
            pools = self._subnets.get(subnet_id, {})
            if pools.pop(key.id, None) is not None and not pools:
                del self._subnets[subnet_id]
                self.subnets_version += 1
                return parse_subnet_id(subnet_id)[1]
        return None

    def take_from(self, records: Iterable[Holding]) -> Iterator[Holding]:
        """Put the records of other nodes, and yield the others."""
        for record in records:
            if is_elsewhere(record):
                self.put(record)
            else:
                yield record

    def _put_lease(self, lease: LeaseRecord) -> None:
        # Several nodes may have the same gateway; a mirrored address belongs to the swarm.
        if lease.kind == "container":
            leases, number = self._leases[_version(lease.address)], to_number(lease.address)
            known = leases.get(number)
            if known is not None:
                is_release = lease.released is not None and known.released is None
                if is_release and known.pool != lease.pool:
                    # The node that released it is not the one that has it now.
                    return
                self._drop_from_pool(known, number)
            leases[number] = self._leases_of[lease.pool][number] = lease

    def _delete_lease(self, key: LeaseKey) -> None:
        leases, number = self._leases[_version(key.address)], to_number(key.address)
        lease = leases.get(number)
        if lease is not None and subnet_id_of(lease.pool) == key.subnet:
            del leases[number]
            self._drop_from_pool(lease, number)

    def _drop_from_pool(self, lease: LeaseRecord, number: int) -> None:
        of_its_pool = self._leases_of[lease.pool]
        del of_its_pool[number]
        if not of_its_pool:
            del self._leases_of[lease.pool]


def _version(address: str) -> int:
    return 6 if ":" in address else 4
