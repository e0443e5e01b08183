"""Measured values by rounds: what is compared is measured in turns, round by round.

A disk or a processor that is slow for a while is slow for both sides of a round. So a ratio is the
median of the ratios of the rounds, not the ratio of two medians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Samples:
    """The values of one measurement, as a list for each round."""

    rounds: list[list[float]] = field(default_factory=list)

    def add(self, *values: float) -> None:
        """Add the values of one round."""
        self.rounds.append(list(values))

    @property
    def p50(self) -> float:
        """The median of the rounds' medians."""
        return median(median(values) for values in self.rounds)

    @property
    def p99(self) -> float:
        """The 99th percentile of the values of all rounds."""
        return self._quantile(0.99)

    @property
    def longest(self) -> float:
        """The largest value."""
        return max(value for values in self.rounds for value in values)

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(len(values) for values in self.rounds)

    def ratio_to(self, other: Samples) -> float:
        """The median, over the rounds, of this median divided by the other one."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return median(median(mine) / median(theirs) for mine, theirs in pairs)

    def _quantile(self, share: float) -> float:
        values = sorted(value for values in self.rounds for value in values)
        return values[min(int(len(values) * share), len(values) - 1)]
