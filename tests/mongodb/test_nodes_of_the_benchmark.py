"""The nodes of the benchmark of many nodes: what becomes of their processes, and of their log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.scale_nodes import Day, Node
from bench.scale_worker import Worker
from tests.mongodb.nodes import SharedPlan
from tests.support.mongodb.replica_set import wait_for


@contextmanager
def working(plan: SharedPlan) -> Iterator[Worker]:
    """A process with a node that hears of the others. Its output is that of the test."""
    worker = Worker(plan.address.url, plan.folder)
    ask(worker, "start", ["h1"], 0)
    ask(worker, "follow", ["h1"])
    try:
        yield worker
    finally:
        ask(worker, "stop")
        worker.close()


def ask(worker: Worker, name: str, *arguments: Any) -> Any:
    worker.ask(name, *arguments)
    return worker.answer()


@pytest.mark.parametrize("end", [Node.stop, Node.die])
def test_a_process_that_ends_does_not_live_to_see_the_one_that_takes_its_place(
    plan: SharedPlan, end: Callable[[Node], None]
) -> None:
    node = Node(plan.address.url, "h1", plan.folder, Day())
    before = set(threading.enumerate())
    node.start()
    node.follow()

    end(node)

    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if "run_background_work" in thread.name] == []


def test_an_error_that_a_process_logs_is_shown_and_counts_as_a_problem(
    plan: SharedPlan, capfd: pytest.CaptureFixture[str]
) -> None:
    with working(plan) as worker:
        plan.loaded("h1")
        wait_for(lambda: bool(ask(worker, "problems")), "the process notices the other one")
        (problem,) = ask(worker, "problems")

    assert problem.startswith("logged: this process no longer serves its node")
    assert "level=ERROR this process no longer serves its node" in capfd.readouterr().out
