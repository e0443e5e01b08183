"""The commands `export` and `import`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyipam.cli.messages import say
from pyipam.errors import TransferRefused
from pyipam.files import replace_file
from pyipam.plan.schema_source import REMEMBERED_NAME
from pyipam.store.mongodb.address import store_address, without_password
from pyipam.store.opening import open_store
from pyipam.store.pool_id import is_valid_node_name
from pyipam.store.tinydb.store import TinyDbStore
from pyipam.transfer.export_file import Export, read_export, write_export
from pyipam.transfer.moving import (
    NO_NODE,
    Count,
    State,
    has_other_schema,
    holds_state,
    may_hold_state,
    put_in_place,
    put_into_empty,
    take_out,
    will_hold_state,
)
from pyipam.transfer.owners import nodes_in, records_left_out, records_of_node

_STANDARD_STREAM = "-"
_MAX_ERRORS_SHOWN = 100


def export_state(options: argparse.Namespace) -> None:
    """Write everything that a state holds to a file. Raises PyipamError or OSError."""
    folder: Path | None = options.state
    if folder is not None and not holds_state(folder):
        raise TransferRefused(f"there is no state in {folder}: it has no manifest.json")
    with _opened(options, NO_NODE) as state:
        export = take_out(state)
    content = write_export(export)
    # If it could not be imported, that must be known while the state still exists.
    _read(content, "what is stored")
    if options.file == _STANDARD_STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write(Path(options.file).resolve(), content)
    say(f"exported {Count.of(export.records)}, {_about_schema(export, folder)}")


def import_state(options: argparse.Namespace) -> None:
    """Read a file into a state. Raises PyipamError or OSError; then the state is as before."""
    name = options.file
    if name == _STANDARD_STREAM:
        export = _read(sys.stdin.buffer.read(), "the file")
    else:
        export = _read(Path(name).read_bytes(), name)
    if options.state is None:
        _import_into_store(options, export)
    else:
        _import_into_folder(options, export)


def _import_into_folder(options: argparse.Namespace, export: Export) -> None:
    folder: Path = options.state
    nodes = nodes_in(export)
    if nodes and options.node not in nodes:
        raise TransferRefused(
            f"the file is an export of the nodes {', '.join(sorted(nodes))}: say with --node which "
            "of them this host is"
        )
    _check_target(folder)
    own = records_of_node(export, options.node)
    is_schema_left_out = _put(options, options.node, own)
    say(f"imported {Count.of(own.records)} into {folder.resolve()}")
    for node, records in records_left_out(export, options.node).items():
        say(f"left out, because node {node} has it: {Count.of(records)}")
    if is_schema_left_out:
        say("the schema of the file was left out: the state keeps another one that it remembers")


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


def _import_into_store(options: argparse.Namespace, export: Export) -> None:
    nodes = nodes_in(export)
    if nodes and options.node:
        raise TransferRefused(
            f"the pools in the file name their nodes ({', '.join(sorted(nodes))}): leave out --node"
        )
    if not nodes and not (options.node and is_valid_node_name(options.node)):
        raise TransferRefused(
            "the file is an export of one host: say with --node which node of the shared plan it "
            "becomes (its NODE_NAME)"
        )
    is_schema_left_out = _put(options, options.node or NO_NODE, export)
    say(f"imported {Count.of(export.records)} into {without_password(options.store_url)}")
    if is_schema_left_out:
        say("the schema of the file was left out: each node has its own (SCHEMA_PATH)")


def _put(options: argparse.Namespace, node: str, export: Export) -> bool:
    """Import into the state, as this node; whether the schema was left out."""
    with _opened(options, node) as state:
        put = put_in_place if options.force else put_into_empty
        put(state, export)
        return has_other_schema(state, export)


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
def _opened(options: argparse.Namespace, node: str) -> Iterator[State]:
    """The state that the options name; a shared store is opened as this node."""
    folder: Path | None = options.state
    if folder is not None:
        with closing(TinyDbStore(folder)) as store:
            yield State(store, folder / REMEMBERED_NAME)
        return
    credentials: Path | None = options.store_credentials
    address = store_address(options.store_url, _text_of(credentials) if credentials else "")
    with (
        TemporaryDirectory() as certificates,
        closing(open_store(address, node, Path(certificates), "scope")) as shared,
    ):
        yield State(shared)


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise TransferRefused(
            f"{path} is not valid UTF-8: byte {error.start} cannot be read"
        ) from None
