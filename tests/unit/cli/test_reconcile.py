"""`pyipam reconcile`: what the plugin holds and what Docker uses, compared."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pyipam.cli.commands import status
from pyipam.cli.refusal import EngineAway
from tests.support.dockerd import GATEWAY
from tests.support.in_process import InProcess
from tests.unit.cli.host import Host
from tests.unit.cli.plans import make_network, start_container

pytestmark = pytest.mark.usefixtures("plugin")

SHOP = "local/10.0.0.0/24"


@pytest.fixture
def shop(host: Host, plugin: InProcess) -> str:
    """The pool of a network that Docker has, too."""
    pool = make_network(plugin)
    body = {"PoolID": pool, "Address": "", "Options": GATEWAY}
    plugin.call("RequestAddress", body)
    host.engine.add_network("shop", "10.0.0.0/24", driver="owner/pyipam:latest")
    return pool


def found(host: Host) -> list[tuple[str, str, str, bool]]:
    """The differences, each with whether it is sure."""
    outcome = host.run("reconcile", "--json")
    differences = outcome.json["differences"]
    assert outcome.code == (3 if differences else 0)
    return [(x["kind"], x["pool"], x["address"], x["sure"]) for x in differences]


def test_nothing_to_do_is_said(host: Host, plugin: InProcess, shop: str) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop))

    assert host.run("reconcile") == (0, "no differences\n", "")


def test_an_address_that_no_endpoint_has_has_leaked(
    host: Host, plugin: InProcess, shop: str
) -> None:
    start_container(plugin, shop)

    assert found(host) == [("leaked address", SHOP, "10.0.0.2", True)]
    assert host.run("reconcile").cells == [
        ["leaked address", SHOP, "10.0.0.2", "yes", "no endpoint of Docker has it"]
    ]


def test_what_was_found_is_followed_by_the_way_to_repair_it(
    host: Host, plugin: InProcess, shop: str, tmp_path: Path
) -> None:
    start_container(plugin, shop)
    report = tmp_path / "what leaked.json"

    assert host.run("reconcile").err == (
        "pyipam: nothing was changed: write a report with `pyipam reconcile --report FILE`, and "
        "repair what is in it with `pyipam reconcile --apply FILE`\n"
    )
    written = host.run("reconcile", "--report", str(report))
    assert written.err == (
        f"pyipam: nothing was changed: `pyipam reconcile --apply '{report}'` repairs it\n"
    )
    assert host.run("reconcile", "--apply", str(report)).code == 0
    assert host.run("reconcile", "--json").err == ""


def test_a_pool_that_no_network_has_has_leaked(host: Host, plugin: InProcess) -> None:
    start_container(plugin, make_network(plugin))

    assert found(host) == [("leaked pool", SHOP, "", True)]


@pytest.mark.parametrize("subnet", ["10.0.0.0/24", "10.0.0.0/28", "10.0.0.0/16"])
def test_a_pool_that_overlaps_a_network_of_another_driver_is_not_surely_leaked(
    host: Host, plugin: InProcess, subnet: str
) -> None:
    make_network(plugin)
    host.engine.add_network("foreign", subnet, driver="another")

    assert found(host) == [("leaked pool", SHOP, "", False)]


@pytest.mark.parametrize("is_held", [True, False])
def test_a_pool_has_leaked_though_its_subnet_is_used_through_another_ip_range(
    host: Host, plugin: InProcess, is_held: bool
) -> None:
    lost, living = "10.0.9.64/26", "10.0.9.128/26"
    for ip_range in (lost, living) if is_held else (lost,):
        body = {"AddressSpace": "local", "Pool": "10.0.9.0/24", "SubPool": ip_range}
        plugin.call("RequestPool", body | {"Options": {"shared": "true"}})
    host.engine.add_network("lan", "10.0.9.0/24")
    host.engine.known_networks[-1]["IPAM"]["Config"][0]["IPRange"] = living

    assert [difference for difference in found(host) if difference[0] == "leaked pool"] == [
        ("leaked pool", f"local/10.0.9.0/24/{lost}", "", is_held)
    ]
    (why,) = [row[-1] for row in host.run("reconcile").cells if row[0] == "leaked pool"]
    assert why == (
        "the networks that have its subnet have other pools"
        if is_held
        else "network lan is on 10.0.9.0/24, through another pool"
    )


def test_networks_of_another_driver_are_left_alone(host: Host) -> None:
    host.engine.add_network("foreign", "192.168.0.0/24", driver="another")

    assert found(host) == []


def test_a_network_that_says_only_the_length_of_its_subnet_leaves_doubt(
    host: Host, plugin: InProcess
) -> None:
    make_network(plugin)
    host.engine.add_network("old", "0.0.0.0/24", driver="pyipam")

    assert found(host) == [("leaked pool", SHOP, "", False)]


def test_a_network_that_does_not_say_its_subnet_leaves_doubt(host: Host, plugin: InProcess) -> None:
    make_network(plugin)
    host.engine.add_network("odd", driver="pyipam")

    assert found(host) == [("leaked pool", SHOP, "", False)]


def test_a_subnet_and_an_address_that_docker_uses_are_missed(
    host: Host, plugin: InProcess, shop: str
) -> None:
    host.engine.add_container("web", "shop", "10.0.0.7")
    host.engine.add_network("lost", "10.0.9.0/24", driver="pyipam")
    host.engine.add_container("db", "lost", "10.0.9.2")

    assert found(host) == [
        ("missing address", SHOP, "10.0.0.7", True),
        ("missing pool", "local/10.0.9.0/24", "", True),
    ]


# Docker 20.10 shows the addresses of containers that a power cut ended until they start again.
NOT_RUNNING = ["created", "exited", "dead", "removing", "restarting"]


@pytest.mark.parametrize("state", NOT_RUNNING)
def test_the_former_address_of_a_container_that_does_not_run_is_not_missed(
    host: Host, shop: str, state: str
) -> None:
    host.engine.add_container("web", "shop", "10.0.0.2", state=state)

    assert found(host) == []
    assert "missing" not in host.run("status").out


@pytest.mark.parametrize("state", NOT_RUNNING)
def test_an_address_has_leaked_though_a_container_that_does_not_run_had_it(
    host: Host, plugin: InProcess, shop: str, state: str
) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop), state=state)

    assert found(host) == [("leaked address", SHOP, "10.0.0.2", True)]


def test_the_address_of_a_paused_container_is_in_use(
    host: Host, plugin: InProcess, shop: str
) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop), state="paused")

    assert found(host) == []


@pytest.mark.parametrize("state", NOT_RUNNING)
def test_what_the_network_lists_is_in_use_whatever_the_state_of_its_container(
    host: Host, plugin: InProcess, shop: str, state: str
) -> None:
    # As while a container is being started.
    address = start_container(plugin, shop)
    host.engine.add_container("web", "shop", address, state=state)
    host.engine.add_endpoint("web", "shop", address)

    assert found(host) == []


def test_what_rests_or_is_held_back_has_not_leaked(
    host: Host, plugin: InProcess, shop: str
) -> None:
    body = {"PoolID": shop, "Address": "10.0.0.9", "Options": None}
    plugin.call("RequestAddress", body).json()
    plugin.call("ReleaseAddress", {"PoolID": shop, "Address": "10.0.0.9"}).json()

    assert found(host) == []


def restart_engine(plugin: InProcess) -> None:
    """Let another run of the engine announce itself, as after a restart; it repeats nothing yet."""
    plugin.call("GetCapabilities")
    plugin.seconds += 100
    plugin.engine = "engine-2"
    plugin.call("GetCapabilities")


def test_a_pool_that_its_engine_did_not_name_again_is_unclaimed(
    host: Host, plugin: InProcess, shop: str
) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop))
    restart_engine(plugin)

    assert found(host) == [("unclaimed pool", SHOP, "", True)]
    assert host.run("reconcile").cells == [
        [
            *("unclaimed pool", SHOP, "-", "yes"),
            "network shop has the subnet; its engine has not named it since it started, so it may "
            "be given out again",
        ]
    ]


def test_an_address_that_its_engine_did_not_name_again_is_unclaimed(
    host: Host, plugin: InProcess, shop: str
) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop))
    restart_engine(plugin)
    make_network(plugin, subnet="10.0.0.0/24")
    plugin.call("RequestAddress", {"PoolID": SHOP, "Address": "10.0.0.1", "Options": GATEWAY})

    assert found(host) == [("unclaimed address", SHOP, "10.0.0.2", True)]


def test_the_former_address_of_a_container_that_does_not_run_is_leaked_and_not_unclaimed(
    host: Host, plugin: InProcess, shop: str
) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop), state="exited")
    restart_engine(plugin)
    make_network(plugin, subnet="10.0.0.0/24")
    plugin.call("RequestAddress", {"PoolID": SHOP, "Address": "10.0.0.1", "Options": GATEWAY})

    assert found(host) == [("leaked address", SHOP, "10.0.0.2", True)]


def test_a_gateway_that_docker_does_not_show_is_unclaimed_too(
    host: Host, plugin: InProcess, shop: str
) -> None:
    restart_engine(plugin)
    make_network(plugin, subnet="10.0.0.0/24")

    assert found(host) == [("unclaimed address", SHOP, "10.0.0.1", True)]


def test_where_nothing_identifies_the_engine_nothing_counts_as_unclaimed(
    host: Host, plugin: InProcess
) -> None:
    plugin.engine = ""
    plugin.call("GetCapabilities")
    make_network(plugin, subnet="10.0.0.0/24")
    host.engine.add_network("shop", "10.0.0.0/24", driver="owner/pyipam:latest")
    plugin.seconds += 100
    plugin.call("GetCapabilities")

    assert found(host) == []
    assert plugin.get("/v1/status")["counts"]["unclaimed_pools"] == 0


def test_a_pool_that_is_held_for_another_driver_name_is_unclaimed(
    host: Host, plugin: InProcess, shop: str
) -> None:
    host.engine.known_networks[0]["IPAM"]["Driver"] = "pyipam"

    assert found(host) == [("unclaimed pool", SHOP, "", True)]
    assert "held for driver name driver and not for theirs, pyipam" in host.run("reconcile").out


def test_a_container_that_may_just_be_starting_keeps_an_unclaimed_pool_from_being_judged(
    host: Host, plugin: InProcess, shop: str
) -> None:
    restart_engine(plugin)
    start_container(plugin, shop)
    host.seconds_to_settle = time.time() - plugin.seconds + 10

    outcome = host.run("reconcile", "--json").json
    assert (outcome["differences"], outcome["unsettled"]) == ([], 2)


def test_what_was_given_out_just_now_is_not_judged(
    host: Host, plugin: InProcess, shop: str
) -> None:
    start_container(plugin, shop)
    host.seconds_to_settle = 10.0**10

    outcome = host.run("reconcile")

    assert (outcome.code, outcome.out) == (0, "no differences so far\n")
    assert outcome.err == (
        "pyipam: 1 pool or address given out within the last two minutes cannot be judged yet: "
        "ask again then\n"
    )


def test_what_was_given_out_before_the_clock_was_set_back_is_said_not_to_be_judged_yet(
    host: Host, plugin: InProcess, shop: str
) -> None:
    plugin.seconds = 4_000_000_000.0
    start_container(plugin, shop)

    assert host.run("reconcile") == (
        0,
        "no differences so far\n",
        "pyipam: 1 pool or address cannot be judged yet, because the clock was set back: the "
        "latest was given out at 2096-10-02T07:06:40Z, which is still to come; ask again two "
        "minutes later\n",
    )


def test_a_report_keeps_the_state_that_was_seen(
    host: Host, plugin: InProcess, shop: str, tmp_path: Path
) -> None:
    start_container(plugin, shop)
    report = tmp_path / "report.json"

    assert host.run("reconcile", "--report", report).code == 3

    (seen,) = json.loads(report.read_text())["differences"]
    assert (seen["epoch"], seen["granted"]) == (0, plugin.seconds)


def test_a_report_that_cannot_be_written_is_said(host: Host, tmp_path: Path) -> None:
    place = tmp_path / "missing" / "report.json"

    assert host.refusal("reconcile", "--report", place) == (
        f"{place} cannot be written: No such file or directory"
    )


def test_without_docker_there_is_nothing_to_compare_with(host: Host) -> None:
    assert host.refusal("reconcile", "--socket", host.socket) == (
        "reconcile asks Docker what it uses: run it on the host, without --socket and --url"
    )


class OfSwarm:
    """A node of a swarm, and the network `web` of the swarm."""

    def __init__(self, host: Host) -> None:
        self._engine = host.engine
        self._engine.known_info["Swarm"] = {"LocalNodeState": "active", "NodeID": "me"}

    def manage(self, *, leads: bool, others: int = 0) -> None:
        """Let the node be a manager, beside other nodes."""
        self._engine.known_info["Swarm"]["ControlAvailable"] = True
        self._engine.known_nodes = [
            {"ID": "me", "ManagerStatus": {"Leader": leads}},
            *({"ID": f"node {number}"} for number in range(others)),
        ]

    def add_network(self, subnet: str) -> None:
        self._engine.add_network("web", subnet)
        self._engine.known_networks[-1]["Scope"] = "swarm"

    def add_task(self, address: str, state: str = "running") -> None:
        attachment = {"Network": {"ID": "id of web"}, "Addresses": [f"{address}/24"]}
        task: dict[str, Any] = {"ID": "task", "Status": {"State": state}}
        self._engine.known_tasks.append(task | {"NetworksAttachments": [attachment]})

    def add_service(self, address: str) -> None:
        vip = {"NetworkID": "id of web", "Addr": f"{address}/24"}
        self._engine.known_services.append({"ID": "service", "Endpoint": {"VirtualIPs": [vip]}})


@pytest.fixture
def swarm(host: Host) -> OfSwarm:
    return OfSwarm(host)


def make_swarm_network(plugin: InProcess, containers: int = 0) -> str:
    """The pool of a swarm's network, with the addresses of services and tasks."""
    body = {"AddressSpace": "global", "Pool": "", "Options": None, "V6": False}
    pool = str(plugin.call("RequestPool", body).json()["PoolID"])
    for _ in range(containers):
        start_container(plugin, pool)
    return pool


def test_the_leader_knows_the_addresses_of_services_and_tasks(
    host: Host, plugin: InProcess, swarm: OfSwarm
) -> None:
    make_swarm_network(plugin, 4)
    swarm.manage(leads=True)
    swarm.add_network("10.0.0.0/24")
    swarm.add_service("10.0.0.1")
    swarm.add_task("10.0.0.2")
    swarm.add_task("10.0.0.3", "shutdown")

    assert found(host) == [("leaked address", "global/10.0.0.0/24", "10.0.0.4", True)]


def test_load_balancers_of_other_nodes_are_no_leaks(
    host: Host, plugin: InProcess, swarm: OfSwarm
) -> None:
    make_swarm_network(plugin, 2)
    swarm.manage(leads=True, others=2)
    swarm.add_network("10.0.0.0/24")

    assert found(host) == []
    start_container(plugin, "global/10.0.0.0/24")
    assert {sure for *_, sure in found(host)} == {False}


@pytest.mark.parametrize("leads", [True, False])
def test_a_pool_of_the_swarm_that_no_network_of_it_has_has_leaked(
    host: Host, plugin: InProcess, swarm: OfSwarm, leads: bool
) -> None:
    make_swarm_network(plugin)
    swarm.manage(leads=leads)

    assert found(host) == [("leaked pool", "global/10.0.0.0/24", "", True)]


def test_a_worker_does_not_know_the_networks_of_the_swarm(
    host: Host, plugin: InProcess, swarm: OfSwarm
) -> None:
    make_swarm_network(plugin)

    assert found(host) == []


def test_a_manager_that_does_not_lead_does_not_judge_addresses(
    host: Host, plugin: InProcess, swarm: OfSwarm
) -> None:
    make_swarm_network(plugin, 3)
    swarm.manage(leads=False)
    swarm.add_network("10.0.0.0/24")
    swarm.add_network("10.0.3.0/24")

    assert found(host) == []


def test_a_network_for_which_each_node_has_a_configuration_has_no_pool_of_the_swarm(
    host: Host, plugin: InProcess, swarm: OfSwarm, shop: str
) -> None:
    swarm.manage(leads=True)
    host.engine.known_networks[0] |= {"Scope": "swarm", "ConfigFrom": {"Network": "lan"}}
    host.engine.add_container("task", "shop", start_container(plugin, shop))

    assert found(host) == []


def test_the_leader_misses_pools_of_the_swarm_and_does_not_take_them_in(
    host: Host, swarm: OfSwarm, tmp_path: Path
) -> None:
    swarm.manage(leads=True)
    swarm.add_network("10.0.0.0/24")
    report = tmp_path / "report.json"

    assert found(host) == [("missing pool", "global/10.0.0.0/24", "", False)]
    host.run("reconcile", "--report", report)
    outcome = host.run("reconcile", "--apply", report)
    assert outcome.code == 3
    assert "restart dockerd" in outcome.out


def test_a_network_of_the_swarm_without_an_endpoint_here_is_not_missed(
    host: Host, swarm: OfSwarm
) -> None:
    swarm.add_network("10.0.0.0/24")

    assert found(host) == []


def test_the_copy_of_a_network_of_the_swarm_may_be_about_to_come(
    host: Host, plugin: InProcess, swarm: OfSwarm
) -> None:
    make_network(plugin)
    swarm.add_network("10.0.0.0/24")

    assert found(host) == [("leaked pool", SHOP, "", False)]


def test_the_leader_of_a_swarm_is_to_claim_its_pools_by_itself(
    host: Host, plugin: InProcess, swarm: OfSwarm
) -> None:
    make_swarm_network(plugin)
    restart_engine(plugin)
    swarm.manage(leads=True)
    swarm.add_network("10.0.0.0/24")

    assert found(host) == [("unclaimed pool", "global/10.0.0.0/24", "", False)]
    assert "restart dockerd" in host.run("reconcile").out


def explained(host: Host, address: str) -> list[str]:
    """What `explain` says of the comparison with Docker."""
    lines = host.run("explain", address).out.splitlines()
    return [line for line in lines if "pyipam reconcile" in line]


def test_explain_says_that_an_address_leaked(host: Host, plugin: InProcess, shop: str) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop))
    start_container(plugin, shop)

    assert explained(host, "10.0.0.2") == []
    assert explained(host, "10.0.0.3") == [
        "leaked address: no endpoint of Docker has it; see `pyipam reconcile`"
    ]
    (difference,) = host.run("explain", "10.0.0.3", "--json").json["differences"]
    assert (difference["kind"], difference["sure"]) == ("leaked address", True)


def test_explain_says_that_the_pool_of_an_address_leaked_or_is_missing(
    host: Host, plugin: InProcess
) -> None:
    start_container(plugin, make_network(plugin))
    host.engine.add_network("lost", "10.0.9.0/24", driver="pyipam")

    assert explained(host, "10.0.0.1") == [
        "leaked pool: no network of Docker has the subnet; see `pyipam reconcile`"
    ]
    assert explained(host, "10.0.9.7") == [
        "missing pool: network lost has the subnet; see `pyipam reconcile`"
    ]


def test_explain_does_without_docker(host: Host, plugin: InProcess, shop: str) -> None:
    start_container(plugin, shop)

    lines = host.run("explain", "10.0.0.2", "--socket", host.socket).out
    assert "pyipam reconcile" not in lines


def test_the_status_says_what_leaked_and_is_well_all_the_same(
    host: Host, plugin: InProcess, shop: str
) -> None:
    start_container(plugin, shop)
    start_container(plugin, shop)

    outcome = host.run("status")

    assert outcome.code == 0
    assert "docker      2 leaked addresses; see `pyipam reconcile`\n" in outcome.out


def test_the_status_is_not_well_where_docker_uses_what_the_plugin_does_not_hold_for_it(
    host: Host, plugin: InProcess, shop: str
) -> None:
    restart_engine(plugin)
    host.engine.add_network("lost", "10.0.9.0/24", driver="pyipam")

    outcome = host.run("status")

    assert outcome.code == 1
    assert (
        "well        no: Docker and the plugin disagree: 1 unclaimed pool, 1 missing pool; see "
        "`pyipam reconcile`\n" in outcome.out
    )
    assert len(host.run("status", "--json").json["differences"]) == 2


def test_the_status_and_explain_do_without_an_engine_that_stops_answering(
    host: Host, plugin: InProcess, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_container(plugin, shop)

    def fail() -> None:
        raise EngineAway("the engine is away")

    monkeypatch.setattr(host.engine, "networks", fail)

    assert host.run("status")[::2] == (0, "pyipam: not compared with Docker: the engine is away\n")
    assert "been in use since" in host.run("explain", "10.0.0.2").out


def test_a_status_of_much_does_not_compare(
    host: Host, plugin: InProcess, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_MOST_COMPARED", 1)
    start_container(plugin, shop)

    assert host.run("status", "--json").json["differences"] == []
