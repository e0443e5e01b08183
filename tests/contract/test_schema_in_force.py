"""Which schema is in force, as Docker and the operator see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.dockerd import (
    GATEWAY,
    SERIAL,
    Driver,
    Engine,
    create_network,
    replay,
    start_container,
)
from tests.support.program import IN_OWN_MOUNT_NAMESPACE, Program, scope, wait_until

TEN = scope("10.0.0.0/16", 24, address_space="local")
ELEVEN = scope("11.0.0.0/16", 24)
BAD = {"network": "10.0.0.1", "prefix": 16, "child_prefix": 24}
BAD_ERROR = "$.scopes[0].network: 10.0.0.1/16 has host bits set; did you mean 10.0.0.0/16?"


def schema_of(driver: Driver) -> dict[str, Any]:
    """What the status says about the schema."""
    status = driver.get("/v1/status")
    assert isinstance(status["schema"], dict)
    return status["schema"]


def scopes_of(driver: Driver) -> list[str]:
    return [entry["network"] for entry in driver.get("/v1/scopes")]


# At startup


def test_without_a_mount_the_default_schema_is_in_force(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a)

    assert schema_of(driver) == {
        "source": "default",
        "source_in_words": "the built-in one, as SCHEMA_PATH names no file",
        "errors": [],
        "warnings": [],
        "new_pools_refused": False,
    }
    assert len(scopes_of(driver)) == 14
    assert program.logged("schema in force", "origin=default")


def test_the_mounted_schema_is_in_force(program: Program, engine_a: Engine) -> None:
    program.write_schema(TEN)
    program.start()
    driver = program.driver(engine_a)

    assert schema_of(driver)["source"] == "mount"
    assert create_network(driver).subnets == ["10.0.0.0/24"]


def test_the_remembered_schema_is_in_force_when_an_upgrade_drops_the_mount(
    program: Program, engine_a: Engine
) -> None:
    program.write_schema(TEN)
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0
    program.schema.unlink()

    program.start()
    driver = program.driver(engine_a)

    assert schema_of(driver)["source"] == "remembered"
    assert create_network(driver).subnets == ["10.0.1.0/24"]
    assert start_container(driver, network) == ["10.0.0.2/24"]
    assert program.logged("schema in force", "origin=remembered")


def test_an_invalid_schema_refuses_new_pools_with_its_errors(
    program: Program, engine_a: Engine
) -> None:
    program.write_schema(BAD, scope("fc00::/200", 64))
    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    reply = driver.call("RequestPool", {"AddressSpace": "local"})

    assert reply.status == 503
    assert reply.error() == (
        "no new network can be given a subnet until this is fixed with docker plugin set or in "
        f"the schema file: schema at {BAD_ERROR}; schema at $.scopes[1].prefix: it must be an "
        "integer from 0 to 128, not 200"
    )
    assert schema_of(driver)["errors"][0] == BAD_ERROR
    assert schema_of(driver)["new_pools_refused"] is True
    assert schema_of(driver)["source"] == "default"
    assert program.logged("level=WARNING", BAD_ERROR)


def test_a_message_shows_ten_errors_and_counts_the_rest(program: Program, engine_a: Engine) -> None:
    program.write_schema(*[scope(f"10.{n}.0.1/24", 28) for n in range(25)])
    program.start()

    error = program.driver(engine_a).pool_error()

    assert error.count("has host bits set") == 10
    assert error.endswith("; and 15 more")


def test_an_invalid_schema_leaves_existing_networks_working(
    program: Program, engine_a: Engine, engine_b: Engine
) -> None:
    program.write_schema(TEN)
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    network = create_network(driver)
    start_container(driver, network)
    assert program.stop() == 0

    program.write_schema(BAD)
    program.start()
    driver = program.driver(engine_b)
    driver.announce()
    replay(driver, network)

    assert start_container(driver, network) == ["10.0.0.3/24"]
    driver.release_address(network.pool, "10.0.0.3")
    driver.release_pool(network.pool)
    assert driver.held() == []


# While it runs


@pytest.fixture
def driver(program: Program, engine_a: Engine) -> Driver:
    """A connection to a plugin with a mounted schema of one scope, 10.0.0.0/16."""
    program.write_schema(TEN)
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    return driver


@pytest.mark.parametrize("space", ["local", "global"])
def test_what_swarm_repeats_is_served_after_an_edit_and_new_networks_follow_it(
    program: Program, driver: Driver, space: str
) -> None:
    program.write_schema(ELEVEN)
    wait_until(lambda: scopes_of(driver) == ["11.0.0.0/16"], "the edit is noticed")
    options = {"scope_filter_tags": "swarm"}

    pool = driver.request_pool("10.0.0.0/24", options=SERIAL | options, space=space)

    assert driver.request_address(pool, "10.0.0.1", GATEWAY) == "10.0.0.1/24"
    assert driver.request_address(pool, "10.0.0.7") == "10.0.0.7/24"
    served = "subnet of a swarm served against the schema"
    assert program.logged(served, f"pool={space}/10.0.0.0/24")
    refusal = driver.pool_error("10.0.1.0/24", options=options, space=space)
    assert "subnet 10.0.1.0/24 is outside every scope" in refusal


def test_an_edit_in_place_is_noticed(program: Program, driver: Driver) -> None:
    program.write_schema(ELEVEN)

    wait_until(lambda: scopes_of(driver) == ["11.0.0.0/16"], "the edit is noticed")
    assert create_network(driver).subnets == ["11.0.0.0/24"]
    assert schema_of(driver)["source"] == "mount"


def test_scopes_that_left_the_schema_are_in_the_status_until_their_last_network_ends(
    program: Program, driver: Driver
) -> None:
    network = create_network(driver)
    assert driver.get("/v1/status")["scopes_left"] == []
    program.write_schema(ELEVEN)
    wait_until(lambda: scopes_of(driver) == ["11.0.0.0/16"], "the edit is noticed")

    status = driver.get("/v1/status")
    assert status["scopes_left"] == [{"network": "10.0.0.0/16", "pools": 1}]
    left = "scope 10.0.0.0/16 has left the schema, and has 1 pool in use"
    assert left in [remark["message"] for remark in status["remarks"]]

    driver.release_pool(network.pool)
    assert driver.get("/v1/status")["scopes_left"] == []


def test_an_edited_schema_is_remembered_at_the_next_start(
    program: Program, engine_a: Engine, driver: Driver
) -> None:
    program.write_schema(ELEVEN)
    wait_until(lambda: scopes_of(driver) == ["11.0.0.0/16"], "the edit is noticed")
    program.kill()
    program.schema.unlink()

    program.start()

    assert scopes_of(program.driver(engine_a)) == ["11.0.0.0/16"]


def test_an_invalid_edit_leaves_the_last_valid_schema_in_force_and_shows_its_errors(
    program: Program, driver: Driver
) -> None:
    program.write_schema(BAD)

    wait_until(lambda: schema_of(driver)["errors"] == [BAD_ERROR], "the errors are shown")
    assert scopes_of(driver) == ["10.0.0.0/16"]
    assert create_network(driver).subnets == ["10.0.0.0/24"]
    wait_until(lambda: program.logged("level=WARNING", BAD_ERROR), "the errors are in the log")


def test_fixing_an_invalid_edit_clears_the_errors(program: Program, driver: Driver) -> None:
    program.write_schema(BAD)
    wait_until(lambda: schema_of(driver)["errors"] != [], "the errors are shown")

    program.write_schema(ELEVEN)

    wait_until(lambda: schema_of(driver)["errors"] == [], "the errors are gone")
    assert create_network(driver).subnets == ["11.0.0.0/24"]


def test_fixing_a_schema_that_was_invalid_at_startup_allows_new_pools(
    program: Program, engine_a: Engine
) -> None:
    program.write_schema(BAD)
    program.start()
    driver = program.driver(engine_a)
    driver.pool_error()

    program.write_schema(TEN)

    wait_until(lambda: schema_of(driver)["errors"] == [], "the errors are gone")
    assert create_network(driver).subnets == ["10.0.0.0/24"]


def test_pools_survive_the_removal_of_their_scope_and_nothing_overlaps_them(
    program: Program, driver: Driver
) -> None:
    network = create_network(driver)
    program.write_schema(ELEVEN)
    wait_until(lambda: scopes_of(driver) == ["11.0.0.0/16"], "the edit is noticed")

    assert start_container(driver, network) == ["10.0.0.2/24"]

    program.write_schema(scope("10.0.0.0/8", 24))
    wait_until(lambda: scopes_of(driver) == ["10.0.0.0/8"], "the edit is noticed")
    assert create_network(driver).subnets == ["10.0.1.0/24"]
    driver.release_pool(network.pool)
    assert create_network(driver).subnets == ["10.0.0.0/24"]


def test_replacing_the_schema_by_rename_gives_a_warning(program: Program, driver: Driver) -> None:
    other = program.schema.with_name("other.json")
    other.write_text('{"schema_version": 1, "scopes": []}')
    other.rename(program.schema)

    wait_until(lambda: schema_of(driver)["warnings"] != [], "the warning is shown")
    (warning,) = schema_of(driver)["warnings"]
    assert "was replaced by another one on the host" in warning
    assert scopes_of(driver) == ["10.0.0.0/16"]
    wait_until(lambda: program.logged("level=WARNING", "was replaced"), "it is in the log")


def test_a_replaced_schema_is_noticed_through_a_bind_mount_even_if_the_old_file_is_kept(
    program: Program, engine_a: Engine
) -> None:
    """dockerd mounts the file like this: the mount still shows the old file after a rename."""
    program.write_schema(TEN)
    mounted = program.home / "mounted.json"
    mounted.touch()
    kept = program.home / "backup.json"
    kept.hardlink_to(program.schema)
    mount = f'mount --bind "{program.schema}" "{mounted}" && exec "$0" "$@"'
    program.start(*IN_OWN_MOUNT_NAMESPACE, "sh", "-c", mount, PYIPAM_SCHEMA=str(mounted))
    driver = program.driver(engine_a)
    assert schema_of(driver)["warnings"] == []

    other = program.home / "other.json"
    other.write_text(program.schema.read_text().replace("10.", "11."))
    other.rename(program.schema)

    wait_until(lambda: schema_of(driver)["warnings"] != [], "the warning is shown")
    assert scopes_of(driver) == ["10.0.0.0/16"]


def test_an_edit_through_a_bind_mount_is_noticed(program: Program, engine_a: Engine) -> None:
    program.write_schema(TEN)
    mounted = program.home / "mounted.json"
    mounted.touch()
    mount = f'mount --bind -o ro "{program.schema}" "{mounted}" && exec "$0" "$@"'
    program.start(*IN_OWN_MOUNT_NAMESPACE, "sh", "-c", mount, PYIPAM_SCHEMA=str(mounted))
    driver = program.driver(engine_a)

    program.write_schema(ELEVEN)

    wait_until(lambda: scopes_of(driver) == ["11.0.0.0/16"], "the edit is noticed")


def test_the_mounted_schema_is_copied_to_the_state_folder(program: Program, driver: Driver) -> None:
    assert scopes_of(driver) == ["10.0.0.0/16"]
    assert Path(program.state / "schema.json").read_text() == program.schema.read_text()
