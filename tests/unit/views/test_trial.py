"""A trial says what RequestPool would give, and takes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.errors import PyipamError
from tests.support.core import Core, scope, tree_of
from tests.support.viewing import Viewer

PLAN = tree_of(
    scope(
        "10.0.0.0",
        16,
        child_prefix=24,
        tags=["web"],
        scopes=[scope("10.0.1.0", 24, child_prefix=26, tags=["small"], propagate_tags=True)],
    ),
    scope("10.1.0.0", 16, tags=["web"]),
    scope("10.2.0.0", 30, child_prefix=30, tags=["web"], address_space="global"),
    scope("fc00::", 48, child_prefix=64, tags=["web"]),
)


@pytest.fixture
def core() -> Core:
    return Core(PLAN)


def test_the_block_of_a_trial_is_the_one_that_is_given_next(core: Core) -> None:
    for _ in range(8):
        trial = Viewer(core).trial("web")
        assert core.pool(tags="web") == f"local/{trial.block}"


@pytest.mark.parametrize("space", ["local", "global"])
@pytest.mark.parametrize("length", [None, 15, 25, 28, 31])
@pytest.mark.parametrize("tags", ["web", "small", "small,web", "nobody"])
def test_a_trial_is_refused_as_the_request_is(
    core: Core, tags: str, length: int | None, space: str
) -> None:
    wishes = {"tags": tags, "length": length, "space": space}
    trial = Viewer(core).trial(**wishes)  # type: ignore[arg-type]

    assert _outcome(core, **wishes) == (trial.block or trial.outcome)


def _outcome(core: Core, **wishes: Any) -> str:
    """The block that is given, or the refusal."""
    try:
        return core.pool(**wishes).partition("/")[2]
    except PyipamError as error:
        return str(error)


def test_it_says_of_each_scope_when_it_is_tried_or_why_not(core: Core) -> None:
    found = Viewer(core).trial("web")

    assert [(item.network, item.order, item.block, item.reason) for item in found.scopes] == [
        ("10.0.1.0/24", 1, "10.0.1.0/26", None),
        ("10.0.0.0/16", 2, "10.0.0.0/24", None),
        ("10.2.0.0/30", 3, None, "is for swarm networks only (address_space global)"),
        ("10.1.0.0/16", None, None, "gives out nothing: it has no child_prefix"),
    ]
    assert found.outcome == "10.0.1.0/26 of scope 10.0.1.0/24"


def test_it_says_which_tags_a_scope_has_that_is_not_selected(core: Core) -> None:
    reasons = {item.network: item.reason for item in Viewer(core).trial("small").scopes}

    assert reasons["10.0.0.0/16"] == "is not selected by the tags (its own are: web)"


def test_it_takes_nothing(core: Core) -> None:
    before = dict(core.store.records)

    Viewer(core).trial("web")

    assert core.store.records == before


def test_it_says_so_where_only_what_rests_is_left() -> None:
    core = Core(tree_of(scope("10.0.0.0", 24, child_prefix=25, reuse_delay=60)))
    pool, _ = core.pool(), core.pool()
    core.address(pool)
    core.release_pool(pool)

    trial = Viewer(core).trial()

    assert trial.block == "10.0.0.0/25"
    assert "which rests or is unclaimed" in trial.outcome


def test_it_says_where_the_block_is_seen_among_others() -> None:
    core = Core(
        tree_of(
            scope("10.0.0.0", 16, child_prefix=26, tags=["web"]),
            scope("10.9.0.0", 24, child_prefix=25, tags=["few"]),
        )
    )
    viewer = Viewer(core)

    assert viewer.trial("web").around == "10.0.0.0/24"
    assert viewer.trial("web", length=27).around == "10.0.0.0/24"
    assert viewer.trial("web", length=20).around == "10.0.0.0/16"
    assert viewer.trial("few").around == "10.9.0.0/24"
    assert viewer.trial("few", length=23).around is None


def test_it_names_no_more_than_200_scopes() -> None:
    many = [scope(f"10.0.{number}.0", 24, child_prefix=26, tags=["web"]) for number in range(250)]

    found = Viewer(Core(tree_of(*many))).trial("web")

    assert [item.order for item in found.scopes] == list(range(1, 201))
