"""What `pyipam nodes forget` does: take the place of a lost node, and give back all it held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pyipam.errors import StoreFailure, TransferRefused
from pyipam.store.errors import Conflict
from pyipam.store.mongodb.address import StoreAddress
from pyipam.store.pool_id import NO_NODE, is_driver_of_other_node, is_local, split_node
from pyipam.store.records import (
    AggregateRecord,
    Delete,
    DriverRecord,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Record,
)
from pyipam.transfer.moving import Count
from pyipam.transfer.owners import space_of_owner

if TYPE_CHECKING:
    from pyipam.store.mongodb.store import MongoDbStore

# A node says every 30 seconds that it lives; an election of the database may take as long.
SEEN_LATELY_SECONDS = 300.0
# A transaction that deletes so many pools, with all their leases, takes a few seconds.
_POOLS_AT_A_TIME = 200
_MOST_ATTEMPTS = 100


def forget_node(address: StoreAddress, node: str) -> Count:
    """Delete all that a node of a shared plan holds in its own space, and the node; how much it
    was. The other nodes learn of it by themselves.

    If it is interrupted, a part may be left, and doing it again deletes the rest. Raises
    TransferRefused, also where the node may still live, StoreFailure, Unavailable or
    StateCorrupted.
    """
    with _opened(address, NO_NODE) as store:
        ages = store.seconds_since_seen()
        _check_known(store, ages, node)
        if node in ages:
            _check_gone(node, ages[node])
    return _give_back_everything(address, node)


def forget_node_even_if_alive(address: StoreAddress, node: str) -> Count:
    """The same, also of a node that may still live."""
    with _opened(address, NO_NODE) as store:
        _check_known(store, store.seconds_since_seen(), node)
    return _give_back_everything(address, node)


def _check_known(store: MongoDbStore, ages: Mapping[str, float | None], node: str) -> None:
    """Raise TransferRefused if the plan has no such node. `ages` are those of the nodes that have
    served it."""
    if node in ages:
        return
    # The plan may have been imported, and the node never have begun to serve it.
    owners = {split_node(space_of_owner(record))[1] for record in store.load()} - {""}
    if node not in owners:
        known = sorted(owners | {*ages})
        raise TransferRefused(f"the plan has no node {node}; it has {', '.join(known) or 'none'}")


def _check_gone(node: str, age: float | None) -> None:
    """Raise TransferRefused if the node may still live."""
    way_out = "If its host is permanently gone, add --even-if-alive"
    if age is None:
        raise TransferRefused(
            f"it is not known when node {node} was last seen, because its plugin is an older "
            f"version. {way_out}"
        )
    if age < SEEN_LATELY_SECONDS:
        raise TransferRefused(
            f"node {node} was seen {age:.0f} seconds ago: its containers may be running, and "
            "their addresses would be given to others. Disable its plugin, and wait until it has "
            f"not been seen for {SEEN_LATELY_SECONDS / 60:.0f} minutes. {way_out}"
        )


def _give_back_everything(address: StoreAddress, node: str) -> Count:
    """Delete what the node holds, and the node."""
    with _opened(address, node) as store:
        records = [record for record in store.load() if _is_own(record)]
        pools = [record for record in records if isinstance(record, PoolRecord)]
        # Leases end with their pools.
        for first in range(0, len(pools), _POOLS_AT_A_TIME):
            _delete(store, pools[first : first + _POOLS_AT_A_TIME])
        _delete(store, [record for record in records if isinstance(record, DriverRecord)])
        if not store.withdraw():
            raise TransferRefused(
                f"node {node} came back while it was being forgotten: what it held was deleted, "
                "and its plugin serves it again. Restart its dockerd, which then tells the plugin "
                "about its networks"
            )
    return Count.of(records)


def _is_own(record: Record) -> bool:
    match record:
        case PoolRecord() | AggregateRecord():
            return is_local(record.id)
        case LeaseRecord():
            return is_local(record.pool)
        case DriverRecord():
            return not is_driver_of_other_node(record.name)
        case NodeRecord():
            return False


def _delete(store: MongoDbStore, records: Sequence[Record]) -> None:
    """Delete the records. What other nodes changed meanwhile is learned, and does not matter."""
    changes = [Delete(record.key) for record in records]
    if not changes:
        return
    for _ in range(_MOST_ATTEMPTS):
        with suppress(Conflict):
            store.commit(changes)
            return
    raise StoreFailure("other nodes kept changing the plan at the same moment; try again")


@contextmanager
def _opened(address: StoreAddress, node: str) -> Iterator[MongoDbStore]:
    from pyipam.store.mongodb.store import MongoDbStore

    with (
        TemporaryDirectory() as folder,
        closing(MongoDbStore(address, node, Path(folder))) as store,
    ):
        yield store
