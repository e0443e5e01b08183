"""What leaked is given out again last, and never against the schema in force.

See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.errors import Exhausted
from pyipam.space.address import AddressSpace
from pyipam.store.pool_id import SPACES
from tests.support.core import Core, replay, scope, tree_of


def _scope(**keys: Any) -> dict[str, Any]:
    return scope("10.0.0.0", 24, child_prefix=26, tags=["default"], **keys)


def _leak_last_of_four(core: Core, space: AddressSpace = "local") -> None:
    """Take every block; then the engine starts, and claims all but the last."""
    pools = [core.pool(space=space) for _ in range(4)]
    core.restart_engine("engine-2")
    for pool in pools[:-1]:
        replay(core, pool)


@pytest.mark.parametrize("space", SPACES)
def test_a_leaked_block_that_is_reserved_is_not_given_out(space: AddressSpace) -> None:
    core = Core(tree_of(_scope(reserved=["10.0.0.192/26"])))
    core.pool("10.0.0.192/26", space=space)
    others = [core.pool(space=space) for _ in range(3)]
    core.restart_engine("engine-2")
    for pool in others:
        replay(core, pool)
    with pytest.raises(Exhausted):
        core.pool(space=space)


def test_of_a_leaked_block_the_part_that_is_not_reserved_is_given_out() -> None:
    core = Core(tree_of(_scope(reserved=["10.0.0.192/28"])))
    _leak_last_of_four(core)
    assert core.pool(length=28) == "local/10.0.0.208/28"


def test_a_leaked_address_that_is_reserved_is_not_given_out() -> None:
    core = Core(tree_of(scope("10.0.0.0", 29, child_prefix=29, reserved=["10.0.0.6"])))
    pool = core.pool()
    core.gateway(pool)
    core.address(pool, "10.0.0.6")
    core.restart_engine("engine-2")
    replay(core, pool, "10.0.0.1")
    assert [core.address(pool) for _ in range(4)][-1] == "10.0.0.5/29"
    with pytest.raises(Exhausted):
        core.address(pool)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    "child",
    [{"child_prefix": 26, "tags": ["dmz"], "propagate_tags": False}, {"lock_down": True}],
    ids=["of other tags", "locked down"],
)
def test_a_leaked_block_over_which_a_scope_was_put_is_not_given_to_the_parent(
    child: dict[str, Any], space: AddressSpace
) -> None:
    core = Core(tree_of(_scope()))
    pools = [core.pool(space=space) for _ in range(4)]
    core.tree = tree_of(_scope(scopes=[scope("10.0.0.192", 26, **child)]))
    core.restart_engine("engine-2")
    for pool in pools[:-1]:
        replay(core, pool)
    with pytest.raises(Exhausted):
        core.pool(tags="default+!dmz", space=space)


def test_a_leaked_block_is_given_out_by_the_scope_that_it_lies_in_now() -> None:
    core = Core(tree_of(_scope()))
    pools = [core.pool() for _ in range(4)]
    core.tree = tree_of(_scope(scopes=[scope("10.0.0.192", 26, child_prefix=26, tags=["dmz"])]))
    core.restart_engine("engine-2")
    for pool in pools[:-1]:
        replay(core, pool)
    assert core.pool(tags="dmz") == "local/10.0.0.192/26"
