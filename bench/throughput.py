"""Many calls at once: how many are answered per second."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat

from bench.client import flood
from bench.latency import Operation
from bench.samples import Samples
from bench.servers import Server

CONNECTIONS = 32


def measure(
    servers: Mapping[str, Server], operation: Operation, rounds: int, calls: int
) -> tuple[dict[str, Samples], float]:
    """The rates of each server, measured in turns, and the largest share of one processor that the
    client used."""
    found = {name: Samples() for name in servers}
    own_share = 0.0
    for _ in range(rounds):
        for name, server in servers.items():
            result = flood(server.socket, repeat(operation.request, calls), CONNECTIONS)
            found[name].add(result.rate)
            own_share = max(own_share, result.own_share)
    return found, own_share
