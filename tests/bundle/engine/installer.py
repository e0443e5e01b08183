"""`make install` and its siblings, as a user on the engine's host runs them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.engine.command import Result
from tests.support.engine.objects import DRIVER
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine

_BUNDLE = "/opt/sources/build/plugin.tar"


@dataclass(frozen=True)
class Installer:
    """Runs the script in the engine's namespaces, on its files, with its docker client."""

    engine: PrivateEngine

    def run(self, action: str, name: str = DRIVER, **settings: str) -> Result:
        """Do it; the settings are those on make's command line, FORCE among them."""
        return self._run((), action, name, settings)

    def run_elsewhere(self, action: str) -> Result:
        """Do it from where the engine does not reach our loopback interface, as if far away."""
        return self._run(("unshare", "--net"), action, DRIVER, {})

    def _run(
        self, place: tuple[str, ...], action: str, name: str, settings: dict[str, str]
    ) -> Result:
        given = " ".join(key for key in settings if key != "FORCE")
        environment = [f"SETTINGS_GIVEN={given}", *(f"{k}={v}" for k, v in settings.items())]
        script = ["/opt/sources/tools/install.py", action, _BUNDLE, name]
        return self.engine.run(*place, "env", *environment, *self._python(), *script, timeout=120)

    def install(self, **settings: str) -> Plugin:
        """The plugin, installed or upgraded."""
        self.run("install", **settings).check()
        return Plugin(self.engine, DRIVER)

    def bring(self, bundle: Path) -> None:
        """Let that bundle be the one to install from now on."""
        shutil.copy(bundle, self.engine.root / _BUNDLE.removeprefix("/"))

    def _python(self) -> list[str]:
        """The plugin's own interpreter: not every engine's host has one."""
        rootfs = self.engine.root / "opt/bundle/rootfs"
        (loader,) = rootfs.glob("usr/lib/*-linux-gnu*/ld-linux-*")
        inside = Path("/", *loader.relative_to(self.engine.root).parts)
        python = inside.parents[2] / "bin/python3"
        return [str(inside), "--library-path", str(inside.parent), str(python)]
