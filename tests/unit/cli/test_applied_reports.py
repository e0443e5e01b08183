"""`pyipam reconcile --apply`: what a report says is repaired, as far as it is still true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.dockerd import GATEWAY
from tests.support.in_process import InProcess
from tests.unit.cli.host import Host, Outcome
from tests.unit.cli.plans import make_network, start_container

SHOP = "local/10.0.0.0/24"


@pytest.fixture
def shop(host: Host, plugin: InProcess) -> str:
    """The pool of a network that Docker has, too."""
    pool = make_network(plugin)
    plugin.call("RequestAddress", {"PoolID": pool, "Address": "", "Options": GATEWAY}).json()
    host.engine.add_network("shop", "10.0.0.0/24", driver="owner/pyipam:latest")
    return pool


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.json"


def apply(host: Host, report: Path) -> Outcome:
    return host.run("reconcile", "--apply", report)


def release(plugin: InProcess, pool: str, address: str) -> None:
    plugin.call("ReleaseAddress", {"PoolID": pool, "Address": address}).json()


def addresses(plugin: InProcess) -> list[str]:
    return [lease["address"] for lease in plugin.get("/v1/leases?resting=false")]


def test_what_leaked_is_freed(host: Host, plugin: InProcess, shop: str, report: Path) -> None:
    start_container(plugin, shop)
    start_container(plugin, make_network(plugin, "small"))
    host.run("reconcile", "--report", report)

    assert [row[:4] for row in apply(host, report).cells] == [
        ["leaked pool", "local/10.0.1.0/29", "-", "freed"],
        ["leaked address", SHOP, "10.0.0.2", "freed"],
    ]
    assert [pool["id"] for pool in plugin.get("/v1/pools")] == [SHOP]
    assert addresses(plugin) == ["10.0.0.1"]
    assert host.run("reconcile").code == 0


def test_what_is_missing_is_taken_in(host: Host, plugin: InProcess, report: Path) -> None:
    host.engine.add_network("lost", "10.0.9.0/24", driver="pyipam")
    host.engine.known_networks[-1]["IPAM"]["Config"][0]["Gateway"] = "10.0.9.1"
    host.engine.add_container("db", "lost", "10.0.9.2")
    host.run("reconcile", "--report", report)

    assert [row[:4] for row in apply(host, report).cells] == [
        ["missing pool", "local/10.0.9.0/24", "-", "taken in"]
    ]
    assert host.run("reconcile").code == 0
    assert {lease["address"]: lease["kind"] for lease in plugin.get("/v1/leases")} == {
        "10.0.9.1": "gateway",
        "10.0.9.2": "container",
    }


def test_what_containers_are_there_now_is_taken_in(
    host: Host, plugin: InProcess, report: Path
) -> None:
    host.engine.add_network("lost", "10.0.9.0/24", driver="pyipam")
    host.engine.add_container("db", "lost", "10.0.9.2")
    host.run("reconcile", "--report", report)
    host.engine.known_containers.clear()
    host.engine.add_container("web", "lost", "10.0.9.3")

    assert apply(host, report).code == 0
    assert addresses(plugin) == ["10.0.9.3"]


def test_an_address_that_cannot_be_taken_in_does_not_keep_its_network_out(
    host: Host, plugin: InProcess, report: Path
) -> None:
    host.engine.add_network("lost", "10.0.9.0/24", driver="pyipam")
    host.engine.add_container("odd", "lost", "10.0.9.255")
    host.engine.add_container("db", "lost", "10.0.9.2")
    host.run("reconcile", "--report", report)

    outcome = apply(host, report)

    assert outcome.code == 3
    assert [row[:4] for row in outcome.cells] == [
        ["missing pool", "local/10.0.9.0/24", "-", "taken in"],
        ["missing address", "local/10.0.9.0/24", "10.0.9.255", "left"],
    ]
    assert "broadcast address" in outcome.cells[1][4]
    assert addresses(plugin) == ["10.0.9.2"]


def test_an_address_that_a_container_has_in_use_is_taken_in(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    host.engine.add_container("web", "shop", "10.0.0.7")
    host.run("reconcile", "--report", report)

    assert apply(host, report).code == 0
    assert addresses(plugin) == ["10.0.0.1", "10.0.0.7"]


def test_a_container_that_has_the_address_now_keeps_it(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    address = start_container(plugin, shop)
    host.run("reconcile", "--report", report)
    release(plugin, shop, address)
    plugin.seconds += 1
    host.engine.add_container("web", "shop", start_container(plugin, shop))

    assert apply(host, report).cells[0][3] == "gone"
    assert addresses(plugin) == ["10.0.0.1", address]


def test_an_address_that_leaked_once_more_is_left_to_the_next_report(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    address = start_container(plugin, shop)
    host.run("reconcile", "--report", report)
    release(plugin, shop, address)
    plugin.seconds += 1
    start_container(plugin, shop)

    outcome = apply(host, report)

    assert outcome.code == 3
    assert outcome.cells[0][3:] == ["left", "it has changed since the report; make a new one"]
    assert addresses(plugin) == ["10.0.0.1", address]


def test_a_network_that_was_created_since_keeps_its_pool(
    host: Host, plugin: InProcess, report: Path
) -> None:
    pool = make_network(plugin)
    host.run("reconcile", "--report", report)
    plugin.call("ReleasePool", {"PoolID": pool}).json()
    plugin.seconds += 1
    make_network(plugin)
    host.engine.add_network("new", "10.0.0.0/24")

    assert apply(host, report).cells[0][3] == "gone"
    assert [held["id"] for held in plugin.get("/v1/pools")] == [pool]


def restart_engine(plugin: InProcess) -> None:
    """Let another run of the engine announce itself, as after a restart; it repeats nothing yet."""
    plugin.call("GetCapabilities")
    plugin.seconds += 100
    plugin.engine = "engine-2"
    plugin.call("GetCapabilities")


def claimed(plugin: InProcess) -> dict[str, bool]:
    """Whether each pool and each address in use is claimed."""
    held = {pool["id"]: pool["claimed"] for pool in plugin.get("/v1/pools?resting=false")}
    leases = plugin.get("/v1/leases?resting=false")
    return held | {lease["address"]: lease["claimed"] for lease in leases}


def test_a_pool_that_its_engine_did_not_name_again_is_claimed_with_what_is_in_use(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop))
    restart_engine(plugin)
    host.engine.add_container("late", "shop", "10.0.0.9")
    host.run("reconcile", "--report", report)

    assert [row[:4] for row in apply(host, report).cells] == [
        ["unclaimed pool", SHOP, "-", "claimed"],
        ["missing address", SHOP, "10.0.0.9", "taken in"],
    ]
    assert claimed(plugin) == dict.fromkeys((SHOP, "10.0.0.1", "10.0.0.2", "10.0.0.9"), True)
    assert host.run("reconcile").code == 0


def test_an_address_that_its_engine_did_not_name_again_is_claimed(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    host.engine.add_container("web", "shop", start_container(plugin, shop))
    restart_engine(plugin)
    make_network(plugin, subnet="10.0.0.0/24")
    host.run("reconcile", "--report", report)

    assert [row[2:4] for row in apply(host, report).cells] == [
        ["10.0.0.1", "claimed"],
        ["10.0.0.2", "claimed"],
    ]
    assert claimed(plugin) == dict.fromkeys((SHOP, "10.0.0.1", "10.0.0.2"), True)
    assert host.run("reconcile").code == 0


def test_a_pool_is_claimed_for_the_driver_name_of_its_network(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    host.engine.known_networks[0]["IPAM"]["Driver"] = "pyipam"
    host.run("reconcile", "--report", report)

    assert [row[3] for row in apply(host, report).cells] == ["claimed"]
    assert host.run("reconcile").code == 0
    assert {lease["driver"] for lease in plugin.get("/v1/leases")} == {"pyipam"}


def test_pools_that_share_a_subnet_are_claimed_with_the_gateway_that_both_have(
    host: Host, plugin: InProcess, report: Path
) -> None:
    config = {"Subnet": "10.0.9.0/24", "Gateway": "10.0.9.1"}
    for name, ip_range in (("low", "10.0.9.0/26"), ("high", "10.0.9.64/26")):
        options = {"shared": "true"}
        body = {"AddressSpace": "local", "Pool": config["Subnet"], "SubPool": ip_range}
        pool = plugin.call("RequestPool", body | {"Options": options}).json()["PoolID"]
        gateway = {"PoolID": pool, "Address": "10.0.9.1", "Options": GATEWAY}
        plugin.call("RequestAddress", gateway).json()
        host.engine.add_network(name, driver="owner/pyipam:latest")
        host.engine.known_networks[-1]["IPAM"]["Config"] = [config | {"IPRange": ip_range}]
    restart_engine(plugin)
    host.run("reconcile", "--report", report)

    assert [row[3] for row in apply(host, report).cells] == ["claimed", "claimed"]
    assert all(claimed(plugin).values())
    assert host.run("reconcile").code == 0
    release(plugin, "local/10.0.9.0/24/10.0.9.0/26", "10.0.9.1")
    assert addresses(plugin) == ["10.0.9.1"]


def test_a_pool_that_its_engine_named_since_is_left_alone(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    restart_engine(plugin)
    host.run("reconcile", "--report", report)
    make_network(plugin, subnet="10.0.0.0/24")
    plugin.call("RequestAddress", {"PoolID": SHOP, "Address": "10.0.0.1", "Options": GATEWAY})
    before = plugin.known()

    assert [row[3] for row in apply(host, report).cells] == ["gone"]
    assert plugin.known() == before


def test_a_pool_that_has_become_another_one_and_unclaimed_again_is_left_to_the_next_report(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    restart_engine(plugin)
    host.run("reconcile", "--report", report)
    plugin.call("ReleasePool", {"PoolID": shop}).json()
    make_network(plugin)
    plugin.engine = "engine-3"
    plugin.call("GetCapabilities")

    outcome = apply(host, report)

    assert outcome.code == 3
    assert outcome.cells[0][3:] == ["left", "it has changed since the report; make a new one"]
    assert claimed(plugin) == {SHOP: False}


def test_what_is_not_sure_is_left(host: Host, plugin: InProcess, report: Path) -> None:
    make_network(plugin)
    host.engine.add_network("foreign", "10.0.0.0/16", driver="another")
    host.run("reconcile", "--report", report)

    outcome = apply(host, report)

    assert outcome.code == 3
    assert outcome.cells[0][3] == "left"
    assert len(plugin.get("/v1/pools")) == 1


def test_a_refusal_of_the_plugin_is_said_and_the_rest_is_mended(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    start_container(plugin, shop)
    host.engine.add_network("lost", "10.0.0.128/25", driver="pyipam")
    host.run("reconcile", "--report", report)

    outcome = apply(host, report)

    assert outcome.code == 3
    assert [row[3] for row in outcome.cells] == ["freed", "left"]
    assert "overlaps pool local/10.0.0.0/24" in outcome.cells[1][4]


def test_outcomes_are_printed_as_json(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    start_container(plugin, shop)
    host.run("reconcile", "--report", report)

    (outcome,) = host.run("reconcile", "--apply", report, "--json").json

    assert outcome == {
        "kind": "leaked address",
        "pool": SHOP,
        "address": "10.0.0.2",
        "outcome": "freed",
        "why": "no endpoint of Docker has it",
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "pyipam-differences"}', "7", "\x00"])
def test_what_is_no_report_is_refused(
    host: Host, plugin: InProcess, report: Path, text: str
) -> None:
    report.write_text(text)

    assert host.refusal("reconcile", "--apply", report) == (
        f"{report} is not a report of this version of pyipam reconcile; make one with pyipam "
        "reconcile --report FILE"
    )


def test_a_report_on_another_plugin_is_refused(host: Host, plugin: InProcess, report: Path) -> None:
    host.run("reconcile", "--report", report)
    content = json.loads(report.read_text())
    report.write_text(json.dumps(content | {"plugin": "b" * 64}))

    assert host.refusal("reconcile", "--apply", report) == (
        f"{report} was made for plugin bbbbbbbbbbbb, but this is aaaaaaaaaaaa: make a new report"
    )


def test_an_older_plugin_says_that_it_is_older(
    host: Host, plugin: InProcess, shop: str, report: Path
) -> None:
    start_container(plugin, shop)
    host.run("reconcile", "--report", report)
    host.socket.unlink()

    def answers(path: str) -> tuple[int, bytes]:
        if path.startswith("/v1/"):
            reply = plugin.answer("GET", path)
            return reply.status, reply.body
        return 404, json.dumps({"Err": f"POST {path}: 404 Not Found"}).encode()

    with host.answering(answers):
        assert host.refusal("reconcile", "--apply", report) == (
            "the plugin is older than this command; upgrade the plugin"
        )
    host.socket.touch()
