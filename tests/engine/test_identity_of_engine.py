"""What identifies a run of dockerd on kernels that do not tell processes apart (before 6.9)."""

from pathlib import Path

import pytest

from pyipam.api.engine import engine_that_listens
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    return tmp_path / "unix"


def _seen_by(plugin: Plugin, sockets: Path) -> str:
    """The engine, as the plugin finds it among the sockets that its own /proc lists."""
    listed = f"/proc/{plugin.process()}/root/proc/1/net/unix"
    sockets.write_text(plugin.engine.run("cat", listed).check().stdout)
    return engine_that_listens(sockets)


def test_the_plugin_sees_the_socket_of_the_run_of_dockerd_that_it_serves(
    engine: PrivateEngine, plugin: Plugin, sockets: Path
) -> None:
    first = _seen_by(plugin, sockets)
    plugin.kill_and_wait()
    after_the_plugin = _seen_by(plugin, sockets)
    engine.restart()
    after_the_engine = _seen_by(plugin, sockets)

    assert first
    assert after_the_plugin == first
    assert after_the_engine not in ("", first)
