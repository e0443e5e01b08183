"""`make bench`: everything that is measured, as ratios in one run, and one table at the end.

BENCH_QUICK=1 runs everything with small sizes, to see that it works: its figures mean nothing, and
docs/performance.md is not changed. SCALE=1 lets many nodes live through a day as well, which takes
longer than everything else.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bench import aggregates, parts, refusals, report, scale, table
from bench.run import FULL, QUICK, Run
from bench.servers import ROOT

_PARTS: tuple[tuple[str, Callable[[Run], None]], ...] = (
    ("one call at a time, beside the floor", parts.one_at_a_time),
    ("the stages of a call", parts.stages_of_a_call),
    ("calls while a checkpoint runs", parts.checkpoints),
    ("calls while somebody looks", parts.views),
    ("the page, in a browser", parts.on_the_page),
    ("many calls at once", parts.many_at_once),
    ("a start with much stored", parts.start),
    ("finding what is free, from few entries to a million", parts.finding_what_is_free),
    ("a node with many aggregates", aggregates.many_aggregates),
    ("a network refused, of which many scopes are named", refusals.refused_networks),
    ("plain TinyDB behind the same server", parts.beside_tinydb),
    ("a plan in MongoDB, over three members", parts.over_mongodb),
    ("nodes that share a plan in MongoDB", parts.many_nodes),
    ("Docker's commands, in a private engine", parts.in_docker),
)
_AT_SCALE = ("many nodes of a plan in MongoDB, for a day", scale.for_a_day)


def main() -> int:
    """Measure, print, write; returns 0 even if a limit is exceeded: this is not a test."""
    _end_on_sigterm()
    quick = _is_set("BENCH_QUICK")
    parts_wanted = (*_PARTS, _AT_SCALE) if _is_set("SCALE") else _PARTS
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:4.0f} s  {text}", flush=True)

    try:
        with _folder() as folder:
            run = Run(folder, QUICK if quick else FULL, say)
            for number, (title, measure) in enumerate(parts_wanted, start=1):
                say(f"[{number}/{len(parts_wanted)}] {title}")
                measure(run)
            page = report.write(_destination(quick), run, time.monotonic() - begun)
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started is stopped.", file=sys.stderr)
        return 130
    print(f"\n{table.plain(run.rows)}\n")
    say(f"written to {page.relative_to(ROOT)}")
    return 0


def _is_set(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def _destination(quick: bool) -> Path:
    folder = ROOT / "build" / "bench" if quick else ROOT / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder on the disk that the project is on: /tmp may be memory."""
    parent = ROOT / "build"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _end_on_sigterm() -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


if __name__ == "__main__":
    sys.exit(main())
