"""Private engines to install the bundle into, and to build it in."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_tar import unpack

from tests.bundle.building import ROOT, copy_sources
from tests.bundle.engine.installer import Installer
from tests.support.engine.bundles import with_file
from tests.support.engine.images import load_busybox
from tests.support.engine.objects import clear
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.releases import engines_under_test

_PACKAGE = "rootfs/usr/lib/python3/dist-packages/pyipam/__init__.py"
_LATER = '__version__ = "99.0.0"\n'


@pytest.fixture(scope="module", params=engines_under_test())
def engine(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """A running engine of the file's own, without a plugin; every test runs on each version."""
    with PrivateEngine(request.param, logging.getLogger("engine").info) as engine:
        load_busybox(engine)
        yield engine


@pytest.fixture(scope="module")
def sources(engine: PrivateEngine, bundle: Path) -> Path:
    """The sources and the bundle where the engine's own files are, seen from outside."""
    sources = copy_sources(engine.root / "opt/sources")
    shutil.copytree(ROOT / "tools", sources / "tools")
    (sources / "build").mkdir()
    shutil.copy(bundle, sources / "build")
    unpack(bundle, engine.root / "opt/bundle")
    return sources


@pytest.fixture
def installer(engine: PrivateEngine, sources: Path) -> Iterator[Installer]:
    """Installs the bundle; afterwards nothing of it is left."""
    assert sources.is_dir()
    yield Installer(engine)
    clear(engine)
    for plugin in engine.must("plugin", "ls", "--quiet").split():
        engine.must("plugin", "rm", "--force", plugin)
    shutil.rmtree(engine.root / "etc/docker", ignore_errors=True)


@pytest.fixture(scope="session")
def next_version(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a later version."""
    return with_file(bundle, tmp_path_factory.mktemp("next") / "plugin.tar", _PACKAGE, _LATER)


@pytest.fixture(scope="session")
def broken_version(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a later version whose program ends at once."""
    broken = f'{_LATER}raise SystemExit("broken")\n'
    return with_file(bundle, tmp_path_factory.mktemp("broken") / "plugin.tar", _PACKAGE, broken)
