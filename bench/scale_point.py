"""What was found with so many nodes, each with so many networks."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.samples import Samples


@dataclass
class Cost:
    """Of each call, by its name: the seconds, and how many documents the database examined and
    wrote. `oplog_bytes` are those of one after the other."""

    seconds: dict[str, Samples] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    oplog_bytes: float = 0.0


@dataclass
class Quiet:
    """What it takes that so many nodes, `followers` of which hear of the others, are there while
    nobody calls: what one hears, in bytes a second, and the share of a processor that the primary
    uses."""

    followers: int = 0
    bytes_a_second: float = 0.0
    primary_share: float = 0.0


@dataclass
class DayPassed:
    """What happened on the day: in seconds, calls of all nodes, bytes that one heard, and how many
    processes were killed, nodes forgotten, calls refused, and calls left without an answer."""

    seconds: float = 0.0
    calls: int = 0
    heard_bytes: float = 0.0
    killed: int = 0
    forgotten: int = 0
    refused: int = 0
    unknown: int = 0

    @property
    def heard_a_call(self) -> float:
        """The bytes that a node heard for each call of another."""
        return self.heard_bytes / max(self.calls, 1)


@dataclass
class Point:
    """All of it. `starts` are in seconds, `memory` in bytes, `routes` by node; `pools` and `leases`
    are those at the end, and `problems` are in words."""

    nodes: int
    networks: int
    cost: Cost = field(default_factory=Cost)
    starts: Samples = field(default_factory=Samples)
    memory: float = 0.0
    quiet: Quiet = field(default_factory=Quiet)
    day: DayPassed = field(default_factory=DayPassed)
    routes: list[int] = field(default_factory=list)
    pools: int = 0
    leases: int = 0
    problems: list[str] = field(default_factory=list)
