"""Plans that are exported from a shared store and imported into one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pyipam.cli.main import main
from pyipam.store.records import LeaseRecord, Record
from pyipam.store.tinydb.store import TinyDbStore
from pyipam.transfer.export_file import Export, read_export, write_export
from tests.mongodb.nodes import SharedPlan
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    RANGE_LEASE,
    RANGE_POOL,
)

GLOBAL_LEASE = LEASE._replace(pool=GLOBAL_POOL.id, granted=9.0)
# What one host holds. Its container mirrors an address in the global space.
HOST: list[Record] = [
    DRIVER,
    POOL,
    GATEWAY,
    LEASE._replace(kind="mirror"),
    GLOBAL_POOL,
    GLOBAL_LEASE,
    IPV6_POOL,
    IPV6_LEASE,
    RANGE_POOL,
    RANGE_LEASE,
]
OTHER_POOL = POOL._replace(id="local/10.9.0.0/24", scope="")
OTHER_LEASE = LeaseRecord(OTHER_POOL.id, "10.9.0.2", "container", "driver", 1, 7.0)
OTHER_HOST: list[Record] = [DRIVER, OTHER_POOL, OTHER_LEASE]


def written(path: Path, records: Sequence[Record], schema: str | None = None) -> Path:
    """A file with what one host holds."""
    path.write_bytes(write_export(Export(tuple(records), schema)))
    return path


def export(plan: SharedPlan, file: Path) -> Export:
    """Export a shared plan to a file. Returns what the file contains."""
    assert main(["export", "--store-url", plan.address.url, str(file)]) == 0
    found = read_export(file.read_bytes())
    assert isinstance(found, Export), found
    return found


def import_file(file: Path, plan: SharedPlan, *options: str) -> int:
    """Import a file into a shared plan. Returns the exit status."""
    return main(["import", "--store-url", plan.address.url, *options, str(file)])


def seen_by(plan: SharedPlan, node: str) -> set[Record]:
    """What a node loads from the store."""
    store = plan.open(node)
    records = list(store.load())
    store.close()
    assert len(set(records)) == len(records)
    return set(records)


def in_folder(folder: Path) -> set[Record]:
    """What is stored in a state folder."""
    with closing(TinyDbStore(folder)) as store:
        return set(store.load())


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The message with which the last command was refused."""
    return capsys.readouterr().err.splitlines()[-1].removeprefix("pyipam: refused: ")
