"""Calls while a checkpoint runs: how long the slowest of them wait."""

from __future__ import annotations

from pathlib import Path

from bench.client import Connection, release_pool, request_pool
from bench.latency import REQUEST_ADDRESS, address_given_back
from bench.plan import MANY
from bench.samples import Samples
from bench.servers import Server
from pyipam.store.journal import journal_path
from pyipam.store.manifest import NAME as MANIFEST
from pyipam.store.tinydb_store import CHECKPOINT_SIZE

# A label is stored with its pool: a long one makes a long journal. dockerd's bodies are shorter.
_LONGEST_LABEL = 200_000
_LEFT_TO_CALLS = 10_000
_QUIET_CALLS = 300
_MOST_CALLS = 20_000


class _Watch:
    """Sees in the state folder when the next checkpoint begins and ends."""

    def __init__(self, state: Path) -> None:
        self._manifest = state / MANIFEST
        newest = max(state.glob("journal-*.log"))
        self.journal = newest
        self._next = journal_path(state, int(newest.stem.removeprefix("journal-")) + 1)
        self._written = self._manifest.stat().st_mtime_ns

    @property
    def begun(self) -> bool:
        return self._next.exists()

    @property
    def ended(self) -> bool:
        return self.begun and self._manifest.stat().st_mtime_ns != self._written


def measure(server: Server, state: Path, rounds: int) -> tuple[Samples, Samples]:
    """The calls outside and those during a checkpoint, for so many checkpoints."""
    quiet, during = Samples(), Samples()
    with Connection(server.socket) as connection:
        for _ in range(rounds):
            watch = _Watch(state)
            _fill_journal(connection, watch)
            outside, inside = _calls_until_it_has_ended(connection, watch)
            quiet.add(*outside)
            during.add(*inside)
    return quiet, during


def _fill_journal(connection: Connection, watch: _Watch) -> None:
    while True:
        left = CHECKPOINT_SIZE - _LEFT_TO_CALLS - watch.journal.stat().st_size
        if left <= 0 or watch.begun:
            return
        label = "x" * min(left, _LONGEST_LABEL)
        pool = connection.call(request_pool(MANY, label))["PoolID"]
        connection.call(release_pool(pool))


def _calls_until_it_has_ended(
    connection: Connection, watch: _Watch
) -> tuple[list[float], list[float]]:
    quiet: list[float] = []
    during: list[float] = []
    undo: bytes | None = None
    for _ in range(_MOST_CALLS):
        before, over = watch.begun, watch.ended
        if over and len(quiet) >= _QUIET_CALLS:
            return quiet, during
        seconds, answer = connection.timed(undo or REQUEST_ADDRESS.request)
        undo = address_given_back(answer) if undo is None else None
        begun_in_it = not before and watch.begun
        (during if begun_in_it or (before and not over) else quiet).append(seconds)
    raise AssertionError(f"no checkpoint within {_MOST_CALLS} calls")
