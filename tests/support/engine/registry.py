"""A private registry in the namespaces of an engine, for push, install and upgrade."""

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.engine.bundles import with_file
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

_EDITION = "rootfs/usr/share/pyipam/edition"
ADDRESS = "127.0.0.1:5000"
_CONFIG = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: "127.0.0.1:5000"}
"""
_START = "echo $$ > /run/registry.pid; exec docker-registry serve /etc/registry.yml"


@contextlib.contextmanager
def registry(engine: PrivateEngine) -> Iterator[str]:
    """Run a registry that the engine reaches at ADDRESS while the block runs."""
    (engine.root / "etc" / "registry.yml").write_text(_CONFIG)
    process = engine.inside.spawn(["bash", "-c", _START], engine.root / "var" / "log" / "registry")
    try:
        engine.wait_for("the registry listens", lambda: _listens(engine))
        yield ADDRESS
    finally:
        pid = int((engine.root / "run" / "registry.pid").read_text())
        engine.inside.kill(pid, signal.SIGTERM)
        process.wait(timeout=120)


def push_edition(engine: PrivateEngine, name: str, edition: str, bundle: Path) -> None:
    """Push the plugin under that name, with one more file than in the bundle.

    An engine upgrades to no rootfs that it already has; each edition has another one.
    """
    with tempfile.TemporaryDirectory() as directory:
        changed = with_file(bundle, Path(directory, "plugin.tar"), _EDITION, edition)
        plugin = Plugin.create(engine, name, changed)
    engine.must("plugin", "push", name)
    plugin.remove()


def _listens(engine: PrivateEngine) -> bool:
    host, port = ADDRESS.split(":")
    return engine.run("bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}").code == 0
