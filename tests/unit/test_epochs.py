"""Replays, references, and how leaks heal ("Replays and epochs" in docs/architecture.md)."""

from __future__ import annotations

from functools import partial

import pytest

from pyipam.errors import Exhausted, InUse, NotHeld
from pyipam.store.pool_id import SPACES
from tests.support.core import Core, replay, scope, tree_of


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.0.0.0", 22, child_prefix=24)))


class TestAnEngineThatStartsAgain:
    def test_replays_its_pools_and_leases_and_nothing_changes(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.address(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.0.1", "10.0.0.2")
        assert core.references(pool) == 1
        assert core.leases(pool) == {"10.0.0.1": True, "10.0.0.2": True}

    def test_is_served_whatever_the_schema_says_now(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.tree = tree_of(scope("192.168.0.0", 16, child_prefix=24))
        core.restart_engine("engine-2")
        core.ipam.refuse_new_pools("broken")
        replay(core, pool, "10.0.0.1")
        assert core.pools() == [pool]

    def test_may_replay_two_networks_on_one_subnet(self, core: Core) -> None:
        pool = core.pool("10.0.1.0/24", shared=True)
        core.pool("10.0.1.0/24", shared=True)
        core.restart_engine("engine-2")
        replay(core, pool)
        assert core.references(pool) == 1
        replay(core, pool)
        assert core.references(pool) == 2

    def test_leaves_unclaimed_what_it_does_not_replay_and_that_is_given_out_last(
        self, core: Core
    ) -> None:
        pool = core.pool("10.0.1.0/29")
        core.gateway(pool)
        for _ in range(3):
            core.address(pool)
            core.time.pass_seconds(1)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.1.1", "10.0.1.4")
        assert core.leases(pool) == {
            "10.0.1.1": True,
            "10.0.1.2": False,
            "10.0.1.3": False,
            "10.0.1.4": True,
        }
        assert [core.address(pool) for _ in range(4)] == [
            "10.0.1.5/29",
            "10.0.1.6/29",
            "10.0.1.2/29",
            "10.0.1.3/29",
        ]
        with pytest.raises(Exhausted):
            core.address(pool)

    def test_an_unclaimed_address_that_is_given_out_again_is_logged(
        self, core: Core, logged: list[str]
    ) -> None:
        pool = core.pool("10.0.1.0/30")
        core.gateway(pool)
        core.address(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.1.1")
        core.address(pool)
        again = "unclaimed address given out again pool=local/10.0.1.0/30 address=10.0.1.2"
        assert [line for line in logged if "level=WARNING" in line] == [f"level=WARNING {again}\n"]

    def test_cannot_claim_a_lease_twice(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.0.1")
        with pytest.raises(InUse):
            core.address(pool, "10.0.0.1")

    def test_replays_a_pool_that_no_longer_exists_as_if_it_were_new(self, core: Core) -> None:
        core.restart_engine("engine-2")
        replay(core, "local/10.0.3.0/24", "10.0.3.1", "10.0.3.9")
        assert core.leases("local/10.0.3.0/24") == {"10.0.3.1": True, "10.0.3.9": True}

    def test_claims_survive_a_restart_of_the_plugin_during_a_replay(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.0.1")
        core.start()
        assert core.references(pool) == 1
        assert core.leases(pool) == {"10.0.0.1": True}


class TestTwoNetworksOnOneSubnet:
    def test_the_pool_is_free_once_both_have_released_it(self, core: Core) -> None:
        pool = core.pool("10.0.1.0/24", shared=True)
        assert core.pool("10.0.1.0/24", shared=True) == pool
        assert core.references(pool) == 2
        core.release_pool(pool)
        assert core.pools() == [pool]
        core.release_pool(pool)
        assert core.pools() == []

    @pytest.mark.parametrize("engine", ["engine-1", ""], ids=["engine known", "engine unknown"])
    @pytest.mark.parametrize("gateway", ["", "10.0.1.3"], ids=["any gateway", "another gateway"])
    def test_after_a_restart_of_the_plugin_alone_the_second_frees_nothing_of_the_first(
        self, core: Core, engine: str, gateway: str
    ) -> None:
        core.restart_engine(engine)
        pool = core.pool("10.0.1.0/24", shared=True)
        core.gateway(pool)
        core.address(pool)
        core.start()
        assert core.pool("10.0.1.0/24", shared=True) == pool
        assert core.gateway(pool, gateway) == "10.0.1.3/24"
        assert core.references(pool) == 2
        core.release(pool, "10.0.1.3")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.2": True}
        assert core.address(pool) == "10.0.1.3/24"

    def test_a_third_is_counted_once_when_the_removal_of_the_first_was_missed(
        self, core: Core
    ) -> None:
        pool = core.pool("10.0.1.0/24", shared=True)
        core.gateway(pool)
        core.pool("10.0.1.0/24", shared=True)
        second = core.gateway(pool).partition("/")[0]
        core.restart_engine("engine-2")
        replay(core, pool, second)
        core.pool("10.0.1.0/24", shared=True)
        third = core.gateway(pool).partition("/")[0]
        assert core.references(pool) == 2
        for gateway in (second, third):
            core.release(pool, gateway)
            core.release_pool(pool)
        assert core.pools() == []

    def test_a_second_after_a_restart_of_the_plugin_alone_makes_no_other_pool_look_leaked(
        self,
    ) -> None:
        core = Core(tree_of(scope("10.0.0.0", 23, child_prefix=24)), engine="")
        for space in SPACES:
            core.start()
            pool, other = core.pool("10.0.0.0/24", space=space, shared=True), core.pool(space=space)
            core.gateway(pool)
            core.start()
            assert core.pool("10.0.0.0/24", space=space, shared=True) == pool
            core.gateway(pool)
            with pytest.raises(Exhausted):
                core.pool(space=space)
            for held in (pool, pool, other):
                core.release_pool(held)

    def test_a_second_that_names_the_gateway_of_the_first_shares_it(self, core: Core) -> None:
        pool = core.pool("10.0.1.0/24", shared=True)
        core.gateway(pool, "10.0.1.1")
        core.start()
        core.pool("10.0.1.0/24", shared=True)
        assert core.gateway(pool, "10.0.1.1") == "10.0.1.1/24"
        core.release(pool, "10.0.1.1")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True}


class TestDriverNames:
    def test_each_has_its_own_epochs(self, core: Core) -> None:
        core.make(lambda: core.ipam.begin_epoch("ingress", "engine-1"))
        pool = core.pool("10.0.1.0/24", driver="ingress", shared=True)
        core.restart_engine("engine-2")
        assert core.pool("10.0.1.0/24", shared=True) == pool
        core.make(lambda: core.ipam.begin_epoch("ingress", "engine-2"))
        assert core.pool("10.0.1.0/24", driver="ingress", shared=True) == pool
        assert core.references(pool) == 2

    def test_an_address_leased_under_another_name_than_its_pool_is_not_a_leak(
        self, core: Core
    ) -> None:
        pool = core.pool("10.0.1.0/30")
        core.gateway(pool)
        core.address(pool, driver="ingress")
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.2": True}
        with pytest.raises(Exhausted):
            core.address(pool)

    def test_releasing_the_last_reference_of_one_frees_only_its_own_leases(
        self, core: Core
    ) -> None:
        pool = core.pool("10.0.1.0/24", shared=True)
        core.address(pool)
        core.pool("10.0.1.0/24", driver="ingress", shared=True)
        core.address(pool, driver="ingress")
        core.release_pool(pool, driver="ingress")
        assert core.leases(pool) == {"10.0.1.1": True}
        core.release_pool(pool)
        assert core.pools() == []

    def test_one_cannot_release_a_pool_that_only_another_holds(self, core: Core) -> None:
        pool = core.pool()
        core.release_pool(pool, driver="ingress")
        assert core.pools() == [pool]


class TestAProcessThatIsNotAnEngine:
    """Any process that can use the socket can announce itself while the engine keeps running."""

    @pytest.fixture
    def pools(self, core: Core) -> list[str]:
        pools = [core.pool() for _ in range(4)]
        core.gateway(pools[0])
        core.make(lambda: core.ipam.begin_epoch("driver", "somebody"))
        return pools

    def test_it_does_not_make_a_second_network_look_like_a_replay(
        self, core: Core, pools: list[str]
    ) -> None:
        with pytest.raises(InUse):
            core.pool("10.0.0.0/24")
        assert core.references(pools[0]) == 1

    def test_it_does_not_make_a_lease_look_like_a_leak(self, core: Core, pools: list[str]) -> None:
        with pytest.raises(InUse):
            core.pool("10.0.0.0/24")
        assert core.leases(pools[0]) == {"10.0.0.1": True}

    def test_it_does_not_let_a_pool_be_displaced(self, core: Core, pools: list[str]) -> None:
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25")
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25", asking="")

    def test_it_does_not_let_a_pool_be_given_out_again(self, core: Core, pools: list[str]) -> None:
        core.pool("10.0.0.0/24", asking="somebody")
        with pytest.raises(Exhausted):
            core.pool()

    def test_it_does_not_interrupt_the_replay_of_an_engine(
        self, core: Core, pools: list[str]
    ) -> None:
        core.restart_engine("engine-2")
        replay(core, pools[0], "10.0.0.1")
        core.make(lambda: core.ipam.begin_epoch("driver", "yet another"))
        for pool in pools[1:]:
            replay(core, pool)
        assert [core.references(pool) for pool in pools] == [1, 1, 1, 1]

    def test_what_the_engine_makes_after_it_is_replayed_when_the_engine_starts_again(
        self, core: Core, pools: list[str]
    ) -> None:
        core.release_pool(pools[0])
        pool = core.pool("10.0.0.0/25")
        core.gateway(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.0.1")
        assert core.references(pool) == 1
        assert core.leases(pool) == {"10.0.0.1": True}

    def test_it_ends_no_claim_of_the_swarm_that_the_engine_leads(self, core: Core) -> None:
        pool = core.pool("10.0.0.0/24", space="global")
        core.gateway(pool, "10.0.0.1", serial=True)
        core.make(lambda: core.ipam.begin_epoch("driver", "somebody"))
        core.start()
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25", space="global")
        with pytest.raises(InUse):
            core.pool("10.0.0.0/24", space="global")
        assert core.references(pool) == 1


@pytest.mark.parametrize("times", [1, 3])
def test_announcements_of_other_processes_change_nothing_when_the_plugin_restarts_alone(
    core: Core, times: int
) -> None:
    pools = [core.pool() for _ in range(4)]
    core.gateway(pools[0])
    for number in range(times):
        core.make(partial(core.ipam.begin_epoch, "driver", f"somebody {number}"))
    core.start()
    core.make(lambda: core.ipam.begin_epoch("driver", "yet another"))
    core.announce()
    with pytest.raises(InUse):
        core.pool("10.0.0.0/25")
    with pytest.raises(Exhausted):
        core.pool()
    with pytest.raises(InUse):
        core.pool("10.0.1.0/24")
    assert core.leases(pools[0]) == {"10.0.0.1": True}


def test_two_engines_on_one_socket_keep_their_pools_when_the_plugin_restarts_alone(
    core: Core,
) -> None:
    one = core.pool()
    core.engine = "engine-2"
    core.announce()
    other = core.pool()
    core.start()
    core.engine = "engine-1"
    core.announce()
    for engine, overlapping in (("engine-1", "10.0.1.0/25"), ("engine-1", "10.0.0.0/25")):
        with pytest.raises(InUse):
            core.pool(overlapping, asking=engine)
    with pytest.raises(InUse):
        core.pool("10.0.1.0/25", asking="engine-2")
    for engine, pool in (("engine-1", one), ("engine-2", other)):
        with pytest.raises(InUse):
            core.pool(pool.removeprefix("local/"), asking=engine)
    assert [core.references(pool) for pool in (one, other)] == [1, 1]


def test_a_bridge_of_one_engine_is_kept_when_another_one_on_the_socket_starts_again(
    core: Core,
) -> None:
    one = core.pool()
    core.routes.add(one.removeprefix("local/"), "br-1")
    core.engine = "engine-2"
    core.announce()
    others = [core.pool() for _ in range(3)]
    core.engine = "engine-3"
    core.announce()
    for pool in others:
        replay(core, pool)
    with pytest.raises(Exhausted):
        core.pool()
    with pytest.raises(InUse):
        core.pool("10.0.0.0/25")
    assert core.references(one) == 1


def test_an_address_of_a_released_pool_is_refused(core: Core) -> None:
    pool = core.pool()
    core.release_pool(pool)
    with pytest.raises(NotHeld):
        core.address(pool)
