"""The commands of "Moving a plan" in docs/operations.md, as they are printed there."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.bundle.building import ROOT
from tests.bundle.engine.installer import Installer
from tests.support.engine.objects import DRIVER, create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

# The client talks to the private engine. What it says of the engine's folders is put as they are
# seen from outside.
_CLIENT = """#!/bin/sh
if [ "$1" = info ]; then
    {root}/usr/bin/docker --host unix://{socket} "$@" | sed 's#^/var/#{root}/var/#'
else
    exec {root}/usr/bin/docker --host unix://{socket} "$@"
fi
"""


def _printed() -> list[str]:
    """The blocks of commands in the section, each as a script."""
    section = (ROOT / "docs/operations.md").read_text().split("\n## Moving a plan\n")[1]
    paragraphs = section.split("\n## ")[0].split("\n\n")
    return [text for text in paragraphs if text.startswith("    ")]


@pytest.fixture
def path(engine: PrivateEngine, tmp_path: Path) -> str:
    """A PATH on which `docker` is the client of the engine."""
    client = tmp_path / "bin/docker"
    client.parent.mkdir()
    client.write_text(_CLIENT.format(root=engine.root, socket=engine.api_socket))
    client.chmod(0o755)
    return f"{client.parent}:{os.environ['PATH']}"


def _run(script: str, path: str, file: Path) -> str:
    """Run it in this clone, with the export in that file; what it printed."""
    done = subprocess.run(
        ["bash", "-e", "-c", script.replace("export.json", str(file))],
        cwd=ROOT,
        env={"PATH": path, "HOME": str(file.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_a_plan_is_moved_into_a_reinstalled_plugin_by_the_commands_that_are_printed(
    engine: PrivateEngine, installer: Installer, path: str, tmp_path: Path
) -> None:
    before = installer.install()
    network = create_network(engine, "net")
    one = run_container(engine, "one", "net")
    leases, former = before.leases(), before.id
    exporting, importing, _ = _printed()
    file = tmp_path / "export.json"

    _run(exporting, path, file)
    _run("make uninstall FORCE=1", path, file)
    told = _run(importing, path, file)

    after = Plugin(engine, DRIVER)
    assert after.id != former
    assert f"imported 1 pool, 2 leases and 1 driver name into {after.state.resolve()}" in told
    assert after.held() == network.subnets
    assert after.leases() == leases
    assert one.reaches("100.64.0.1")
    one.remove()
    assert run_container(engine, "two", "net").addresses == ["100.64.0.2/30"]
