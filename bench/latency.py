"""One call at a time: how long each takes, on several servers in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from bench.client import (
    Connection,
    object_of,
    release_address,
    release_pool,
    request_address,
    request_pool,
)
from bench.plan import LARGE_POOL, MANY
from bench.samples import Samples
from bench.servers import Server

_NOT_COUNTED = 5


@dataclass(frozen=True)
class Operation:
    """A call, and how the call that undoes it is made from its answer."""

    name: str
    request: bytes
    undo: Callable[[bytes], bytes] | None


def address_given_back(answer: bytes) -> bytes:
    """The call that undoes the RequestAddress with this answer."""
    return release_address(LARGE_POOL, object_of(answer)["Address"].split("/")[0])


def pool_given_back(answer: bytes) -> bytes:
    """The call that undoes the RequestPool with this answer."""
    return release_pool(object_of(answer)["PoolID"])


REQUEST_ADDRESS = Operation("RequestAddress", request_address(LARGE_POOL), address_given_back)
REQUEST_POOL = Operation("RequestPool", request_pool(MANY), pool_given_back)


def measure(
    servers: Mapping[str, Server], operation: Operation, rounds: int, calls: int
) -> dict[str, Samples]:
    """Measure this many rounds. In each, every server has a turn of this many calls. After a turn,
    everything it requested is released, so that the amount held stays the same."""
    found = {name: Samples() for name in servers}
    with ExitStack() as stack:
        connections = {
            name: stack.enter_context(Connection(server.socket)) for name, server in servers.items()
        }
        for _ in range(rounds):
            for name, connection in connections.items():
                found[name].add(*turn(connection, operation, calls))
    return found


def measure_after_silence(
    servers: Mapping[str, Server], operation: Operation, seconds: float, calls: int
) -> dict[str, Samples]:
    """Measure this many calls on every server, in turns, each after this many seconds without any
    call. This is how people call: the processor sleeps, and its caches hold other data."""
    found = {name: Samples() for name in servers}
    with ExitStack() as stack:
        connections = {
            name: stack.enter_context(Connection(server.socket)) for name, server in servers.items()
        }
        for _ in range(calls):
            for name, connection in connections.items():
                time.sleep(seconds)
                taken, answer = connection.timed(operation.request)
                found[name].add(taken)
                if operation.undo is not None:
                    connection.timed(operation.undo(answer))
    return found


def turn(connection: Connection, operation: Operation, calls: int) -> list[float]:
    """The seconds that each of this many calls takes; what they were given is given back."""
    # During the first few, the processor's caches still hold other data.
    answers = [connection.timed(operation.request) for _ in range(_NOT_COUNTED + calls)]
    if operation.undo is not None:
        for _, answer in answers:
            connection.timed(operation.undo(answer))
    return [seconds for seconds, _ in answers[_NOT_COUNTED:]]
