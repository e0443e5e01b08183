"""The tables of TinyDB files as records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from pyipam.store.documents import Document, to_record
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import LeaseRecord, PoolRecord
from pyipam.store.tinydb.corruption import corrupted
from pyipam.store.tinydb.layout import Listed


class Table(NamedTuple):
    """The records of one table. Whatever is not a lease is listed as its pools."""

    name: str
    pools: list[Listed]
    leases: list[LeaseRecord]


def read_tables(path: Path, portions: Iterable[tuple[str, Iterable[Document]]]) -> Iterator[Table]:
    """The tables of the file `path`. Its documents are given in portions, each with the name of its
    table. Raises StateCorrupted if a document is not a record, or a lease has no pool."""
    for name, items in groupby(portions, itemgetter(0)):
        table = Table(name, [], [])
        try:
            for _, documents in items:
                for record in map(to_record, documents):
                    if isinstance(record, LeaseRecord):
                        table.leases.append(record)
                    else:
                        table.pools.append(record)
            _check_leases(table)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise corrupted(path, 0, f"table {name} cannot be read ({error!r})") from error
        yield table


def _check_leases(table: Table) -> None:
    """Raise ValueError if a lease is in a subnet that has no pool."""
    pools = {subnet_id_of(pool.id) for pool in table.pools if isinstance(pool, PoolRecord)}
    for pool_id in {lease.pool for lease in table.leases}:
        if subnet_id_of(pool_id) not in pools:
            raise ValueError(f"pool {pool_id} is missing")
