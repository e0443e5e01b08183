"""Imports of files in which a node lives that was forgotten in the store."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pyipam.cli.main import main
from pyipam.store.mongodb.forgetting import Forgetting
from pyipam.store.records import NodeRecord, Record
from tests.mongodb.nodes import SharedPlan
from tests.mongodb.transfers import export, import_file, refusal, written
from tests.support.stored_records import AGGREGATE, GATEWAY, LEASE, POOL, puts, replace

INSIDE = replace(POOL, aggregate=AGGREGATE.id.removeprefix("local/"))
HELD: list[Record] = [AGGREGATE, INSIDE, GATEWAY, LEASE]
AT = 1700000000.5
WOULD_SERVE_AGAIN = (
    "node nodea was forgotten in this store, and would serve it again after the import, although "
    "others may have what it held. If it is to, undo that first (pyipam nodes forget --undo "
    "nodea), and import then; a node that is to stay out can be forgotten again afterwards"
)


@pytest.fixture
def file(plan: SharedPlan, tmp_path: Path) -> Path:
    """An export of the time when nodea lived, which was forgotten since then."""
    store = plan.loaded("nodea")
    store.commit(puts(*HELD))
    file = tmp_path / "plan.json"
    export(plan, file)
    forget(plan)
    return file


def forget(plan: SharedPlan) -> None:
    with closing(Forgetting(plan.address, plan.folder)) as operator:
        operator.load()
        operator.forget("nodea", AT)


def undo(plan: SharedPlan) -> int:
    return main(["nodes", "forget", "nodea", "--undo", "--store-url", plan.address.url])


@pytest.mark.parametrize("options", [[], ["--force"]], ids=["as-it-is", "forced"])
def test_a_node_that_was_forgotten_comes_back_with_no_import(
    plan: SharedPlan, file: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = plan.records("nodea")

    assert import_file(file, plan, *options) == 1

    assert refusal(capsys) == WOULD_SERVE_AGAIN
    assert plan.records("nodea") == before


def test_it_comes_back_once_that_it_was_forgotten_is_undone(plan: SharedPlan, file: Path) -> None:
    assert undo(plan) == 0

    assert import_file(file, plan, "--force") == 0

    assert plan.records("nodea") == set(HELD)


def test_that_it_is_drained_does_not_let_it_come_back(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drained = NodeRecord("nodea", draining=5.0)
    before = plan.records("nodea")

    assert import_file(written(file, [drained]), plan, "--node", "nodea", "--force") == 1

    assert refusal(capsys) == WOULD_SERVE_AGAIN
    assert plan.records("nodea") == before


def test_a_host_does_not_take_its_place(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = plan.records("nodea")

    assert import_file(written(file, HELD), plan, "--node", "nodea", "--force") == 1

    assert refusal(capsys) == WOULD_SERVE_AGAIN
    assert plan.records("nodea") == before


def test_a_file_in_which_it_is_forgotten_too_is_imported(plan: SharedPlan, file: Path) -> None:
    export(plan, file)
    before = plan.records("nodea")

    assert import_file(file, plan, "--force") == 0

    assert plan.records("nodea") == before


def test_what_other_nodes_held_is_imported(plan: SharedPlan, file: Path) -> None:
    other = replace(POOL, id="local/100.64.9.0/30")

    assert import_file(written(file, [other]), plan, "--node", "nodeb", "--force") == 0

    assert other in plan.records("nodeb")
    assert NodeRecord("nodea", forgotten=AT) in plan.records("nodeb")
