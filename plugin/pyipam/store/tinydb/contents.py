"""Where everything is stored, and what is committed and not in the TinyDB files yet.

The records themselves are in the files and with the core, and are not kept a third time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Literal, NamedTuple

import orjson

from pyipam.store.documents import Document
from pyipam.store.pool_id import subnet_id_of
from pyipam.store.records import (
    Change,
    Delete,
    DriverKey,
    DriverRecord,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
)

Layout = Literal["scope", "single"]
LAYOUTS: tuple[Layout, ...] = ("scope", "single")

_DRIVERS = "drivers"
_DRIVERS_FILE = "drivers.json"
_SINGLE_FILE = "scopes/all.json"


class _Home(NamedTuple):
    """The file that a subnet is stored in, as long as it has pools, and the ids of those. The
    driver names are stored as if they were the pools of one subnet."""

    file: str
    pools: tuple[str, ...]


class Contents:
    """The files that everything belongs to, and the changes that they do not contain."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._homes: dict[str, _Home] = {}
        self._changed: dict[str, dict[str, Record | None]] = {}
        self._dropped: set[str] = set()
        self.dirty: set[str] = set()

    def fits(self, file: str) -> bool:
        """Whether a file of this name is part of the layout."""
        return file == _DRIVERS_FILE or (file == _SINGLE_FILE) == (self._layout == "single")

    def files(self) -> set[str]:
        """The files that hold something once all changes are in them."""
        return {home.file for home in self._homes.values()}

    def know(self, record: PoolRecord | DriverRecord, file: str) -> None:
        """Learn that a file contains a pool or a driver name."""
        subnet, name = _place(record.key)
        home = self._homes.get(subnet)
        if home is not None and home.file != file:
            # It has moved, and a checkpoint was cut off when one of the files had been written.
            self.dirty |= {home.file, file}
        self._admit(subnet, name, file)

    def apply(self, change: Change) -> None:
        """Take in a change that is committed."""
        match change:
            case Put(record):
                self._put(record)
            case Delete(key):
                self._delete(key)

    def settle(self) -> None:
        """Learn that the files contain every change."""
        self._changed.clear()
        self._dropped.clear()
        self.dirty.clear()

    def changed_tables(self) -> dict[str, None]:
        """The tables that differ from what the files contain, in the order of their changes."""
        return dict.fromkeys(map(_table_of, chain(self._changed, self._dropped)))

    def contains_still(self, document: Document) -> bool:
        """Whether a document of a file is neither changed nor deleted."""
        subnet, name = _place_of_document(document)
        return subnet not in self._dropped and name not in self._changed.get(subnet, ())

    def has_dropped(self, table: str) -> bool:
        """Whether all that was stored of a subnet is no longer in a table."""
        return not self._dropped.isdisjoint(_subnets_of(table))

    def changed_names(self, table: str) -> set[bytes]:
        """The names, as JSON, of what has changed in a table of which nothing was dropped."""
        return {
            orjson.dumps(name)
            for subnet in _subnets_of(table)
            for name in self._changed.get(subnet, ())
        }

    def added(self, file: str, table: str) -> Iterator[Record]:
        """The records that a table of a file must have besides those that it contains still."""
        for subnet in _subnets_of(table):
            home = self._homes.get(subnet)
            if home is not None and home.file == file:
                changed = self._changed.get(subnet, {}).values()
                yield from (record for record in changed if record is not None)

    def current(self, stored: Iterable[Record]) -> Iterator[Record]:
        """The records of all subnets that have changed, made from what the files contain of
        them; the pools of a subnet before the leases in them."""
        subnets: dict[str, dict[str, Record | None]] = {}
        for record in stored:
            subnet, name = _place(record.key)
            if subnet not in self._dropped:
                subnets.setdefault(subnet, {})[name] = record
        for subnet, changed in self._changed.items():
            subnets.setdefault(subnet, {}).update(changed)
        for records in subnets.values():
            yield from _pools_first(records)

    def _put(self, record: Record) -> None:
        subnet, name = _place(record.key)
        if isinstance(record, LeaseRecord):
            # A journal is read over files that may know already that its pool is deleted later.
            home = self._homes.setdefault(subnet, _Home(self._file_of(""), ()))
        else:
            home = self._admit(subnet, name, self._file_for(record))
        self._changed.setdefault(subnet, {})[name] = record
        self.dirty.add(home.file)

    def _admit(self, subnet: str, name: str, file: str) -> _Home:
        """Know a pool of a subnet, which is stored in this file unless it has another already."""
        home = self._homes.get(subnet) or _Home(file, ())
        if name not in home.pools:
            home = self._homes[subnet] = home._replace(pools=(*home.pools, name))
        return home

    def _delete(self, key: Key) -> None:
        subnet, name = _place(key)
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
            # With its last pool goes whatever is stored of the subnet.
            del self._homes[subnet]
            self._dropped.add(subnet)
            self._changed.pop(subnet, None)

    def _file_for(self, record: PoolRecord | DriverRecord) -> str:
        return _DRIVERS_FILE if isinstance(record, DriverRecord) else self._file_of(record.scope)

    def _file_of(self, scope: str) -> str:
        if self._layout == "single":
            return _SINGLE_FILE
        name = scope.replace("/", "-").replace(":", "_") or "unmanaged"
        return f"scopes/{name}.json"


def _pools_first(records: Mapping[str, Record | None]) -> Iterator[Record]:
    rows = [record for record in records.values() if record is not None]
    yield from (row for row in rows if not isinstance(row, LeaseRecord))
    yield from (row for row in rows if isinstance(row, LeaseRecord))


def table_of(change: Change) -> str:
    """The table that a change is a change of."""
    return _table_of(_place(change.record.key if isinstance(change, Put) else change.key)[0])


def _table_of(subnet: str) -> str:
    """A table holds what both address spaces have of a CIDR."""
    return subnet.partition("/")[2] or subnet


def _subnets_of(table: str) -> tuple[str, ...]:
    return table, f"local/{table}", f"global/{table}"


def _place(key: Key) -> tuple[str, str]:
    """The subnet that a record is stored under, and its name there."""
    match key:
        case LeaseKey(subnet, address):
            return subnet, address
        case PoolKey(pool_id):
            return subnet_id_of(pool_id), pool_id
        case DriverKey(name):
            return _DRIVERS, name


def _place_of_document(document: Document) -> tuple[str, str]:
    """The same of a document."""
    match document["kind"]:
        case "lease":
            return subnet_id_of(document["pool"]), document["address"]
        case "pool":
            return subnet_id_of(document["id"]), document["id"]
        case _:
            return _DRIVERS, document["name"]
