"""The command `pyipam`: what is done to a plan while no plugin runs on it.

It ends with 0 when it is done, with 1 and a sentence when it was refused, with 2 when it was not
understood. What it has to say goes to standard error: a plan may go to standard output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyipam.errors import PyipamError, TransferRefused
from pyipam.files import replace_file
from pyipam.plan.schema_source import REMEMBERED_NAME
from pyipam.store.mongodb.address import store_address
from pyipam.store.opening import open_store
from pyipam.store.tinydb.store import TinyDbStore
from pyipam.transfer.moving import (
    NOBODY,
    Count,
    State,
    holds_state,
    left_out,
    may_hold_state,
    nodes_in,
    of_node,
    put_in_place,
    put_into_empty,
    schema_left_out,
    take_out,
)
from pyipam.transfer.plan_file import Plan, read_plan, write_plan

_ERRORS_SHOWN = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask, those of the process by default; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if bool(options.store_url) == (options.state is not None):
        parser.error("say where the plan is: --state or --store-url")
    try:
        options.command(options)
    except PyipamError as error:
        _say(f"refused: {error}")
        return 1
    except OSError as error:
        _say(f"refused: {error.filename or options.file}: {error.strerror}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pyipam", description="Moves an address plan.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    export = commands.add_parser("export", help="write a plan to a file")
    export.set_defaults(command=_export)
    reading = commands.add_parser("import", help="bring a plan from a file into an empty state")
    reading.set_defaults(command=_import)
    reading.add_argument(
        "--force", action="store_true", help="replace everything that the state holds"
    )
    reading.add_argument(
        "--node",
        default="",
        help="into a folder: which node of a shared plan it takes the place of; into a shared "
        "store: the node (NODE_NAME) that the plan of one host becomes",
    )
    for command in (export, reading):
        command.add_argument(
            "--state",
            type=Path,
            metavar="FOLDER",
            help="the plugin's state folder (…/plugins/PLUGIN-ID/propagated-mount)",
        )
        command.add_argument(
            "--store-url", default="", metavar="URL", help="a shared store, as STORE_URL names it"
        )
        command.add_argument(
            "--store-credentials",
            type=Path,
            metavar="FILE",
            help="who may use the shared store, as in the file of STORE_CREDENTIALS_PATH",
        )
        command.add_argument("file", metavar="FILE", help="the plan; - is the standard stream")
    return parser


def _export(options: argparse.Namespace) -> None:
    folder: Path | None = options.state
    if folder is not None and not holds_state(folder):
        raise TransferRefused(f"there is no state in {folder}: it has no manifest.json")
    with _opened(options, NOBODY) as state:
        plan = take_out(state)
    content = write_plan(plan)
    # What cannot be imported must be known while the state is still there.
    _read(content, "what is stored")
    if options.file == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write_plan(Path(options.file).resolve(), content)
    _say(f"exported {Count.of(plan.records)}, {_of_schema(plan, folder)}")


def _write_plan(path: Path, content: bytes) -> None:
    if path.exists() and not path.is_file():
        # A device or a pipe is written to; nothing takes its place.
        path.write_bytes(content)
    else:
        replace_file(path, [content])


def _of_schema(plan: Plan, folder: Path | None) -> str:
    if plan.schema is not None:
        return "with the schema that was remembered"
    return "no schema was remembered" if folder is not None else "no schema: each node has its own"


def _import(options: argparse.Namespace) -> None:
    name, folder = options.file, options.state
    content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    plan = _read(content, "the file" if name == "-" else name)
    if folder is None:
        _check_node_of_shared(plan, options.node)
        node, own = options.node or NOBODY, plan
    else:
        _check_node_of_folder(plan, options.node)
        _check_folder(folder)
        node, own = options.node, of_node(plan, options.node)
    with _opened(options, node) as state:
        put = put_in_place if options.force else put_into_empty
        put(state, own)
        other_schema = schema_left_out(state, own)
    _say(f"imported {Count.of(own.records)}")
    for other, count in left_out(plan, node).items() if folder is not None else ():
        _say(f"left out, as node {other} has it: {count}")
    if other_schema and folder is not None:
        _say("the schema of the file was left out: the state remembers another one, which stays")
    elif other_schema:
        _say("the schema of the file was left out: each node has its own (SCHEMA_PATH)")


def _check_node_of_shared(plan: Plan, node: str) -> None:
    nodes = nodes_in(plan)
    if nodes and node:
        raise TransferRefused(
            f"the file says itself whose its pools are ({', '.join(sorted(nodes))}): leave out "
            "--node"
        )
    if not nodes and (not node or {"/", "@"} & set(node)):
        raise TransferRefused(
            "the file is the plan of one host: say with --node which node of the shared plan that "
            "is (its NODE_NAME)"
        )


def _check_node_of_folder(plan: Plan, node: str) -> None:
    nodes = nodes_in(plan)
    if nodes and node not in nodes:
        raise TransferRefused(
            f"the file is the plan of the nodes {', '.join(sorted(nodes))}: say with --node which "
            "of them this host is"
        )


def _check_folder(folder: Path) -> None:
    if not may_hold_state(folder):
        raise TransferRefused(
            f"{folder} is no state folder of pyipam; the one of a plugin is its propagated-mount"
        )


def _read(content: bytes, name: str) -> Plan:
    plan = read_plan(content)
    if isinstance(plan, Plan):
        return plan
    lines = [str(error) for error in plan[:_ERRORS_SHOWN]]
    more = len(plan) - len(lines)
    lines += [f"and {more} more"] if more else []
    raise TransferRefused(f"{name} is no plan that can be imported:\n  " + "\n  ".join(lines))


@contextmanager
def _opened(options: argparse.Namespace, node: str) -> Iterator[State]:
    """The state that is named; one that nodes share, as this node sees it."""
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
        raise TransferRefused(f"{path} is no UTF-8: byte {error.start} cannot be read") from None


def _say(text: str) -> None:
    print(f"pyipam: {text}", file=sys.stderr)
