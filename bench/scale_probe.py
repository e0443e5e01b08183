"""What one node of a plan costs, beside all the others: its calls, its start, what it hears.

`python -m bench.scale_probe URL NAME` starts a node in a process of its own, and prints the seconds
that it took to know the plan, and the bytes of memory that the process holds then.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bson
from pymongo import monitoring
from pymongo.database import Database

from bench import servers
from bench.samples import Samples
from bench.scale_nodes import Day, Node
from bench.scale_point import Cost

CALLS = ("RequestPool", "RequestAddress", "ReleasePool")
_ROUNDS = 40
_NOT_COUNTED = 5
_STARTS = 3
_STREAM = "$cmd.aggregate"
_EXAMINED = ("keysExamined", "docsExamined")
_WRITTEN = ("ninserted", "nModified", "nUpserted", "ndeleted")

Document = dict[str, Any]


class Hearing(monitoring.CommandListener):
    """How many bytes of change streams the clients of this process were sent, and how often."""

    def __init__(self) -> None:
        self.bytes = 0
        self.answers = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Does nothing: only answers count."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Does nothing: only answers count."""

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Count an answer."""
        cursor = event.reply.get("cursor", {})
        if event.command_name == "getMore" and str(cursor.get("ns", "")).endswith(_STREAM):
            self.bytes += len(bson.encode(event.reply))
            self.answers += 1


HEARING = Hearing()
monitoring.register(HEARING)


def measure_calls(node: Node, database: Database[Document]) -> Cost:
    """The calls of a node, one at a time, while nobody else calls."""
    cost = Cost()
    taken: dict[str, list[float]] = {name: [] for name in CALLS}
    oplog = _oplog_bytes(database)
    for number in range(_NOT_COUNTED + _ROUNDS):
        times: list[float] = []
        with _timed(times):
            pool = node.create()
        with _timed(times):
            node.add_container(pool)
        with _timed(times):
            node.remove(pool)
        if number >= _NOT_COUNTED:
            for name, seconds in zip(CALLS, times, strict=True):
                taken[name].append(seconds)
    cost.seconds = {name: Samples([of_call]) for name, of_call in taken.items()}
    cost.oplog_bytes = (_oplog_bytes(database) - oplog) / (_NOT_COUNTED + _ROUNDS)
    _measure_documents(node, database, cost)
    return cost


def _oplog_bytes(database: Database[Document]) -> float:
    return float(database.client["local"].command("collStats", "oplog.rs")["size"])


@contextmanager
def _timed(times: list[float]) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    times.append(time.perf_counter() - begun)


def _measure_documents(node: Node, database: Database[Document], cost: Cost) -> None:
    pools: list[str] = []
    acts = (
        lambda: pools.append(node.create()),
        lambda: node.add_container(pools[0]),
        lambda: node.remove(pools[0]),
    )
    for name, act in zip(CALLS, acts, strict=True):
        cost.read[name], cost.written[name] = _documents(database, act)


def _documents(database: Database[Document], act: Callable[[], object]) -> tuple[int, int]:
    """How many documents and index keys the database examines for something, and how many
    documents it writes."""
    operations = {"$in": ["insert", "update", "remove", "query"]}
    database.command({"profile": 2, "filter": {"appName": "pyipam", "op": operations}})
    try:
        act()
    finally:
        database.command({"profile": 0, "filter": "unset"})
    profile = database["system.profile"]
    entries = list(profile.find())
    profile.drop()
    return (
        sum(entry.get(name, 0) for entry in entries for name in _EXAMINED),
        sum(entry.get(name, 0) for entry in entries for name in _WRITTEN),
    )


def measure_starts(url: str, name: str) -> tuple[Samples, float]:
    """The seconds that starts of a node took, each in a process of its own, and the bytes of memory
    that the largest of them held."""
    starts, memory = Samples(), 0.0
    for _ in range(_STARTS):
        done = subprocess.run(
            [sys.executable, "-m", "bench.scale_probe", url, name],
            cwd=servers.ROOT,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        seconds, held = map(float, done.stdout.split())
        starts.add(seconds)
        memory = max(memory, held)
    return starts, memory


def main(url: str, name: str) -> None:
    """Start, and print what that took."""
    with tempfile.TemporaryDirectory() as folder:
        node = Node(url, name, Path(folder), Day())
        seconds = node.start()
        print(seconds, _memory())
        node.stop()


def _memory() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) * 1024
    raise AssertionError("the kernel does not report VmRSS")


if __name__ == "__main__":
    main(*sys.argv[1:])
