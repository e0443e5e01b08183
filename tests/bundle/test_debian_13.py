"""On a bare Debian 13, with Python 3.13, the unit tests pass and the bundle can be built."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_tar import unpack

from tests.support.engine.bare_debian import DEBIAN_13, BareDebian, bare_debian
from tests.support.engine.chroots import Say

REPOSITORY = Path(__file__).parents[2]
_SECONDS = 900.0


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, say: Say) -> Iterator[BareDebian]:
    home = tmp_path_factory.mktemp("debian-13")
    with bare_debian(DEBIAN_13, REPOSITORY, home, say) as machine:
        yield machine


def test_the_unit_tests_pass(machine: BareDebian) -> None:
    output = machine.run("make test-unit", _SECONDS)

    assert " passed" in output
    assert "Python 3.13" in output


def test_the_bundle_is_built_and_its_program_runs(machine: BareDebian, tmp_path: Path) -> None:
    machine.run("make bundle", _SECONDS)

    bundle = machine.source / "build" / "plugin.tar"
    with tarfile.open(bundle) as tar:
        assert "rootfs/usr/lib/python3.13/os.pyc" in tar.getnames()
    unpack(bundle, tmp_path)
    command = ["chroot", str(tmp_path / "rootfs"), "/usr/bin/python3", "-I", "-m", "pyipam"]
    done = subprocess.run(
        [*command, "export", "--help"], capture_output=True, text=True, check=True
    )
    assert "--store-url" in done.stdout
