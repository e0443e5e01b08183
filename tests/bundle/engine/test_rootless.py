"""`make install` into an engine that runs without root."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.bundle.engine.installer import Installer
from tests.support.engine.images import load_busybox
from tests.support.engine.objects import create_network, run_container
from tests.support.engine.rootless_engine import RootlessEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[RootlessEngine]:
    """A running engine without root, and without a plugin."""
    with RootlessEngine(logging.getLogger("engine").info) as engine:
        assert "name=rootless" in engine.must("info", "--format", "{{.SecurityOptions}}")
        load_busybox(engine)
        yield engine


def test_an_installed_plugin_serves_networks_before_and_after_a_restart(
    engine: RootlessEngine, installer: Installer
) -> None:
    installed = installer.run("install").check()
    assert "no short driver names: in a rootless engine, use the full name" in installed.stdout
    create_network(engine, "net", "--ipam-opt", "prefix=28")
    one = run_container(engine, "one", "net")
    assert one.addresses == ["100.64.0.2/28"]
    assert one.reaches("100.64.0.1")

    engine.restart()
    engine.must("start", "one")

    assert one.addresses == ["100.64.0.2/28"]
    assert run_container(engine, "two", "net").addresses == ["100.64.0.3/28"]
    assert create_network(engine, "next").subnets == ["100.64.0.16/30"]
