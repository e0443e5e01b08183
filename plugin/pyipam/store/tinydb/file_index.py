"""Which file holds what, and which committed changes the files do not contain yet.

The records themselves are in the files and in the core's memory; they are not kept a third time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from pyipam.store.documents import Document
from pyipam.store.records import (
    Change,
    Delete,
    Key,
    LeaseKey,
    LeaseRecord,
    Put,
    Record,
)
from pyipam.store.tinydb.layout import (
    Layout,
    Listed,
    file_of,
    file_of_scope,
    is_unknown_to_format_2,
    place_of,
    place_of_document,
    subnets_in,
    table_of_subnet,
)


class _Home(NamedTuple):
    """The file of a subnet for as long as it has pools, and the ids of those pools."""

    file: str
    pools: tuple[str, ...]


class FileIndex:
    """The file of every subnet, and the changes since the files were written.

    Without a lock: whoever shares an index among threads must guard it.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._homes: dict[str, _Home] = {}
        # By subnet and name: each record that has changed since, as it is now; None if deleted.
        self._changed: dict[str, dict[str, Record | None]] = {}
        # Subnets whose last pool was deleted since: their records in the files no longer count.
        self._dropped: set[str] = set()
        # The files that do not contain every change.
        self.dirty: set[str] = set()

    def register(self, record: Listed, file: str) -> None:
        """Note that a file contains this record."""
        subnet, name = place_of(record.key)
        home = self._homes.get(subnet)
        if home is not None and home.file != file:
            # The pool has moved, and a checkpoint ended when one of the two files was written.
            self.dirty |= {home.file, file}
        self._add_pool(subnet, name, file)

    def apply(self, changes: Iterable[Change]) -> None:
        """Note committed changes, in order."""
        for change in changes:
            match change:
                case Put(record):
                    self._apply_put(record)
                case Delete(key):
                    self._apply_delete(key)

    def mark_written(self) -> None:
        """Note that the files contain every change."""
        self._changed.clear()
        self._dropped.clear()
        self.dirty.clear()

    def files(self) -> set[str]:
        """The files that hold something once they contain every change."""
        return {home.file for home in self._homes.values()}

    def needs_format_3(self) -> bool:
        """Whether anything is of a kind that format 2 does not have. Visits every subnet."""
        return any(map(is_unknown_to_format_2, self._homes))

    def changed_tables(self) -> dict[str, None]:
        """The tables that differ from what the files contain, in the order of their changes."""
        return dict.fromkeys(map(table_of_subnet, [*self._changed, *self._dropped]))

    def has_dropped(self, table: str) -> bool:
        """Whether a subnet in this table has been dropped with everything in it."""
        return not self._dropped.isdisjoint(subnets_in(table))

    def changed_names(self, table: str) -> set[bytes]:
        """The names, as JSON, of the records of a table that were changed or deleted."""
        return {
            orjson.dumps(name)
            for subnet in subnets_in(table)
            for name in self._changed.get(subnet, ())
        }

    def is_current(self, document: Document) -> bool:
        """Whether a document of a file has been neither changed nor deleted."""
        subnet, name = place_of_document(document)
        return subnet not in self._dropped and name not in self._changed.get(subnet, ())

    def changed_records(self, file: str, table: str) -> Iterator[Record]:
        """The records that a table of a file needs besides its current documents."""
        for subnet in subnets_in(table):
            home = self._homes.get(subnet)
            if home is not None and home.file == file:
                changed = self._changed.get(subnet, {}).values()
                yield from (record for record in changed if record is not None)

    def merge(self, stored: Iterable[Record]) -> Iterator[Record]:
        """The records of every changed subnet, merged from the files and the changes. The pools of
        a subnet come before its leases."""
        subnets: dict[str, dict[str, Record | None]] = {}
        for record in stored:
            subnet, name = place_of(record.key)
            if subnet not in self._dropped:
                subnets.setdefault(subnet, {})[name] = record
        for subnet, changed in self._changed.items():
            subnets.setdefault(subnet, {}).update(changed)
        for records in subnets.values():
            yield from _pools_first(records)

    def _apply_put(self, record: Record) -> None:
        subnet, name = place_of(record.key)
        if isinstance(record, LeaseRecord):
            # A journal is replayed over files that may reflect a later deletion of the pool.
            no_pools = _Home(file_of_scope("", self._layout), ())
            home = self._homes.setdefault(subnet, no_pools)
        else:
            home = self._add_pool(subnet, name, file_of(record, self._layout))
        self._changed.setdefault(subnet, {})[name] = record
        self.dirty.add(home.file)

    def _add_pool(self, subnet: str, name: str, file: str) -> _Home:
        """Add a pool to its subnet, which stays in the file that it has."""
        home = self._homes.get(subnet) or _Home(file, ())
        if name not in home.pools:
            home = self._homes[subnet] = home._replace(pools=(*home.pools, name))
        return home

    def _apply_delete(self, key: Key) -> None:
        subnet, name = place_of(key)
        home = self._homes.get(subnet)
        if home is None:
            return
        self.dirty.add(home.file)
        if isinstance(key, LeaseKey):
            self._changed.setdefault(subnet, {})[name] = None
            return
        left = tuple(pool for pool in home.pools if pool != name)
        if left:
            self._homes[subnet] = home._replace(pools=left)
            self._changed.setdefault(subnet, {})[name] = None
        else:
            # With its last pool, everything stored in a subnet ends.
            del self._homes[subnet]
            self._dropped.add(subnet)
            self._changed.pop(subnet, None)


def _pools_first(records: Mapping[str, Record | None]) -> Iterator[Record]:
    present = [record for record in records.values() if record is not None]
    yield from (record for record in present if not isinstance(record, LeaseRecord))
    yield from (record for record in present if isinstance(record, LeaseRecord))
