"""Nodes that share a plan in MongoDB: how many pools and addresses a second they make together.

    python -m bench.nodes [NODES ...]

The nodes are the plugin's program, each with a NODE_NAME and a connection of its own that sends the
next call as soon as it has the answer. Three real members are on the loopback interface, each with
its own journal. In the same run, one call at a time of one node is compared with the floor: one
write of such a document that a majority of the members has in its journal; and with the same write
behind the plugin's server.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from pymongo import MongoClient

from bench import servers, table
from bench.client import Connection, request_address, request_bytes, request_pool
from bench.latency import REQUEST_ADDRESS, REQUEST_POOL
from bench.majority_write import Writes
from bench.plan import MANY, write_schema
from bench.samples import Samples
from bench.table import Row, Unit
from pyipam.store.mongodb.documents import StoredDocument
from tests.support.mongodb.mongod import ensure_mongod
from tests.support.mongodb.replica_set import ReplicaSet, loopback_places

COUNTS = (1, 2, 4, 8)
# The time of one call against one majority write of the same size.
ABOVE_A_WRITE = {REQUEST_POOL.name: 1.5, REQUEST_ADDRESS.name: 1.2}
# What more nodes make together against one, and how much longer the slowest calls may take.
LEAST_OF_ONE, SLOWEST = 1.0, 10.0
_ROUNDS = 2
_SECONDS = 3.0
_NOT_COUNTED = 20
_CALLS_BESIDE_A_WRITE = 200

_numbers = count()
_MILLISECONDS = Unit("ms", 1e3, 1)


@dataclass
class Together:
    """What some nodes made together, by the name of the call: answers a second, and how long each
    took."""

    rates: dict[str, Samples] = field(default_factory=dict)
    latencies: dict[str, Samples] = field(default_factory=dict)


@dataclass
class Found:
    """What was measured: what so many nodes made together, and one call at a time beside a write
    of the same size, alone and behind the plugin's server."""

    together: dict[int, Together] = field(default_factory=dict)
    calls: dict[str, Samples] = field(default_factory=dict)
    writes: dict[str, Samples] = field(default_factory=dict)
    served: dict[str, Samples] = field(default_factory=dict)


def measure(
    folder: Path, schema: Path, counts: Sequence[int], rounds: int, say: Callable[[str], None]
) -> Found:
    """Measure so many nodes in turns, this many rounds. Raises RuntimeError if no mongod can be
    obtained."""
    found = Found({each: Together() for each in counts})
    replica_set = ReplicaSet(ensure_mongod(), folder / "members", loopback_places())
    try:
        replica_set.start()
        replica_set.wait_until_whole()
        for _ in range(rounds):
            _beside_a_write(replica_set, folder, schema, found)
            for nodes, together in found.together.items():
                _measure_together(replica_set, folder, schema, nodes, together)
                rate = together.rates[REQUEST_POOL.name].rounds[-1][0]
                say(f"        {nodes} nodes: {rate:.0f} pools a second")
    finally:
        replica_set.close()
    return found


@contextmanager
def _running_nodes(
    replica_set: ReplicaSet, folder: Path, schema: Path, nodes: int
) -> Iterator[list[Connection]]:
    """A connection to each of so many nodes over an empty plan."""
    url = replica_set.url.replace("/?", f"/nodes{next(_numbers)}?")
    with ExitStack() as stack:
        running = [
            stack.enter_context(servers.pyipam(folder, schema, STORE_URL=url, NODE_NAME=f"n{each}"))
            for each in range(nodes)
        ]
        yield [stack.enter_context(Connection(server.socket)) for server in running]


def _measure_together(
    replica_set: ReplicaSet, folder: Path, schema: Path, nodes: int, together: Together
) -> None:
    with _running_nodes(replica_set, folder, schema, nodes) as connections:
        pools = [_own_pool(connection, number) for number, connection in enumerate(connections)]
        requests = {
            REQUEST_POOL.name: [REQUEST_POOL.request] * nodes,
            REQUEST_ADDRESS.name: [request_address(pool) for pool in pools],
        }
        with ThreadPoolExecutor(nodes) as threads:
            for name, each in requests.items():
                end = time.monotonic() + _SECONDS
                taken = list(threads.map(_call_until, connections, each, [end] * nodes))
                latencies = [seconds for of_node in taken for seconds in of_node]
                together.rates.setdefault(name, Samples()).add(len(latencies) / _SECONDS)
                together.latencies.setdefault(name, Samples()).add(*latencies)


def _own_pool(connection: Connection, number: int) -> str:
    """A pool that one node alone draws addresses from."""
    body = {"AddressSpace": "local", "Pool": f"100.{64 + number}.0.0/16", "SubPool": ""}
    request = request_bytes("IpamDriver.RequestPool", {**body, "Options": None, "V6": False})
    return str(connection.call(request)["PoolID"])


def _call_until(connection: Connection, request: bytes, end: float) -> list[float]:
    """How long each call took, one after the other until that time (monotonic)."""
    taken = []
    while time.monotonic() < end:
        taken.append(connection.timed(request)[0])
    return taken


def _beside_a_write(replica_set: ReplicaSet, folder: Path, schema: Path, found: Found) -> None:
    """Calls of one node and writes in turns, one at a time."""
    url = replica_set.url_of(f"writes{next(_numbers)}")
    client: MongoClient[StoredDocument] = MongoClient(url)
    with client, _running_nodes(replica_set, folder, schema, 1) as (connection,):
        requests = {
            REQUEST_POOL.name: request_pool(MANY),
            REQUEST_ADDRESS.name: request_address(_own_pool(connection, 0)),
        }
        for name, request in requests.items():
            writes = Writes(client.get_default_database()["alone"], name)
            with servers.majority_write(url, name) as server, Connection(server.socket) as served:
                turns: list[tuple[dict[str, Samples], Callable[[], object]]] = [
                    (found.writes, writes.one),
                    (found.served, partial(served.timed, request)),
                    (found.calls, partial(connection.timed, request)),
                ]
                for _ in range(_NOT_COUNTED):
                    for _, act in turns:
                        act()
                rounds = [
                    [_seconds_of(act) for _, act in turns] for _ in range(_CALLS_BESIDE_A_WRITE)
                ]
            for (samples, _), taken in zip(turns, zip(*rounds, strict=True), strict=True):
                samples.setdefault(name, Samples()).add(*taken)


def _seconds_of(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def rows(found: Found) -> Iterator[Row]:
    """What was measured, as rows of the table."""
    for name, most in ABOVE_A_WRITE.items():
        what = f"MongoDB: {name}, c=1: p50, against one majority write"
        yield table.compared(what, found.calls[name], found.writes[name], _MILLISECONDS, most=most)
        what = "the same, against that write behind the same server"
        yield table.compared(what, found.calls[name], found.served[name], _MILLISECONDS)
    first, *others = found.together
    for nodes, together in found.together.items():
        for name, rates in together.rates.items():
            what = f"MongoDB: {name}, {nodes} nodes" if others else f"MongoDB: {name}"
            alone = found.together[first].rates[name]
            least = LEAST_OF_ONE if nodes == max(found.together) > first else None
            yield table.at_least(f"{what}, against {first}", rates, alone, least=least)
            taken = together.latencies[name]
            most_slow = SLOWEST if name == REQUEST_POOL.name else None
            yield table.divided(
                f"{what}: p99, against p50", taken.p99, taken.p50, _MILLISECONDS, most=most_slow
            )


def main(arguments: Sequence[str]) -> None:
    """Measure and print; the arguments are how many nodes."""
    counts = [int(each) for each in arguments] or COUNTS
    parent = servers.ROOT / "build"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-nodes-", dir=parent))
    try:
        schema = write_schema(folder / "schema.json")
        found = measure(folder, schema, counts, _ROUNDS, print)
    finally:
        shutil.rmtree(folder)
    print(table.plain(list(rows(found))))


if __name__ == "__main__":
    main(sys.argv[1:])
