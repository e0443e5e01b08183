"""What the log says while the state cannot be used."""

from __future__ import annotations

import pytest

from pyipam.runtime.problem_log import ProblemLog
from tests.support.core import Time

AWAY = "the store does not answer (no primary can be reached); nothing can be given out"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def problems(time: Time) -> ProblemLog:
    return ProblemLog(lambda: time.monotonic)


def test_an_election_for_which_calls_wait_is_not_mentioned(
    problems: ProblemLog, time: Time, logged: list[str]
) -> None:
    for _ in range(10):
        problems.report_if_it_lasts(AWAY)
        time.pass_seconds(1.9)
    problems.report_if_it_lasts(None)
    time.pass_seconds(2)
    problems.report_if_it_lasts(AWAY)

    assert logged == []


def test_what_lasts_longer_than_calls_wait_is_mentioned_once_and_so_is_its_end(
    problems: ProblemLog, time: Time, logged: list[str]
) -> None:
    for _ in range(30):
        problems.report_if_it_lasts(AWAY)
        time.pass_seconds(2)
    for _ in range(3):
        problems.report_if_it_lasts(None)

    assert [line.split(" reason=")[0].rstrip() for line in logged] == [
        "level=ERROR the state cannot be used",
        "level=INFO the state can be used again",
    ]


def test_a_plan_that_cannot_be_loaded_is_mentioned_at_once(
    problems: ProblemLog, logged: list[str]
) -> None:
    problems.report(AWAY)
    problems.report_if_it_lasts(AWAY)
    problems.report_if_it_lasts(None)

    assert [line.split(" reason=")[0].rstrip() for line in logged] == [
        "level=ERROR the state cannot be used",
        "level=INFO the state can be used again",
    ]
