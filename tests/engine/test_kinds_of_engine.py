"""Engines that are not set up as most are: their images in containerd, their containers in user
namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine.chroots import Say
from tests.support.engine.images import load_busybox
from tests.support.engine.objects import DRIVER, create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import Daemon, PrivateEngine

_IMAGE_STORE = Daemon("overlayfs", ("--feature=containerd-snapshotter",))
_USER_NAMESPACES = Daemon(arguments=("--userns-remap=default",))

# The newest engine alone: the older ones have no such image store.
pytestmark = pytest.mark.engines("28.5")


@pytest.fixture(
    scope="module",
    params=[(_IMAGE_STORE, "io.containerd.snapshotter.v1"), (_USER_NAMESPACES, "name=userns")],
    ids=["image store of containerd", "user namespaces"],
)
def engine(
    request: pytest.FixtureRequest, version: str, bundle: Path, say: Say
) -> Iterator[PrivateEngine]:
    """A running engine of that kind, with busybox and the enabled plugin."""
    daemon, sign = request.param
    with PrivateEngine(version, say, daemon=daemon) as engine:
        shown = engine.must("info", "--format", "{{.DriverStatus}} {{.SecurityOptions}}")
        assert sign in shown
        load_busybox(engine)
        Plugin.create(engine, DRIVER, bundle).enable()
        yield engine


def test_networks_and_containers_are_as_before_after_a_restart_of_the_engine(
    engine: PrivateEngine, plugin: Plugin
) -> None:
    network = create_network(engine, "net", "--ipv6")
    one = run_container(engine, "one", "net")
    assert one.addresses == ["100.64.0.2/30", "fc00:f00f::2/64"]
    assert one.reaches("100.64.0.1")

    engine.restart()
    engine.must("start", "one")

    assert [pool["claimed"] for pool in plugin.pools()] == [True, True]
    assert plugin.held() == network.subnets
    assert one.addresses == ["100.64.0.2/30", "fc00:f00f::2/64"]
    assert one.reaches("fc00:f00f::1")
