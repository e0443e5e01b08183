"""What it costs to find something free, in time and memory, depending on how much is held.

`python -m bench.structures NAME SIZE...` grows one structure from size to size in a process of its
own, and prints a line of JSON for each.
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from bench.servers import ROOT
from pyipam.space.buddy import BuddyAllocator
from pyipam.space.free_addresses import FreeAddresses

_BATCH = 100
_BATCHES = 40


class Structure(Protocol):
    """Something that gives out entries and takes them back."""

    def take(self) -> None:
        """Take the lowest entry that is free."""

    def give_back(self, entry: int) -> None:
        """Give back the entry that was taken at this place in the order of taking."""

    def is_free(self, entry: int) -> bool:
        """Whether the entry at this place is free; it may never have been taken."""


class Addresses:
    """The addresses of one pool, with a dict of the leases as the plugin keeps it."""

    def __init__(self, first: int, last: int) -> None:
        self._leases: dict[int, int] = {}
        self._first = first
        self._free = FreeAddresses(first, last, self._leases)

    def take(self) -> None:
        address = self._free.lowest()
        assert address is not None
        self._leases[address] = address

    def give_back(self, entry: int) -> None:
        address = self._first + entry
        del self._leases[address]
        self._free.mark_released(address)

    def is_free(self, entry: int) -> bool:
        return self._first + entry not in self._leases


class BlocksOfScope:
    """The blocks of one scope, all of one length."""

    def __init__(self, start: int, scope_length: int, length: int, width: int) -> None:
        self._allocator = BuddyAllocator(start, scope_length, width)
        self._start, self._length = start, length
        self._size = 1 << (width - length)

    def take(self) -> None:
        start = self._allocator.lowest(self._length)
        assert start is not None
        self._allocator.hold(start, self._length)

    def give_back(self, entry: int) -> None:
        self._allocator.release(self._start + entry * self._size, self._length)

    def is_free(self, entry: int) -> bool:
        return self._allocator.is_free(self._start + entry * self._size, self._length)


@dataclass(frozen=True)
class Kind:
    """A structure, and what its operations are called in the results. There is no `check` if all it
    does is to find a lease in a dict."""

    make: Callable[[], Structure]
    exchange: str
    check: str | None = None


_IPV4, _IPV6 = 10 << 24, 0xFC00 << 112
KINDS: dict[str, Kind] = {
    "addresses of a /8": Kind(
        lambda: Addresses(_IPV4 + 1, _IPV4 + (1 << 24) - 2), "free address in a /8"
    ),
    "addresses of a /64": Kind(
        lambda: Addresses(_IPV6 + 1, _IPV6 + (1 << 64) - 1), "free address in a /64"
    ),
    "/30 blocks of a /8": Kind(
        lambda: BlocksOfScope(_IPV4, 8, 30, 32), "free block in a /8", "overlap check in a /8"
    ),
    "/96 blocks of a /64": Kind(
        lambda: BlocksOfScope(_IPV6, 64, 96, 128), "free block in a /64", "overlap check in a /64"
    ),
}


# The same number of entries in a small space and in a large one.
SIZES: dict[str, tuple[Callable[[], Structure], Callable[[], Structure]]] = {
    "free address, in a /64 pool against a /120": (
        lambda: Addresses(_IPV6 + 1, _IPV6 + (1 << 8) - 1),
        lambda: Addresses(_IPV6 + 1, _IPV6 + (1 << 64) - 1),
    ),
    "free /24 block, in a /8 scope against a /16": (
        lambda: BlocksOfScope(_IPV4, 16, 24, 32),
        lambda: BlocksOfScope(_IPV4, 8, 24, 32),
    ),
}


@dataclass(frozen=True)
class Empty:
    """The bytes of a structure that holds nothing, and the seconds of one operation if it holds a
    hundred entries."""

    memory: float
    exchange: float


@dataclass(frozen=True)
class Cost:
    """The seconds of one operation with this many entries held, and the bytes for each entry."""

    entries: int
    exchange: float
    check: float
    memory: float


def measure(name: str, sizes: Iterable[int]) -> list[Cost]:
    """The costs of one of KINDS at each size."""
    command = [sys.executable, "-m", "bench.structures", name, *map(str, sizes)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return [Cost(**json.loads(line)) for line in done.stdout.splitlines()]


def measure_sizes(name: str) -> tuple[Empty, Empty]:
    """One of SIZES: in a small space and in a large one."""
    little, much = SIZES[name]
    return _empty(little), _empty(much)


def _empty(make: Callable[[], Structure]) -> Empty:
    tracemalloc.start()
    structure = make()
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for _ in range(_BATCH):
        structure.take()
    return Empty(memory, _exchange(structure, _BATCH, random.Random(0)))


def _grow(name: str, sizes: Iterable[int]) -> Iterable[Cost]:
    gc.disable()
    chance = random.Random(name)
    before = _memory()
    structure, held = KINDS[name].make(), 0
    for size in sizes:
        for _ in range(held, size):
            structure.take()
        held = size
        memory = (_memory() - before) / size
        yield Cost(
            size, _exchange(structure, size, chance), _check(structure, size, chance), memory
        )


def _exchange(structure: Structure, size: int, chance: random.Random) -> float:
    """The seconds to give one entry back and take the lowest instead, a hundred at a time."""
    times = []
    for _ in range(_BATCHES):
        entries = chance.sample(range(size), min(_BATCH, size))
        begun = time.perf_counter()
        for entry in entries:
            structure.give_back(entry)
        for _ in entries:
            structure.take()
        times.append((time.perf_counter() - begun) / len(entries))
    return median(times)


def _check(structure: Structure, size: int, chance: random.Random) -> float:
    """The seconds to find out whether an entry is free, for some that are and some that are not."""
    times = []
    for _ in range(_BATCHES):
        entries = [chance.randrange(2 * size) for _ in range(_BATCH)]
        begun = time.perf_counter()
        for entry in entries:
            structure.is_free(entry)
        times.append((time.perf_counter() - begun) / len(entries))
    return median(times)


def _memory() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    for cost in _grow(sys.argv[1], map(int, sys.argv[2:])):
        print(json.dumps(asdict(cost)), flush=True)
