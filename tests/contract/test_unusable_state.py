"""A state that cannot be read or written: every call is refused with the reason."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.dockerd import (
    GATEWAY,
    Engine,
    Pool,
    create_network,
    start_container,
)
from tests.support.program import IN_OWN_MOUNT_NAMESPACE, Program, wait_until

SUBNET = "100.64.5.0/24"


@pytest.fixture
def corrupted(program: Program, engine_a: Engine) -> Path:
    """A file of the state, in which a bit was flipped."""
    program.start()
    create_network(program.driver(engine_a))
    assert program.stop() == 0
    (path,) = program.state.glob("scopes/*.json")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def test_a_corrupted_state_refuses_every_call_with_the_reason_and_the_remedy(
    program: Program, engine_a: Engine, corrupted: Path
) -> None:
    program.start()
    driver = program.driver(engine_a)
    pool = Pool("local/100.64.0.0/30", "100.64.0.0/30")
    answers = [
        driver.pool_error(),
        driver.pool_error(SUBNET),
        driver.address_error(pool),
        driver.address_error(pool, "100.64.0.1", GATEWAY),
        driver.call("ReleaseAddress", {"PoolID": pool.id, "Address": "100.64.0.1"}).error(),
        driver.call("ReleasePool", {"PoolID": pool.id}).error(),
        driver.raw("GET", "/v1/pools").error(),
    ]

    assert set(answers) == {answers[0]}
    assert answers[0].startswith(f"the state is corrupted: {corrupted} at byte ")
    assert "restore the state folder from a backup" in answers[0]


def test_a_corrupted_state_does_not_prevent_the_plugin_from_being_enabled(
    program: Program, engine_a: Engine, corrupted: Path
) -> None:
    program.start()
    driver = program.driver(engine_a)

    driver.announce()

    assert str(corrupted) in driver.get("/v1/status")["failure"]
    wait_until(lambda: program.logged("level=ERROR", str(corrupted)), "it is in the log")


def test_a_corrupted_state_is_not_written_to(
    program: Program, engine_a: Engine, corrupted: Path
) -> None:
    def files() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in program.state.rglob("*") if p.is_file()}

    before = files()
    program.start()
    driver = program.driver(engine_a)
    driver.announce()
    driver.pool_error()
    assert program.stop() == 0

    assert files() == before


def test_an_unusable_state_folder_is_reported_in_a_sentence(
    program: Program, engine_a: Engine
) -> None:
    program.state.mkdir()
    (program.state / "lock").mkdir()

    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    assert driver.pool_error().startswith(
        f"the state folder {program.state} cannot be used (Is a directory"
    )


def test_a_file_in_place_of_the_state_folder_is_reported_in_a_sentence(
    program: Program, engine_a: Engine
) -> None:
    program.state.write_text("a file")

    program.start()
    driver = program.driver(engine_a)
    driver.announce()

    assert driver.pool_error().startswith(
        f"the state folder {program.state} cannot be used (File exists"
    )


def test_a_second_process_on_the_same_state_refuses_calls_with_the_reason(
    program: Program, second_program: Program, engine_a: Engine
) -> None:
    program.start()
    network = create_network(program.driver(engine_a))
    second_program.state = program.state

    second_program.start()
    driver = second_program.driver(engine_a)
    error = driver.pool_error()

    assert error == (
        f"the state folder {program.state} is in use by another process; stop it first (a plugin "
        "with docker plugin disable)"
    )
    assert driver.call("GetCapabilities").json()["RequiresRequestReplay"] is True
    assert driver.get("/v1/status")["failure"] == error
    assert second_program.stop() == 0
    assert start_container(program.driver(engine_a), network) == ["100.64.0.2/30"]


def test_a_full_disk_refuses_changes_until_there_is_room(
    program: Program, engine_a: Engine
) -> None:
    program.state.mkdir()
    mount = f'mount -t tmpfs -o size=256k none "{program.state}" && exec "$0" "$@"'
    program.start(*IN_OWN_MOUNT_NAMESPACE, "sh", "-c", mount)
    driver = program.driver(engine_a)
    network = create_network(driver, SUBNET)
    assert program.process is not None
    inside = Path(f"/proc/{program.process.pid}/root") / program.state.relative_to("/")
    filler = inside / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass

    # More than one page: a part of the last page of the journal may still be free.
    large = {"id": "x" * 1000, "scope_filter_tags": ",".join(["default"] * 500)}
    reply = driver.call("RequestPool", {"AddressSpace": "local", "Options": large})
    assert reply.status == 503
    assert "could not be stored" in reply.error()
    assert "No space left on device" in reply.error()
    assert driver.held() == [network.pool.id]

    filler.unlink()
    assert driver.request_pool(options=large).subnet == "100.64.0.0/30"
