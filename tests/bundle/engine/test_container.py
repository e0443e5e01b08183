"""The plugin as a container, built and run by the commands of docs/container.md."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle.building import ROOT
from tests.bundle.engine.base_image import DOWNLOADS, import_base
from tests.support.documented import blocks
from tests.support.engine.objects import Container, Network, clear, create_network, run_container
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.unix_http import get_json

_CLONE = "/opt/sources"
_NAME = "pyipam"
_SETTINGS = Path("etc/docker/daemon.json")


def _commands(title: str) -> list[str]:
    """The commands of a section of the page."""
    [script] = blocks("container.md", title, "sh")
    return script.replace("\\\n", "").splitlines()


def _run(engine: PrivateEngine, command: str) -> str:
    """Run it in the clone; what it prints."""
    return engine.run("sh", "-c", command, directory=_CLONE, timeout=300).check().stdout


def _start(engine: PrivateEngine, command: str) -> None:
    _run(engine, command)
    engine.wait_for("the container serves", lambda: _serves(engine))


def _serves(engine: PrivateEngine) -> bool:
    try:
        get_json(engine.root / "run/docker/plugins/driver.sock", "/v1/status")
    except OSError:
        return False
    return True


def _unclaimed(engine: PrivateEngine) -> list[str]:
    pools = get_json(engine.root / "run/docker/plugins/driver.sock", "/v1/pools")["items"]
    return [pool["subnet"] for pool in pools if not pool["claimed"]]


@pytest.fixture(scope="module")
def image(engine: PrivateEngine, sources: Path) -> None:
    """The image, built from a clone."""
    import_base(engine, "debian:bookworm-slim")
    shutil.copy(ROOT / ".dockerignore", sources)
    for part in DOWNLOADS:
        shutil.copytree(part, sources / "downloads" / part.name, dirs_exist_ok=True)
    build, _ = _commands("Build and run")
    _run(engine, build)


@pytest.fixture
def engine_with_container(engine: PrivateEngine, image: None) -> Iterator[PrivateEngine]:
    """An engine in which the container runs; afterwards nothing of it is left."""
    _, run = _commands("Build and run")
    _start(engine, run)
    yield engine
    # What uses it goes first: Docker would try for long to release it without.
    for network in engine.listing("/networks"):
        if network["IPAM"]["Driver"] == _NAME:
            for container in engine.inspect("network", network["Id"])["Containers"]:
                engine.must("rm", "--force", container)
            engine.must("network", "rm", network["Id"])
    for command in _commands("Upgrading and removing")[1:3]:
        _run(engine, command)
    clear(engine)
    engine.must("volume", "rm", _NAME)


@pytest.fixture
def lasting_containers(engine_with_container: PrivateEngine) -> Iterator[None]:
    """The engine has the setting of the page, by which containers outlive it."""
    engine = engine_with_container
    file = engine.root / _SETTINGS
    file.parent.mkdir(exist_ok=True)
    [content] = blocks("container.md", "When the engine starts again", "json")
    file.write_text(content)
    [reload] = _commands("When the engine starts again")
    _run(engine, reload)
    engine.wait_for("the setting is in force", lambda: "true" in _live_restore(engine))
    yield
    file.unlink()
    _run(engine, reload)


def _live_restore(engine: PrivateEngine) -> str:
    return engine.must("info", "--format", "{{.LiveRestoreEnabled}}")


def test_the_first_networks_are_made_from_the_schema_of_the_clone(
    engine_with_container: PrivateEngine,
) -> None:
    for command in _commands("The first networks"):
        _run(engine_with_container, command)

    assert Network(engine_with_container, "test").subnets == ["100.64.0.0/30"]
    assert Network(engine_with_container, "test").gateways == ["100.64.0.1"]
    assert Network(engine_with_container, "test6").subnets == ["100.64.0.4/30", "fc00:f00f::/64"]
    container = run_container(engine_with_container, "one", "test6")
    assert container.addresses == ["100.64.0.6/30", "fc00:f00f::2/64"]
    assert container.reaches("100.64.0.5")
    _, status, pools = _commands("Looking inside")
    assert "well        yes" in _run(engine_with_container, status)
    assert "100.64.0.4/30" in _run(engine_with_container, pools)


def test_a_new_container_has_the_state_of_the_one_before(
    engine_with_container: PrivateEngine,
) -> None:
    engine = engine_with_container
    network = create_network(engine, "net", "--ipam-opt", "prefix=28", driver=_NAME)
    run_container(engine, "one", "net")

    _build, *remove, run = _commands("Upgrading and removing")
    for command in remove:
        _run(engine, command)
    _start(engine, run)

    assert run_container(engine, "two", "net").addresses == ["100.64.0.3/28"]
    assert create_network(engine, "next", driver=_NAME).subnets == ["100.64.0.16/30"]
    Container(engine, "one").remove()
    Container(engine, "two").remove()
    network.remove()
    assert create_network(engine, "again", "--ipam-opt", "prefix=28", driver=_NAME).subnets == [
        "100.64.0.0/28"
    ]


@pytest.mark.usefixtures("lasting_containers")
def test_an_engine_that_starts_again_finds_networks_and_containers_as_they_were(
    engine_with_container: PrivateEngine,
) -> None:
    engine = engine_with_container
    create_network(engine, "small", driver=_NAME)
    create_network(engine, "large", "--ipam-opt", "prefix=28", driver=_NAME)
    container = run_container(engine, "one", "small")

    engine.restart()

    assert _unclaimed(engine) == []
    assert container.addresses == ["100.64.0.2/30"]
    assert container.reaches("100.64.0.1")
    container.remove()
    assert run_container(engine, "two", "small").addresses == ["100.64.0.2/30"]
    assert run_container(engine, "three", "large").addresses == ["100.64.0.18/28"]
