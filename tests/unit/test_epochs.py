"""Replays, references, and how leaks heal ("Replays and epochs" in docs/architecture.md)."""

from __future__ import annotations

import pytest

from pyipam import log
from pyipam.errors import Exhausted, InUse, NotHeld
from pyipam.space.address import AddressSpace
from pyipam.store.pool_id import SPACES
from tests.support.core import Core, scope, tree_of


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.0.0.0", 22, child_prefix=24)))


def replay(core: Core, pool: str, *addresses: str) -> None:
    """What an engine that has started says of a network that it has."""
    space, _, rest = pool.partition("/")
    subnet, length, *_ = rest.split("/")
    assert core.pool(f"{subnet}/{length}", space="global" if space == "global" else "local") == pool
    for number, address in enumerate(addresses):
        core.address(pool, address, kind="container" if number else "gateway")


class TestAnEngineThatStartsAgain:
    def test_replays_its_pools_and_leases_and_nothing_changes(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.address(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.0.1", "10.0.0.2")
        assert core.references(pool) == 1
        assert core.leases(pool) == {"10.0.0.1": True, "10.0.0.2": True}

    def test_is_served_whatever_the_schema_says_by_now(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.tree = tree_of(scope("192.168.0.0", 16, child_prefix=24))
        core.restart_engine("engine-2")
        core.ipam.refuse_new_pools("broken")
        replay(core, pool, "10.0.0.1")
        assert core.pools() == [pool]

    def test_may_replay_two_networks_on_one_subnet(self, core: Core) -> None:
        pool = core.pool("10.0.1.0/24")
        core.pool("10.0.1.0/24")
        core.restart_engine("engine-2")
        replay(core, pool)
        assert core.references(pool) == 1
        replay(core, pool)
        assert core.references(pool) == 2

    def test_leaves_what_it_did_not_claim_unclaimed_and_that_is_given_out_last(
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

    def test_names_in_the_log_what_was_unclaimed_and_is_given_out_again(
        self, core: Core, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines: list[str] = []
        monkeypatch.setattr(log, "warning", lambda *a, **f: lines.append(log.format_line(*a, **f)))
        pool = core.pool("10.0.1.0/30")
        core.gateway(pool)
        core.address(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.1.1")
        core.address(pool)
        again = "unclaimed address given out again pool=local/10.0.1.0/30 address=10.0.1.2"
        assert lines == [again]

    def test_cannot_claim_a_lease_twice(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.0.1")
        with pytest.raises(InUse):
            core.address(pool, "10.0.0.1")

    def test_is_told_of_a_pool_that_is_gone_as_if_it_asked_for_the_first_time(
        self, core: Core
    ) -> None:
        core.restart_engine("engine-2")
        replay(core, "local/10.0.3.0/24", "10.0.3.1", "10.0.3.9")
        assert core.leases("local/10.0.3.0/24") == {"10.0.3.1": True, "10.0.3.9": True}

    def test_claims_keep_over_a_restart_of_the_plugin_in_the_middle(self, core: Core) -> None:
        pool = core.pool()
        core.gateway(pool)
        core.restart_engine("engine-2")
        replay(core, pool, "10.0.0.1")
        core.start()
        assert core.references(pool) == 1
        assert core.leases(pool) == {"10.0.0.1": True}


class TestTwoNetworksOnOneSubnet:
    def test_the_pool_is_free_after_both_have_released_it(self, core: Core) -> None:
        pool = core.pool("10.0.1.0/24")
        assert core.pool("10.0.1.0/24") == pool
        assert core.references(pool) == 2
        core.release_pool(pool)
        assert core.pools() == [pool]
        core.release_pool(pool)
        assert core.pools() == []

    @pytest.mark.parametrize("engine", ["engine-1", ""], ids=["engine known", "engine unknown"])
    @pytest.mark.parametrize("gateway", ["", "10.0.1.3"], ids=["any gateway", "another gateway"])
    def test_after_the_plugin_alone_was_restarted_the_second_frees_nothing_of_the_first(
        self, core: Core, engine: str, gateway: str
    ) -> None:
        core.restart_engine(engine)
        pool = core.pool("10.0.1.0/24")
        core.gateway(pool)
        core.address(pool)
        core.start()
        assert core.pool("10.0.1.0/24") == pool
        assert core.gateway(pool, gateway) == "10.0.1.3/24"
        assert core.references(pool) == 2
        core.release(pool, "10.0.1.3")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.2": True}
        assert core.address(pool) == "10.0.1.3/24"

    def test_a_third_is_counted_once_where_the_first_was_removed_unnoticed(
        self, core: Core
    ) -> None:
        pool = core.pool("10.0.1.0/24")
        core.gateway(pool)
        core.pool("10.0.1.0/24")
        second = core.gateway(pool).partition("/")[0]
        core.restart_engine("engine-2")
        replay(core, pool, second)
        core.pool("10.0.1.0/24")
        third = core.gateway(pool).partition("/")[0]
        assert core.references(pool) == 2
        for gateway in (second, third):
            core.release(pool, gateway)
            core.release_pool(pool)
        assert core.pools() == []

    def test_a_second_after_the_plugin_alone_was_restarted_leaves_no_other_pool_for_a_leak(
        self,
    ) -> None:
        core = Core(tree_of(scope("10.0.0.0", 23, child_prefix=24)), engine="")
        for space in SPACES:
            core.start()
            pool, other = core.pool("10.0.0.0/24", space=space), core.pool(space=space)
            core.gateway(pool)
            core.start()
            assert core.pool("10.0.0.0/24", space=space) == pool
            core.gateway(pool)
            with pytest.raises(Exhausted):
                core.pool(space=space)
            for held in (pool, pool, other):
                core.release_pool(held)

    def test_a_second_that_names_the_first_one_s_gateway_is_refused_and_undone(
        self, core: Core
    ) -> None:
        pool = core.pool("10.0.1.0/24")
        core.gateway(pool, "10.0.1.1")
        core.start()
        core.pool("10.0.1.0/24")
        with pytest.raises(InUse):
            core.gateway(pool, "10.0.1.1")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True}


class TestDriverNames:
    def test_each_has_its_own_epochs(self, core: Core) -> None:
        core.make(lambda: core.ipam.begin_epoch("ingress", "engine-1"))
        pool = core.pool("10.0.1.0/24", driver="ingress")
        core.restart_engine("engine-2")
        assert core.pool("10.0.1.0/24") == pool
        core.make(lambda: core.ipam.begin_epoch("ingress", "engine-2"))
        assert core.pool("10.0.1.0/24", driver="ingress") == pool
        assert core.references(pool) == 2

    def test_an_address_leased_under_another_name_than_its_pool_s_is_no_leak(
        self, core: Core
    ) -> None:
        pool = core.pool("10.0.1.0/30")
        core.gateway(pool)
        core.address(pool, driver="ingress")
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.2": True}
        with pytest.raises(Exhausted):
            core.address(pool)

    def test_the_last_reference_of_one_takes_only_its_own_leases_along(self, core: Core) -> None:
        pool = core.pool("10.0.1.0/24")
        core.address(pool)
        core.pool("10.0.1.0/24", driver="ingress")
        core.address(pool, driver="ingress")
        core.release_pool(pool, driver="ingress")
        assert core.leases(pool) == {"10.0.1.1": True}
        core.release_pool(pool)
        assert core.pools() == []

    def test_one_cannot_release_what_only_another_holds(self, core: Core) -> None:
        pool = core.pool()
        core.release_pool(pool, driver="ingress")
        assert core.pools() == [pool]


class TestSwarm:
    def test_one_plugin_holds_one_subnet_in_both_spaces(self, core: Core) -> None:
        pool = core.pool(space="global")
        core.gateway(pool)
        mirror = core.pool("10.0.0.0/24", space="local")
        assert core.gateway(mirror, "10.0.0.1") == "10.0.0.1/24"
        core.release_pool(mirror)
        assert core.pools() == [pool]

    @pytest.mark.parametrize(
        "way",
        ["10.0.0.0/24", "10.0.0.0/25"],
        ids=["the same subnet", "a part of it"],
    )
    def test_a_network_of_the_host_in_the_way_is_named_with_its_id_and_the_cure(
        self, core: Core, way: str
    ) -> None:
        own = core.pool(way, label="lab")
        core.gateway(own)
        with pytest.raises(InUse) as caught:
            core.gateway(core.pool("10.0.0.0/24"), "10.0.0.1")
        assert f"pool local/{way} (id lab)" in str(caught.value)
        assert "address_space" in str(caught.value)

    def test_a_container_of_the_host_on_a_subnet_that_swarm_has_too_is_named_with_the_cure(
        self, core: Core
    ) -> None:
        own = core.pool("10.0.0.0/24", label="lab")
        core.gateway(own, "10.0.0.254")
        core.address(own)
        mirror = core.pool("10.0.0.0/24")
        core.gateway(mirror, "10.0.0.2")
        with pytest.raises(InUse, match=r"pool local/10\.0\.0\.0/24 \(id lab\).*address_space"):
            core.address(mirror, "10.0.0.1")

    def test_in_the_global_space_nothing_of_the_host_is_in_the_way(self, core: Core) -> None:
        core.pool("10.0.0.0/24", space="global")
        with pytest.raises(InUse) as caught:
            core.pool("10.0.0.0/25", space="global")
        assert "address_space" not in str(caught.value)

    def test_an_allocator_that_starts_in_a_running_engine_replays_the_global_space_only(
        self, core: Core
    ) -> None:
        local, swarm = core.pool(), core.pool(space="global")
        core.address(swarm)
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
        replay(core, swarm, "10.0.1.1")
        assert core.references(swarm) == 1
        assert core.pool("10.0.0.0/24") == local
        assert core.references(local) == 2

    def test_a_pool_that_a_new_leader_did_not_claim_is_given_out_when_all_others_are(
        self, core: Core
    ) -> None:
        pools = [core.pool(space="global") for _ in range(3)]
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
        replay(core, pools[0])
        replay(core, pools[2])
        assert core.pool(space="global") == "global/10.0.3.0/24"
        assert core.pool(space="local") == "local/10.0.1.0/24"
        assert core.pools() == sorted(
            [pools[0], pools[2], "global/10.0.3.0/24", "local/10.0.1.0/24"]
        )
        with pytest.raises(Exhausted):
            core.pool(space="global")

    def test_a_plugin_restarted_alone_is_announced_by_every_allocator_that_ever_ran_and_none_leads(
        self, core: Core
    ) -> None:
        pool = core.pool(space="global")
        core.gateway(pool)
        core.start()
        for _ in range(2):
            core.time.pass_seconds(0.5)
            core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
        assert [core.ipam.is_claimed(record) for record, _ in core.ipam.pools()] == [True]
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25", space="global")

    def test_an_allocator_that_starts_after_the_plugin_was_restarted_alone_replays(
        self, core: Core
    ) -> None:
        pool = core.pool(space="global")
        core.gateway(pool)
        core.start()
        core.time.pass_seconds(60)
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
        replay(core, pool, "10.0.0.1")
        assert core.references(pool) == 1

    def test_an_allocator_that_starts_in_an_engine_that_has_just_started_replays(
        self, core: Core
    ) -> None:
        pool = core.pool(space="global")
        core.gateway(pool)
        core.start()
        core.engine = "engine-2"
        for _ in range(2):
            core.time.pass_seconds(1)
            core.announce()
        replay(core, pool, "10.0.0.1")
        assert core.references(pool) == 1

    def test_a_leader_that_claimed_nothing_gives_up_nothing(self, core: Core) -> None:
        for _ in range(4):
            core.pool(space="global")
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
        with pytest.raises(Exhausted):
            core.pool(space="global")

    def test_a_replay_displaces_what_was_removed_elsewhere_and_is_in_its_way(
        self, core: Core
    ) -> None:
        removed_elsewhere = core.pool("10.0.0.0/24", space="global")
        core.gateway(removed_elsewhere)
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
        replay(core, "global/10.0.0.0/25", "10.0.0.1", "10.0.0.7")
        replay(core, "global/10.0.0.128/25", "10.0.0.129")
        assert core.pools() == ["global/10.0.0.0/25", "global/10.0.0.128/25"]
        assert core.leases("global/10.0.0.0/25") == {"10.0.0.1": True, "10.0.0.7": True}

    def test_a_mirror_displaces_one_that_leaked_with_the_host_s_last_run(self, core: Core) -> None:
        core.gateway(core.pool("10.0.0.0/24", space="local"), "10.0.0.1")
        core.restart_engine("engine-2")
        replay(core, "local/10.0.0.0/23", "10.0.0.1")
        assert core.pools() == ["local/10.0.0.0/23"]

    @pytest.mark.parametrize("space", SPACES)
    def test_nothing_is_displaced_that_was_claimed_since(
        self, core: Core, space: AddressSpace
    ) -> None:
        core.pool("10.0.0.0/24", space=space)
        core.restart_engine("engine-2")
        replay(core, f"{space}/10.0.0.0/24")
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25", space=space)

    @pytest.mark.parametrize("space", SPACES)
    def test_nothing_is_displaced_where_it_is_unknown_which_engine_asks(
        self, core: Core, space: AddressSpace
    ) -> None:
        core.restart_engine("")
        core.pool("10.0.0.0/24", space=space)
        core.start()
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25", space=space)

    def test_a_leaked_mirror_s_block_is_given_out_when_all_others_are(self, core: Core) -> None:
        core.pool("10.0.0.0/24", space="local")
        core.pool("10.0.2.0/24", space="local")
        core.restart_engine("engine-2")
        replay(core, "local/10.0.0.0/24")
        assert [core.pool() for _ in range(3)] == [
            "local/10.0.1.0/24",
            "local/10.0.3.0/24",
            "local/10.0.2.0/24",
        ]
        with pytest.raises(Exhausted):
            core.pool()

    def test_an_engine_that_started_while_nobody_could_answer_it_gives_up_nothing(
        self, core: Core
    ) -> None:
        for _ in range(4):
            core.pool()
        core.restart_engine("engine-2")
        with pytest.raises(Exhausted):
            core.pool()

    def test_a_leaked_mirror_s_block_is_not_given_out_while_swarm_holds_it_here(
        self, core: Core
    ) -> None:
        core.pool("10.0.2.0/24", space="global")
        core.pool("10.0.2.0/24", space="local")
        core.restart_engine("engine-2")
        for _ in range(3):
            core.pool()
        with pytest.raises(Exhausted):
            core.pool()

    def test_an_unclaimed_pool_whose_mirror_is_in_use_here_is_not_given_out(
        self, core: Core
    ) -> None:
        pools = [core.pool(space="global") for _ in range(4)]
        core.pool("10.0.1.0/24", space="local")
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
        for pool in (pools[0], pools[2], pools[3]):
            replay(core, pool)
        with pytest.raises(Exhausted):
            core.pool(space="global")


class TestAProcessThatIsNoEngine:
    """Whoever may talk to the socket can announce itself, and the engine runs on."""

    @pytest.fixture
    def pools(self, core: Core) -> list[str]:
        pools = [core.pool() for _ in range(4)]
        core.gateway(pools[0])
        core.make(lambda: core.ipam.begin_epoch("driver", "somebody"))
        return pools

    def test_it_makes_no_second_network_look_like_a_replay(
        self, core: Core, pools: list[str]
    ) -> None:
        core.pool("10.0.0.0/24")
        assert core.references(pools[0]) == 2
        core.release_pool(pools[0])
        assert pools[0] in core.pools()

    def test_it_makes_no_lease_look_like_a_leak(self, core: Core, pools: list[str]) -> None:
        core.pool("10.0.0.0/24")
        assert core.leases(pools[0]) == {"10.0.0.1": True}

    def test_it_lets_nothing_be_displaced(self, core: Core, pools: list[str]) -> None:
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25")
        with pytest.raises(InUse):
            core.pool("10.0.0.0/25", asking="")

    def test_it_lets_nothing_be_given_out_again(self, core: Core, pools: list[str]) -> None:
        core.pool("10.0.0.0/24", asking="somebody")
        with pytest.raises(Exhausted):
            core.pool()


def test_an_address_of_a_released_pool_is_refused(core: Core) -> None:
    pool = core.pool()
    core.release_pool(pool)
    with pytest.raises(NotHeld):
        core.address(pool)
