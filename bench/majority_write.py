"""The floor of a shared plan: the plugin's own server with a handler that only makes one write.

`python -m bench.majority_write SOCKET URL CALL` serves it: for each call of that name, a document
of the size that the plugin would write, acknowledged by a majority of the members once it is in
their journals. What the plugin costs more than this is the cost of what it decides and keeps apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import falcon
from pymongo import MongoClient, ReplaceOne
from pymongo.collection import Collection

from bench.floor import WithoutPlan, serve
from bench.latency import REQUEST_ADDRESS, REQUEST_POOL
from bench.plan import MANY
from pyipam.store.mongodb.connection import MAJORITY
from pyipam.store.mongodb.documents import RecordCodec, StoredDocument
from pyipam.store.records import Claim, LeaseRecord, PoolRecord

_CODEC = RecordCodec("bench")
_POOL = PoolRecord(
    "local/10.0.0.0/24", "10.0.0.0/8", "", MANY, (Claim("pyipam:latest", 1, 1),), 1.5
)
_LEASE = LeaseRecord(_POOL.id, "10.0.0.2", "container", "pyipam:latest", 1, 1.5)
_DOCUMENTS = {
    REQUEST_POOL.name: _CODEC.encode_pool(_POOL),
    REQUEST_ADDRESS.name: _CODEC.encode_lease(_LEASE),
}
# A valid answer to either call.
_ANSWER = b'{"Address":"100.64.0.2/12","PoolID":"local/10.0.0.0/24","Data":{}}'


class Writes:
    """Documents of the size that a call writes, one after the other."""

    def __init__(self, collection: Collection[StoredDocument], call: str) -> None:
        self._collection = collection.with_options(write_concern=MAJORITY)
        self._document = _DOCUMENTS[call]
        self._numbers = count()

    def one(self) -> None:
        """Write one, and wait until a majority has it."""
        document = {**self._document, "_id": f"{self._document['_id']}/{next(self._numbers)}"}
        write = ReplaceOne({"_id": document["_id"]}, document, upsert=True)
        self._collection.bulk_write([write])


class _Plugin(WithoutPlan):
    """In place of a plugin: its calls write by themselves, in a thread of their own."""

    has_shared_plan = True

    def commit(self, calls: Sequence[Callable[[], None]], _within: float) -> None:
        """Make the calls, and nothing else."""
        for call in calls:
            call()


class _Handler:
    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    def on_post(self, _: falcon.Request, response: falcon.Response) -> None:
        self._writes.one()
        response.data = _ANSWER


def main(socket_path: str, url: str, call: str) -> None:
    """Serve it at a socket, over a collection of the database that the URL names."""
    client: MongoClient[StoredDocument] = MongoClient(url)
    writes = Writes(client.get_default_database()["served"], call)
    serve(Path(socket_path), _Handler(writes), _Plugin())


if __name__ == "__main__":
    main(*sys.argv[1:])
