"""Where the time of one call goes inside the server.

`python -m bench.stages [SOCKET FILE]` serves what `pyipam.server` serves, or the floor, with a
clock around each stage. When it ends, it writes the median of each stage, in seconds, as JSON to
the file that its environment names. The time of a stage inside another counts for the inner one
only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import falcon
from waitress import wasyncore

from bench import floor
from bench.client import Connection
from bench.latency import Operation
from bench.servers import Server
from pyipam import server
from pyipam.api import driver
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.core.transaction import Transaction
from pyipam.serving import batches
from pyipam.serving.channel import Channel, Task
from pyipam.store.tinydb import journal
from pyipam.store.tinydb.store import TinyDbStore

_RESULT = "BENCH_STAGES"
# When this returns, a call has ended.
_CALL = batches.answer_in_one_commit
_SEND = "writing the answer's head, sending (`send`)"

# In the order in which they come: each stage, and the public functions that it consists of.
_STAGES: Mapping[str, tuple[tuple[Any, str], ...]] = {
    "reading from the socket (`recv`)": ((Channel, "recv"),),
    "waitress: the request": ((wasyncore, "readwrite"), (Channel, "received")),
    "Falcon, and what WSGI wants": (
        (Channel, "prepare"),
        (Task, "get_environment"),
        (Task, "compute"),
        (falcon.App, "__call__"),
    ),
    "the call: its body read, its answer put into JSON": (
        (driver.DriverCalls, "on_post_request_address"),
        (driver.DriverCalls, "on_post_request_pool"),
    ),
    "the core: deciding": ((Ipam, "request_address"), (Ipam, "request_pool")),
    "the core: knowing what was decided": ((Transaction, "apply"), (State, "apply")),
    "one commit for all calls of a poll": (
        (batches, "answer_in_one_commit"),
        (Transaction, "commit"),
    ),
    "the journal's line": (
        (TinyDbStore, "prewrite"),
        (TinyDbStore, "commit"),
        (journal.Journal, "write"),
    ),
    "writing it (`write`)": ((journal, "write_all"), (os, "pwrite")),
    "letting the disk begin": ((journal.Journal, "start_writeback"),),
    "waiting for the disk (`fdatasync`)": ((os, "fdatasync"),),
    _SEND: ((Task, "keep"), (Channel, "send"), (Task, "execute"), (Channel, "service")),
}


class _Clocks:
    """Adds up the time spent in each stage, call by call."""

    def __init__(self) -> None:
        self._of_this_call: defaultdict[str, float] = defaultdict(float)
        self._calls: defaultdict[str, list[float]] = defaultdict(list)
        # For each stage that has begun and not ended, the time spent in the stages inside it.
        self._inside = [0.0]

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with a clock around it."""

        def timed(*arguments: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            begun = perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds = perf_counter() - begun
                self._of_this_call[stage] += seconds - self._inside.pop()
                self._inside[-1] += seconds
                if function is _CALL:
                    self._end_call()

        return timed

    def medians(self) -> dict[str, float]:
        """The seconds of each stage."""
        return {stage: median(calls) for stage, calls in self._calls.items()}

    def _end_call(self) -> None:
        for stage, seconds in self._of_this_call.items():
            self._calls[stage].append(seconds)
        self._of_this_call.clear()


@dataclass(frozen=True)
class Stages:
    """The seconds of each stage, and of the whole call as its client sees it."""

    inside: Mapping[str, float]
    whole: float


def measure(
    serve: Callable[..., AbstractContextManager[Server]], operation: Operation, calls: int
) -> Stages:
    """The stages of this many calls, one at a time, on the server that `serve` starts: with this
    module as its program, and a variable of its environment."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "stages.json"
        with (
            serve(program=__name__, **{_RESULT: str(result)}) as server,
            Connection(server.socket) as connection,
        ):
            times = [connection.timed(operation.request)[0] for _ in range(calls)]
        return Stages(json.loads(result.read_text()), median(times))


def markdown(found: Mapping[str, Stages]) -> str:
    """A table for a page: a column for each of what was measured, in microseconds."""
    lines = ["| stage, µs | " + " | ".join(found) + " |", "|---|" + "--:|" * len(found)]
    for stage in _STAGES:
        lines.append(_line(stage, (one.inside.get(stage) for one in found.values())))
    lines.append(_line("the client, and waking up", map(_outside, found.values())))
    lines.append(_line("**as the client sees it**", (one.whole for one in found.values())))
    return "\n".join(lines)


def _outside(one: Stages) -> float:
    return one.whole - sum(one.inside.values())


def _line(name: str, values: Iterable[float | None]) -> str:
    texts = ("" if seconds is None else f"{seconds * 1e6:.0f}" for seconds in values)
    return f"| {name} | " + " | ".join(texts) + " |"


def main(arguments: Sequence[str]) -> None:
    """Serve the plugin, or the floor, with a clock around each stage."""
    clocks = _Clocks()
    for stage, functions in _STAGES.items():
        for owner, name in functions:
            setattr(owner, name, clocks.around(stage, getattr(owner, name)))
    try:
        if arguments:
            floor.main(*arguments)
        else:
            server.main()
    finally:
        Path(os.environ[_RESULT]).write_text(json.dumps(clocks.medians()))


if __name__ == "__main__":
    main(sys.argv[1:])
