"""A plan moved with `python -m pyipam` from one plugin to another."""

from __future__ import annotations

import os

import pytest

from tests.support.command_line import must_pyipam, run_pyipam
from tests.support.dockerd import (
    Driver,
    Engine,
    create_network,
    go_json,
    remove_network,
    replay,
    start_container,
)
from tests.support.program import (
    UNPRIVILEGED_UID,
    Program,
    scope,
)


def move(source: Program, target: Program) -> None:
    """Move everything from the state of one plugin into that of another."""
    plan = must_pyipam("export", "--state", source.state, "-")
    target.state.mkdir(exist_ok=True)
    must_pyipam("import", "--state", target.state, "-", stdin=plan)


def everything(driver: Driver) -> list[object]:
    """Every pool with its leases, as the views show them."""
    pools = sorted(driver.get("/v1/pools"), key=lambda pool: str(pool["id"]))
    return [(pool, driver.get(f"/v1/leases?pool={pool['id']}")) for pool in pools]


@pytest.fixture
def driver(program: Program, engine_a: Engine) -> Driver:
    """A connection of an engine to a plugin with a mounted schema."""
    program.write_schema(
        scope("10.0.0.0/8", 24, tags=["default"]), scope("fc00::/32", 64, tags=["default"])
    )
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    return driver


def test_a_move_takes_everything_along(
    program: Program, second_program: Program, engine_a: Engine, driver: Driver
) -> None:
    networks = [create_network(driver, families=[4, 6], options={"id": "n"}) for _ in range(5)]
    for network in networks:
        start_container(driver, network)
    alias = program.driver(engine_a, "pyipam")
    alias.announce()
    create_network(alias, "10.200.0.0/16")
    driver.release_address(networks[0].pool_of(4), "10.0.0.2")
    before = everything(driver)
    assert program.stop() == 0

    move(program, second_program)
    second_program.start()

    assert everything(second_program.driver(engine_a)) == before


def test_networks_keep_working_after_a_move_under_a_running_engine(
    program: Program, second_program: Program, engine_a: Engine, driver: Driver
) -> None:
    network = create_network(driver)
    assert start_container(driver, network) == ["10.0.0.2/24"]
    assert program.stop() == 0

    move(program, second_program)
    second_program.start()
    driver = second_program.driver(engine_a)
    driver.announce()

    assert start_container(driver, network) == ["10.0.0.3/24"]
    driver.release_address(network.pool, "10.0.0.2")
    assert start_container(driver, network) == ["10.0.0.2/24"]
    assert create_network(driver).subnets == ["10.0.1.0/24"]


def test_a_restarted_engine_claims_what_it_has_after_a_move(
    program: Program, second_program: Program, engine_b: Engine, driver: Driver
) -> None:
    network = create_network(driver, families=[4, 6])
    start_container(driver, network)
    start_container(driver, network)
    del network.containers[0]
    assert program.stop() == 0

    move(program, second_program)
    second_program.start()
    driver = second_program.driver(engine_b)
    driver.announce()
    replay(driver, network)

    assert driver.unclaimed(network.pool_of(4)) == ["10.0.0.2"]
    assert driver.leases(network.pool_of(4)) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_the_schema_moves_with_the_plan(
    program: Program, second_program: Program, engine_a: Engine, driver: Driver
) -> None:
    create_network(driver)
    assert program.stop() == 0

    move(program, second_program)
    second_program.start()
    driver = second_program.driver(engine_a)

    assert driver.get("/v1/status")["schema"]["source"] == "remembered"
    assert create_network(driver).subnets == ["10.0.1.0/24"]


def test_claims_and_what_was_said_of_the_node_move_with_the_plan(
    program: Program, second_program: Program, engine_a: Engine
) -> None:
    program.write_schema(scope("10.1.0.0/16", 22, node_prefix=20))
    program.start(NODE_NAME="h1")
    driver = program.driver(engine_a)
    driver.announce()
    networks = [create_network(driver) for _ in range(5)]
    start_container(driver, networks[0])
    remove_network(driver, networks[4])
    for call, body in (
        ("ReleaseAggregate", {"Aggregate": "10.1.16.0/20"}),
        ("DrainNode", {"Node": "h1"}),
    ):
        driver.post(f"Pyipam.{call}", go_json(body)).json()
    before = driver.get("/v1/aggregates"), everything(driver), driver.get("/v1/nodes")
    assert program.stop() == 0

    move(program, second_program)
    second_program.start(NODE_NAME="h1")
    driver = second_program.driver(engine_a)
    driver.announce()

    assert (driver.get("/v1/aggregates"), everything(driver), driver.get("/v1/nodes")) == before
    assert [each["state"] for each in before[0]] == ["draining", "resting"]
    driver.post("Pyipam.UndrainNode", go_json({"Node": "h1"})).json()
    assert create_network(driver).subnets == ["10.1.16.0/22"]
    assert start_container(driver, networks[0]) == ["10.1.0.3/22"]


def test_a_plan_can_be_moved_to_another_store_layout(
    program: Program, second_program: Program, engine_a: Engine, driver: Driver
) -> None:
    create_network(driver, families=[4, 6])
    before = everything(driver)
    assert program.stop() == 0

    move(program, second_program)
    second_program.start(STORE_LAYOUT="single")

    assert everything(second_program.driver(engine_a)) == before


def test_an_unprivileged_plugin_takes_over_an_import_and_can_be_exported_again(
    program: Program, second_program: Program, engine_a: Engine, driver: Driver
) -> None:
    network = create_network(driver)
    assert program.stop() == 0
    second_program.user = str(UNPRIVILEGED_UID)

    move(program, second_program)
    second_program.start()
    driver = second_program.driver(engine_a)
    assert start_container(driver, network) == ["10.0.0.2/24"]
    assert second_program.stop() == 0
    plan = must_pyipam("export", "--state", second_program.state, "-")
    second_program.start()

    assert b'"10.0.0.2"' in plan
    assert start_container(second_program.driver(engine_a), network) == ["10.0.0.3/24"]
    wanted = UNPRIVILEGED_UID if os.getuid() == 0 else os.getuid()
    assert {path.stat().st_uid for path in second_program.state.rglob("*")} == {wanted}


def test_an_import_after_the_new_plugin_has_run_needs_no_force(
    program: Program, second_program: Program, engine_a: Engine, driver: Driver
) -> None:
    network = create_network(driver)
    assert program.stop() == 0
    second_program.start()
    second_program.driver(engine_a).announce()
    assert second_program.stop() == 0

    move(program, second_program)
    second_program.start()

    assert second_program.driver(engine_a).held() == [network.pool.id]


def test_a_running_plugin_cannot_be_exported_or_imported_to(
    program: Program, engine_a: Engine, driver: Driver
) -> None:
    network = create_network(driver)
    plan = program.home / "plan.json"
    expected = (
        f"pyipam: refused: the state folder {program.state} is in use by another process; stop it "
        "first (a plugin with docker plugin disable)\n"
    )

    outgoing = run_pyipam("export", "--state", program.state, plan)
    assert program.stop() == 0
    must_pyipam("export", "--state", program.state, plan)
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    incoming = run_pyipam("import", "--force", "--state", program.state, plan)

    assert (outgoing.returncode, outgoing.stderr.decode()) == (1, expected)
    assert (incoming.returncode, incoming.stderr.decode()) == (1, expected)
    assert driver.held() == [network.pool.id]


def test_the_exit_code_tells_success_refusal_and_misuse_apart(program: Program) -> None:
    assert run_pyipam("import", "--state", program.state, "-", stdin=b"{}").returncode == 1
    assert run_pyipam("import", "--state", program.state).returncode == 2
    assert run_pyipam().returncode == 2
    assert run_pyipam("--help").returncode == 0


def test_an_export_can_be_written_through_a_symbolic_link_and_into_a_pipe(
    program: Program, driver: Driver
) -> None:
    create_network(driver)
    program.stop()
    plan, link, pipe = (program.home / name for name in ("plan", "link", "pipe"))
    link.symlink_to(plan)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    for target in (link, pipe):
        must_pyipam("export", "--state", program.state, target)

    assert link.is_symlink()
    assert pipe.is_fifo()
    assert os.read(reader, 1 << 20) == plan.read_bytes() != b""
    os.close(reader)


def test_credentials_that_are_not_utf_8_are_refused_in_a_sentence(program: Program) -> None:
    path = program.home / "credentials"
    path.write_bytes(b"\xff")

    result = run_pyipam("export", "--store-url", "mongodb://a/", "--store-credentials", path, "-")

    assert result.returncode == 1
    assert result.stderr.decode() == (
        f"pyipam: refused: {path} is not valid UTF-8: byte 0 cannot be read\n"
    )
