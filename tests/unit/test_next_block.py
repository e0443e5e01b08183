"""The next block of a scope is looked for ahead of the request, and is still the right one then."""

from __future__ import annotations

import pytest

from pyipam.core.placement import Placement
from pyipam.errors import Exhausted, StoreFailure
from pyipam.space.block import Block
from pyipam.space.buddy import BuddyAllocator
from tests.support.core import Core, scope, tree_of


@pytest.fixture
def core() -> Core:
    """Has given out 10.20.0.0/28, and so has looked for what comes after it."""
    core = Core(tree_of(scope("10.20.0.0", 26, child_prefix=28)))
    assert core.pool() == "local/10.20.0.0/28"
    return core


def test_the_next_block_is_found_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    (drawn,) = tree = tree_of(scope("10.20.0.0", 26, child_prefix=28))
    placement = Placement(tree)
    first = placement.lowest(drawn, 28)
    assert first is not None
    placement.hold("local", first)
    placement.look_ahead()
    monkeypatch.delattr(BuddyAllocator, "lowest")

    assert placement.lowest(drawn, 28) == Block(4, first.start + 16, 28)


def test_the_core_finds_it_once_a_call_has_been_answered(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.ipam.look_ahead()
    monkeypatch.delattr(BuddyAllocator, "lowest")

    assert core.pool() == "local/10.20.0.16/28"


def test_a_block_below_it_that_was_released_is_given_out(core: Core) -> None:
    core.pool()
    core.release_pool("local/10.20.0.0/28")

    assert core.pool() == "local/10.20.0.0/28"


def test_a_network_that_named_it_keeps_it(core: Core) -> None:
    core.pool("10.20.0.16/28")

    assert core.pool() == "local/10.20.0.32/28"


def test_a_network_that_named_it_in_the_other_space_keeps_it(core: Core) -> None:
    core.pool("10.20.0.16/28", space="global")

    assert core.pool() == "local/10.20.0.32/28"


def test_a_route_that_came_meanwhile_keeps_it_from_networks(core: Core) -> None:
    core.routes.add("10.20.0.16/28")

    assert core.pool() == "local/10.20.0.32/28"


def test_a_route_that_went_meanwhile_gives_its_block_back(core: Core) -> None:
    core.routes.add("10.20.0.16/28")
    core.pool()
    core.routes.remove("10.20.0.16/28")

    assert core.pool() == "local/10.20.0.16/28"


def test_an_edited_schema_decides_anew(core: Core) -> None:
    core.ipam.use_schema(
        tree_of(scope("10.20.0.0", 26, child_prefix=28, reserved=["10.20.0.16/28"]))
    )

    assert core.pool() == "local/10.20.0.32/28"


def test_another_length_is_looked_for_by_itself(core: Core) -> None:
    assert core.pool(length=27) == "local/10.20.0.32/27"
    assert core.pool() == "local/10.20.0.16/28"


def test_a_block_whose_commit_failed_is_given_out_next(core: Core) -> None:
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.pool()
    core.store.fail = False

    assert core.pool() == "local/10.20.0.16/28"


def test_a_block_whose_release_failed_is_not_given_out(core: Core) -> None:
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.release_pool("local/10.20.0.0/28")
    core.store.fail = False

    assert core.pool() == "local/10.20.0.16/28"


def test_a_scope_that_is_full_gives_out_what_is_released(core: Core) -> None:
    for _ in range(3):
        core.pool()
    with pytest.raises(Exhausted):
        core.pool()
    core.release_pool("local/10.20.0.32/28")

    assert core.pool() == "local/10.20.0.32/28"
    with pytest.raises(Exhausted):
        core.pool()


def test_a_plan_that_is_loaded_again_goes_on_where_it_was(core: Core) -> None:
    core.start()

    assert core.pool() == "local/10.20.0.16/28"
