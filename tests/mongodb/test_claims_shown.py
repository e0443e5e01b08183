"""What hosts that share a plan show and say of each other's claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.mongodb.nodes import SharedPlan
from tests.support.dockerd import Driver, create_network, go_json, remove_network
from tests.support.mongodb.hosts import Host, running_hosts
from tests.support.program import scope, wait_until

ROUTED = scope("10.1.0.0/16", 22, node_prefix=20)


@pytest.fixture
def hosts(plan: SharedPlan) -> Iterator[list[Host]]:
    with running_hosts(plan.address.url, ["h1", "h2"], [ROUTED]) as hosts:
        yield hosts


def change(driver: Driver, call: str, **body: Any) -> None:
    assert driver.post(f"Pyipam.{call}", go_json(body)).json() == {}


def refused(driver: Driver) -> str:
    body = go_json({"AddressSpace": "local", "Options": {}})
    reply = driver.post("IpamDriver.RequestPool", body)
    return "" if reply.status == 200 else reply.error()


def state_of(driver: Driver, name: str) -> str:
    (node,) = (each for each in driver.get("/v1/nodes") if each["node"] == name)
    return str(node["state"])


def test_each_host_shows_the_claims_of_both_and_what_is_in_use_in_its_own(
    hosts: list[Host],
) -> None:
    for host in hosts:
        create_network(host.connect())

    def shown(host: Host) -> list[tuple[str, str, int | None, str | None]]:
        claims = host.connect().get("/v1/aggregates")
        return [(each["node"], each["state"], each["pools"], each["free"]) for each in claims]

    wait_until(lambda: len(shown(hosts[0])) == len(shown(hosts[1])) == 2, "both are known to both")
    assert sorted(shown(hosts[0]), key=str) == [
        ("h1", "active", 1, "3"),
        ("h2", "active", None, None),
    ]
    nodes = {each["node"]: each for each in hosts[0].connect().get("/v1/nodes")}
    assert [(node, nodes[node]["aggregates"]) for node in sorted(nodes)] == [("h1", 1), ("h2", 1)]
    assert (nodes["h1"]["fill"], nodes["h2"]["fill"]) == (
        [{"version": 4, "blocks": "4", "free": "3"}],
        None,
    )


def test_how_many_pools_another_host_has_in_its_claims_is_counted_in_the_database(
    hosts: list[Host],
) -> None:
    h1, h2 = (host.connect() for host in hosts)
    create_network(h1)
    for _ in range(3):
        create_network(h2)

    def shown(driver: Driver) -> list[tuple[str, int | None, bool]]:
        nodes = driver.get("/v1/nodes")
        return [(each["node"], each["pools"], each["leases"] is None) for each in nodes]

    wait_until(
        lambda: shown(h1) == [("h1", 1, False), ("h2", 3, True)], "h1 shows what h2 has claimed"
    )
    assert shown(h2) == [("h1", 1, True), ("h2", 3, False)]


def test_a_host_is_drained_and_undrained_from_another_one(hosts: list[Host]) -> None:
    h1, h2 = (host.connect() for host in hosts)
    network = create_network(h2)
    seen = [{"Node": each["node"]} for each in h1.get("/v1/nodes")]

    change(h1, "DrainNode", Node="h2", Seen=seen)

    wait_until(lambda: state_of(h2, "h2") == "draining", "h2 knows that it is drained")
    assert refused(h2).startswith("node h2 is being drained: networks that exist go on")
    assert refused(h1) == ""
    states = {each["node"]: each["state"] for each in h2.get("/v1/aggregates")}
    assert states["h2"] == "draining"
    remove_network(h2, network)
    change(h1, "UndrainNode", Node="h2", Seen=seen)
    wait_until(lambda: state_of(h2, "h2") == "serving", "h2 knows that it is not")
    assert refused(h2) == ""


def test_a_claim_is_given_back_by_its_host_alone(hosts: list[Host]) -> None:
    h1, h2 = (host.connect() for host in hosts)
    network = create_network(h2)
    remove_network(h2, network)
    wait_until(lambda: h1.get("/v1/aggregates") != [], "h1 knows the claim")
    (claim,) = h1.get("/v1/aggregates")

    reply = h1.post("Pyipam.ReleaseAggregate", go_json({"Aggregate": claim["cidr"]}))
    change(h2, "ReleaseAggregate", Aggregate=claim["cidr"])

    assert "node h2 has claimed" in reply.error()
    wait_until(
        lambda: [each["state"] for each in h1.get("/v1/aggregates")] == ["resting"],
        "h1 knows that it rests",
    )


def test_each_host_remembers_what_was_said_of_nodes_on_whichever_host(hosts: list[Host]) -> None:
    h1, h2 = (host.connect() for host in hosts)
    seen = [{"Node": each["node"]} for each in h1.get("/v1/nodes")]
    change(h1, "DrainNode", Node="h2", Seen=seen)
    wait_until(lambda: state_of(h2, "h2") == "draining", "h2 knows that it is drained")
    change(h2, "UndrainNode", Node="h2", Seen=seen)
    wait_until(lambda: state_of(h1, "h2") == "serving", "h1 knows that it is not any more")

    for driver in (h1, h2):
        events = [each["event"] for each in driver.get("/v1/history?node=h2")]
        assert events == ["undrained", "drained"]
