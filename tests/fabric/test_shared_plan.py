"""Three hosts that share one plan in MongoDB, with engines of three versions, two with FRR and one
with BIRD, beside a router: what it knows of their networks, whatever happens to them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.host_command import Command
from tests.support.engine.objects import (
    Container,
    Network,
    clear,
    create_network,
    run_container,
    try_network,
)
from tests.support.engine.schemas import scope
from tests.support.fabric.configurations import docker_user_rules, network_options
from tests.support.fabric.docker_host import DockerHost
from tests.support.fabric.pinging import Pinging
from tests.support.fabric.shared import Kind, SharedPlan, shared_plan

_NETWORKS = 20
_KINDS = (Kind("28.5"), Kind("26.1", ("bird-host.conf",)), Kind("20.10"))
_OF_SWARM = scope("10.200.0.0/16", 24, address_space="global")


@pytest.fixture(scope="module")
def plan(bundle: Path, tmp_path_factory: pytest.TempPathFactory, say: Say) -> Iterator[SharedPlan]:
    """The hosts, each with twenty networks, and a container on the last one."""
    homes.remove_abandoned(say)
    folder = tmp_path_factory.mktemp("fabric")
    with shared_plan(_KINDS, _OF_SWARM, bundle, folder, say) as made:
        made.on_all(_fill)
        yield made


def _fill(host: DockerHost) -> None:
    for number in range(_NETWORKS):
        _routed(host, f"net{number}")
    run_container(host.engine, "one", f"net{_NETWORKS - 1}")
    for rule in docker_user_rules():
        host.engine.run(*rule)


def _routed(host: DockerHost, name: str, *options: str) -> None:
    create_network(host.engine, name, "--ipv6", *network_options(), *options)


def _addresses(plan: SharedPlan, number: int) -> list[str]:
    container = Container(plan.hosts[number].engine, "one")
    return [address.partition("/")[0] for address in container.addresses]


def test_the_router_knows_one_prefix_of_each_family_of_each_host(plan: SharedPlan) -> None:
    plan.fabric.wait_for_routes(plan.routes_of(1, 2, 3))

    assert [len(plan.aggregates(number)) for number in plan.hosts] == [2, 2, 2]
    assert [len(host.plugin.held()) for host in plan.hosts.values()] == [2 * _NETWORKS] * 3


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("source", "target"), list(permutations((1, 2, 3), 2)))
def test_containers_of_different_hosts_reach_each_other(
    plan: SharedPlan, source: int, target: int, family: int
) -> None:
    one = Container(plan.hosts[source].engine, "one")

    assert one.reaches(_addresses(plan, target)[family])


def test_networks_and_containers_that_come_and_go_send_no_update(plan: SharedPlan) -> None:
    before = plan.fabric.versions()

    def churn(host: DockerHost) -> None:
        for number in range(2):
            _routed(host, f"more{number}")
            container = run_container(host.engine, f"on{number}", f"more{number}")
            container.remove()
            Network(host.engine, f"more{number}").remove()

    plan.on_all(churn)
    # What comes later is known, so everything before it would be.
    first, second = (plan.hosts[number].machine for number in (1, 2))
    plan.fabric.announce_for_a_moment(first, "10.1.240.0/20", plan.routes_of(1, 2, 3), 65001)
    plan.fabric.announce_for_a_moment(second, "10.1.240.0/20", plan.routes_of(1, 2, 3), 65002)

    after = plan.fabric.versions()
    assert (after[0] - before[0], after[1] - before[1]) == (4, 0)


def test_no_ping_is_lost_and_no_update_sent_while_the_database_has_no_majority(
    plan: SharedPlan,
) -> None:
    before = plan.fabric.versions()
    with Pinging(plan.fabric.client, _addresses(plan, 1)[0]) as pings:
        plan.kill_majority()
        refused = try_network(plan.hosts[1].engine, "meanwhile", *network_options())
        watchers = [host.watcher.is_running for host in plan.hosts.values()]
        plan.repair()

    assert refused.code == 1
    assert "database" in refused.stderr
    assert watchers == [True, True, True]
    assert pings.lost == 0
    assert plan.fabric.versions() == before
    assert plan.fabric.router.routes() == plan.routes_of(1, 2, 3)


def test_networks_of_a_swarm_are_announced_by_nobody(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    host = plan.hosts[1]
    host.engine.must("swarm", "init", "--advertise-addr", "198.51.100.1")
    try:
        create_network(host.engine, "overlay", "--driver", "overlay", "--attachable")
        run_container(host.engine, "tasks", "overlay")
        run = Command(host.engine, capsys)

        assert "10.200." in run("pools")
        assert "10.200." not in run("routes", "--exact")
        assert plan.fabric.router.routes() == plan.routes_of(1, 2, 3)
    finally:
        host.engine.must("rm", "--force", "tasks")
        host.engine.must("network", "rm", "overlay")
        host.engine.must("swarm", "leave", "--force")


def test_a_drained_host_stays_announced_and_gets_no_network(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Command(plan.hosts[2].engine, capsys)
    run("nodes", "drain", "h1")
    there = Command(plan.hosts[1].engine, capsys)
    plan.fabric.wait_for("that the host knows it", lambda: "drain" in there("status"))
    refused = try_network(plan.hosts[1].engine, "new", *network_options())
    routes = plan.fabric.router.routes()
    run("nodes", "undrain", "h1")
    _routed(plan.hosts[1], "new")

    assert refused.code == 1
    assert "node h1 is being drained" in refused.stderr
    assert routes == plan.routes_of(1, 2, 3)
    assert plan.fabric.client.pings(_addresses(plan, 1)[0])


def test_a_forgotten_host_that_returns_is_withdrawn_and_gets_nothing_until_that_is_undone(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = plan.hosts[3]
    lost.die()
    plan.fabric.wait_for_routes(plan.routes_of(1, 2))
    _forget(plan, capsys, "--force", "h3")

    lost.engine.start()
    plan.fabric.wait_for("that the host is withdrawn", lambda: lost.announced() == set())
    plan.fabric.wait_for_routes(plan.routes_of(1, 2))
    refused = try_network(lost.engine, "new", *network_options())
    assert refused.code == 1
    assert "node h3 was forgotten" in refused.stderr

    _forget(plan, capsys, "--undo", "h3")
    clear(lost.engine)
    lost.plugin.disable(force=True)
    lost.plugin.enable()
    _routed(lost, "new")
    plan.fabric.wait_for_routes(plan.routes_of(1, 2, 3))
    assert len(plan.aggregates(3)) == 2


def _forget(plan: SharedPlan, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
    """Run the command on host 1."""
    with plan.database.entered():
        Command(plan.hosts[1].engine, capsys)("nodes", "forget", *arguments)
