"""The log: one line for each event, and nothing that a client sent can forge another."""

from __future__ import annotations

import re

from tests.contract.dockerd import Engine, Pool, create_network, remove_network, start_container
from tests.contract.program import Program

LINE = re.compile(r'level=(DEBUG|INFO|WARNING|ERROR) [a-z ]+( [a-z_]+=([\w./:+,!@-]+|"[^\n]*"))*')


def test_the_life_of_a_network_is_a_line_for_each_change(
    program: Program, engine_a: Engine
) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    network = create_network(driver, options={"id": "testnet"})
    start_container(driver, network)
    driver.release_address(network.pool, "100.64.0.2")
    remove_network(driver, network)
    assert program.stop() == 0

    assert program.log() == [
        "level=INFO schema in force origin=default scopes=14",
        "level=INFO serving names=driver,pyipam",
        "level=INFO epoch driver=driver local=1 swarm=1",
        "level=INFO pool pool=local/100.64.0.0/30 scope=100.64.0.0/20 label=testnet",
        "level=INFO lease address=100.64.0.1/30 pool=local/100.64.0.0/30 kind=gateway",
        "level=INFO lease address=100.64.0.2/30 pool=local/100.64.0.0/30 kind=container",
        "level=INFO lease released address=100.64.0.2 pool=local/100.64.0.0/30 driver=driver",
        "level=INFO lease released address=100.64.0.1 pool=local/100.64.0.0/30 driver=driver",
        "level=INFO pool released pool=local/100.64.0.0/30 leases=0",
        "level=INFO stopped",
    ]


def test_a_refusal_is_a_warning_with_its_sentence(program: Program, engine_a: Engine) -> None:
    program.start()
    error = program.driver(engine_a).pool_error("192.168.7.0/24")

    assert f'level=WARNING refused call=IpamDriver.RequestPool reason="{error}"' in program.log()


def test_a_release_of_what_is_not_held_is_a_warning(program: Program, engine_a: Engine) -> None:
    program.start()
    driver = program.driver(engine_a)
    driver.release_pool(Pool("local/100.64.9.0/24", ""))
    driver.release_address(Pool("local/100.64.9.0/24", ""), "100.64.9.7")

    assert program.logged("level=WARNING release of a pool that is not held", "100.64.9.0/24")
    assert program.logged("level=WARNING release of an address that is not held", "100.64.9.7")


def test_what_a_client_sends_cannot_end_a_line_or_pass_for_another_field(
    program: Program, engine_a: Engine
) -> None:
    forged = 'x\nlevel=ERROR forged by=client\r\u2028\x1b[31m\0" pool=local/forged'
    program.start()
    driver = program.driver(engine_a)
    driver.request_pool(options={"id": forged})
    driver.pool_error(options={"scope_filter_tags": forged})
    driver.pool_error(forged)
    driver.pool_error(space=forged)
    driver.address_error(Pool(forged, ""))
    driver.address_error(Pool("local/100.64.0.0/30", ""), forged)
    driver.release_pool(Pool(forged, ""))
    driver.release_address(Pool(forged, ""), "100.64.0.1")
    assert program.stop() == 0

    content = (program.home / "stdout").read_bytes()
    lines = content.decode("ascii").split("\n")
    assert len(lines) == 12
    for line in lines[:-1]:
        assert LINE.fullmatch(line), line
        assert all(character.isprintable() for character in line)
    assert not any(line.startswith("level=ERROR") for line in lines)
