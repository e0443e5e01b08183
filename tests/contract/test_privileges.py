"""The user that the process becomes, what it can still do, and who can connect to it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from tests.support.dockerd import (
    Engine,
    create_network,
    start_container,
)
from tests.support.program import UNPRIVILEGED_UID, Program, wait_until


def test_the_process_drops_its_privileges(program: Program, engine_a: Engine) -> None:
    program.user = str(UNPRIVILEGED_UID)
    program.write_schema({"network": "10.0.0.0", "prefix": 8, "child_prefix": 24})
    program.schema.chmod(0o600)
    program.start()
    driver = program.driver(engine_a)

    assert create_network(driver).subnets == ["10.0.0.0/24"]

    assert program.process is not None
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    wanted = UNPRIVILEGED_UID if os.getuid() == 0 else os.getuid()
    assert fields["Uid"].split() == [str(wanted)] * 4
    if os.getuid() == 0:
        assert fields["Gid"].split() == [str(UNPRIVILEGED_UID)] * 4
        assert fields["Groups"].split() == []
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    assert {path.stat().st_uid for path in program.state.rglob("*")} == {wanted}


def test_an_unprivileged_process_takes_over_the_state_that_root_wrote(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    assert program.stop() == 0

    program.user = str(UNPRIVILEGED_UID)
    program.start()
    assert start_container(program.driver(engine_a), network) == ["100.64.0.2/30"]
    assert program.stop() == 0

    program.start()
    assert program.driver(engine_a).leases(network.pool) == ["100.64.0.1", "100.64.0.2"]


def test_an_unprivileged_process_notices_an_edit_of_a_schema_that_only_root_can_read(
    program: Program, engine_a: Engine
) -> None:
    program.user = str(UNPRIVILEGED_UID)
    program.write_schema({"network": "10.0.0.0", "prefix": 8, "child_prefix": 24})
    program.schema.chmod(0o600)
    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    program.write_schema({"network": "172.16.0.0", "prefix": 12, "child_prefix": 24})

    wait_until(
        lambda: driver.get("/v1/scopes")[0]["network"] == "172.16.0.0/12", "the edit is noticed"
    )


def test_only_the_owner_can_connect_to_the_socket(program: Program) -> None:
    program.start()

    assert program.socket().stat().st_mode & stat.S_IWOTH == 0
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(program.socket()))
