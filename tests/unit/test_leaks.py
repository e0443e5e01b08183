"""What leaked is given out again last, and never against the schema in force.

See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.errors import Exhausted, InUse
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


class TestAnEngineThatStartedWhileThePluginWasAway:
    """It announces itself and repeats nothing, and its networks live on."""

    @pytest.fixture
    def core(self) -> Core:
        return Core(tree_of(scope("10.0.0.0", 16, child_prefix=24)))

    @pytest.fixture
    def pool(self, core: Core) -> str:
        """The pool of a network from before the engine started."""
        pool = core.pool()
        core.gateway(pool)
        core.address(pool)
        core.restart_engine("engine-2")
        core.time.pass_seconds(120)
        return pool

    @pytest.mark.parametrize("subnet", ["10.0.0.0/23", "10.0.0.0/25"])
    def test_a_subnet_over_one_whose_container_got_an_address_is_refused(
        self, core: Core, pool: str, subnet: str
    ) -> None:
        core.address(pool)

        with pytest.raises(InUse, match="overlaps pool"):
            core.pool(subnet)
        assert core.pools() == [pool]

    @pytest.mark.parametrize("subnet", ["10.0.0.0/23", "10.0.0.0/25"])
    def test_a_subnet_over_one_whose_bridge_is_on_the_host_is_refused(
        self, core: Core, pool: str, subnet: str
    ) -> None:
        core.routes.add("10.0.0.0/24", "br-0123456789ab")

        with pytest.raises(InUse, match="overlaps pool"):
            core.pool(subnet)
        assert core.pools() == [pool]

    @pytest.mark.parametrize("subnet", ["10.0.0.0/23", "10.0.0.0/25", "10.0.0.2/32"])
    def test_a_subnet_over_one_of_which_nothing_is_seen_is_refused(
        self, core: Core, pool: str, subnet: str
    ) -> None:
        with pytest.raises(InUse, match="overlaps pool"):
            core.pool(subnet)
        assert core.pools() == [pool]

    def test_a_subnet_over_one_that_the_engine_left_out_is_given(
        self, core: Core, pool: str
    ) -> None:
        other = core.pool("10.0.9.0/24")
        core.restart_engine("engine-3")
        core.time.pass_seconds(120)
        replay(core, other)

        assert core.pool("10.0.0.0/23") == "local/10.0.0.0/23"
        assert core.pools() == ["local/10.0.0.0/23", other]

    @pytest.mark.parametrize("shared", [False, True])
    def test_its_networks_are_counted_right_after_the_next_start(
        self, core: Core, shared: bool
    ) -> None:
        pool = core.pool("10.0.5.0/24", shared=shared)
        core.gateway(pool, "10.0.5.1")
        core.restart_engine("boot-2:1")
        core.time.pass_seconds(120)
        core.address(pool)
        core.time.pass_seconds(1000)
        core.engine = "boot-2:2"
        core.announce()

        assert core.pool("10.0.5.0/24", shared=shared) == pool
        assert core.gateway(pool, "10.0.5.1") == "10.0.5.1/24"
        assert core.address(pool, "10.0.5.2") == "10.0.5.2/24"
        assert core.references(pool) == 1
        assert core.leases(pool) == {"10.0.5.1": True, "10.0.5.2": True}

    @pytest.mark.parametrize("lives", ["address", "bridge"])
    def test_a_second_network_on_its_subnet_frees_nothing(
        self, core: Core, pool: str, lives: str
    ) -> None:
        if lives == "address":
            core.address(pool)
        else:
            core.routes.add("10.0.0.0/24", "br-0123456789ab")
        leases = core.leases(pool)

        assert core.pool(pool.removeprefix("local/")) == pool
        with pytest.raises(InUse):
            core.gateway(pool)
        core.release_pool(pool)

        assert core.pools() == [pool]
        assert core.leases(pool) == leases

    def test_its_block_is_not_given_out_where_the_scope_is_full(self, core: Core) -> None:
        pools = [core.pool() for _ in range(256)]
        core.restart_engine("engine-2")
        replay(core, pools[0])
        core.time.pass_seconds(60)
        for pool in pools[1:]:
            core.address(pool)

        with pytest.raises(Exhausted):
            core.pool()

    def test_a_replay_that_comes_late_after_many_others_counts_as_one(self, core: Core) -> None:
        pools = [core.pool() for _ in range(4)]
        for number, pool in enumerate(pools):
            core.routes.add(f"10.0.{number}.0/24", f"br-{number}")
            core.gateway(pool)
        core.restart_engine("engine-2")
        for number, pool in enumerate(pools):
            core.time.pass_seconds(40)
            replay(core, pool, f"10.0.{number}.1")

        assert [core.references(pool) for pool in pools] == [1, 1, 1, 1]
