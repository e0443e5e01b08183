"""One run of the benchmark: its sizes, its folder and its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.plan import Held, write_schema, write_state
from bench.table import Row


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    turns: int = 60
    calls: int = 40
    calls_after_silence: int = 30
    leases: int = 60_000
    pools: int = 10_000
    staged_calls: int = 1_500
    checkpoints: int = 4
    views_rounds: int = 12
    views_calls: int = 500
    page_rounds: int = 7
    floods: int = 5
    flood_calls: int = 6_000
    leases_each: int = 10
    starts: int = 5
    entries: tuple[int, ...] = (100, 1_000, 10_000, 100_000, 1_000_000)
    own_aggregates: tuple[int, int] = (1, 1_000)
    other_nodes: int = 1_000
    refusing_scopes: int = 1_000
    peer_leases: tuple[int, ...] = (10, 100, 1_000, 10_000)
    peer_turns: int = 10
    peer_calls: int = 5
    mongodb_rounds: int = 5
    mongodb_calls: int = 120
    nodes_rounds: int = 3
    # Nodes that share a plan, and how many networks each has.
    scale: tuple[tuple[int, int], ...] = (
        *((1, 100), (10, 100), (100, 100), (1_000, 100)),
        *((10, 10), (10, 1_000)),
    )
    pairs: int = 41
    enables: int = 5


FULL = Sizes()
QUICK = Sizes(
    turns=4,
    calls=10,
    calls_after_silence=3,
    leases=2_000,
    pools=500,
    staged_calls=50,
    checkpoints=1,
    views_rounds=1,
    views_calls=50,
    page_rounds=1,
    floods=2,
    flood_calls=500,
    starts=1,
    entries=(100, 1_000),
    own_aggregates=(1, 16),
    other_nodes=10,
    refusing_scopes=20,
    peer_leases=(10, 100),
    peer_turns=2,
    peer_calls=2,
    mongodb_rounds=1,
    mongodb_calls=20,
    nodes_rounds=1,
    scale=((1, 10), (8, 10), (8, 20)),
    pairs=2,
    enables=1,
)


@dataclass
class Run:
    """The folder that it works in, where its progress is shown, and its results: rows, the table of
    the stages of a call, the section on many nodes, and pictures by name."""

    folder: Path
    sizes: Sizes
    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    stages: str = ""
    many_nodes: str = ""
    pictures: dict[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> Path:
        """The file of the schema that everything is measured with."""
        return write_schema(self.folder / "schema.json")

    def add(self, *rows: Row) -> None:
        """Keep rows, and show them as progress."""
        for row in rows:
            self.rows.append(row)
            self.say("        " + ", ".join(filter(None, row.cells)))

    def state(self, name: str, *held: Held) -> Path:
        """A folder with a state that holds this, created at the first call."""
        folder = self.folder / name
        if not folder.exists():
            self.say(f"        making the state `{name}`")
            folder.mkdir()
            write_state(folder / "state", *held)
        return folder
