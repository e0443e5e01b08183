"""Networks whose subnets come from blocks that their host has claimed (`node_prefix`)."""

from __future__ import annotations

import json

import pytest

from tests.support.engine.host_command import Command
from tests.support.engine.objects import Network, create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope

pytestmark = pytest.mark.any_engine

# Four blocks for hosts, with four subnets each; and as many as one likes.
IPV4 = scope("10.95.0.0/24", 28, node_prefix=26)
IPV6 = scope("fd00:95::/32", 64, node_prefix=48)


@pytest.fixture(autouse=True)
def plan(plugin: Plugin, use_schema: UseSchema) -> None:
    # What other tests have claimed may rest for some minutes.
    plugin.start_anew()
    use_schema(IPV4, IPV6)


def claims(command: Command) -> dict[str, str]:
    """The state of each block that was claimed."""
    shown = json.loads(command("claims", "--json"))
    return {claim["cidr"]: claim["state"] for claim in shown}


def test_networks_and_containers_get_what_lies_in_a_claim_and_keep_it_through_every_restart(
    engine: PrivateEngine, plugin: Plugin, command: Command
) -> None:
    networks = [create_network(engine, f"net{number}", "--ipv6") for number in range(5)]
    container = run_container(engine, "one", "net4", "--restart", "always")
    before = command("claims", "--json")

    assert networks[0].subnets == ["10.95.0.0/28", "fd00:95::/64"]
    assert networks[4].subnets == ["10.95.0.64/28", "fd00:95:0:4::/64"]
    assert claims(command) == {
        "10.95.0.0/26": "active",
        "10.95.0.64/26": "active",
        "fd00:95::/48": "active",
    }
    plugin.kill_and_wait()
    engine.restart()
    plugin.disable(force=True)
    plugin.enable()
    assert container.addresses == ["10.95.0.66/28", "fd00:95:0:4::2/64"]
    assert container.reaches("10.95.0.65")
    assert container.reaches("fd00:95:0:4::1")
    assert [Network(engine, f"net{number}").subnets for number in range(5)] == [
        network.subnets for network in networks
    ]
    assert command("claims", "--json") == before
    assert run_container(engine, "two", "net4").addresses[0] == "10.95.0.67/28"


def test_a_claim_that_is_no_longer_needed_is_given_back(
    engine: PrivateEngine, plugin: Plugin, command: Command
) -> None:
    networks = [create_network(engine, f"net{number}") for number in range(5)]

    networks[4].remove()
    assert claims(command) == {"10.95.0.0/26": "active", "10.95.0.64/26": "active"}
    command("claims", "release", "10.95.0.0/26", code=1)
    command("claims", "release", "10.95.0.64/26")
    assert claims(command) == {"10.95.0.0/26": "active", "10.95.0.64/26": "resting"}
    assert create_network(engine, "again").subnets == ["10.95.0.64/28"]
    assert claims(command) == {"10.95.0.0/26": "active", "10.95.0.64/26": "active"}


def test_who_creates_a_network_on_a_drained_host_is_told_so_and_what_exists_goes_on(
    engine: PrivateEngine, plugin: Plugin, command: Command
) -> None:
    create_network(engine, "net")
    node = json.loads(command("nodes", "--json"))[0]["node"]
    command("nodes", "drain", node)

    refused = [try_network(engine, "other", *more) for more in ([], ["--subnet", "10.95.0.96/28"])]
    engine.restart()
    container = run_container(engine, "one", "net")

    for result in refused:
        assert result.code == 1
        assert (
            f"node {node} is being drained: networks that exist go on, and no new one gets a "
            f"subnet; create it on another node, or end that with `pyipam nodes undrain {node}`"
        ) in result.stderr
    assert container.addresses == ["10.95.0.2/28"]
    assert claims(command) == {"10.95.0.0/26": "draining"}
    command("nodes", "undrain", node)
    assert create_network(engine, "other").subnets == ["10.95.0.16/28"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--ipam-opt", "prefix=26"],
            "a network of scope 10.95.0.0/24 gets at most a /27: its nodes claim /26 blocks "
            "(node_prefix); ask for --ipam-opt prefix=27 or longer",
        ),
        (
            ["--subnet", "10.95.0.128/25"],
            "subnet 10.95.0.128/25 is too large: a network of scope 10.95.0.0/24 gets at most a "
            "/27",
        ),
    ],
)
def test_a_network_that_is_larger_than_a_claim_may_be_is_refused_with_the_reason(
    engine: PrivateEngine, plugin: Plugin, options: list[str], why: str
) -> None:
    result = try_network(engine, "net", *options)

    assert result.code == 1
    assert why in result.stderr
    assert plugin.get("/v1/aggregates") == []


def test_a_host_whose_claims_are_full_is_refused_when_nobody_can_claim_more(
    engine: PrivateEngine, plugin: Plugin, command: Command
) -> None:
    for number in range(16):
        create_network(engine, f"net{number}")

    result = try_network(engine, "net")

    assert result.code == 1
    assert "its 4 aggregates have no room" in result.stderr
    assert "none of the scope's 4 /26 blocks can be claimed" in result.stderr
    assert [claim for claim, state in claims(command).items() if state == "active"] == [
        "10.95.0.0/26",
        "10.95.0.64/26",
        "10.95.0.128/26",
        "10.95.0.192/26",
    ]


def test_an_explicit_subnet_in_free_space_is_claimed_with_the_block_around_it(
    engine: PrivateEngine, plugin: Plugin, command: Command
) -> None:
    network = create_network(engine, "net", "--subnet", "10.95.0.144/28")
    container = run_container(engine, "one", "net")

    assert container.addresses == ["10.95.0.146/28"]
    assert claims(command) == {"10.95.0.128/26": "active"}
    container.remove()
    network.remove()
    assert claims(command) == {"10.95.0.128/26": "active"}


def test_networks_older_than_the_key_live_on_outside_of_the_claims(
    engine: PrivateEngine, plugin: Plugin, command: Command, use_schema: UseSchema
) -> None:
    use_schema(scope("10.95.0.0/24", 28))
    old = create_network(engine, "old")
    use_schema(IPV4)
    container = run_container(engine, "one", "old")
    new = create_network(engine, "new")
    shown = json.loads(command("routes", "--format", "json"))["routes"]

    assert container.addresses == ["10.95.0.2/28"]
    assert [(route["prefix"], route["kind"]) for route in shown] == [
        ("10.95.0.0/28", "stray"),
        ("10.95.0.128/26", "aggregate"),
    ]
    assert new.subnets == ["10.95.0.128/28"]
    assert json.loads(command("nodes", "--json"))[0]["strays"] == 1
    container.remove()
    old.remove()
    assert json.loads(command("nodes", "--json"))[0]["strays"] == 0
