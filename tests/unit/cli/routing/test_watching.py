"""What `pyipam routes --watch` does, round by round."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pyipam.cli.refusal import CommandRefused
from pyipam.cli.routing.announced import Announced, read_announced
from pyipam.cli.routing.watching import Target, Watch
from tests.unit.cli.routing.answers import announced, answer

AWAY = "nobody listens at the socket"


class Watched:
    """A watch over a target and a plugin that a test says; time passes only by waiting."""

    def __init__(self, kept: Path | None = None) -> None:
        self.now = 1000.0
        self.says: Announced | None = None
        self.asked: list[tuple[str, int]] = []
        self.applied: list[list[str]] = []
        self.former: list[list[str]] = []
        self.fails: Callable[[], str] = lambda: ""
        self.told: list[str] = []
        self.watch = Watch(
            ask=self._ask,
            targets=[Target("the target", self._apply)],
            kept=kept,
            monotonic=lambda: self.now,
            sleep=self._sleep,
            tell=self.told.append,
        )
        self.watch.begin()

    def turns(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while self.now < end:
            self.watch.turn()

    def _ask(self, version: str, seconds: int) -> Announced:
        self.asked.append((version, seconds))
        if self.says is None:
            raise CommandRefused(AWAY)
        if version == self.says.version:
            self.now += seconds
        return self.says

    def _apply(self, wanted: Announced, former: Announced) -> str:
        self.applied.append(sorted(map(str, wanted.blocks)))
        self.former.append(sorted(map(str, former.blocks)))
        return self.fails()

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_routes_are_applied_when_the_plugin_has_answered() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")

    watched.watch.turn()

    assert watched.applied == [["10.1.0.0/20"]]
    assert watched.asked == [("", 25)]


def test_they_are_applied_again_at_every_change_with_what_was_before() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")
    watched.watch.turn()
    watched.says = announced("10.1.0.0/19")
    watched.watch.turn()

    assert watched.applied == [["10.1.0.0/20"], ["10.1.0.0/19"]]
    assert watched.former == [[], ["10.1.0.0/20"]]


def test_they_are_applied_every_minute_also_without_a_change() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")
    watched.turns(seconds=0.1)
    watched.turns(seconds=121)

    assert watched.applied == [["10.1.0.0/20"]] * 3


def test_as_long_as_the_plugin_is_away_the_last_routes_stay() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")
    watched.watch.turn()
    watched.says = None
    watched.turns(seconds=121)

    assert watched.applied == [["10.1.0.0/20"]] * 3
    assert watched.told == [f"{AWAY}; the last routes stay until the plugin answers"]


def test_before_the_plugin_has_ever_answered_nothing_is_applied() -> None:
    watched = Watched()

    watched.turns(seconds=300)

    assert watched.applied == []
    assert watched.told == [f"{AWAY}; nothing is changed until the plugin answers"]


def test_a_plugin_that_answers_again_is_not_waited_for() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")
    watched.watch.turn()
    watched.says = None
    watched.watch.turn()
    watched.says = announced("10.1.0.0/20")
    watched.watch.turn()

    assert watched.asked[-1] == ("", 25)
    assert watched.told[-1] == "the plugin answers again"


def test_an_empty_answer_withdraws_everything() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")
    watched.watch.turn()
    watched.says = announced()
    watched.watch.turn()

    assert watched.applied[-1] == []


def test_what_failed_is_tried_again_after_longer_and_longer_times_and_said_once() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")
    watched.fails = lambda: "it is broken"
    watched.turns(seconds=0.1)
    for expected in (2, 4, 8, 16, 30, 30):
        began, count = watched.now, len(watched.applied)
        while len(watched.applied) == count:
            watched.watch.turn()
        assert watched.now - began <= expected + 1

    assert watched.told == ["the target: it is broken; it is tried again"]


def test_a_change_does_not_wait_for_the_next_attempt() -> None:
    watched = Watched()
    watched.says = announced("10.1.0.0/20")
    watched.fails = lambda: "it is broken"
    watched.turns(seconds=60)
    watched.says = announced("10.1.0.0/19")
    watched.watch.turn()

    assert watched.applied[-1] == ["10.1.0.0/19"]


def test_the_latest_routes_are_kept_and_begun_with(tmp_path: Path) -> None:
    kept = tmp_path / "pyipam" / "routes.json"
    watched = Watched(kept)
    watched.says = announced("10.1.0.0/20")
    watched.watch.turn()

    again = Watched(kept)

    assert json.loads(kept.read_text()) == answer("10.1.0.0/20")
    assert again.applied == [["10.1.0.0/20"]]
    assert again.asked == []


def test_what_was_kept_counts_as_what_was_before(tmp_path: Path) -> None:
    kept = tmp_path / "routes.json"
    kept.write_text(json.dumps(answer("10.1.0.0/20")))
    watched = Watched(kept)
    watched.says = announced()
    watched.watch.turn()

    assert watched.former == [[], ["10.1.0.0/20"]]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"routes": 1}', '{"version": "1"}'])
def test_a_file_that_cannot_be_read_is_said_and_the_plugin_waited_for(
    tmp_path: Path, content: str
) -> None:
    kept = tmp_path / "routes.json"
    kept.write_text(content)

    watched = Watched(kept)

    assert watched.applied == []
    assert watched.told == [
        f"{kept} does not hold routes as pyipam writes them; what it kept is lost, and the plugin "
        "is waited for"
    ]


def test_routes_that_cannot_be_kept_are_applied_all_the_same(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    watched = Watched(in_the_way / "routes.json")
    watched.says = announced("10.1.0.0/20")

    watched.watch.turn()

    assert watched.applied == [["10.1.0.0/20"]]
    assert watched.told[-1].endswith("; the routes are not kept")


def test_an_answer_that_is_none_is_refused() -> None:
    with pytest.raises(CommandRefused, match="the socket does not hold routes"):
        read_announced({"items": []}, "the socket")
