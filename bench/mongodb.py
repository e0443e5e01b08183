"""The plan in MongoDB: how many addresses and blocks a second come out of the plugin's socket.

Three real members on the loopback interface, each with its own journal, with majority writes. They
are compared with what metal-stack/go-ipam publishes about itself on MongoDB: operations of its Go
library, in process, on its authors' machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

from bench import servers
from bench.client import Connection, flood, request_pool
from bench.latency import REQUEST_ADDRESS, REQUEST_POOL, Operation
from bench.plan import LARGE, LARGE_POOL
from bench.samples import Samples
from bench.servers import Server
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import ReplicaSet, loopback_places

# Acquired addresses and acquired child prefixes per second.
PUBLISHED = {REQUEST_ADDRESS: 682.0, REQUEST_POOL: 415.0}
CONNECTIONS = (1, 8)


@contextmanager
def plugin_over_three_members(folder: Path, schema: Path) -> Iterator[Server]:
    """The program over an empty plan, with one pool to lease addresses in.

    Raises RuntimeError if no mongod can be obtained.
    """
    replica_set = ReplicaSet(ensure_mongod(), folder / "members", loopback_places())
    try:
        replica_set.start()
        replica_set.wait_until_whole()
        url = replica_set.url.replace("/?", "/bench?")
        with servers.pyipam(folder, schema, STORE_URL=url, NODE_NAME="bench") as server:
            with Connection(server.socket) as connection:
                assert connection.call(request_pool(LARGE))["PoolID"] == LARGE_POOL
            yield server
    finally:
        replica_set.close()


def measure(server: Server, rounds: int, calls: int) -> dict[tuple[Operation, int], Samples]:
    """Answers per second, by operation and number of connections, measured in turns."""
    found = {(operation, count): Samples() for operation in PUBLISHED for count in CONNECTIONS}
    for _ in range(rounds):
        for (operation, count), samples in found.items():
            requests = repeat(operation.request, calls * count)
            samples.add(flood(server.socket, requests, count).rate)
    return found
