"""Answers of /v1/routes, and a kernel in memory, as tests need them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyipam.cli.routing.announced import Announced, read_announced
from pyipam.space.block import Block, parse_subnet

PLAN = ("10.1.0.0/16", "fd00:10::/32")


def answer(*prefixes: str, version: str = "", plan: Iterable[str] = PLAN) -> dict[str, Any]:
    """What the plugin of node h1 answers."""
    routes = [
        {
            "prefix": prefix,
            "kind": "aggregate",
            "scope": "10.1.0.0/16",
            "tags": [],
            "state": "active",
            "pools": 1,
            "node": "h1",
        }
        for prefix in prefixes
    ]
    return {"version": version or " ".join(prefixes), "node": "h1", "plan": [*plan]} | {
        "routes": routes
    }


def announced(*prefixes: str, plan: Iterable[str] = PLAN) -> Announced:
    """The same, as it was read."""
    return read_announced(answer(*prefixes, plan=plan), "a test")


class MemoryKernel:
    """Implements Kernel. `done` is what was changed, in order; adding to `taken` is refused."""

    def __init__(self, *prefixes: str) -> None:
        self.there = set(map(parse_subnet, prefixes))
        self.taken: set[Block] = set()
        self.from_bgp: set[Block] = set()
        self.done: list[str] = []
        self.is_broken = False

    def __enter__(self) -> MemoryKernel:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def blocks(self) -> set[Block]:
        if self.is_broken:
            raise OSError(105, "No buffer space available")
        return set(self.there)

    def add(self, block: Block) -> None:
        if block in self.taken:
            raise FileExistsError(17, "the kernel has another route of proto 99")
        self.there.add(block)
        self.done.append(f"+{block}")

    def delete(self, block: Block) -> None:
        self.there.remove(block)
        self.done.append(f"-{block}")

    def learned(self, within: Iterable[Block]) -> set[Block]:
        around = tuple(within)
        return {block for block in self.from_bgp if any(block.is_inside(b) for b in around)}
