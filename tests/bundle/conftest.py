"""The bundle under test, and what is in it."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from bundle_tar import unpack

from tests.bundle.rootfs import Rootfs


@pytest.fixture(scope="session")
def members(bundle: Path) -> list[tarfile.TarInfo]:
    """The entries of the tar, in its order."""
    with tarfile.open(bundle) as tar:
        return tar.getmembers()


@pytest.fixture(scope="session")
def unpacked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with config.json and rootfs."""
    directory = tmp_path_factory.mktemp("bundle")
    unpack(bundle, directory)
    return directory


@pytest.fixture(scope="session")
def rootfs(unpacked: Path) -> Rootfs:
    """The unpacked rootfs."""
    return Rootfs(unpacked / "rootfs")


@pytest.fixture(scope="session")
def config(unpacked: Path) -> dict[str, Any]:
    """The plugin's manifest."""
    manifest: dict[str, Any] = json.loads((unpacked / "config.json").read_text())
    return manifest


@pytest.fixture(scope="session")
def stamp(rootfs: Rootfs) -> dict[str, Any]:
    """The build stamp."""
    content: dict[str, Any] = json.loads((rootfs.path / "usr/share/pyipam/build.json").read_text())
    return content
