"""What the commands `export` and `import` do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pyipam.cli.messages import say
from pyipam.errors import TransferRefused
from pyipam.files import replace_file
from pyipam.history.segments import HISTORY_NAME
from pyipam.plan.schema_source import REMEMBERED_NAME
from pyipam.store.mongodb.address import StoreAddress, store_address, without_password
from pyipam.store.opening import open_store
from pyipam.store.pool_id import NO_NODE, is_valid_node_name
from pyipam.store.tinydb.store import TinyDbStore
from pyipam.transfer.export_file import Export, read_export, write_export
from pyipam.transfer.moving import (
    Count,
    State,
    has_other_schema,
    holds_state,
    may_hold_state,
    put_back,
    put_in_place,
    put_into_empty,
    take_out,
    will_hold_state,
)
from pyipam.transfer.owners import (
    marks_left_out,
    nodes_in,
    records_left_out,
    records_of_node,
)
from pyipam.transfer.past import bring_in

_STANDARD_STREAM = "-"
_MAX_ERRORS_SHOWN = 100
_WHAT_IT_LOST = (
    ". What it held is not in the file, and other nodes may have it now: once the plugin is "
    "enabled, compare with Docker (pyipam reconcile)"
)


@dataclass(frozen=True)
class Place:
    """Where a state is: in a folder, or in a shared store with the file of its credentials."""

    folder: Path | None
    store_url: str
    credentials: Path | None


@dataclass(frozen=True)
class Importing:
    """How a file is imported: as which node, and whether what the state holds is replaced."""

    node: str
    force: bool


def export_state(place: Place) -> Export:
    """Everything that a state holds. Raises PyipamError or OSError."""
    if place.folder is not None and not holds_state(place.folder):
        raise TransferRefused(f"there is no state in {place.folder}: it has no manifest.json")
    with _opened(place, NO_NODE) as state:
        return take_out(state)


def check_can_save(file: str) -> None:
    """Raise TransferRefused if there is no place for a file of that name."""
    path = Path(file).resolve()
    if file != _STANDARD_STREAM and not path.parent.is_dir():
        raise TransferRefused(f"{file} cannot be written: there is no folder {path.parent}")
    if file != _STANDARD_STREAM and path.is_dir():
        raise TransferRefused(f"{file} cannot be written: it is a folder")


def save_export(export: Export, place: Place, file: str) -> None:
    """Write what was taken out of a state to a file. Raises PyipamError or OSError."""
    content = write_export(export)
    # If it could not be imported, that must be known while the state still exists.
    _read(content, "what is stored")
    if file == _STANDARD_STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write(Path(file).resolve(), content)
    past = f", and {len(export.history)} entries of the history" if export.history else ""
    say(f"exported {Count.of(export.records)}, {_about_schema(export, place.folder)}{past}")


def read_import(place: Place, file: str, how: Importing) -> Export:
    """What a file holds that can be imported there, as far as that can be told while a plugin still
    uses the state. Raises PyipamError or OSError."""
    export = _read_file(file)
    if place.folder is None:
        _check_node_of_store(export, how.node)
    else:
        _check_node_of_folder(export, how.node)
        _check_target(place.folder)
    return export


def import_state(place: Place, export: Export, how: Importing) -> None:
    """Bring what was read into a state. Raises PyipamError or OSError; then the state is as
    before."""
    if place.folder is None:
        _import_into_store(place, how, export)
    else:
        _import_into_folder(place, place.folder, how, export)


def read_backup(folder: Path, file: str) -> Export:
    """The backup in a file, to be restored in a folder; see `read_import`. Raises PyipamError or
    OSError."""
    backup = _read_file(file)
    if nodes_in(backup):
        raise TransferRefused(
            f"{file} is not the backup of a single host; use `pyipam import` instead"
        )
    _check_target(folder)
    return backup


def restore_state(folder: Path, backup: Export) -> None:
    """Let a state in a folder go back to a backup, unless something is in use that the backup does
    not know of. Raises PyipamError or OSError; then the state is as before."""
    _restore(folder, backup, put_back)


def restore_and_discard_newer(folder: Path, backup: Export) -> None:
    """The same, and what the backup does not know of is no longer held."""
    _restore(folder, backup, put_in_place)


def _restore(folder: Path, backup: Export, put: Callable[[State, Export], None]) -> None:
    with _opened(Place(folder, "", None), NO_NODE) as state:
        put(state, records_of_node(backup, ""))
    _say_marks_left_out(backup, "")
    say(
        f"restored {Count.of(backup.records)} in {folder.resolve()}. Restart dockerd once the "
        "plugin is enabled: it tells the plugin what has changed since the backup. Or, without a "
        "restart, compare with Docker: pyipam reconcile"
    )


def _read_file(file: str) -> Export:
    if file == _STANDARD_STREAM:
        return _read(sys.stdin.buffer.read(), "the file")
    return _read(Path(file).read_bytes(), file)


def _import_into_folder(place: Place, folder: Path, how: Importing, export: Export) -> None:
    own = records_of_node(export, how.node)
    is_schema_left_out = _put(place, how, how.node, own)
    say(f"imported {Count.of(own.records)} into {folder.resolve()}")
    for node, records in records_left_out(export, how.node).items():
        say(f"left out, because node {node} has it: {Count.of(records)}")
    _say_marks_left_out(export, how.node)
    if is_schema_left_out:
        say("the schema of the file was left out: the state keeps another one that it remembers")


def _say_marks_left_out(export: Export, node: str) -> None:
    for mark in marks_left_out(export, node):
        what = "is being drained" if mark.forgotten is None else "was forgotten"
        lost = _WHAT_IT_LOST if mark.forgotten is not None and mark.name == node else ""
        say(
            f"left out: node {mark.name} {what}, which concerns only the plan that the file is "
            f"from{lost}"
        )


def _check_node_of_folder(export: Export, node: str) -> None:
    nodes = nodes_in(export)
    if nodes and node not in nodes:
        raise TransferRefused(
            f"the file is an export of the nodes {', '.join(sorted(nodes))}: say with --node which "
            "of them this host is"
        )


def _check_node_of_store(export: Export, node: str) -> None:
    nodes = nodes_in(export)
    if nodes and node:
        raise TransferRefused(
            f"the pools in the file name their nodes ({', '.join(sorted(nodes))}): leave out --node"
        )
    if not nodes and not (node and is_valid_node_name(node)):
        raise TransferRefused(
            "the file is an export of one host: say with --node which node of the shared plan it "
            "becomes (its NODE_NAME)"
        )


def _check_target(folder: Path) -> None:
    """Raise TransferRefused if no plugin would find there what is imported."""
    if not folder.exists() and not will_hold_state(folder):
        raise TransferRefused(
            f"there is no folder {folder}. The state folder of a plugin is "
            "<docker data root>/plugins/<plugin id>/propagated-mount, where docker info shows the "
            "data root, and docker plugin inspect the id. For another place, make the folder first"
        )
    if folder.exists() and not may_hold_state(folder):
        raise TransferRefused(
            f"{folder} is not a state folder of pyipam; that of a plugin is its propagated-mount"
        )


def _import_into_store(place: Place, how: Importing, export: Export) -> None:
    own = records_of_node(export, how.node) if how.node else export
    is_schema_left_out = _put(place, how, how.node or NO_NODE, own)
    say(
        f"imported {Count.of(own.records)} into {without_password(place.store_url)}. A plugin of "
        "these nodes that ran meanwhile gives out nothing until it is disabled and enabled"
    )
    if how.node:
        _say_marks_left_out(export, how.node)
    if is_schema_left_out:
        say("the schema of the file was left out: each node has its own (SCHEMA_PATH)")


def _put(place: Place, how: Importing, node: str, export: Export) -> bool:
    """Import into the state, as this node; whether the schema was left out."""
    with _opened(place, node) as state:
        put = put_in_place if how.force else put_into_empty
        put(state, export)
        _bring_in_history(state, export)
        return has_other_schema(state, export)


def _bring_in_history(state: State, export: Export) -> None:
    """Add the history of the export to that of the state. If that fails, the import stands."""
    if state.history is None or not export.history:
        return
    try:
        count = bring_in(state.history, export.history)
    except OSError as error:
        say(f"the history of the file was left out: {error.filename}: {error.strerror}")
    else:
        say(f"the history has {count} more entries")


def _write(path: Path, content: bytes) -> None:
    if path.exists() and not path.is_file():
        # A device or a pipe is written to and not replaced.
        path.write_bytes(content)
    else:
        replace_file(path, [content])


def _about_schema(export: Export, folder: Path | None) -> str:
    if export.schema is not None:
        return "with the schema that was remembered"
    return "no schema was remembered" if folder is not None else "no schema: each node has its own"


def _read(content: bytes, name: str) -> Export:
    """What the content of a file holds. Raises TransferRefused with every error in it."""
    export = read_export(content)
    if isinstance(export, Export):
        return export
    lines = [str(error) for error in export[:_MAX_ERRORS_SHOWN]]
    more = len(export) - len(lines)
    lines += [f"and {more} more"] if more else []
    raise TransferRefused(f"{name} cannot be imported:\n  " + "\n  ".join(lines))


@contextmanager
def _opened(place: Place, node: str) -> Iterator[State]:
    """The state in that place; a shared store is opened as this node."""
    folder = place.folder
    if folder is not None:
        with closing(TinyDbStore(folder)) as store:
            yield State(store, folder / REMEMBERED_NAME, folder / HISTORY_NAME)
        return
    address = address_of(place.store_url, place.credentials)
    with (
        TemporaryDirectory() as certificates,
        closing(open_store(address, node, Path(certificates), "scope")) as shared,
    ):
        yield State(shared, node=node)


def address_of(store_url: str, credentials: Path | None) -> StoreAddress:
    """Where a shared store is, and who may use it. Raises PyipamError or OSError."""
    return store_address(store_url, _text_of(credentials) if credentials else "")


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise TransferRefused(
            f"{path} is not valid UTF-8: byte {error.start} cannot be read"
        ) from None
