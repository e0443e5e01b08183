"""The mounted schema: which one is in force, invalid ones, and what each key does."""

import time

import pytest

from tests.support.engine.objects import create_network, run_container, try_network
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import (
    SCHEMA_PATH,
    UseSchema,
    mount_schema,
    schema_text,
    scope,
    write_schema,
)

pytestmark = pytest.mark.any_engine

_GOOD = schema_text(scope("10.91.0.0/24", 28, tags=["web"]))
_BAD = schema_text(scope("10.91.0.0/24", 20, tags=["web"]), scope("10.92.0.1/24", 28, colour="red"))


def test_an_invalid_schema_refuses_new_networks_with_its_errors_and_leaves_others_working(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    create_network(engine, "net", "--ipam-opt", "prefix=28")
    mount_schema(plugin, _BAD)

    refused = try_network(engine, "other")
    container = run_container(engine, "one", "net")

    assert refused.code == 1
    for path in ("scopes[0].child_prefix", "scopes[1].network", "scopes[1].colour"):
        assert path in refused.stderr
    assert container.addresses == ["100.64.0.2/28"]
    assert len(plugin.status()["schema"]["errors"]) == 3


def test_a_schema_fixed_in_place_is_in_force_without_a_restart(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    mount_schema(plugin, _BAD)

    write_schema(plugin, _GOOD)
    _wait_for_errors(plugin, False)

    assert create_network(engine, "net", tags="web").subnets == ["10.91.0.0/28"]


def test_an_edit_in_place_is_noticed_within_two_seconds(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.90.0.0/24", 28))

    write_schema(plugin, _GOOD)
    begun = time.monotonic()
    engine.wait_for("the new scope", lambda: "10.91.0.0/24" in _networks(plugin))

    # Two seconds for the plugin, the rest for a busy machine.
    assert time.monotonic() - begun < 10


def test_the_log_says_what_an_edit_changes_in_the_scopes_and_for_the_pools_that_exist(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.90.0.0/24", 28), scope("10.92.0.0/24", 28, tags=["web"]))
    create_network(engine, "net", "--subnet", "10.90.0.0/28")
    container = run_container(engine, "one", "net")

    write_schema(
        plugin, schema_text(scope("10.91.0.0/24", 28), scope("10.92.0.0/24", 28, tags=["db"]))
    )

    expected = (
        "kind=removed what=10.90.0.0/24",
        "kind=added what=10.91.0.0/24",
        'kind=changed what=10.92.0.0/24 detail="tags web -> db"',
        'kind=outside what=local/10.90.0.0/28 detail="is in no scope, and lives on until',
    )
    engine.wait_for(
        "the changes in the log",
        lambda: all(any(text in line for line in _said(plugin)) for text in expected),
    )
    assert container.addresses == ["10.90.0.2/28"]


def test_an_invalid_edit_leaves_the_last_valid_schema_in_force_and_shows_its_errors(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    mount_schema(plugin, _GOOD)

    write_schema(plugin, _BAD)
    _wait_for_errors(plugin, True)

    assert create_network(engine, "net", tags="web").subnets == ["10.91.0.0/28"]
    assert any("scopes[1].colour" in error for error in plugin.status()["schema"]["errors"])


def test_replacing_the_schema_by_rename_gives_a_warning(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    mount_schema(plugin, _GOOD)

    engine.run("sh", "-c", f"echo x > {SCHEMA_PATH}.new && mv {SCHEMA_PATH}.new {SCHEMA_PATH}")
    engine.wait_for("the warning", lambda: bool(plugin.status()["schema"]["warnings"]))

    (warning,) = plugin.status()["schema"]["warnings"]
    assert "was replaced" in warning
    assert "Disable and enable the plugin" in warning
    plugin.wait_for_line("was replaced")
    assert create_network(engine, "net", tags="web").subnets == ["10.91.0.0/28"]


def test_the_last_mounted_schema_stays_in_force_without_the_mount(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    mount_schema(plugin, _GOOD)

    plugin.restart_with(SCHEMA_PATH="/dev/null")

    assert plugin.status()["schema"]["source"] == "remembered"
    assert create_network(engine, "net", tags="web").subnets == ["10.91.0.0/28"]


def test_a_pool_survives_the_removal_of_its_scope_and_nothing_overlaps_it(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.91.0.0/24", 28))
    old = create_network(engine, "old")

    use_schema(scope("10.91.0.0/16", 24))
    engine.restart()

    container = run_container(engine, "one", "old")
    assert container.addresses == ["10.91.0.2/28"]
    assert create_network(engine, "new").subnets == ["10.91.1.0/24"]
    container.remove()
    old.remove()
    assert plugin.held() == ["10.91.1.0/24"]


def test_reserved_addresses_are_given_only_on_explicit_request(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.91.0.0/24", 24, reserved=["10.91.0.2-10.91.0.9", "10.91.0.11"]))
    create_network(engine, "net", "--subnet", "10.91.0.0/24")

    containers = [run_container(engine, f"c{n}", "net") for n in range(2)]
    named = run_container(engine, "named", "net", "--ip", "10.91.0.5")

    assert [c.addresses for c in containers] == [["10.91.0.10/24"], ["10.91.0.12/24"]]
    assert named.addresses == ["10.91.0.5/24"]


def test_a_reuse_delay_lets_addresses_and_blocks_rest(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.91.0.0/24", 28, reuse_delay=3600))
    network = create_network(engine, "net")
    run_container(engine, "one", "net").remove()

    second = run_container(engine, "two", "net")
    addresses = second.addresses
    second.remove()
    network.remove()

    assert addresses == ["10.91.0.3/28"]
    assert create_network(engine, "next").subnets == ["10.91.0.16/28"]


def test_a_scope_for_swarm_gives_a_local_network_only_explicit_subnets(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    use_schema(scope("10.91.0.0/24", 28, address_space="global"), scope("10.92.0.0/24", 28))

    automatic = create_network(engine, "automatic")
    explicit = create_network(engine, "explicit", "--subnet", "10.91.0.0/28")

    assert automatic.subnets == ["10.92.0.0/28"]
    assert explicit.subnets == ["10.91.0.0/28"]


def test_nothing_is_drawn_from_the_own_space_of_a_locked_scope(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    child = {"network": "10.91.0.0", "prefix": 28, "child_prefix": 30, "tags": ["child"]}
    use_schema(scope("10.91.0.0/24", 28, lock_down=True, tags=["plan"], scopes=[child]))

    drawn = [create_network(engine, f"net{n}", tags="plan").subnets[0] for n in range(4)]
    full = try_network(engine, "net4", tags="plan")
    outside = try_network(engine, "net5", "--subnet", "10.91.0.128/28")

    assert drawn == ["10.91.0.0/30", "10.91.0.4/30", "10.91.0.8/30", "10.91.0.12/30"]
    assert "no block is free" in full.stderr
    assert "lock_down" in outside.stderr


def test_a_locked_scope_lists_its_pre_seeded_children_and_gives_out_nothing_else(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema
) -> None:
    keys = {"lock_down": True, "pre_seed_children": True, "tags": ["seeded"]}
    use_schema(scope("10.91.0.0/24", 26, **keys))

    listed = [child["subnet"] for child in plugin.get("/v1/children?scope=10.91.0.0/24")]
    network = create_network(engine, "net", tags="seeded")
    other = try_network(engine, "other", "--subnet", "10.91.0.64/28")

    assert listed == ["10.91.0.0/26", "10.91.0.64/26", "10.91.0.128/26", "10.91.0.192/26"]
    assert network.subnets == ["10.91.0.0/26"]
    assert "gives out only its /26 children" in other.stderr


@pytest.mark.parametrize(("propagate", "found"), [(True, True), (False, False)])
def test_children_carry_the_tags_of_their_parent_only_if_it_propagates_them(
    engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema, propagate: bool, found: bool
) -> None:
    child = {"network": "10.91.0.0", "prefix": 25, "child_prefix": 28, "tags": ["child"]}
    keys = {"propagate_tags": propagate, "tags": ["parent"]}
    use_schema(scope("10.91.0.0/24", None, **keys, scopes=[child]))

    assert (try_network(engine, "net", tags="parent").code == 0) is found
    assert create_network(engine, "other", tags="child").subnets[0].startswith("10.91.0.")


def _said(plugin: Plugin) -> list[str]:
    """The plugin's lines about an edit. dockerd escapes the quotes in its log."""
    return [line.replace('\\"', '"') for line in plugin.log if "schema changed" in line]


def _networks(plugin: Plugin) -> list[str]:
    return [str(scope["network"]) for scope in plugin.get("/v1/scopes")]


def _wait_for_errors(plugin: Plugin, expected: bool) -> None:
    plugin.engine.wait_for(
        "the edit is noticed", lambda: bool(plugin.status()["schema"]["errors"]) is expected
    )
