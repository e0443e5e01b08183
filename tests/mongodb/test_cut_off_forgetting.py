"""`pyipam nodes forget` that is cut off, and `--undo` before it was finished."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pyipam.cli.forgetting import forget_node_by_force
from pyipam.store.mongodb.forgetting import Forgetting, NotForgotten, Unfinished
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.pool_id import NO_NODE
from pyipam.store.records import NodeRecord, Record
from tests.mongodb.forgetting import forget, let_time_pass
from tests.mongodb.nodes import SharedPlan, on_a
from tests.mongodb.transfers import refusal
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    GATEWAY,
    LEASE,
    POOL,
    puts,
    replace,
)

ROOT = Path(__file__).parents[2]
INSIDE = replace(POOL, aggregate=AGGREGATE.id.removeprefix("local/"))
STRAY = replace(POOL, id="local/100.64.8.0/30")
STRAY_LEASE = replace(LEASE, pool=STRAY.id, address="100.64.8.2")
IN_AGGREGATE: list[Record] = [DRIVER, AGGREGATE, INSIDE, GATEWAY, LEASE]
OUTSIDE: list[Record] = [DRIVER, STRAY, STRAY_LEASE]
HELD: list[Record] = [*IN_AGGREGATE, STRAY, STRAY_LEASE]
AT = 1700000000.5
FORGOTTEN = NodeRecord("nodea", forgotten=AT)
RESTING = replace(AGGREGATE, released=AT, forgotten=True)
# What it takes to undo it.
WAY_OUT = (
    "Run `pyipam nodes forget --force nodea` again, which deletes what is left, and undo it "
    "afterwards"
)


class CutOff(BaseException):
    """The command ends here, whatever it was doing."""


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nodes forget` ends where it would wait."""
    monkeypatch.setattr("pyipam.cli.forgetting.sleep", cut)


def cut(*_: object) -> None:
    raise CutOff


@pytest.fixture
def operator(plan: SharedPlan) -> Iterator[Forgetting]:
    """Whoever forgets nodes, and has loaded nothing yet."""
    with closing(Forgetting(plan.address, plan.folder)) as found:
        yield found


@pytest.fixture
def other_operator(plan: SharedPlan) -> Iterator[Forgetting]:
    with closing(Forgetting(plan.address, plan.folder)) as found:
        yield found


def begin_to_forget(plan: SharedPlan) -> None:
    with pytest.raises(CutOff):
        forget_node_by_force(plan.address, "nodea")


def everything(plan: SharedPlan) -> list[object]:
    """Every document that says what nodes hold, and what was said of them."""
    names = ("marks", "drivers", "pools", "leases", "aggregates", "aggregate_leases", "orphans")
    return [list(plan.database[name].find().sort("_id", 1)) for name in names]


@pytest.mark.parametrize("held", [IN_AGGREGATE, OUTSIDE], ids=["in-an-aggregate", "outside"])
@pytest.mark.usefixtures("cut_off")
def test_a_forgetting_that_was_cut_off_is_not_undone(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str], held: list[Record]
) -> None:
    plan.loaded("nodea").commit(puts(*held))
    begin_to_forget(plan)
    before = everything(plan)

    assert forget(plan, "nodea", "--undo") == 1

    assert refusal(capsys) == (
        "the forgetting of node nodea was cut off, or is under way: one pool of it is left, and "
        f"others may get its addresses. {WAY_OUT}. Nothing has been done"
    )
    assert everything(plan) == before


def test_it_is_undone_once_it_is_finished(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    with monkeypatch.context() as patched:
        patched.setattr("pyipam.cli.forgetting.sleep", cut)
        begin_to_forget(plan)
    waited: list[float] = []
    monkeypatch.setattr("pyipam.cli.forgetting.sleep", waited.append)

    assert forget(plan, "nodea", "--force") == 0
    assert "with 2 pools, 3 leases, 1 aggregate and 1 driver name" in capsys.readouterr().err
    assert len(waited) == 1

    assert forget(plan, "nodea", "--undo") == 0
    assert plan.database.marks.count_documents({"forgotten": {"$ne": None}}) == 0
    plan.loaded("nodea").commit(puts(*OUTSIDE))
    assert forget(plan, "nodea", "--undo") == 1
    assert refusal(capsys) == "node nodea was not forgotten; nothing has been done"


@pytest.mark.usefixtures("cut_off")
def test_without_force_it_is_not_finished(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    begin_to_forget(plan)
    before = everything(plan)

    assert forget(plan, "nodea") == 1

    assert refusal(capsys) == (
        "the forgetting of node nodea was cut off, or is under way: 2 pools of it are left. Run "
        "`pyipam nodes forget --force nodea` again, which deletes them"
    )
    assert everything(plan) == before


@pytest.mark.usefixtures("cut_off")
def test_a_node_that_starts_after_it_gives_out_nothing_and_loses_what_it_has_when_it_is_finished(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    begin_to_forget(plan)
    node = plan.loaded("nodea")
    assert "was forgotten by an operator" in str(node.problem())
    monkeypatch.setattr("pyipam.cli.forgetting.sleep", lambda _: None)

    assert forget(plan, "nodea", "--force") == 0

    assert not plan.records("nodea") & set(HELD)


def test_it_is_not_undone_while_it_waits_and_goes_on_afterwards(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    undone: list[int] = []
    monkeypatch.setattr(
        "pyipam.cli.forgetting.sleep", lambda _: undone.append(forget(plan, "nodea", "--undo"))
    )

    assert forget(plan, "nodea", "--force") == 0

    assert undone == [1]
    assert not plan.records("nodea") & set(HELD)


def test_what_a_node_got_after_another_operator_has_undone_it_stays(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))

    def finish_and_undo(_: float) -> None:
        monkeypatch.setattr("pyipam.cli.forgetting.sleep", lambda _: None)
        assert forget(plan, "nodea", "--force") == 0
        assert forget(plan, "nodea", "--undo") == 0
        plan.loaded("nodea").commit(puts(*OUTSIDE))

    monkeypatch.setattr("pyipam.cli.forgetting.sleep", finish_and_undo)
    assert forget(plan, "nodea", "--force") == 1

    assert refusal(capsys) == (
        "that node nodea was forgotten was undone meanwhile, and it may have got something since; "
        "nothing of that has been deleted. To forget it all the same, run the command again"
    )
    assert plan.records("nodea") >= set(OUTSIDE)


def test_it_is_finished_after_another_operator_has_begun_it_too(
    plan: SharedPlan, operator: Forgetting, other_operator: Forgetting
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    operator.load()
    since = operator.fence_off("nodea", AT)
    other_operator.load()
    assert other_operator.fence_off("nodea", AT + 30) == since == AT

    operator.forget("nodea", AT + 80, since)
    other_operator.forget("nodea", AT + 110, since)

    assert plan.records("nodea") == {FORGOTTEN, RESTING}


def test_an_undoing_and_a_forgetting_at_the_same_moment_come_one_after_the_other(
    plan: SharedPlan, operator: Forgetting, other_operator: Forgetting
) -> None:
    """Each is decided on what the other one has left."""
    plan.loaded("nodea").commit(puts(DRIVER))
    operator.load()
    since = operator.fence_off("nodea", AT)
    other_operator.load()

    assert other_operator.undo("nodea") == NodeRecord("nodea")
    with pytest.raises(NotForgotten):
        operator.forget("nodea", AT + 1, since)
    with pytest.raises(NotForgotten):
        other_operator.undo("nodea")

    plan.loaded("nodea").commit(puts(*OUTSIDE))
    operator.fence_off("nodea", AT + 2)
    with pytest.raises(NotForgotten):
        # It has not heard of that, and looks again.
        other_operator.forget("nodea", AT + 3, since)
    other_operator.load()
    with pytest.raises(Unfinished):
        other_operator.undo("nodea")
    assert plan.records("nodea") == {*OUTSIDE, NodeRecord("nodea", forgotten=AT + 2)}


def test_an_undoing_that_knows_less_than_what_is_stored_looks_again(
    plan: SharedPlan, operator: Forgetting, other_operator: Forgetting
) -> None:
    plan.loaded("nodea").commit(puts(DRIVER))
    operator.load()
    operator.forget("nodea", AT)
    other_operator.load()
    operator.forget("nodea", AT + 5)

    assert other_operator.undo("nodea") == NodeRecord("nodea")

    assert plan.records("nodea") == set()


def test_an_undoing_that_does_not_succeed_deletes_no_lease(
    plan: SharedPlan, operator: Forgetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = plan.loaded("nodea")
    node.commit(puts(*HELD))
    operator.load()
    operator.forget("nodea", AT)
    node.commit(puts(replace(LEASE, epoch=9), replace(STRAY_LEASE, epoch=9)))
    before = everything(plan)
    monkeypatch.setattr("pyipam.store.mongodb.session.Session._commit_transaction", cut)

    with pytest.raises(CutOff):
        operator.undo("nodea")

    operator.close()
    assert everything(plan) == before


# Killed at any moment

# Kills the process that runs it instead of a certain one of its writes, of which the commits of
# transactions are one each. It waits for nothing.
KILLED = """
import os, signal, sys
import pyipam.cli.forgetting
from pyipam.cli.main import main
from pyipam.store.mongodb.session import Session

left = int(sys.argv[1])

def counted(method):
    def do(self, *arguments):
        global left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return method(self, *arguments)
    return do

Session._write = counted(Session._write)
Session._commit_transaction = counted(Session._commit_transaction)
pyipam.cli.forgetting.sleep = lambda _: None
sys.exit(main(sys.argv[2:]))
"""
WRITES = 13


def killed_before(plan: SharedPlan, write: int, *options: str) -> int:
    """Run `nodes forget`, and kill it before this one of its writes. Returns the exit status."""
    command = ["nodes", "forget", "nodea", "--store-url", plan.address.url, *options]
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(write), *command],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}/plugin"},
        check=False,
    ).returncode


def test_a_forgetting_that_is_killed_at_any_moment_is_undone_only_once_it_is_finished(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyipam.cli.forgetting.sleep", lambda _: None)
    for write in range(WRITES + 1):
        plan.loaded("nodea").commit(puts(*HELD))
        ended = killed_before(plan, write, "--force")
        assert ended == (0 if write == WRITES else -signal.SIGKILL), write
        left = plan.records("nodea") & set(HELD)

        if left:
            assert left >= set(HELD) - {AGGREGATE}, write
            assert forget(plan, "nodea", "--undo") == 1, write
            assert plan.records("nodea") >= left, write
            assert forget(plan, "nodea", "--force") == 0, write
        assert forget(plan, "nodea", "--undo") == 0, write
        assert all(each.id == AGGREGATE.id for each in plan.records("nodea"))  # type: ignore[union-attr]


def test_an_undoing_that_is_killed_at_any_moment_is_done_or_is_not(plan: SharedPlan) -> None:
    node = plan.loaded("nodea")
    node.commit(puts(*HELD))
    let_time_pass(plan, "nodea", minutes=11)
    assert forget(plan, "nodea", "--force") == 0
    node.commit(puts(LEASE))
    before = everything(plan)
    write = 0
    while killed_before(plan, write, "--undo") == -signal.SIGKILL:
        assert everything(plan) == before, write
        write += 1

    assert write > 1
    assert LEASE not in plan.records("nodea")
    assert not any(isinstance(each, NodeRecord) for each in plan.records("nodea"))


# What an import has put beside it


def test_leases_that_an_import_has_put_first_are_not_deleted_under_it(
    plan: SharedPlan, operator: Forgetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import in parts puts leases before their pools: they look like those that were written
    late. It fails, rather than to put the pools alone."""
    plan.loaded("nodea").commit(puts(DRIVER))
    operator.load()
    operator.forget("nodea", AT)
    importing = plan.loaded(NO_NODE)
    parts = [puts(on_a(STRAY_LEASE)), puts(on_a(STRAY))]
    undo_between(importing, operator, monkeypatch)

    with pytest.raises(Exception, match="other nodes"):
        importing.commit_in_parts(parts)

    assert not plan.records("nodea") & {STRAY, STRAY_LEASE}


def undo_between(
    store: MongoDbStore, operator: Forgetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the forgetting of nodea be undone after the first commit of a store."""
    commit: Callable[..., None] = store.commit

    def commit_then_undo(*arguments: object) -> None:
        commit(*arguments)
        monkeypatch.undo()
        operator.undo("nodea")

    monkeypatch.setattr(store, "commit", commit_then_undo)
