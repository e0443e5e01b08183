"""A node as a process, which takes the lowest blocks and addresses that it believes to be free.

    python -m tests.mongodb.allocator URL NODE FOLDER BLOCKS LEASES

The blocks are in 10.1.0.0/16. The addresses are in 10.2.0.0/20, on which every node has a local
pool. The node starts when it reads a line, takes blocks and addresses in turn, and prints each one
that was acknowledged on a line of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path

from pyipam.store.errors import Conflict
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import (
    Change,
    Claim,
    Delete,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
)

_BLOCKS = [str(block) for block in ip_network("10.1.0.0/16").subnets(new_prefix=28)]
_SHARED = ip_network("10.2.0.0/20")
_FIRST_ADDRESS = int(_SHARED.network_address) + 2


class Allocator:
    """Decides by what it has learned, and commits until it succeeds."""

    def __init__(self, store: MongoDbStore) -> None:
        self._store = store
        self._blocks: set[str] = set()
        self._addresses: set[str] = set()
        self._learn(Put(record) for record in store.load())
        self.commit([Put(_pool(str(_SHARED)))])

    def take_block(self) -> str:
        """Take the lowest block that no node has. Returns it."""
        while True:
            block = next(block for block in _BLOCKS if block not in self._blocks)
            if self._try([Put(_pool(block))]):
                self._blocks.add(block)
                return block

    def take_address(self) -> str:
        """Take the lowest address that no node has. Returns it."""
        while True:
            numbers = range(_FIRST_ADDRESS, _FIRST_ADDRESS + _SHARED.num_addresses)
            addresses = (str(ip_address(number)) for number in numbers)
            address = next(found for found in addresses if found not in self._addresses)
            lease = LeaseRecord(f"local/{_SHARED}", address, "container", "driver", 1, 1.0)
            if self._try([Put(lease)]):
                self._addresses.add(address)
                return address

    def commit(self, changes: list[Change]) -> None:
        """Commit what no other node can have, however often others are faster."""
        while not self._try(changes):
            pass

    def _try(self, changes: list[Change]) -> bool:
        try:
            self._store.commit(changes)
        except Conflict as conflict:
            self._learn(conflict.learned)
            return False
        return True

    def _learn(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Put(PoolRecord() as pool):
                    self._blocks.add(pool.id.partition("/")[2])
                case Put(LeaseRecord() as lease):
                    self._addresses.add(lease.address)
                case Delete(PoolKey(pool_id)):
                    self._blocks.discard(pool_id.partition("/")[2])
                case Delete(LeaseKey(_, address)):
                    self._addresses.discard(address)


def _pool(subnet: str) -> PoolRecord:
    return PoolRecord(f"local/{subnet}", "", "", "", (Claim("driver", 1, 1),), 1.0)


def main() -> None:
    url, node, folder, blocks, leases = sys.argv[1:]
    store = MongoDbStore(StoreAddress(url), node, Path(folder))
    allocator = Allocator(store)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(max(int(blocks), int(leases))):
        if number < int(blocks):
            print(allocator.take_block(), flush=True)
        if number < int(leases):
            print(allocator.take_address(), flush=True)
    store.close()


if __name__ == "__main__":
    main()
