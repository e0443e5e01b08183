"""Everything out of a store, and into one, while no plugin uses it.

An import takes effect with one commit: after a crash either all of it is there, or nothing. The
schema that a state folder remembers is written before that, so that no plan is served without the
schema that it came with. If an import is cut off in between, it has to be repeated.

A store that several nodes share is opened as a node that does not exist (`NO_NODE`), so that every
name in it names its node, or as one of the nodes, to which names that name none then belong. Its
database does not take a commit of any size. But there, a lease without its pool does not count: so
a large import first commits the leases in parts, and then the pools, which make all of them count
at once, or none if a running node has deleted one meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

from pyipam.errors import StoreFailure, TransferRefused, listed
from pyipam.files import replace_file
from pyipam.history.names import NAMES_NAME
from pyipam.history.segments import HISTORY_NAME
from pyipam.plan.schema_source import REMEMBERED_NAME
from pyipam.store.errors import Uncertain
from pyipam.store.pool_id import is_global, split_node
from pyipam.store.protocol import Store
from pyipam.store.records import (
    AggregateRecord,
    Change,
    Delete,
    DriverRecord,
    LeaseRecord,
    NodeRecord,
    PoolRecord,
    Put,
    Record,
)
from pyipam.store.tinydb.manifest import MANIFEST_NAME
from pyipam.transfer.claims import check_beside_claims, check_claimed
from pyipam.transfer.export_file import Export
from pyipam.transfer.newer import about_use, used_since
from pyipam.transfer.owners import space_of_owner
from pyipam.transfer.past import read_lines

# MongoDB ends transactions after 60 seconds (transactionLifetimeLimitSeconds).
_COMMIT_TIMEOUT_SECONDS = 50.0
# MongoDB takes about two seconds for this many on a server with little memory.
_MAX_CHANGES_PER_COMMIT = 10_000
_MOST_LISTED = 3

# What a first start that was cut off may have left in a folder.
_LEFT_BY_A_FIRST_START = (
    "lock",
    f"{REMEMBERED_NAME}*",
    f"{MANIFEST_NAME}*",
    "journal-*.log",
    f"{HISTORY_NAME}*",
    f"{NAMES_NAME}*",
)


@dataclass(frozen=True)
class State:
    """A store, and beside it the file of the schema that is remembered, and the folder of the
    history, if there can be any.

    A store that nodes share is opened as `node`, and takes at most this many changes in one commit.
    """

    store: Store
    remembered: Path | None = None
    history: Path | None = None
    node: str = ""
    max_changes_per_commit: int = _MAX_CHANGES_PER_COMMIT


def holds_state(folder: Path) -> bool:
    """Whether a TinyDB store was ever opened in the folder."""
    return (folder / MANIFEST_NAME).exists()


def will_hold_state(folder: Path) -> bool:
    """Whether Docker will make this folder, which does not exist: the state folder of a plugin that
    was installed and never enabled (`enable` in moby's daemon/pkg/plugin/manager_linux.go)."""
    beside = (folder.with_name("config.json"), folder.with_name("rootfs"))
    return folder.name == "propagated-mount" and all(path.exists() for path in beside)


def may_hold_state(folder: Path) -> bool:
    """Whether a folder that exists holds a state, or nothing."""
    return holds_state(folder) or all(
        any(path.match(pattern) for pattern in _LEFT_BY_A_FIRST_START) for path in folder.iterdir()
    )


@dataclass(frozen=True)
class Count:
    """How many records of each kind there are; `str` gives a phrase."""

    pools: int
    leases: int
    drivers: int
    aggregates: int = 0

    @classmethod
    def of(cls, records: Iterable[Record]) -> Count:
        """The count of these records."""
        kinds = [type(record) for record in records]
        counted = (PoolRecord, LeaseRecord, DriverRecord, AggregateRecord)
        return cls(*map(kinds.count, counted))

    def __str__(self) -> str:
        aggregates = f", {_number(self.aggregates, 'aggregate')}" if self.aggregates else ""
        return (
            f"{_number(self.pools, 'pool')}, {_number(self.leases, 'lease')}{aggregates} and "
            f"{_number(self.drivers, 'driver name')}"
        )


def take_out(state: State) -> Export:
    """Everything that a state holds.

    Raises StateCorrupted or Unavailable, and TransferRefused if the remembered schema is not text.
    """
    records = sorted(state.store.load(), key=lambda record: isinstance(record, LeaseRecord))
    return Export(
        tuple(records),
        _read_schema(state.remembered),
        () if state.history is None else read_lines(state.history),
    )


def put_into_empty(state: State, export: Export) -> None:
    """Import into a state that holds no pools and no leases. A remembered schema stays.

    Raises TransferRefused if it holds some, StateCorrupted, Unavailable or StoreFailure. Then
    nothing has changed; only after Uncertain, everything may have been imported.
    """
    held = _to_be_replaced(state, export)
    count = Count.of(held)
    if count.pools or count.leases:
        raise TransferRefused(
            f"the state is not empty: it holds {count}. Import into an empty one, or replace all "
            "of that with --force"
        )
    schema = export.schema if _read_schema(state.remembered) is None else None
    _put(state, held, replace(export, schema=schema))


def put_in_place(state: State, export: Export) -> None:
    """Import instead of everything that the state holds. A remembered schema stays if the export
    has none.

    Raises TransferRefused, StateCorrupted, Unavailable or StoreFailure, as `put_into_empty` does.
    """
    _put(state, _to_be_replaced(state, export), export)


def put_back(state: State, backup: Export) -> None:
    """Go back to what a backup holds, as `put_in_place` does, unless something is in use that the
    backup does not know of. Raises TransferRefused then, and otherwise what that does."""
    held = _to_be_replaced(state, backup)
    used = used_since(held, backup)
    if used:
        raise TransferRefused(
            f"the state is newer than the backup: {Count.of(used)} have come into use or been "
            f"claimed since, most recently {about_use(used)}. After a restore, they could be given "
            "out a second time. If they are not in use, or if you restart dockerd right after the "
            "restore, add --discard-newer"
        )
    _put(state, held, backup)


def has_other_schema(state: State, export: Export) -> bool:
    """Whether the schema of the export is not the one that the state remembers after an import."""
    return export.schema is not None and export.schema != _read_schema(state.remembered)


def _to_be_replaced(state: State, export: Export) -> list[Record]:
    """What the export replaces: everything. In a store that nodes share, what the nodes in the
    export hold, and the global space if the export has something there.

    Raises TransferRefused if a container of another node has an address of the export, if another
    node has claimed a block that overlaps one of the export, if one has claimed a block in which
    the other has a pool, or if a node in it was forgotten.
    """
    held = list(state.store.load())
    if not state.store.shared:
        return held
    spaces = {space_of_owner(record) for record in export.records}
    others = [record for record in held if space_of_owner(record) not in spaces]
    _check_not_forgotten(held, export, {_node_of_space(space, state.node) for space in spaces})
    _check_exclusive(export, others)
    check_claimed(export, others)
    check_beside_claims(export, others)
    return [record for record in held if space_of_owner(record) in spaces]


def _node_of_space(space: str, node: str) -> str:
    """The node whose space it is, where that of `node` is not named; empty for the global space."""
    return node if space == "local" else split_node(space)[1]


def _check_not_forgotten(held: Iterable[Record], export: Export, nodes: Collection[str]) -> None:
    """Raise TransferRefused if one of these nodes was forgotten in the store, and in the export it
    was not."""
    gone = _forgotten_in(held) - _forgotten_in(export.records)
    found = sorted(gone.intersection(nodes))
    if found:
        raise TransferRefused(
            f"node {found[0]} was forgotten in this store, and would serve it again after the "
            "import, although others may have what it held. If it is to, undo that first (pyipam "
            f"nodes forget --undo {found[0]}), and import then; a node that is to stay out can be "
            "forgotten again afterwards"
        )


def _forgotten_in(records: Iterable[Record]) -> set[str]:
    marks = (record for record in records if isinstance(record, NodeRecord))
    return {mark.name for mark in marks if mark.forgotten is not None}


def _check_exclusive(export: Export, others: Iterable[Record]) -> None:
    """Raise TransferRefused if containers of the others have addresses of the export's."""
    taken = {record.address: record for record in others if _is_exclusive(record)}
    found = [
        f"{record.address} ({taken[record.address].pool})"
        for record in export.records
        if _is_exclusive(record) and record.address in taken
    ]
    if found:
        raise TransferRefused(
            "containers on different hosts of a shared plan cannot have the same address, and "
            f"containers of other nodes have {listed(found, _MOST_LISTED)}: create one of the "
            "networks again with another subnet, and export again"
        )


def _is_exclusive(record: Record) -> TypeGuard[LeaseRecord]:
    return (
        isinstance(record, LeaseRecord)
        and record.kind == "container"
        and record.released is None
        and not is_global(record.pool)
    )


def _put(state: State, held: Sequence[Record], export: Export) -> None:
    # Leases are deleted before their pools, and put after them.
    ordered = sorted(held, key=lambda record: not isinstance(record, LeaseRecord))
    changes: list[Change] = [Delete(record.key) for record in ordered]
    changes += [Put(record) for record in export.records]
    most = state.max_changes_per_commit
    if state.store.shared and len(changes) > most:
        parts = _parts(Count.of(held), changes, most)
        with _nothing_undone():
            state.store.commit_in_parts(parts, _COMMIT_TIMEOUT_SECONDS)
        return
    with _schema_in_place(state.remembered, export.schema), _nothing_undone():
        state.store.commit(changes, _COMMIT_TIMEOUT_SECONDS)


@contextmanager
def _nothing_undone() -> Iterator[None]:
    """A plugin undoes what may have been stored without an answer, with its next commit; here
    nobody does."""
    try:
        yield
    except Uncertain as error:
        raise Uncertain(
            error.doubt,
            "if it was, all of the import is there, and otherwise nothing of it. When the database "
            "answers, look what is there with pyipam export, and import again if it is nothing",
        ) from error


def _parts(held: Count, changes: Sequence[Change], most: int) -> list[Sequence[Change]]:
    """The leases, in parts of at most this many, and then all the rest. Raises TransferRefused."""
    if held.pools or held.leases:
        raise TransferRefused(
            f"the import is too large to replace {held} in one step, which a shared store needs. "
            "Nothing was changed: drop the database, or name an empty one"
        )
    leases = [change for change in changes if _is_lease(change)]
    rest = [change for change in changes if not _is_lease(change)]
    return [
        *(leases[first : first + most] for first in range(0, len(leases), most)),
        rest,
    ]


def _is_lease(change: Change) -> bool:
    return isinstance(change, Put) and isinstance(change.record, LeaseRecord)


def _read_schema(remembered: Path | None) -> str | None:
    if remembered is None:
        return None
    try:
        return remembered.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise TransferRefused(
            f"{remembered} is not valid UTF-8: byte {error.start} cannot be read; fix or remove it"
        ) from error


@contextmanager
def _schema_in_place(remembered: Path | None, schema: str | None) -> Iterator[None]:
    """Remember the schema, if there is one; if the block fails, restore the previous one."""
    if remembered is None or schema is None:
        yield
        return
    previous = _read_schema(remembered)
    try:
        replace_file(remembered, [schema.encode()])
        yield
    except (StoreFailure, OSError):
        if previous is None:
            remembered.unlink(missing_ok=True)
        else:
            replace_file(remembered, [previous.encode()])
        raise


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
