"""The table of results: what was measured, what it is compared with, and its limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.samples import Samples


@dataclass(frozen=True)
class Unit:
    """How values are written: the factor, the number of decimals and the name of the unit."""

    name: str
    factor: float = 1.0
    decimals: int = 0

    def text(self, value: float) -> str:
        """The value as it is shown."""
        return f"{value * self.factor:,.{self.decimals}f} {self.name}"


MICROSECONDS = Unit("µs", 1e6)
NANOSECONDS = Unit("ns", 1e9)
MILLISECONDS = Unit("ms", 1e3)
SECONDS = Unit("s", 1, 2)
MEGABYTES = Unit("MB", 1e-6)
BYTES = Unit("B")
RATE = Unit("/s")


class Verdict(Enum):
    """Whether a limit is kept; NONE is for a row without a limit."""

    OK = "ok"
    OVER = "OVER"
    NONE = ""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    ours: str
    other: str = ""
    ratio: str = ""
    limit: str = ""
    verdict: Verdict = Verdict.NONE

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the row, as strings."""
        return self.name, self.ours, self.other, self.ratio, self.limit, self.verdict.value


COLUMNS = ("what", "ours", "floor or peer", "ratio", "limit", "")


def absolute(name: str, value: float, unit: Unit, *, most: float | None = None) -> Row:
    """A value that must be at most `most`."""
    if most is None:
        return Row(name, unit.text(value))
    return Row(name, unit.text(value), limit=f"≤ {unit.text(most)}", verdict=_kept(value <= most))


def compared(
    name: str, ours: Samples, other: Samples, unit: Unit, *, most: float | None = None
) -> Row:
    """Two medians of values measured in turns, and the median of the ratios of the turns."""
    return _ratio(name, ours.p50, other.p50, ours.ratio_to(other), unit, most)


def divided(name: str, ours: float, other: float, unit: Unit, *, most: float | None = None) -> Row:
    """Two values and their ratio."""
    return _ratio(name, ours, other, ours / other, unit, most)


def rate(name: str, ours: Samples, other: Samples, *, least: float, aim: float) -> Row:
    """Requests per second: the least there must be, and the number that is aimed at."""
    return Row(
        name,
        RATE.text(ours.p50),
        RATE.text(other.p50),
        _times(ours.ratio_to(other)),
        f"≥ {RATE.text(least)}, aim {aim:,.0f}",
        _kept(ours.p50 >= least),
    )


def at_least(name: str, ours: Samples, other: Samples, *, least: float | None = None) -> Row:
    """Two rates, measured in turns, and the ratio of them: at least `least`."""
    ratio = ours.ratio_to(other)
    limit, verdict = "", Verdict.NONE
    if least is not None:
        limit, verdict = f"≥ {_times(least)}", _kept(ratio >= least)
    return Row(name, RATE.text(ours.p50), RATE.text(other.p50), _times(ratio), limit, verdict)


def published(name: str, ours: Samples, other: float, *, least: float | None = None) -> Row:
    """Answers per second, compared with a published number: at least `least` times that."""
    ratio = ours.p50 / other
    limit, verdict = "", Verdict.NONE
    if least is not None:
        limit, verdict = f"> {_times(least)}", _kept(ratio > least)
    return Row(name, RATE.text(ours.p50), RATE.text(other), _times(ratio), limit, verdict)


def missing(name: str, reason: str) -> Row:
    """A row for what could not be measured on this machine."""
    return Row(name, f"not measured: {reason}")


def _ratio(
    name: str, ours: float, other: float, ratio: float, unit: Unit, most: float | None
) -> Row:
    limit, verdict = "", Verdict.NONE
    if most is not None:
        limit, verdict = f"≤ {_times(most)}", _kept(ratio <= most)
    return Row(name, unit.text(ours), unit.text(other), _times(ratio), limit, verdict)


def _times(ratio: float) -> str:
    return f"{ratio:.2f}x" if ratio < 100 else f"{ratio:,.0f}x"


def _kept(kept: bool) -> Verdict:
    return Verdict.OK if kept else Verdict.OVER


def plain(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [COLUMNS, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    ruled = [lines[0], tuple("-" * width for width in widths), *lines[1:]]
    return "\n".join(_aligned(line, widths) for line in ruled)


def _aligned(cells: Iterable[str], widths: Sequence[int]) -> str:
    # Names to the left, figures to the right.
    first, *others = cells
    texts = [first.ljust(widths[0])]
    texts += [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
    return "  ".join(texts).rstrip()


def markdown(rows: Sequence[Row]) -> str:
    """The table for a page."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|--:|--:|--:|--:|---|"]
    lines += ["| " + " | ".join(row.cells) + " |" for row in rows]
    return "\n".join(lines)
