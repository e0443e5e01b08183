"""Plain TinyDB behind the same server, answering RequestAddress.

`python -m bench.peers STORAGE LEASES SOCKET FILE` serves it over a database that holds this many
leases. Finding an address costs nothing here: what is measured is a TinyDB that writes its whole
file for each lease.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import falcon
import orjson
from tinydb import JSONStorage, Storage, TinyDB

from bench.floor import WithoutPlan, serve
from pyipam.files import replace_file

_FIRST_ADDRESS = 100 << 24


class ReplacedStorage(Storage):
    """A file that is written beside the old one and renamed: a crash leaves a complete one."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def read(self) -> dict[str, dict[str, Any]] | None:
        if not self._path.exists():
            return None
        tables: dict[str, dict[str, Any]] = orjson.loads(self._path.read_bytes())
        return tables

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        # TinyDB numbers its documents with integers, which JSON does not allow as keys.
        replace_file(self._path, [orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)])


STORAGES: dict[str, type[Storage]] = {"JSONStorage": JSONStorage, "replaced": ReplacedStorage}


class Leases:
    """The handler."""

    def __init__(self, database: TinyDB, held: int) -> None:
        self._table = database.table("leases")
        self._table.insert_multiple(_lease("local/100.0.0.0/8", number) for number in range(held))
        self._given = held

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        pool = orjson.loads(request.bounded_stream.read())["PoolID"]
        lease = _lease(pool, self._given)
        self._given += 1
        self._table.insert(lease)
        response.data = orjson.dumps({"Address": f"{lease['address']}/8", "Data": {}})


class NoCommit(WithoutPlan):
    """In place of the plugin's commits: the handler writes by itself."""

    def commit(self, calls: Sequence[Callable[[], None]], _within: float) -> None:
        """Make the calls, and nothing else."""
        for call in calls:
            call()


def _lease(pool: str, number: int) -> dict[str, Any]:
    address = ".".join(map(str, (_FIRST_ADDRESS + number).to_bytes(4, "big")))
    return {"pool": pool, "address": address, "use": "container", "granted": time.time()}


def main(storage: str, held: str, socket: str, file: str) -> None:
    """Serve a TinyDB of so many documents at a socket."""
    Path(file).unlink(missing_ok=True)
    database = TinyDB(file, storage=STORAGES[storage])
    serve(Path(socket), Leases(database, int(held)), NoCommit())


if __name__ == "__main__":
    main(*sys.argv[1:])
