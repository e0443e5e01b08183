"""The command `pyipam`, run in this process as on the host of a private engine."""

from __future__ import annotations

import pytest

from pyipam.cli.main import main
from pyipam.cli.spec_files import SpecFolders
from pyipam.cli.surroundings import Surroundings
from tests.support.engine.private_engine import PrivateEngine


class Command:
    """Runs the command as on the host of an engine. No test waits until what Docker was given
    counts as old."""

    def __init__(self, engine: PrivateEngine, capsys: pytest.CaptureFixture[str]) -> None:
        run = engine.root / "run/docker/plugins"
        etc = engine.root / "etc/docker"
        folders = SpecFolders(etc / "plugins", etc / "pyipam")
        self._host = f"unix://{engine.api_socket}"
        self.surroundings = Surroundings(
            sockets=run,
            spec_folders=folders,
            seconds_to_settle=0.0,
            notes=engine.root / "var/lib/pyipam/record",
            docker_root=engine.root / "var/lib/docker",
        )
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it prints; it must end with the code."""
        ended = self.run(*arguments)
        captured = self._capsys.readouterr()
        assert ended == code, captured.out + captured.err
        return captured.out

    def run(self, *arguments: str) -> int:
        """Run it; the code that it ends with."""
        self._capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", self._host)
            return main(arguments, surroundings=self.surroundings)
