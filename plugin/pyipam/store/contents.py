"""Every record that is stored, by the file and the subnet that it is stored under."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pyipam.store.documents import Document, to_document
from pyipam.store.store import (
    Change,
    Delete,
    DriverKey,
    Key,
    LeaseKey,
    LeaseRecord,
    PoolKey,
    PoolRecord,
    Put,
    Record,
    subnet_of,
)

Layout = Literal["scope", "single"]
LAYOUTS: tuple[Layout, ...] = ("scope", "single")

_DRIVERS = "drivers"
_DRIVERS_FILE = "drivers.json"


class Contents:
    """Every record, by the file and the subnet that it is stored under."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._homes: dict[str, str] = {}
        self.files: dict[str, dict[str, dict[str, Record]]] = {}
        self.dirty: set[str] = set()

    def records(self) -> Iterator[Record]:
        """Every record; the pools of a subnet before the leases in them."""
        for subnets in self.files.values():
            for records in subnets.values():
                rows = records.values()
                yield from (row for row in rows if not isinstance(row, LeaseRecord))
                yield from (row for row in rows if isinstance(row, LeaseRecord))

    def tables(self, file: str) -> Iterator[tuple[str, Iterator[Document]]]:
        """The tables of a TinyDB file: one for each CIDR, with what both spaces hold there.

        Another thread may apply changes meanwhile: each table is then as it was at some moment
        in between. The journal, read on top, brings every record to its last state.
        """
        spaces: dict[str, list[dict[str, Record]]] = {}
        for subnet, records in list(self.files.get(file, {}).items()):
            spaces.setdefault(subnet.partition("/")[2] or subnet, []).append(records)
        for cidr, parts in spaces.items():
            rows = [row for part in parts for row in list(part.values())]
            yield cidr, map(to_document, rows)

    def apply(self, change: Change) -> None:
        match change:
            case Put(record):
                self._put(record)
            case Delete(key):
                self._delete(key)

    def put_table(self, records: Sequence[Record]) -> None:
        """Every record of a table as it was read. Raises KeyError for a lease without its pool."""
        rows: dict[str, dict[str, Record]] = {}
        leases = [record for record in records if isinstance(record, LeaseRecord)]
        for record in records:
            if not isinstance(record, LeaseRecord):
                self._put(record)
        for lease in leases:
            row = rows.get(lease.pool)
            if row is None:
                subnet = subnet_of(lease.pool)
                row = rows[lease.pool] = self.files[self._homes[subnet]][subnet]
            row[lease.address] = lease

    def _put(self, record: Record) -> None:
        subnet, name = _place(record.key)
        if isinstance(record, PoolRecord):
            self._homes.setdefault(subnet, self._file_for(record.scope))
        file = self._home(subnet)
        self.files.setdefault(file, {}).setdefault(subnet, {})[name] = record
        self.dirty.add(file)

    def _delete(self, key: Key) -> None:
        subnet, name = _place(key)
        file = self._home(subnet)
        records = self.files.get(file, {}).get(subnet, {})
        if records.pop(name, None) is None:
            return
        self.dirty.add(file)
        if not records:
            del self.files[file][subnet]
            self._homes.pop(subnet, None)
        if not self.files[file]:
            del self.files[file]

    def _home(self, subnet: str) -> str:
        return _DRIVERS_FILE if subnet == _DRIVERS else self._homes.get(subnet, "")

    def _file_for(self, scope: str) -> str:
        if self._layout == "single":
            return "scopes/all.json"
        name = scope.replace("/", "-").replace(":", "_") or "unmanaged"
        return f"scopes/{name}.json"


def _place(key: Key) -> tuple[str, str]:
    """The subnet that a record is stored under, and its name there."""
    match key:
        case LeaseKey(subnet, address):
            return subnet, address
        case PoolKey(pool_id):
            return subnet_of(pool_id), pool_id
        case DriverKey(name):
            return _DRIVERS, name
