"""Calls while a checkpoint runs: how long the slowest of them wait."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from bench.client import Connection, release_pool, request_pool
from bench.latency import REQUEST_ADDRESS, address_given_back
from bench.plan import MANY
from bench.samples import Samples
from bench.servers import Server
from pyipam.store.tinydb.journal import journal_path
from pyipam.store.tinydb.manifest import MANIFEST_NAME

# A label is stored with its pool: a long one makes the journal grow fast.
_LABEL = "x" * 20_000
_QUIET_PAIRS = 500
_MOST_POOLS = 5_000


class _Watch:
    """Sees in the state folder when the next checkpoint begins and ends."""

    def __init__(self, state: Path) -> None:
        self._manifest = state / MANIFEST_NAME
        newest = max(state.glob("journal-*.log"))
        self._next = journal_path(state, int(newest.stem.removeprefix("journal-")) + 1)
        self._written = self._manifest.stat().st_mtime_ns

    def begun(self) -> bool:
        return self._next.exists() or self.ended()

    def ended(self) -> bool:
        return self._manifest.stat().st_mtime_ns != self._written


def measure(server: Server, state: Path, rounds: int) -> tuple[Samples, Samples]:
    """The calls before a checkpoint and those during it, over this many checkpoints."""
    quiet, during = Samples(), Samples()
    with Connection(server.socket) as connection:
        for _ in range(rounds):
            watch = _Watch(state)
            quiet.add(*_pairs(connection, range(_QUIET_PAIRS)))
            _let_journal_grow(connection, watch)
            during.add(*_pairs(connection, chain([False], iter(watch.ended, True))))
    return quiet, during


def _let_journal_grow(connection: Connection, watch: _Watch) -> None:
    for _ in range(_MOST_POOLS):
        if watch.begun():
            return
        pool = connection.call(request_pool(MANY, _LABEL))["PoolID"]
        connection.call(release_pool(pool))
    raise AssertionError(f"no checkpoint has begun within {_MOST_POOLS} pools")


def _pairs(connection: Connection, turns: Iterable[object]) -> list[float]:
    """The seconds of each call. In each turn, an address is requested and released."""
    times: list[float] = []
    for _ in turns:
        taking, answer = connection.timed(REQUEST_ADDRESS.request)
        giving_back, _ = connection.timed(address_given_back(answer))
        times += [taking, giving_back]
    return times
