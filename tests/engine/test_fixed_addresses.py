"""Addresses that are asked for by name, that are reserved, and that rest."""

from tests.support.engine.objects import create_network, run_container, try_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope

_SUBNET = "100.64.5.0/29"


def test_a_container_with_a_fixed_address_starts_after_those_without_one(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--subnet", _SUBNET)
    first = run_container(engine, "first", "net")
    fixed = run_container(engine, "fixed", "net", "--ip", "100.64.5.3")
    engine.must("stop", "--time", "0", "first", "fixed")

    others = [run_container(engine, f"other{number}", "net") for number in range(2)]

    engine.must("start", "fixed")
    assert fixed.addresses == ["100.64.5.3/29"]
    assert [other.addresses for other in others] == [["100.64.5.2/29"], ["100.64.5.4/29"]]
    engine.must("start", "first")
    assert first.addresses == ["100.64.5.5/29"]


def test_a_fixed_address_is_kept_through_restarts_of_plugin_and_engine(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--subnet", _SUBNET)
    fixed = run_container(engine, "fixed", "net", "--ip", "100.64.5.2")
    engine.must("stop", "--time", "0", "fixed")

    plugin.kill_and_wait()
    assert run_container(engine, "one", "net").addresses == ["100.64.5.3/29"]
    engine.restart()
    assert run_container(engine, "two", "net").addresses != ["100.64.5.2/29"]

    engine.must("start", "fixed")
    assert fixed.addresses == ["100.64.5.2/29"]


def test_a_fixed_address_that_another_container_has_is_refused_with_the_way_out(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    create_network(engine, "net", "--subnet", "100.64.5.0/30")
    run_container(engine, "fixed", "net", "--ip", "100.64.5.2").remove()
    assert run_container(engine, "other", "net").addresses == ["100.64.5.2/30"]

    refused = try_container(engine, "fixed", "net", "--ip", "100.64.5.2")

    assert "address 100.64.5.2 of pool local/100.64.5.0/30" in refused.stderr
    assert "--ip-range" in refused.stderr
    assert "reserved" in refused.stderr


def test_a_reserved_subnet_serves_whoever_asks_for_it_by_name(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(
        scope("10.20.0.0/16", 24, reserved=["10.20.0.0/24", "10.20.1.1-10.20.1.19"]),
    )

    whole = create_network(engine, "whole", "--subnet", "10.20.0.0/24")
    part = create_network(engine, "part", "--subnet", "10.20.1.0/24")

    assert whole.subnets == ["10.20.0.0/24"]
    container = run_container(engine, "one", "whole")
    assert container.addresses == ["10.20.0.2/24"]
    assert container.reaches("10.20.0.1")
    assert part.subnets == ["10.20.1.0/24"]
    assert run_container(engine, "two", "part").addresses == ["10.20.1.21/24"]


def test_a_container_restarts_at_once_in_a_network_with_room_for_it_alone(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.20.0.0/16", 30, reuse_delay=3600))
    create_network(engine, "net")
    container = run_container(engine, "one", "net")

    engine.must("restart", "--time", "0", "one")

    assert container.addresses == ["10.20.0.2/30"]
    plugin.wait_for_line("resting address given out again")


def test_a_network_gets_a_resting_block_when_no_other_is_left(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    # Another part of the plan than the test before: what it left rests on.
    use_schema(scope("10.21.0.0/29", 30, reuse_delay=3600))
    networks = [create_network(engine, f"net{number}") for number in range(2)]
    for network in networks:
        network.remove()

    again = [create_network(engine, f"again{number}").subnets for number in range(2)]

    assert again == [["10.21.0.0/30"], ["10.21.0.4/30"]]
    assert run_container(engine, "one", "again0").addresses == ["10.21.0.2/30"]
