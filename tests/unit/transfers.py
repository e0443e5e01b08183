"""Records to move, and the commands that move them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pyipam.cli.main import main
from pyipam.store.records import Change, LeaseRecord, Record
from pyipam.store.tinydb.store import TinyDbStore
from pyipam.transfer.export_file import Export, read_export, write_export
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    HELD_BACK_LEASE,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    RANGE_LEASE,
    RANGE_POOL,
)

EVERYTHING: list[Record] = [
    DRIVER,
    POOL,
    GATEWAY,
    LEASE,
    HELD_BACK_LEASE,
    GLOBAL_POOL,
    IPV6_POOL,
    IPV6_LEASE,
    RANGE_POOL,
    RANGE_LEASE,
]
OTHER_POOL = POOL._replace(id="local/10.9.0.0/24", scope="", label="other")
OTHER_LEASE = LeaseRecord(OTHER_POOL.id, "10.9.0.1", "gateway", "driver", 1, 7.0)
SCHEMA = '{"schema_version": 1, "scopes": []}'
OTHER_SCHEMA = '{"schema_version": 1,  "scopes":  []}'


def keep(folder: Path, changes: Sequence[Change]) -> None:
    """Commit changes to the state in a folder."""
    with closing(TinyDbStore(folder)) as store:
        list(store.load())
        store.commit(changes)


def load(folder: Path) -> set[Record]:
    """What the state in a folder holds."""
    with closing(TinyDbStore(folder)) as store:
        records = list(store.load())
    assert len(set(records)) == len(records)
    return set(records)


def exported(file: Path) -> Export:
    """What a file holds."""
    export = read_export(file.read_bytes())
    assert isinstance(export, Export), export
    return export


def written(path: Path, *records: Record, schema: str | None = None) -> Path:
    """A file of these records."""
    path.write_bytes(write_export(Export(records, schema)))
    return path


def imported(file: Path, state: Path, *options: str) -> int:
    """The exit code of an import of the file into the state."""
    return main(["import", "--state", str(state), *options, str(file)])


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The sentence with which a command is refused."""
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("pyipam: refused: ")
