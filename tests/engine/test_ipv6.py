"""Networks with IPv6: dual stack, explicit subnets and addresses, IPv6 only."""

import pytest

from tests.support.engine.objects import create_network, run_container, try_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope


def test_containers_reach_each_other_and_their_gateway_over_both_protocols(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    options = ("--ipv6", "--ipam-opt", "prefix=28")
    network = create_network(engine, "net", *options, tags="general_purpose")
    one = run_container(engine, "one", "net")
    two = run_container(engine, "two", "net")

    assert network.gateways == ["100.64.64.1", "fc00:f00f:4::1"]
    assert one.addresses == ["100.64.64.2/28", "fc00:f00f:4::2/64"]
    assert two.addresses == ["100.64.64.3/28", "fc00:f00f:4::3/64"]
    for address in ("100.64.64.1", "100.64.64.3", "fc00:f00f:4::1", "fc00:f00f:4::3"):
        assert one.reaches(address), address


def test_a_second_network_gets_the_next_64_prefix(engine: PrivateEngine, plugin: Plugin) -> None:
    create_network(engine, "first", "--ipv6")

    second = create_network(engine, "second", "--ipv6")

    assert second.subnets == ["100.64.0.4/30", "fc00:f00f:0:1::/64"]


def test_one_option_sets_the_prefix_length_of_each_protocol(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    network = create_network(engine, "net", "--ipv6", "--ipam-opt", "prefix=28,72")

    assert network.subnets == ["100.64.0.0/28", "fc00:f00f::/72"]
    assert run_container(engine, "one", "net").addresses == ["100.64.0.2/28", "fc00:f00f::2/72"]


def test_an_explicit_subnet_and_address_are_accepted(engine: PrivateEngine, plugin: Plugin) -> None:
    subnets = ("--subnet", "100.64.9.0/24", "--subnet", "fc00:f00f:0:9::/64")
    create_network(engine, "net", "--ipv6", *subnets)

    addresses = ("--ip", "100.64.9.77", "--ip6", "fc00:f00f:0:9::77")
    container = run_container(engine, "one", "net", *addresses)

    assert container.addresses == ["100.64.9.77/24", "fc00:f00f:0:9::77/64"]
    assert container.reaches("fc00:f00f:0:9::1")
    assert plugin.held() == ["100.64.9.0/24", "fc00:f00f:0:9::/64"]


def test_a_refused_ipv6_pool_releases_the_ipv4_pool(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.93.0.0/24", 28, tags=["both"]), scope("fd93::/32", 64, tags=["six"]))

    result = try_network(engine, "net", "--ipv6", tags="both")

    assert result.code == 1
    assert "an IPv6 network with tags 'both'" in result.stderr
    assert plugin.pools() == []


def test_an_ipv4_address_leaked_by_a_refused_ipv6_one_is_unclaimed_after_a_restart(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    """Docker never releases the IPv4 address that it has been given before the refusal."""
    use_schema(scope("10.93.0.0/24", 29, tags=["both"]), scope("fd93::/120", 126, tags=["both"]))
    create_network(engine, "net", "--ipv6", tags="both")
    containers = [run_container(engine, name, "net") for name in ("one", "two")]
    refused = try_container(engine, "three", "net")
    engine.must("rm", "--force", "three")
    engine.stop()
    engine.start()
    engine.must("start", *(container.name for container in containers))

    addresses = {lease["address"]: lease["claimed"] for lease in plugin.leases()}

    assert "pool local/fd93::/126 has no free address" in refused.stderr
    assert addresses["10.93.0.4"] is False
    assert addresses["10.93.0.2"] is True
    assert addresses["10.93.0.3"] is True


@pytest.mark.engines("28.5")
def test_a_network_can_be_ipv6_only(engine: PrivateEngine, plugin: Plugin) -> None:
    network = create_network(engine, "net", "--ipv6", "--ipv4=false")
    one = run_container(engine, "one", "net")
    two = run_container(engine, "two", "net")

    assert network.subnets == ["fc00:f00f::/64"]
    assert one.addresses == ["fc00:f00f::2/64"]
    assert one.reaches("fc00:f00f::1")
    assert one.reaches(two.addresses[0].split("/")[0])
