"""Replays, conflicts and leaks of networks of a swarm, and of their mirrors on the hosts.

See "How leaks heal" in docs/architecture.md.
"""

from __future__ import annotations

import pytest

from pyipam.errors import Exhausted, InUse
from pyipam.space.address import AddressSpace
from pyipam.store.pool_id import SPACES
from tests.support.core import Core, replay, scope, tree_of
from tests.support.viewing import Viewer


@pytest.fixture
def core() -> Core:
    return Core(tree_of(scope("10.0.0.0", 22, child_prefix=24)))


def test_one_plugin_holds_one_subnet_in_both_spaces(core: Core) -> None:
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
def test_a_conflicting_network_of_the_host_is_named_with_its_id_and_the_remedy(
    core: Core, way: str
) -> None:
    own = core.pool(way, label="lab")
    core.gateway(own)
    with pytest.raises(InUse) as caught:
        core.gateway(core.pool("10.0.0.0/24"), "10.0.0.1")
    assert f"pool local/{way} (id lab)" in str(caught.value)
    assert "address_space" in str(caught.value)


def test_a_conflicting_container_of_the_host_is_named_with_its_network_and_the_remedy(
    core: Core,
) -> None:
    own = core.pool("10.0.0.0/24", label="lab", shared=True)
    core.gateway(own, "10.0.0.254")
    core.address(own)
    mirror = core.pool("10.0.0.0/24", shared=True)
    core.gateway(mirror, "10.0.0.2")
    with pytest.raises(InUse, match=r"pool local/10\.0\.0\.0/24 \(id lab\).*address_space"):
        core.address(mirror, "10.0.0.1")


def test_a_conflict_in_the_global_space_does_not_mention_the_host(core: Core) -> None:
    core.pool("10.0.0.0/24", space="global")
    with pytest.raises(InUse) as caught:
        core.pool("10.0.0.0/25", space="global")
    assert "address_space" not in str(caught.value)


def test_an_allocator_that_starts_in_a_running_engine_replays_the_global_space_only(
    core: Core,
) -> None:
    local, swarm = core.pool(), core.pool(space="global")
    core.address(swarm)
    core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
    replay(core, swarm, "10.0.1.1")
    assert core.references(swarm) == 1
    with pytest.raises(InUse):
        core.pool("10.0.0.0/24")
    assert core.references(local) == 1


def test_a_pool_that_a_new_leader_did_not_claim_is_given_out_when_all_others_are_taken(
    core: Core,
) -> None:
    pools = [core.pool(space="global") for _ in range(3)]
    core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
    replay(core, pools[0])
    replay(core, pools[2])
    assert core.pool(space="global") == "global/10.0.3.0/24"
    assert core.pool(space="global") == "global/10.0.1.0/24"
    assert core.pools() == sorted([pools[0], pools[2], "global/10.0.3.0/24", "global/10.0.1.0/24"])
    with pytest.raises(Exhausted):
        core.pool(space="global")


def test_a_network_of_the_host_gets_no_pool_that_a_new_leader_may_still_claim(core: Core) -> None:
    pools = [core.pool(space="global") for _ in range(4)]
    core.restart_engine("engine-2")
    replay(core, pools[0])
    with pytest.raises(Exhausted):
        core.pool(space="local")
    for pool in pools[1:]:
        replay(core, pool)
    assert core.pools() == pools


def test_announcements_right_after_a_restart_of_the_plugin_alone_start_no_replay(
    core: Core,
) -> None:
    pool = core.pool(space="global")
    core.gateway(pool)
    core.start()
    for _ in range(2):
        core.time.pass_seconds(0.5)
        core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
    assert [view.claimed for view in Viewer(core).pools()] == [True]
    with pytest.raises(InUse):
        core.pool("10.0.0.0/25", space="global")


def test_an_allocator_that_starts_after_a_restart_of_the_plugin_alone_replays(core: Core) -> None:
    pool = core.pool(space="global")
    core.gateway(pool)
    core.start()
    core.time.pass_seconds(60)
    core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
    replay(core, pool, "10.0.0.1")
    assert core.references(pool) == 1


def test_an_allocator_that_starts_in_an_engine_that_has_just_started_replays(core: Core) -> None:
    pool = core.pool(space="global")
    core.gateway(pool)
    core.start()
    core.engine = "engine-2"
    for _ in range(2):
        core.time.pass_seconds(1)
        core.announce()
    replay(core, pool, "10.0.0.1")
    assert core.references(pool) == 1


def test_a_leader_that_has_claimed_nothing_gives_up_no_pool(core: Core) -> None:
    for _ in range(4):
        core.pool(space="global")
    core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
    with pytest.raises(Exhausted):
        core.pool(space="global")


def test_a_replay_displaces_a_conflicting_pool_that_was_removed_elsewhere(core: Core) -> None:
    removed_elsewhere = core.pool("10.0.0.0/24", space="global")
    core.gateway(removed_elsewhere)
    core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
    replay(core, "global/10.0.0.0/25", "10.0.0.1", "10.0.0.7")
    replay(core, "global/10.0.0.128/25", "10.0.0.129")
    assert core.pools() == ["global/10.0.0.0/25", "global/10.0.0.128/25"]
    assert core.leases("global/10.0.0.0/25") == {"10.0.0.1": True, "10.0.0.7": True}


def test_a_mirror_displaces_a_mirror_that_leaked_before_the_host_restarted(core: Core) -> None:
    core.gateway(core.pool("10.0.0.0/24", space="local"), "10.0.0.1")
    core.restart_engine("engine-2")
    replay(core, "local/10.0.0.0/23", "10.0.0.1")
    assert core.pools() == ["local/10.0.0.0/23"]


@pytest.mark.parametrize("space", SPACES)
def test_a_pool_that_was_claimed_again_is_not_displaced(core: Core, space: AddressSpace) -> None:
    core.pool("10.0.0.0/24", space=space)
    core.restart_engine("engine-2")
    replay(core, f"{space}/10.0.0.0/24")
    with pytest.raises(InUse):
        core.pool("10.0.0.0/25", space=space)


@pytest.mark.parametrize("space", SPACES)
def test_no_pool_is_displaced_for_an_unknown_engine(core: Core, space: AddressSpace) -> None:
    core.restart_engine("")
    core.pool("10.0.0.0/24", space=space)
    core.start()
    with pytest.raises(InUse):
        core.pool("10.0.0.0/25", space=space)


def test_the_block_of_a_leaked_mirror_is_given_out_when_all_others_are_taken(core: Core) -> None:
    core.pool("10.0.0.0/24", space="local")
    core.pool("10.0.2.0/24", space="local")
    core.restart_engine("engine-2")
    replay(core, "local/10.0.0.0/24")
    assert [core.pool() for _ in range(2)] == ["local/10.0.1.0/24", "local/10.0.3.0/24"]
    core.time.pass_seconds(60)
    assert core.pool() == "local/10.0.2.0/24"
    with pytest.raises(Exhausted):
        core.pool()


def test_an_engine_that_started_while_the_plugin_was_down_gives_up_no_pool(core: Core) -> None:
    for _ in range(4):
        core.pool()
    core.restart_engine("engine-2")
    with pytest.raises(Exhausted):
        core.pool()


def test_the_block_of_a_leaked_mirror_is_not_given_out_while_swarm_holds_it_here(
    core: Core,
) -> None:
    core.pool("10.0.2.0/24", space="global")
    core.pool("10.0.2.0/24", space="local")
    core.restart_engine("engine-2")
    for _ in range(3):
        core.pool()
    with pytest.raises(Exhausted):
        core.pool()


def test_an_unclaimed_pool_whose_mirror_is_in_use_here_is_not_given_out(core: Core) -> None:
    pools = [core.pool(space="global") for _ in range(4)]
    core.pool("10.0.1.0/24", space="local")
    core.make(lambda: core.ipam.begin_epoch("driver", "engine-1"))
    for pool in (pools[0], pools[2], pools[3]):
        replay(core, pool)
    with pytest.raises(Exhausted):
        core.pool(space="global")
