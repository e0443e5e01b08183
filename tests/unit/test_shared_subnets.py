"""Several networks on one subnet ("Replays and epochs" in docs/architecture.md)."""

from __future__ import annotations

from typing import Any

import pytest

from pyipam.core.requests import AddressRequest
from pyipam.errors import InUse
from pyipam.space.address import AddressSpace, parse_address
from pyipam.store.pool_id import SPACES
from tests.support.core import Core, scope, tree_of

LAN = "10.0.1.0/24"
LOW, HIGH = "10.0.1.64/27", "10.0.1.96/27"
ENGINES = pytest.mark.parametrize("engine", ["engine-1", ""], ids=["known", "unknown"])


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.0.0.0", 16, child_prefix=17)))


class TestUnasked:
    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize(("first", "second"), [(False, False), (True, False), (False, True)])
    def test_a_second_network_is_refused_with_the_pool_and_its_id(
        self, core: Core, space: AddressSpace, first: bool, second: bool
    ) -> None:
        pool = core.pool(LAN, space=space, label="shop", shared=first)
        with pytest.raises(InUse) as caught:
            core.pool(LAN, space=space, shared=second)
        message = str(caught.value)
        assert f"subnet {LAN} is in use: pool {pool} (id shop) has been held since" in message
        assert "shared=true" in message
        assert core.references(pool) == 1

    @pytest.mark.parametrize(
        ("wish", "may_be_swarm"),
        [
            ({}, True),
            ({"driver": "lan"}, False),
            ({"has_options": True}, False),
            ({"has_options": True, "is_repeated": True}, True),
            ({"space": "global"}, False),
        ],
    )
    @pytest.mark.parametrize("subnet", [LAN, "10.0.1.0/25"])
    def test_the_refusal_speaks_of_swarm_only_where_swarm_may_ask(
        self, core: Core, wish: dict[str, Any], may_be_swarm: bool, subnet: str
    ) -> None:
        for space in SPACES:
            core.pool(LAN, space=space, driver=wish.get("driver", "driver"))
        with pytest.raises(InUse) as caught:
            core.pool(subnet, **wish)
        assert ("If it was swarm that asked" in str(caught.value)) == may_be_swarm

    @pytest.mark.parametrize("driver", ["driver", "lan"])
    def test_so_does_that_of_its_gateway(self, core: Core, driver: str) -> None:
        pool = core.pool(LAN, driver=driver)
        core.address(pool, "10.0.1.1", driver=driver)
        with pytest.raises(InUse) as caught:
            core.gateway(pool, "10.0.1.1", driver)
        assert ("If it was swarm that asked" in str(caught.value)) == (driver == "driver")

    @pytest.mark.parametrize(("first", "second"), [("", LOW), (LOW, ""), (LOW, HIGH)])
    def test_a_second_network_with_another_range_is_refused(
        self, core: Core, first: str, second: str
    ) -> None:
        pool = core.pool(LAN, ip_range=first)
        with pytest.raises(InUse, match="is in use"):
            core.pool(LAN, ip_range=second)
        assert core.pools() == [pool]

    def test_a_second_network_of_another_driver_name_is_refused(self, core: Core) -> None:
        core.pool(LAN)
        with pytest.raises(InUse, match="is in use"):
            core.pool(LAN, driver="lan")

    def test_an_automatic_block_is_not_joined(self, core: Core) -> None:
        pool = core.pool(length=24)
        with pytest.raises(InUse, match="is in use"):
            core.pool(pool.removeprefix("local/"))

    @ENGINES
    @pytest.mark.parametrize("gateway", ["", "10.0.1.9"], ids=["any gateway", "another gateway"])
    def test_a_second_network_is_refused_after_a_restart_of_the_plugin_alone(
        self, core: Core, engine: str, gateway: str
    ) -> None:
        core.restart_engine(engine)
        pool = core.pool(LAN)
        core.gateway(pool)
        core.address(pool, "10.0.1.7")
        core.start()
        with pytest.raises(InUse, match="is in use"):
            core.gateway(core.pool(LAN), gateway)
        core.release_pool(pool)
        assert core.references(pool) == 1
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.7": True}

    @pytest.mark.parametrize("options", [False, True])
    def test_a_second_network_that_names_the_same_gateway_is_refused_after_such_a_restart(
        self, core: Core, options: bool
    ) -> None:
        pool = core.pool(LAN)
        core.gateway(pool, "10.0.1.1")
        core.start()
        with pytest.raises(InUse, match="is in use"):
            core.pool(LAN, has_options=options)
        assert core.references(pool) == 1

    def test_a_subnet_whose_network_was_removed_unheard_is_free_after_a_start_of_the_engine(
        self, core: Core
    ) -> None:
        core.pool(LAN)
        core.restart_engine("engine-2")
        core.pool(LAN, ip_range=LOW)
        assert core.pools() == [f"local/{LAN}/{LOW}"]

    def test_a_network_that_was_expected_back_is_not_once_its_pool_has_ended(
        self, core: Core
    ) -> None:
        for _ in range(2):
            core.pool(LAN, shared=True)
        core.restart_engine("engine-2")
        core.release_pool(core.pool(LAN, shared=True))
        core.pool(LAN)
        with pytest.raises(InUse, match="is in use"):
            core.pool(LAN)

    def test_what_an_older_version_let_share_a_subnet_is_replayed(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.pool(LAN, shared=True)
        core.restart_engine("engine-2")
        for _ in range(2):
            core.pool(LAN)
        assert core.references(pool) == 2
        with pytest.raises(InUse):
            core.pool(LAN)


class TestTwoParentsOfOneLan:
    """Each network has an ip-range of its own, and both name the router of the LAN."""

    @pytest.fixture
    def pools(self, core: Core) -> list[str]:
        return [self.make(core, part) for part in (LOW, HIGH)]

    @staticmethod
    def make(core: Core, part: str) -> str:
        pool = core.pool(LAN, ip_range=part, shared=True)
        assert core.gateway(pool, "10.0.1.1") == "10.0.1.1/24"
        return pool

    @staticmethod
    def remove(core: Core, pool: str) -> None:
        core.release(pool, "10.0.1.1")
        core.release_pool(pool)

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    @pytest.mark.parametrize("restart", [False, True])
    def test_the_gateway_is_one_and_nobodys_else_while_one_of_them_lives(
        self, core: Core, pools: list[str], order: tuple[int, int], restart: bool
    ) -> None:
        if restart:
            core.start()
        first, last = (pools[number] for number in order)
        self.remove(core, first)
        with pytest.raises(InUse):
            core.address(last, "10.0.1.1")
        assert core.leases(last) == {"10.0.1.1": True}
        self.remove(core, last)
        assert core.pools() == []

    def test_each_draws_from_its_range(self, core: Core, pools: list[str]) -> None:
        assert [core.address(pool) for pool in pools] == ["10.0.1.64/24", "10.0.1.96/24"]

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    @pytest.mark.parametrize("engine", ["engine-2", ""], ids=["known", "unknown"])
    def test_an_engine_that_starts_again_gets_both_back(
        self, core: Core, pools: list[str], order: tuple[int, int], engine: str
    ) -> None:
        core.restart_engine(engine)
        for number in order:
            assert self.make(core, (LOW, HIGH)[number]) == pools[number]
        assert core.pools() == pools
        with pytest.raises(InUse):
            core.address(pools[0], "10.0.1.1")

    def test_no_holder_of_the_gateway_is_left_after_a_start_of_a_known_engine(
        self, core: Core, pools: list[str]
    ) -> None:
        core.restart_engine("engine-2")
        for part in (HIGH, LOW):
            self.make(core, part)
        for pool in pools:
            self.remove(core, pool)
        assert core.pools() == []

    def test_the_gateway_of_a_network_that_is_gone_unheard_stays_with_the_other(
        self, core: Core, pools: list[str]
    ) -> None:
        core.restart_engine("engine-2")
        self.make(core, HIGH)
        core.pool(LAN, ip_range=LOW, shared=True)
        with pytest.raises(InUse):
            core.address(pools[0], "10.0.1.1")
        assert core.leases(pools[0])["10.0.1.1"]

    def test_a_container_with_the_address_is_in_the_way(self, core: Core) -> None:
        pool = core.pool(LAN, ip_range=LOW, shared=True)
        core.address(pool, "10.0.1.1")
        with pytest.raises(InUse, match=r"10\.0\.1\.1"):
            self.make(core, HIGH)


class TestTheSameSubnetAndGatewayTwice:
    @pytest.mark.parametrize("order", [("driver", "lan"), ("lan", "driver")])
    def test_the_gateway_stays_with_the_driver_name_that_is_left(
        self, core: Core, order: tuple[str, str]
    ) -> None:
        for driver in ("driver", "lan"):
            core.gateway(core.pool(LAN, shared=True, driver=driver), "10.0.1.1", driver)
        pool, (gone, left) = f"local/{LAN}", order
        core.release_pool(pool, gone)
        assert core.leases(pool) == {"10.0.1.1": True}
        core.release(pool, "10.0.1.1", left)
        assert core.leases(pool) == {}

    def test_the_gateway_ends_with_the_last_of_them(self, core: Core) -> None:
        for _ in range(2):
            pool = core.pool(LAN, shared=True)
            core.gateway(pool, "10.0.1.1")
        core.release(pool, "10.0.1.1")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True}
        core.release(pool, "10.0.1.1")
        assert core.leases(pool) == {}
        core.release_pool(pool)
        assert core.pools() == []

    @pytest.mark.parametrize("networks", [1, 2])
    def test_a_repeated_request_for_the_gateway_adds_no_network(
        self, core: Core, networks: int
    ) -> None:
        for _ in range(networks):
            pool = core.pool(LAN, shared=True)
            for _ in range(3):
                assert core.gateway(pool, "10.0.1.1") == "10.0.1.1/24"
        core.pool(LAN, shared=True)
        for _ in range(networks):
            core.release(pool, "10.0.1.1")
            core.release_pool(pool)
        assert core.leases(pool) == {}

    def test_a_gateway_is_not_had_by_a_driver_name_that_has_no_pool(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.1")
        with pytest.raises(InUse, match="in use"):
            core.gateway(pool, "10.0.1.1", "lan")


def refuse(core: Core, pool: str, address: str) -> None:
    """Ask for an address that is in use, as the plugin does: the commit goes on."""

    def call() -> None:
        request = AddressRequest("driver", pool, parse_address(address))
        with pytest.raises(InUse):
            core.ipam.request_address(request)

    core.make(call)


class TestACreationThatFailedHalfWay:
    def test_the_next_attempt_gets_what_it_was_given(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.1")
        for _ in range(3):
            core.pool(LAN, shared=True)
            assert core.gateway(pool, "10.0.1.9") == "10.0.1.9/24"
            assert core.address(pool, "10.0.1.20") == "10.0.1.20/24"
            refuse(core, pool, "10.0.1.1")
            core.release_pool(pool)
            assert core.references(pool) == 1
            assert "10.0.1.9" not in core.leases(pool)

    def test_no_container_gets_an_address_that_it_may_have_been_given(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.pool(LAN, shared=True)
        assert core.address(pool, "10.0.1.20") == "10.0.1.20/24"
        refuse(core, pool, "10.0.1.20")
        core.release_pool(pool)
        core.time.pass_seconds(1)
        refuse(core, pool, "10.0.1.20")
        core.pool(LAN, shared=True)
        core.address(pool, "10.0.1.20")
        core.time.pass_seconds(1)
        refuse(core, pool, "10.0.1.20")

    def test_nothing_is_given_again_that_was_released_and_taken_since(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.pool(LAN, shared=True)
        core.address(pool, "10.0.1.20")
        refuse(core, pool, "10.0.1.20")
        core.release_pool(pool)
        core.release(pool, "10.0.1.20")
        core.time.pass_seconds(1)
        core.address(pool, "10.0.1.20")
        core.pool(LAN, shared=True)
        refuse(core, pool, "10.0.1.20")

    def test_a_container_of_another_network_keeps_the_address_that_it_asked_for_meanwhile(
        self, core: Core
    ) -> None:
        pool = core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.1")
        core.time.pass_seconds(1000)
        core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.9")
        core.address(pool, "10.0.1.50")
        refuse(core, pool, "10.0.1.1")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.50": True}
        refuse(core, pool, "10.0.1.50")

    def test_a_network_that_is_created_at_the_same_time_keeps_its_gateway(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.1")
        core.time.pass_seconds(1000)
        for gateway in ("10.0.1.9", "10.0.1.10", "10.0.1.11"):
            core.pool(LAN, shared=True)
            core.gateway(pool, gateway)
        refuse(core, pool, "10.0.1.1")
        core.release_pool(pool)
        assert set(core.leases(pool)) >= {"10.0.1.9", "10.0.1.10", "10.0.1.11"}

    def test_what_a_new_container_asked_for_is_none_of_its_addresses(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.1")
        core.pool(LAN, shared=True)
        core.address(pool, "10.0.1.50", is_new_container=True)
        refuse(core, pool, "10.0.1.1")
        core.release_pool(pool)
        core.pool(LAN, shared=True)
        refuse(core, pool, "10.0.1.50")

    def test_a_gateway_that_it_shares_stays_with_the_first(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.1")
        core.address(pool, "10.0.1.5")
        core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.1")
        refuse(core, pool, "10.0.1.5")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.5": True}

    def test_nothing_of_a_network_that_was_created_goes_with_another(self, core: Core) -> None:
        pool = core.pool(LAN, shared=True)
        core.pool(LAN, shared=True)
        core.gateway(pool, "10.0.1.9")
        core.address(pool)
        refuse(core, pool, "10.0.1.9")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.9": True}

    def test_containers_keep_their_addresses_when_a_network_without_gateway_is_removed(
        self, core: Core
    ) -> None:
        pool = core.pool(LAN, shared=True)
        core.pool(LAN, shared=True)
        core.time.pass_seconds(1)
        core.address(pool, "10.0.1.9")
        refuse(core, pool, "10.0.1.9")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.9": True}


class TestDriversThatAskForNoGateway:
    @ENGINES
    def test_no_pool_is_freed_under_a_network(self, core: Core, engine: str) -> None:
        core.restart_engine(engine)
        pool = core.pool(LAN, shared=True)
        one = core.address(pool).partition("/")[0]
        core.start()
        core.pool(LAN, shared=True)
        core.address(pool)
        core.release(pool, one)
        core.release_pool(pool)
        assert core.pools() == [pool]
        assert core.pool() == "local/10.0.128.0/17"

    def test_a_second_network_that_nobody_can_tell_from_a_replay_keeps_the_pool(
        self, core: Core
    ) -> None:
        core.restart_engine("")
        pool = core.pool(LAN)
        one = core.address(pool).partition("/")[0]
        core.start()
        core.pool(LAN)
        other = core.address(pool).partition("/")[0]
        core.release(pool, one)
        core.release_pool(pool)
        assert core.leases(pool) == {other: True}
        assert core.pool() == "local/10.0.128.0/17"


class TestAnEngineThatNothingIdentifies:
    """Between its start and a restart of the plugin alone there is no difference."""

    @pytest.fixture
    def pool(self, core: Core) -> str:
        core.restart_engine("")
        return self.make(core)

    @staticmethod
    def make(core: Core) -> str:
        pool = core.pool(LAN)
        core.gateway(pool, "10.0.1.1")
        return pool

    @staticmethod
    def remove(core: Core, pool: str) -> None:
        core.release(pool, "10.0.1.1")
        core.release_pool(pool)

    @pytest.mark.parametrize("seconds", [0, 1, 3600])
    def test_the_pool_outlives_the_first_of_two_networks_with_one_gateway(
        self, core: Core, pool: str, seconds: float
    ) -> None:
        core.start()
        core.time.pass_seconds(seconds)
        self.make(core)
        self.remove(core, pool)
        assert core.leases(pool) == {"10.0.1.1": True}
        assert core.pool() == "local/10.0.128.0/17"

    def test_a_third_network_is_refused(self, core: Core, pool: str) -> None:
        core.start()
        self.make(core)
        with pytest.raises(InUse):
            core.pool(LAN)
        assert core.references(pool) == 2

    def test_no_start_of_the_engine_adds_a_reference_once_there_are_two(
        self, core: Core, pool: str
    ) -> None:
        for _ in range(4):
            core.start()
            self.make(core)
            core.address(pool, "10.0.1.5")
        assert core.references(pool) == 2
        for _ in range(2):
            self.remove(core, pool)
        assert core.pools() == []

    def test_its_subnet_can_be_had_again_after_the_network_was_removed(
        self, core: Core, pool: str
    ) -> None:
        core.start()
        self.make(core)
        for _ in range(3):
            self.remove(core, pool)
            self.make(core)
        assert core.references(pool) == 2

    def test_the_start_of_an_engine_that_can_be_identified_corrects_the_count(
        self, core: Core, pool: str
    ) -> None:
        core.start()
        self.make(core)
        for engine in ("engine-1", "engine-2"):
            core.restart_engine(engine)
            self.make(core)
        assert core.references(pool) == 1
        self.remove(core, pool)
        assert core.pools() == []

    def test_the_first_that_is_identified_may_have_run_before(self, core: Core, pool: str) -> None:
        core.restart_engine("engine-1")
        with pytest.raises(InUse):
            core.pool("10.0.0.0/23")
        self.make(core)
        self.remove(core, pool)
        assert core.leases(pool) == {"10.0.1.1": True}


class TestASharedSubnetOfAnEngineThatNothingIdentifies:
    @pytest.fixture
    def pool(self, core: Core) -> str:
        core.restart_engine("")
        return self.make(core)

    @staticmethod
    def make(core: Core) -> str:
        pool = core.pool(LAN, shared=True)
        assert core.gateway(pool, "10.0.1.1") == "10.0.1.1/24"
        assert core.address(pool, "10.0.1.9") == "10.0.1.9/24"
        return pool

    def test_each_start_gives_it_its_auxiliary_addresses_again(self, core: Core, pool: str) -> None:
        for _ in range(3):
            core.time.pass_seconds(1000)
            core.start()
            assert self.make(core) == pool

    def test_and_the_addresses_of_containers_right_after_them(self, core: Core, pool: str) -> None:
        core.time.pass_seconds(1000)
        given = core.address(pool)
        core.start()
        self.make(core)
        assert core.address(pool, given.partition("/")[0]) == given

    def test_a_new_container_that_asks_at_once_gets_no_address_that_is_in_use(
        self, core: Core, pool: str
    ) -> None:
        core.start()
        core.pool(LAN, shared=True)
        with pytest.raises(InUse):
            core.address(pool, "10.0.1.9", is_new_container=True)

    def test_a_container_that_asks_later_gets_no_address_that_is_in_use(
        self, core: Core, pool: str
    ) -> None:
        core.start()
        core.pool(LAN, shared=True)
        core.time.pass_seconds(1)
        refuse(core, pool, "10.0.1.9")

    def test_an_address_is_given_again_only_once_after_each_start(
        self, core: Core, pool: str
    ) -> None:
        core.start()
        self.make(core)
        refuse(core, pool, "10.0.1.9")

    def test_however_often_it_starts_the_count_is_bounded_and_never_too_small(
        self, core: Core, pool: str
    ) -> None:
        for _ in range(200):
            core.start()
            self.make(core)
        counted = core.references(pool)
        assert counted < 200
        for _ in range(200):
            core.release_pool(pool)
        assert core.references(pool) == counted

    def test_the_start_of_an_engine_that_can_be_identified_corrects_the_count(
        self, core: Core, pool: str
    ) -> None:
        for _ in range(200):
            core.start()
            self.make(core)
        for engine in ("engine-1", "engine-2"):
            core.restart_engine(engine)
            self.make(core)
        assert core.references(pool) == 1
        core.release_pool(pool)
        assert core.pools() == []


class TestASubnetOfASwarmThatWasReleasedUnheard:
    """A node asks for the same subnet again, and the engine has not started."""

    @pytest.fixture
    def pool(self, core: Core) -> str:
        core.time.pass_seconds(1)
        pool = core.pool(LAN)
        core.gateway(pool, "10.0.1.1")
        core.address(pool, "10.0.1.2")  # the node's load balancer
        return pool

    def test_the_next_task_gets_it(self, core: Core, pool: str) -> None:
        core.start()
        assert core.pool(LAN) == pool
        assert core.gateway(pool, "10.0.1.1") == "10.0.1.1/24"
        assert core.address(pool, "10.0.1.3") == "10.0.1.3/24"

    def test_no_address_that_may_be_in_use_is_given_again(self, core: Core, pool: str) -> None:
        core.start()
        core.pool(LAN)
        with pytest.raises(InUse):
            core.address(pool, "10.0.1.2")

    def test_nor_is_the_pool_freed_under_a_network_of_the_host(self, core: Core, pool: str) -> None:
        core.start()
        core.pool(LAN)
        core.gateway(pool, "10.0.1.1")
        core.release(pool, "10.0.1.1")
        core.release_pool(pool)
        assert core.leases(pool) == {"10.0.1.1": True, "10.0.1.2": True}

    def test_a_second_network_is_refused_where_there_is_no_container(
        self, core: Core, pool: str
    ) -> None:
        core.release(pool, "10.0.1.2")
        core.start()
        with pytest.raises(InUse):
            core.pool(LAN)

    def test_a_second_network_is_refused_where_a_container_took_any_address(
        self, core: Core, pool: str
    ) -> None:
        core.address(pool)
        core.start()
        with pytest.raises(InUse):
            core.pool(LAN)

    def test_so_it_is_where_no_release_can_have_been_missed(self, core: Core, pool: str) -> None:
        with pytest.raises(InUse):
            core.pool(LAN)
        core.restart_engine("engine-2")
        core.pool(LAN)
        core.gateway(pool, "10.0.1.1")
        with pytest.raises(InUse):
            core.pool(LAN)

    @pytest.mark.parametrize("wish", [{"has_options": True}, {"ip_range": LOW}])
    def test_so_it_is_where_the_request_is_none_of_a_swarm(
        self, core: Core, pool: str, wish: dict[str, Any]
    ) -> None:
        core.start()
        with pytest.raises(InUse):
            core.pool(LAN, **wish)
        assert core.references(pool) == 1

    def test_what_a_leader_repeats_is_served(self, core: Core) -> None:
        pool = core.pool(LAN, space="global")
        core.gateway(pool, "10.0.1.1", serial=True)
        core.start()
        assert core.pool(LAN, space="global", is_repeated=True) == pool
        assert core.gateway(pool, "10.0.1.1", serial=True) == "10.0.1.1/24"

    def test_a_second_network_is_refused_where_none_has_a_gateway(self, core: Core) -> None:
        core.pool("10.0.2.0/24")
        core.start()
        with pytest.raises(InUse):
            core.pool("10.0.2.0/24")
