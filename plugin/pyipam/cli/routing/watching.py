"""What `pyipam routes --watch` does: it compares what is with what is to be, again and again.

Nothing is inferred from a change alone: whatever was missed is made up for in the next round. As
long as the plugin does not answer, what it said last stays in force: that it cannot be read does
not mean that there is nothing to announce.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pyipam.cli.refusal import CommandRefused
from pyipam.cli.routing.announced import NOTHING, Announced, keep, read_kept

ROUND_SECONDS = 60.0
# How long one question to the plugin may wait for news.
_ASK_SECONDS = 25
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0
_LONGEST_ASK_SECONDS = 5.0


@dataclass(frozen=True)
class Target:
    """What is to be made equal to what is to be announced.

    `apply` is called with what is to be announced and with what was before; it returns why it
    failed, or an empty string.
    """

    name: str
    apply: Callable[[Announced, Announced], str]


@dataclass
class _Standing:
    """Where a target stands: when its next turn is (monotonic seconds), what was applied last, and
    after how many seconds it is tried again if that fails."""

    due: float = 0.0
    applied: Announced = NOTHING
    retry: float = _FIRST_RETRY_SECONDS
    failure: str = ""


@dataclass
class Watch:
    """Keeps the targets equal to what `ask` answers.

    `ask(version, seconds)` returns what is to be announced, as soon as that is another version or
    the seconds are over; it raises CommandRefused if the plugin does not answer. `kept` is the file
    in which the latest answer is kept. `tell` is told what happens.
    """

    ask: Callable[[str, int], Announced]
    targets: list[Target]
    kept: Path | None
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[str], None]
    wanted: Announced | None = None
    _standings: dict[str, _Standing] = field(default_factory=dict)
    _away: str = ""
    _ask_again: float = _FIRST_RETRY_SECONDS

    def begin(self) -> None:
        """Apply what was kept, before the plugin has answered."""
        self._standings = {target.name: _Standing() for target in self.targets}
        if self.kept is None:
            return
        try:
            kept = read_kept(self.kept)
        except CommandRefused as error:
            self.tell(f"{error}; what it kept is lost, and the plugin is waited for")
            return
        if kept is not NOTHING:
            self.wanted = kept
            self._apply()

    def turn(self) -> None:
        """Wait for news, or until something is due, and do it."""
        seconds = self._seconds_left()
        try:
            news = self.ask(
                "" if self.wanted is None or self._away else self.wanted.version,
                max(min(int(seconds), _ASK_SECONDS), 1),
            )
        except CommandRefused as error:
            self._is_away(str(error))
            self._apply()
            self.sleep(max(min(self._ask_again, self._seconds_left()), 0.05))
            self._ask_again = min(2 * self._ask_again, _LONGEST_ASK_SECONDS)
            return
        self._answers(news)
        self._apply()

    def _is_away(self, why: str) -> None:
        if why != self._away:
            state = "nothing is changed" if self.wanted is None else "the last routes stay"
            self.tell(f"{why}; {state} until the plugin answers")
        self._away = why

    def _answers(self, news: Announced) -> None:
        if self._away:
            self.tell("the plugin answers again")
        self._away, self._ask_again = "", _FIRST_RETRY_SECONDS
        if self.wanted is not None and news.version == self.wanted.version:
            return
        self.wanted = news
        if self.kept is not None:
            try:
                keep(self.kept, news)
            except CommandRefused as error:
                self.tell(str(error))
        for standing in self._standings.values():
            standing.due, standing.retry = 0.0, _FIRST_RETRY_SECONDS

    def _seconds_left(self) -> float:
        """How long nothing is due."""
        if self.wanted is None or not self._standings:
            return ROUND_SECONDS
        due = min(standing.due for standing in self._standings.values())
        return max(due - self.monotonic(), 0.0)

    def _apply(self) -> None:
        """Give their turns to the targets that are due."""
        if self.wanted is None:
            return
        for target in self.targets:
            standing = self._standings[target.name]
            if self.monotonic() >= standing.due:
                self._apply_to(target, standing, self.wanted)

    def _apply_to(self, target: Target, standing: _Standing, wanted: Announced) -> None:
        failure = target.apply(wanted, standing.applied)
        if failure and failure != standing.failure:
            self.tell(f"{target.name}: {failure}; it is tried again")
        if failure:
            standing.due = self.monotonic() + standing.retry
            standing.retry = min(2 * standing.retry, _LONGEST_RETRY_SECONDS)
        else:
            standing.due = self.monotonic() + ROUND_SECONDS
            standing.retry = _FIRST_RETRY_SECONDS
            standing.applied = wanted
        standing.failure = failure
