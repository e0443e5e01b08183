"""Which subnet and which addresses a network gets: tags, sizes, explicit subnets, ranges."""

import pytest

from tests.support.engine.objects import (
    Container,
    create_network,
    run_container,
    try_container,
    try_network,
)
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope

_OPTION = "--ipam-opt"


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("tags", "subnet"),
    [
        ("", "100.64.0.0/30"),
        ("null_routed", "100.64.0.0/30"),
        ("internally_routed", "100.64.16.0/30"),
        ("ingress", "100.64.32.0/30"),
        ("egress", "100.64.48.0/30"),
        ("general_purpose", "100.64.64.0/30"),
        ("host_to_container", "100.64.80.0/30"),
        ("ingress+egress", "100.64.48.0/30"),
        ("ingress+!egress", "100.64.32.0/30"),
        ("python_docker_ipam_default", "100.64.0.0/30"),
        ("externally_routed,ingress", "100.64.48.0/30"),
        ("no_such_tag,host_to_container", "100.64.80.0/30"),
        ('"general_purpose"', "100.64.64.0/30"),
    ],
)
def test_tags_choose_the_scope_of_a_network(
    engine: PrivateEngine, plugin: Plugin, tags: str, subnet: str
) -> None:
    assert create_network(engine, "net", tags=tags).subnets == [subnet]


@pytest.mark.any_engine
def test_unknown_tags_are_refused_with_the_known_ones(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    result = try_network(engine, "net", tags="intranet")

    assert result.code == 1
    assert result.stderr.startswith("Error response from daemon: IpamDriver.RequestPool: no scope ")
    assert "'intranet'" in result.stderr
    for tag in ("default", "egress", "general_purpose", "host_to_container", "null_routed"):
        assert tag in result.stderr


@pytest.mark.any_engine
def test_networks_get_the_lowest_free_blocks_including_those_of_removed_networks(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    networks = [create_network(engine, f"net{number}") for number in range(3)]
    assert [network.subnets for network in networks] == [
        ["100.64.0.0/30"],
        ["100.64.0.4/30"],
        ["100.64.0.8/30"],
    ]

    networks[1].remove()

    assert create_network(engine, "again").subnets == ["100.64.0.4/30"]


def test_a_network_can_ask_for_a_block_of_another_size(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "small")

    roomy = create_network(engine, "roomy", _OPTION, "prefix=28")

    assert plugin.held() == ["100.64.0.0/30", "100.64.0.16/28"]
    assert run_container(engine, "one", "roomy").addresses == ["100.64.0.18/28"]
    assert roomy.name == "roomy"


def test_a_length_alone_is_refused_with_the_option_that_survives_a_restart(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    refused = try_network(engine, "net", "--subnet", "0.0.0.0/28")
    roomy = create_network(engine, "roomy", _OPTION, "prefix=28")
    again = create_network(engine, "again", _OPTION, "prefix=28")

    engine.restart()

    assert refused.code == 1
    assert "--ipam-opt prefix=28" in refused.stderr
    assert run_container(engine, "two", again.name).addresses == ["100.64.0.18/28"]
    assert run_container(engine, "one", roomy.name).addresses == ["100.64.0.2/28"]
    assert plugin.held() == ["100.64.0.0/28", "100.64.0.16/28"]


@pytest.mark.any_engine
def test_a_second_container_on_a_30_is_refused_in_a_sentence(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net")
    first = run_container(engine, "one", "net")

    second = try_container(engine, "two", "net")

    assert first.addresses == ["100.64.0.2/30"]
    assert second.code == 125
    assert (
        "IpamDriver.RequestAddress: pool local/100.64.0.0/30 has no free address" in second.stderr
    )


@pytest.mark.any_engine
def test_the_address_of_a_removed_container_is_given_out_again(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net")
    run_container(engine, "one", "net").remove()

    assert run_container(engine, "two", "net").addresses == ["100.64.0.2/30"]


@pytest.mark.any_engine
def test_full_scopes_pass_on_to_the_next_and_are_all_named_when_none_is_left(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(
        scope("10.91.0.0/29", 30, tags=["web"]),
        scope("10.92.0.0/30", 30, tags=["web"]),
    )
    subnets = [create_network(engine, f"net{n}", tags="web").subnets for n in range(3)]

    full = try_network(engine, "net3", tags="web")

    assert subnets == [["10.91.0.0/30"], ["10.91.0.4/30"], ["10.92.0.0/30"]]
    assert "no block is free for an IPv4 network with tags 'web'" in full.stderr
    assert "scope 10.91.0.0/29 is full (all 2 of its /30 blocks are taken)" in full.stderr
    assert "scope 10.92.0.0/30 is full (its one /30 block is taken)" in full.stderr


def test_an_explicit_subnet_inside_a_scope_is_accepted(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    network = create_network(engine, "net", "--subnet", "100.64.5.0/24")

    assert network.subnets == ["100.64.5.0/24"]
    assert run_container(engine, "one", "net").addresses == ["100.64.5.2/24"]
    assert {lease["address"]: lease["kind"] for lease in plugin.leases()} == {
        "100.64.5.1": "gateway",
        "100.64.5.2": "container",
    }


@pytest.mark.any_engine
def test_automatic_blocks_avoid_an_explicit_subnet(engine: PrivateEngine, plugin: Plugin) -> None:
    create_network(engine, "explicit", "--subnet", "100.64.0.0/24")

    assert create_network(engine, "automatic").subnets == ["100.64.1.0/30"]


@pytest.mark.any_engine
def test_an_overlapping_subnet_is_refused_with_the_pool_and_its_id(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "first", "--subnet", "100.64.5.0/24", _OPTION, "id=shop")

    second = try_network(engine, "second", "--subnet", "100.64.5.128/25")

    assert second.code == 1
    assert "subnet 100.64.5.128/25 overlaps pool local/100.64.5.0/24 (id shop)" in second.stderr


@pytest.mark.any_engine
def test_a_subnet_outside_every_scope_is_refused_with_the_scopes(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    result = try_network(engine, "net", "--subnet", "192.168.77.0/24")

    assert result.code == 1
    assert "subnet 192.168.77.0/24 is outside every scope of the schema" in result.stderr
    assert "100.64.0.0/17" in result.stderr
    assert "ALLOW_UNMANAGED=true" in result.stderr


@pytest.mark.any_engine
def test_a_subnet_outside_every_scope_is_accepted_where_the_operator_allows_it(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    plugin.restart_with(ALLOW_UNMANAGED="true")
    try:
        network = create_network(engine, "net", "--subnet", "192.168.77.0/24")

        assert network.subnets == ["192.168.77.0/24"]
        assert run_container(engine, "one", "net").addresses == ["192.168.77.2/24"]
        assert [pool["scope"] for pool in plugin.pools()] == [""]
    finally:
        plugin.restart_with(ALLOW_UNMANAGED="false")


def test_ip_range_gateway_and_aux_addresses_are_kept_apart(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(
        engine,
        "net",
        *("--subnet", "100.64.5.0/24", "--ip-range", "100.64.5.64/30"),
        *("--gateway", "100.64.5.1"),
        *("--aux-address", "inside=100.64.5.65", "--aux-address", "outside=100.64.5.9"),
    )

    addresses = [run_container(engine, f"c{n}", "net").addresses for n in range(3)]
    full = try_container(engine, "c3", "net")

    assert addresses == [["100.64.5.64/24"], ["100.64.5.66/24"], ["100.64.5.67/24"]]
    assert "has no free address" in full.stderr
    assert [pool["ip_range"] for pool in plugin.pools()] == ["100.64.5.64/30"]


def test_a_container_gets_the_address_that_it_asks_for(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--subnet", "100.64.5.0/24")

    named = run_container(engine, "one", "net", "--ip", "100.64.5.77")

    assert named.addresses == ["100.64.5.77/24"]
    engine.must("restart", "one")
    assert named.addresses == ["100.64.5.77/24"]


@pytest.mark.any_engine
def test_an_address_in_use_is_refused_in_a_sentence(engine: PrivateEngine, plugin: Plugin) -> None:
    create_network(engine, "net", "--subnet", "100.64.5.0/24")
    run_container(engine, "one", "net", "--ip", "100.64.5.77")

    taken = try_container(engine, "two", "net", "--ip", "100.64.5.77")

    assert taken.code == 125
    assert "address 100.64.5.77 of pool local/100.64.5.0/24 has been in use since" in taken.stderr
    assert Container(engine, "one").reaches("100.64.5.1")


@pytest.mark.any_engine
def test_the_broadcast_address_is_refused_as_such(engine: PrivateEngine, plugin: Plugin) -> None:
    create_network(engine, "net", "--subnet", "100.64.5.0/24")

    result = try_container(engine, "one", "net", "--ip", "100.64.5.255")

    assert "address 100.64.5.255 is the broadcast address of 100.64.5.0/24" in result.stderr


def test_an_internal_network_draws_its_subnet_by_tag(engine: PrivateEngine, plugin: Plugin) -> None:
    network = create_network(engine, "net", "--internal", tags="host_to_container")

    assert network.subnets == ["100.64.80.0/30"]
    assert run_container(engine, "one", "net").addresses == ["100.64.80.2/30"]


def test_containers_on_a_macvlan_network_reach_each_other(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    engine.run("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far").check()
    engine.run("ip", "link", "set", "uplink", "up").check()
    engine.run("ip", "link", "set", "far", "up").check()
    try:
        options = ("--driver", "macvlan", "--opt", "parent=uplink", _OPTION, "prefix=28")
        network = create_network(engine, "net", *options, tags="general_purpose")
        one = run_container(engine, "one", "net")
        two = run_container(engine, "two", "net")

        assert network.subnets == ["100.64.64.0/28"]
        assert [one.addresses, two.addresses] == [["100.64.64.2/28"], ["100.64.64.3/28"]]
        assert one.reaches("100.64.64.3")
    finally:
        engine.must("rm", "--force", "one", "two")
        engine.must("network", "rm", "net")
        engine.run("ip", "link", "delete", "uplink").check()


def test_a_network_that_its_driver_cannot_create_leaves_nothing_held(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    result = try_network(engine, "net", "--driver", "macvlan", "--opt", "parent=lo")

    assert result.code == 1
    assert plugin.pools() == []
    assert plugin.status()["leases"] == 0
